//! Builds responses with the headers that all of them carry.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

/// A response with its whole body.
pub type Reply = Response<Full<Bytes>>;

/// Allows the service's own style sheet and icon only; no script.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Keeps pages of other sites from embedding a response.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    for (name, value) in headers {
        set(&mut reply, name, value);
    }
    reply
}

fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// A line of plain text.
pub(super) fn text(status: StatusCode, line: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// 204, for an accepted heartbeat.
pub(super) fn no_content() -> Reply {
    let mut reply = reply(StatusCode::NO_CONTENT, "", Bytes::new());
    reply.headers_mut().remove(CONTENT_TYPE);
    reply
}

/// An HTML page.
pub(super) fn html(page: Bytes) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/html; charset=utf-8", page);
    set(&mut reply, CONTENT_SECURITY_POLICY, POLICY);
    reply
}

/// The style sheet.
pub(super) fn css(style: &'static str) -> Reply {
    reply(StatusCode::OK, "text/css; charset=utf-8", style)
}

/// The icon.
pub(super) fn svg(icon: &'static str) -> Reply {
    reply(StatusCode::OK, "image/svg+xml", icon)
}

/// A JSON document.
pub(super) fn json(document: Bytes) -> Reply {
    reply(StatusCode::OK, "application/json", document)
}

/// Metrics in the OpenMetrics format.
pub(super) fn metrics(text: String) -> Reply {
    reply(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

/// 404 with one generic text, so that it does not reveal whether a cell or a token exists.
pub(super) fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "not found")
}

/// 401 without a prompt.
pub(super) fn unauthorized() -> Reply {
    text(StatusCode::UNAUTHORIZED, "unauthorized")
}

/// 401 that makes a browser prompt for the token.
pub(super) fn unauthorized_with_prompt() -> Reply {
    let mut reply = unauthorized();
    set(&mut reply, WWW_AUTHENTICATE, "Basic realm=\"lazarus\"");
    reply
}

/// 405 with the allowed methods.
pub(super) fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    set(&mut reply, ALLOW, allowed);
    reply
}

/// 429; the client may retry after a second.
pub(super) fn too_many(line: &str) -> Reply {
    let mut reply = text(StatusCode::TOO_MANY_REQUESTS, line);
    set(&mut reply, RETRY_AFTER, "1");
    reply
}

/// 500, after a panic or a failed serialization.
pub(super) fn internal_error() -> Reply {
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}
