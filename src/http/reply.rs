//! Answers, with the headers that every one of them bears.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

/// An answer, whole.
pub type Reply = Response<Full<Bytes>>;

/// Nothing but our own style sheet; no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// No other site's page may make use of an answer.
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

/// A line of text.
pub(super) fn text(status: StatusCode, line: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// Done, and there is nothing to say.
pub(super) fn no_content() -> Reply {
    let mut reply = reply(StatusCode::NO_CONTENT, "", Bytes::new());
    reply.headers_mut().remove(CONTENT_TYPE);
    reply
}

/// A page for people.
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
pub(super) fn svg(style: &'static str) -> Reply {
    reply(StatusCode::OK, "image/svg+xml", style)
}

/// A document for programs.
pub(super) fn json(document: Bytes) -> Reply {
    reply(StatusCode::OK, "application/json", document)
}

/// The metrics.
pub(super) fn metrics(text: String) -> Reply {
    reply(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

/// There is nothing here; always in the same words, whatever the reason.
pub(super) fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "not found")
}

/// Who asks may not.
pub(super) fn unauthorized() -> Reply {
    text(StatusCode::UNAUTHORIZED, "unauthorized")
}

/// Who asks may not, and a browser should ask its user for the token.
pub(super) fn unauthorized_on_page() -> Reply {
    let mut reply = unauthorized();
    set(&mut reply, WWW_AUTHENTICATE, "Basic realm=\"lazarus\"");
    reply
}

/// Nobody does that here.
pub(super) fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    set(&mut reply, ALLOW, allowed);
    reply
}

/// Again in a second.
pub(super) fn too_many(line: &str) -> Reply {
    let mut reply = text(StatusCode::TOO_MANY_REQUESTS, line);
    set(&mut reply, RETRY_AFTER, "1");
    reply
}

/// A defect of ours.
pub(super) fn broken() -> Reply {
    text(StatusCode::INTERNAL_SERVER_ERROR, "a defect of this program")
}
