//! Pings an external monitor after each pass: `daemon.ping_url`, with `/fail` appended if the pass was incomplete.

use crate::world::http_client::{HttpClient, HttpClientError};
use crate::world::log_once::{LogChange, LogOnce};
use url::Url;

/// The clients of the monitor, and the last logged error.
#[derive(Debug)]
pub struct Ping {
    complete: HttpClient,
    incomplete: HttpClient,
    log: LogOnce,
}

impl Ping {
    /// Creates the clients; sends nothing.
    pub fn new(url: &Url) -> Result<Self, HttpClientError> {
        let (complete, incomplete) = (HttpClient::to(url.clone())?, HttpClient::to(fail_url(url))?);
        Ok(Self { complete, incomplete, log: LogOnce::default() })
    }

    /// Reports the result of a pass. Errors are logged when they begin, change and end, and have no other effect.
    pub async fn send(&mut self, is_complete: bool) {
        let client = if is_complete { &self.complete } else { &self.incomplete };
        let failure = match client.get().await {
            Ok(200..=299) => None,
            Ok(status) => Some(format!("answered {status}")),
            Err(error) => Some(error.to_string()),
        };
        let target = client.whom();
        match self.log.observe(failure) {
            Some(LogChange::Failing(what)) => tracing::warn!("`daemon.ping_url`: {target} {what}"),
            Some(LogChange::Resolved) => tracing::info!("`daemon.ping_url`: {target} answers again"),
            None => {}
        }
    }
}

/// The address for an incomplete pass; keeps the query.
#[must_use]
pub fn fail_url(url: &Url) -> Url {
    let mut fail = url.clone();
    if let Ok(mut path) = fail.path_segments_mut() {
        path.pop_if_empty().push("fail");
    }
    fail
}
