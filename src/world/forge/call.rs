//! One API call: built first, sent last.

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

/// A call whose response is a `T`.
#[derive(Debug)]
#[must_use = "nothing is asked before `send`"]
pub struct Call<T> {
    connection: Arc<Connection>,
    request: Request,
    /// Whether long strings may be cut.
    is_cut: bool,
    answer: PhantomData<fn() -> T>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The kept items.
    pub items: Vec<T>,
    /// The number of items on the page, including those not kept.
    pub count: u64,
    /// The number of items on all pages, if Gitea reports it.
    pub total: Option<u64>,
    /// The time of the response by the server's clock.
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

    /// A POST creates, so it is not retried blindly unless [`Call::repeatable`] allows it.
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

    /// Marks the call as idempotent.
    pub(super) fn repeatable(mut self) -> Self {
        self.request.is_repeatable = true;
        self
    }

    /// Forbids cutting long strings.
    pub(super) fn uncut(mut self) -> Self {
        self.is_cut = false;
        self
    }

    async fn answer(&self) -> Result<Answer<Whole>, ForgeError> {
        self.connection.send(&self.request, &|| Whole::new(self.is_cut)).await
    }
}

impl<T: DeserializeOwned> Call<T> {
    /// Sends the call and parses the response.
    pub async fn send(self) -> Result<T, ForgeError> {
        decode(&self.answer().await?)
    }

    /// Sends the call and parses the response; none if the response is successful and empty.
    pub async fn send_if_any(self) -> Result<Option<T>, ForgeError> {
        let answer = self.answer().await?;
        if answer.body.is_empty() { Ok(None) } else { decode(&answer).map(Some) }
    }

    /// Sends the call and parses the response, with the time by the server's clock.
    pub async fn send_dated(self) -> Result<(T, Option<Timestamp>), ForgeError> {
        let answer = self.answer().await?;
        Ok((decode(&answer)?, answer.date))
    }
}

impl<T: DeserializeOwned + Send> Call<Vec<T>> {
    /// Sends the call and parses the response, with the number of items on all pages.
    pub async fn send_page(self) -> Result<Page<T>, ForgeError> {
        self.sift(&Some).await
    }

    /// The same, but each item is reduced by `keep` as soon as it has arrived.
    pub(super) async fn sift<U: Send>(self, keep: &(impl Fn(T) -> Option<U> + Sync)) -> Result<Page<U>, ForgeError> {
        let Answer { tried, next, is_json, total, date, body } =
            self.connection.send(&self.request, &|| Items::new(keep)).await?;
        let read = if is_json { body.end() } else { Err("it is not JSON".to_owned()) };
        let (items, count) = read.map_err(|problem| ForgeError::Protocol { tried, problem, next })?;
        Ok(Page { items, count, total, date })
    }
}

impl Call<()> {
    /// Sends the call; only its success matters.
    pub async fn done(self) -> Result<(), ForgeError> {
        self.answer().await.map(|_| ())
    }
}
