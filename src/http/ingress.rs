//! Serves `daemon.listen`: the forge's webhook, heartbeats, liveness and readiness.

use crate::http::health;
use crate::http::reply::{self, Reply};
use crate::http::{Web, heartbeat, webhook};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use std::sync::Arc;

/// The endpoints of this listener.
enum Endpoint {
    Webhook,
    Heartbeat(String),
    Liveness,
    Readiness,
}

impl Endpoint {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/webhook" => Some(Self::Webhook),
            "/healthz" => Some(Self::Liveness),
            "/readyz" => Some(Self::Readiness),
            _ => {
                let cell = path.strip_prefix("/missions/")?.strip_suffix("/heartbeat")?;
                Some(Self::Heartbeat(cell.to_owned()))
            }
        }
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Webhook | Self::Heartbeat(_) => "POST",
            Self::Liveness | Self::Readiness => "GET, HEAD",
        }
    }
}

/// Answers one request.
pub(super) async fn answer(web: Arc<Web>, request: Request<Incoming>) -> Reply {
    let Some(endpoint) = Endpoint::at(request.uri().path()) else { return reply::not_found() };
    if matches!(endpoint, Endpoint::Webhook) && web.webhook_secret.is_none() {
        return reply::not_found();
    }
    if !allows(endpoint.methods(), request.method()) {
        return reply::method_not_allowed(endpoint.methods());
    }
    match endpoint {
        Endpoint::Webhook => webhook::answer(&web, request).await,
        Endpoint::Heartbeat(cell) => heartbeat::answer(&web, &cell, request).await,
        Endpoint::Liveness => reply::text(StatusCode::OK, "ok"),
        Endpoint::Readiness => health::readiness(&web.snapshot()),
    }
}

/// Whether a method is in the list, written as in an `Allow` header.
pub(super) fn allows(methods: &str, method: &Method) -> bool {
    methods.split(", ").any(|allowed| allowed == method.as_str())
}
