//! Tells a watcher elsewhere after each pass that we live: `daemon.ping_url`, and the same with `/fail` where the pass
//! was not complete.

use crate::world::http_client::{Courier, CourierError};
use crate::world::log_once::{News, Told};
use url::Url;

/// The watcher, and what was told of the way to it.
#[derive(Debug)]
pub struct Ping {
    complete: Courier,
    incomplete: Courier,
    told: Told,
}

impl Ping {
    /// Sets up TLS; sends nothing.
    pub fn new(url: &Url) -> Result<Self, CourierError> {
        let (complete, incomplete) = (Courier::to(url.clone())?, Courier::to(fail_url(url))?);
        Ok(Self { complete, incomplete, told: Told::default() })
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
        match self.told.hear(trouble) {
            Some(News::Trouble(what)) => tracing::warn!("`daemon.ping_url`: {whom} {what}"),
            Some(News::Over) => tracing::info!("`daemon.ping_url`: {whom} answers again"),
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
