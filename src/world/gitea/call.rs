//! One call to the forge, described first and sent last.

use crate::mission::time::Timestamp;
use crate::world::gitea::connection::{Answer, Connection, Request};
use crate::world::gitea::error::ForgeError;
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
    answer: PhantomData<fn() -> T>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
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
        Self { connection: Arc::clone(connection), request, answer: PhantomData }
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

    async fn answer(&self) -> Result<Answer, ForgeError> {
        self.connection.send(&self.request).await
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

impl<T: DeserializeOwned> Call<Vec<T>> {
    /// Sends the call and reads its answer with the number of items on all pages.
    pub async fn send_page(self) -> Result<Page<T>, ForgeError> {
        let answer = self.answer().await?;
        // An empty list may come as `null`.
        let items: Option<Vec<T>> = decode(&answer)?;
        Ok(Page { items: items.unwrap_or_default(), total: answer.total, date: answer.date })
    }
}

impl Call<()> {
    /// Sends the call; only whether it succeeded matters.
    pub async fn done(self) -> Result<(), ForgeError> {
        self.answer().await.map(|_| ())
    }
}

fn decode<T: DeserializeOwned>(answer: &Answer) -> Result<T, ForgeError> {
    let wrong = |problem: String| {
        let Answer { tried, next, .. } = answer;
        ForgeError::Protocol { tried: tried.clone(), problem, next: next.clone() }
    };
    if !answer.is_json {
        return Err(wrong("it is not JSON".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(&answer.body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        wrong(format!("at `{path}`: {}", error.into_inner()))
    })
}
