//! Tells a watcher elsewhere after each pass that we live: `daemon.ping_url`, and the same with `/fail` where the pass
//! was not complete.

use crate::world::http_client::{HttpClient, HttpClientError};
use crate::world::log_once::{LogChange, LogOnce};
use url::Url;

/// The watcher, and what was told of the way to it.
#[derive(Debug)]
pub struct Ping {
    complete: HttpClient,
    incomplete: HttpClient,
    told: LogOnce,
}

impl Ping {
    /// Sets up TLS; sends nothing.
    pub fn new(url: &Url) -> Result<Self, HttpClientError> {
        let (complete, incomplete) = (HttpClient::to(url.clone())?, HttpClient::to(fail_url(url))?);
        Ok(Self { complete, incomplete, told: LogOnce::default() })
    }

    /// Tells how a pass went. That it cannot be told is logged when it begins, changes and ends, and harms nothing.
    pub async fn send(&mut self, is_complete: bool) {
        let courier = if is_complete { &self.complete } else { &self.incomplete };
        let trouble = match courier.get().await {
            Ok(200..=299) => None,
            Ok(status) => Some(format!("answered {status}")),
            Err(error) => Some(error.to_string()),
        };
        let whom = courier.whom();
        match self.told.observe(trouble) {
            Some(LogChange::Failing(what)) => tracing::warn!("`daemon.ping_url`: {whom} {what}"),
            Some(LogChange::Resolved) => tracing::info!("`daemon.ping_url`: {whom} answers again"),
            None => {}
        }
    }
}

/// The address that hears of an incomplete pass; its query stays.
#[must_use]
pub fn fail_url(url: &Url) -> Url {
    let mut fail = url.clone();
    if let Ok(mut path) = fail.path_segments_mut() {
        path.pop_if_empty().push("fail");
    }
    fail
}
