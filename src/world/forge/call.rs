//! One call to the forge, described first and sent last.

use crate::mission::time::Timestamp;
use crate::world::forge::answer::{Answer, Items, Whole, decode};
use crate::world::forge::connection::{Connection, Request};
use crate::world::forge::error::ForgeError;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

/// A call whose answer is a `T`.
#[derive(Debug)]
#[must_use = "nothing is asked before `send`"]
pub struct Call<T> {
    connection: Arc<Connection>,
    request: Request,
    /// Whether a long string may be cut.
    is_cut: bool,
    answer: PhantomData<fn() -> T>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is kept of it.
    pub items: Vec<T>,
    /// How many there are on it, those that are not kept among them.
    pub count: u64,
    /// How many there are on all pages, where the forge says so.
    pub total: Option<u64>,
    /// What the forge's clock said when it answered.
    pub date: Option<Timestamp>,
}

impl<T> Call<T> {
    fn new(connection: &Arc<Connection>, method: Method, path: &[&str]) -> Self {
        let is_repeatable = method != Method::POST;
        let path = path.iter().map(|&part| part.to_owned()).collect();
        let request = Request { method, path, query: Vec::new(), body: None, is_repeatable };
        Self { connection: Arc::clone(connection), request, is_cut: true, answer: PhantomData }
    }

    pub(super) fn get(connection: &Arc<Connection>, path: &[&str]) -> Self {
        Self::new(connection, Method::GET, path)
    }

    /// A POST creates, and is never repeated blindly, unless [`Call::repeatable`] says otherwise.
    pub(super) fn post(connection: &Arc<Connection>, path: &[&str], body: &impl Serialize) -> Self {
        Self::new(connection, Method::POST, path).body(body)
    }

    pub(super) fn put(connection: &Arc<Connection>, path: &[&str], body: &impl Serialize) -> Self {
        Self::new(connection, Method::PUT, path).body(body)
    }

    pub(super) fn patch(connection: &Arc<Connection>, path: &[&str], body: &impl Serialize) -> Self {
        Self::new(connection, Method::PATCH, path).body(body)
    }

    pub(super) fn delete(connection: &Arc<Connection>, path: &[&str]) -> Self {
        Self::new(connection, Method::DELETE, path)
    }

    fn body(mut self, body: &impl Serialize) -> Self {
        self.request.body = Some(serde_json::to_value(body).unwrap_or(Value::Null));
        self
    }

    pub(super) fn query(mut self, key: &'static str, value: impl Display) -> Self {
        self.request.query.push((key, format!("{value}")));
        self
    }

    /// Doing it twice is like doing it once.
    pub(super) fn repeatable(mut self) -> Self {
        self.request.is_repeatable = true;
        self
    }

    /// Nothing of the answer may be missing.
    pub(super) fn uncut(mut self) -> Self {
        self.is_cut = false;
        self
    }

    async fn answer(&self) -> Result<Answer<Whole>, ForgeError> {
        self.connection.send(&self.request, &|| Whole::new(self.is_cut)).await
    }
}

impl<T: DeserializeOwned> Call<T> {
    /// Sends the call and reads its answer.
    pub async fn send(self) -> Result<T, ForgeError> {
        decode(&self.answer().await?)
    }

    /// Sends the call and reads its answer; none where the forge succeeded and had nothing to say.
    pub async fn send_if_any(self) -> Result<Option<T>, ForgeError> {
        let answer = self.answer().await?;
        if answer.body.is_empty() { Ok(None) } else { decode(&answer).map(Some) }
    }

    /// Sends the call and reads its answer, with what the forge's clock said.
    pub async fn send_dated(self) -> Result<(T, Option<Timestamp>), ForgeError> {
        let answer = self.answer().await?;
        Ok((decode(&answer)?, answer.date))
    }
}

impl<T: DeserializeOwned + Send> Call<Vec<T>> {
    /// Sends the call and reads its answer with the number of items on all pages.
    pub async fn send_page(self) -> Result<Page<T>, ForgeError> {
        self.sift(&Some).await
    }

    /// The same, but keeps of each item only what `keep` makes of it, as soon as it has arrived.
    pub(super) async fn sift<U: Send>(self, keep: &(impl Fn(T) -> Option<U> + Sync)) -> Result<Page<U>, ForgeError> {
        let Answer { tried, next, is_json, total, date, body } =
            self.connection.send(&self.request, &|| Items::new(keep)).await?;
        let read = if is_json { body.end() } else { Err("it is not JSON".to_owned()) };
        let (items, count) = read.map_err(|problem| ForgeError::Protocol { tried, problem, next })?;
        Ok(Page { items, count, total, date })
    }
}

impl Call<()> {
    /// Sends the call; only whether it succeeded matters.
    pub async fn done(self) -> Result<(), ForgeError> {
        self.answer().await.map(|_| ())
    }
}
