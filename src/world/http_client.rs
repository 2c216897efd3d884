//! Small HTTP requests to services other than the forge: short, bounded, without redirects or retries.

use crate::world::forge::{as_needed_for, chain, install_tls};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use std::error::Error;
use std::time::Duration;
use url::Url;

/// Timeout of a connection attempt.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Timeout of a whole request.
const TOTAL_MAX: Duration = Duration::from_secs(5);

/// The most bytes of a response that are read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why there was no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// TLS could not be set up.
    #[error("the HTTP client cannot be set up: {0}; if no CAs are found, install `ca-certificates`")]
    Client(String),
    /// No connection, or a broken one.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No response in time.
    #[error("did not answer within {} seconds", TOTAL_MAX.as_secs())]
    TimedOut,
}

/// A bearer token. It is sent in a header and never printed.
#[derive(Clone, derive_more::Debug)]
#[debug("Bearer(…)")]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// Parses a token from a file; surrounding whitespace is removed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_token = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok().filter(|_| is_token)?;
        header.set_sensitive(true);
        Some(Self(header))
    }
}

/// A client for one address.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    address: Url,
}

impl HttpClient {
    /// Sets up TLS; sends nothing.
    pub fn to(address: Url) -> Result<Self, HttpClientError> {
        // The embedding program may have installed a provider; either serves.
        install_tls();
        let client = Client::builder()
            .user_agent(concat!("lazarus-reconcile/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_MAX)
            .timeout(TOTAL_MAX);
        let client = as_needed_for(&address, client).build().map_err(|error| HttpClientError::Client(chain(&error)))?;
        Ok(Self { client, address })
    }

    /// The target without path and other parts of the address that may be secret.
    #[must_use]
    pub fn whom(&self) -> String {
        self.address.origin().ascii_serialization()
    }

    /// Sends a GET and returns the status.
    pub async fn get(&self) -> Result<u16, HttpClientError> {
        answer(self.client.get(self.address.clone())).await
    }

    /// Sends a GET and returns the status and the beginning of the body.
    pub async fn read(&self, bearer: Option<&Bearer>) -> Result<(u16, String), HttpClientError> {
        let mut request = self.client.get(self.address.clone());
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer.0.clone());
        }
        let mut response = request.send().await.map_err(lost)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
            if body.len() >= ANSWER_BYTES_MAX {
                break;
            }
        }
        Ok((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    /// Posts a JSON document and returns the status.
    pub async fn post(&self, bearer: &Bearer, document: &impl Serialize) -> Result<u16, HttpClientError> {
        let request = self.client.post(self.address.clone()).header(AUTHORIZATION, bearer.0.clone());
        answer(request.json(document)).await
    }
}

async fn answer(request: RequestBuilder) -> Result<u16, HttpClientError> {
    request.send().await.map(|response| response.status().as_u16()).map_err(lost)
}

fn lost(error: reqwest::Error) -> HttpClientError {
    if error.is_timeout() {
        return HttpClientError::TimedOut;
    }
    // The outermost layer only repeats the address, which may be secret.
    let error = error.without_url();
    HttpClientError::Unreachable(error.source().map_or_else(|| chain(&error), chain))
}
