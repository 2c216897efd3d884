//! Verifies webhook deliveries and takes from them only which issue to check. For an edited or deleted comment, the
//! engine also gets the comment and the sender, and compares them with its records.

use crate::config::Secret;
use crate::engine::metrics::WebhookResult;
use crate::engine::queue::Key;
use crate::http::Web;
use crate::http::body::{self, BodyFault};
use crate::http::reply::{self, Reply};
use crate::mission::identity::RepositoryId;
use crate::mission::status::comment_check::{CommentEvent, SeenComment};
use crate::mission::status::marker::Marker;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::Value;
use sha2::Sha256;

/// The most bytes of a delivery. Only a push of very many commits is larger, and pushes are ignored.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The outcome of a delivery.
enum Delivery {
    Issue(Key),
    /// An existing comment was edited or deleted.
    Comment(CommentEvent),
    /// Another event of a comment, for example a new one.
    OtherComment,
    Ignored,
    Unsupported,
    Unsigned,
    Malformed,
    BodyNotRead(BodyFault),
}

/// Queues the issue and answers immediately. Redelivered events are harmless: the queue holds each key once.
pub(super) async fn answer(web: &Web, request: Request<Incoming>) -> Reply {
    let Some(secret) = &web.webhook_secret else { return reply::not_found() };
    let delivery = receive(web, secret, request).await;
    let (result, reply) = match delivery {
        Delivery::Issue(key) => {
            web.queue.add_urgent(key);
            (WebhookResult::Accepted, reply::text(StatusCode::ACCEPTED, "accepted"))
        }
        Delivery::Comment(event) => {
            web.metrics.comment_webhook();
            // If the channel is full, the next listing or resync finds the change.
            let _ = web.comments.try_send(event);
            (WebhookResult::Accepted, reply::text(StatusCode::ACCEPTED, "accepted"))
        }
        Delivery::OtherComment => {
            web.metrics.comment_webhook();
            (WebhookResult::Ignored, reply::text(StatusCode::ACCEPTED, "ignored"))
        }
        Delivery::Ignored => (WebhookResult::Ignored, reply::text(StatusCode::ACCEPTED, "ignored")),
        Delivery::Unsupported => {
            let line = "set the webhook's content type to application/json";
            (WebhookResult::Unsupported, reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, line))
        }
        Delivery::Unsigned => (WebhookResult::Unsigned, reply::unauthorized()),
        Delivery::Malformed => (WebhookResult::Malformed, reply::text(StatusCode::BAD_REQUEST, "not JSON")),
        Delivery::BodyNotRead(fault @ BodyFault::TooLarge) => (WebhookResult::TooLarge, fault.reply()),
        Delivery::BodyNotRead(fault @ (BodyFault::Late | BodyFault::Broken)) => {
            (WebhookResult::Unfinished, fault.reply())
        }
    };
    web.metrics.webhook(result, web.snapshot().tick.now());
    reply
}

async fn receive(web: &Web, secret: &Secret, request: Request<Incoming>) -> Delivery {
    if !is_json(request.headers()) {
        return Delivery::Unsupported;
    }
    let Some(signature) = signature(request.headers()) else { return Delivery::Unsigned };
    let body = match body::read(request.into_body(), BODY_BYTES_MAX, web.limits.body).await {
        Ok(body) => body,
        Err(fault) => return Delivery::BodyNotRead(fault),
    };
    if !is_signed(secret, &body, &signature) {
        return Delivery::Unsigned;
    }
    match serde_json::from_slice(&body) {
        Ok(payload) => Delivery::of(&payload),
        Err(_) => Delivery::Malformed,
    }
}

/// Form-encoded deliveries cannot be verified: Gitea signs the JSON inside the form, not the bytes that it sends.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The signature from either header; none if it is missing or malformed.
fn signature(headers: &HeaderMap) -> Option<[u8; 32]> {
    let hex = match headers.get("x-gitea-signature") {
        Some(hex) => hex.as_bytes(),
        None => headers.get("x-hub-signature-256").map(HeaderValue::as_bytes)?.strip_prefix(b"sha256=")?,
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = hex.as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes?.try_into().ok()
}

/// Compares in constant time, before the body is parsed.
fn is_signed(secret: &Secret, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

impl Delivery {
    /// Classifies a payload. The header with the event's name is not signed, so it is ignored.
    fn of(payload: &Value) -> Self {
        let (issue, comment) = (&payload["issue"], &payload["comment"]);
        if !issue["pull_request"].is_null() || !payload["pull_request"].is_null() {
            return Self::Ignored;
        }
        let key = key(payload);
        if comment.is_null() {
            return key.map_or(Self::Ignored, Self::Issue);
        }
        let Some(Key::Issue { repository, number }) = key else { return Self::Ignored };
        comment_event(payload, repository, number).map_or(Self::OtherComment, Self::Comment)
    }
}

/// An edit or deletion of an existing comment. A new one updates its issue, so the next listing shows it.
fn comment_event(payload: &Value, repository_id: RepositoryId, number: i64) -> Option<CommentEvent> {
    let comment = &payload["comment"];
    let is_deleted = match payload["action"].as_str()? {
        "edited" => false,
        "deleted" => true,
        _ => return None,
    };
    let text = comment["body"].as_str().unwrap_or_default();
    let comment = SeenComment {
        id: comment["id"].as_i64()?,
        poster: comment["user"]["id"].as_i64().unwrap_or_default(),
        number: Some(number),
        marker: Marker::parse(text),
        body_sha256: sha256(text),
        updated_at: comment["updated_at"].as_str().and_then(Timestamp::parse).unwrap_or_else(Timestamp::latest),
    };
    Some(CommentEvent {
        repository_id,
        comment,
        sender: payload["sender"]["id"].as_i64().unwrap_or_default(),
        is_deleted,
    })
}

/// The issue that a payload is about.
fn key(payload: &Value) -> Option<Key> {
    let issue = &payload["issue"];
    let number = issue["number"].as_i64().or_else(|| payload["number"].as_i64());
    let (repository, number) = (payload["repository"]["id"].as_i64()?, number?);
    (repository > 0 && number > 0).then_some(Key::Issue { repository, number })
}
