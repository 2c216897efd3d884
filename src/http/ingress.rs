//! The listener for machines that bring news: the forge's webhook, heartbeats, and whoever asks whether the daemon is
//! well.

use crate::http::health;
use crate::http::reply::{self, Reply};
use crate::http::{Web, heartbeat, webhook};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use std::sync::Arc;

/// What can be asked for here.
enum Door {
    Webhook,
    Heartbeat(String),
    Lives,
    Ready,
}

impl Door {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/webhook" => Some(Self::Webhook),
            "/healthz" => Some(Self::Lives),
            "/readyz" => Some(Self::Ready),
            _ => {
                let cell = path.strip_prefix("/missions/")?.strip_suffix("/heartbeat")?;
                Some(Self::Heartbeat(cell.to_owned()))
            }
        }
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Webhook | Self::Heartbeat(_) => "POST",
            Self::Lives | Self::Ready => "GET, HEAD",
        }
    }
}

/// Answers one request.
pub(super) async fn answer(web: Arc<Web>, request: Request<Incoming>) -> Reply {
    let Some(door) = Door::at(request.uri().path()) else { return reply::not_found() };
    if matches!(door, Door::Webhook) && web.webhook_secret.is_none() {
        return reply::not_found();
    }
    if !allows(door.methods(), request.method()) {
        return reply::method_not_allowed(door.methods());
    }
    match door {
        Door::Webhook => webhook::answer(&web, request).await,
        Door::Heartbeat(cell) => heartbeat::answer(&web, &cell, request).await,
        Door::Lives => reply::text(StatusCode::OK, "ok"),
        Door::Ready => health::readiness(&web.snapshot()),
    }
}

/// Whether a method is among those allowed.
pub(super) fn allows(methods: &str, method: &Method) -> bool {
    methods.split(", ").any(|allowed| allowed == method.as_str())
}
