//! Accepts heartbeats over HTTP: a request with the cell's token replaces the cell's heartbeat file.

use crate::engine::metrics::HeartbeatResult;
use crate::http::body::{self, BodyFault};
use crate::http::reply::{self, Reply};
use crate::http::{HeartbeatRejected, Web, access};
use crate::mission::cell::heartbeat_request::HeartbeatRequestError;
use crate::mission::cell::json_file::FILE_BYTES_MAX;
use crate::mission::identity::MissionId;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use std::sync::Arc;

/// Answers a heartbeat and counts its result.
pub(super) async fn answer(web: &Web, cell: &str, request: Request<Incoming>) -> Reply {
    let (result, reply) = receive(web, cell, request).await;
    web.metrics.heartbeat(result);
    reply
}

async fn receive(web: &Web, cell: &str, request: Request<Incoming>) -> (HeartbeatResult, Reply) {
    let unknown = || (HeartbeatResult::Unknown, reply::not_found());
    let Ok(mission_id) = MissionId::parse(cell) else { return unknown() };
    let Some(token) = access::bearer(&request).map(str::to_owned) else { return unknown() };
    let body = match body::read(request.into_body(), FILE_BYTES_MAX, web.limits.body).await {
        Ok(body) => Some(body),
        // Reported only after the token is verified.
        Err(BodyFault::TooLarge) => None,
        Err(fault @ (BodyFault::Late | BodyFault::Broken)) => return (HeartbeatResult::Unfinished, fault.reply()),
    };
    let (receiver, now) = (Arc::clone(&web.beats), web.snapshot().tick.now());
    // A disk that hangs must not delay the webhook.
    let accept = move || receiver.beat(mission_id, token.as_bytes(), body.as_deref(), now);
    match tokio::task::spawn_blocking(accept).await {
        Ok(Ok(())) => (HeartbeatResult::Accepted, reply::no_content()),
        Ok(Err(rejected)) => rejection(mission_id, &rejected),
        Err(_) => (HeartbeatResult::Failed, reply::internal_error()),
    }
}

fn rejection(mission_id: MissionId, rejected: &HeartbeatRejected) -> (HeartbeatResult, Reply) {
    let line = rejected.to_string();
    match rejected {
        HeartbeatRejected::Unknown => (HeartbeatResult::Unknown, reply::not_found()),
        HeartbeatRejected::TooOften => (HeartbeatResult::TooOften, reply::too_many(&line)),
        HeartbeatRejected::TooLarge => (HeartbeatResult::TooLarge, BodyFault::TooLarge.reply()),
        HeartbeatRejected::Fault(HeartbeatRequestError::Replayed(_)) => {
            (HeartbeatResult::NotRising, reply::text(StatusCode::CONFLICT, &line))
        }
        HeartbeatRejected::Fault(HeartbeatRequestError::NotAnObject(_) | HeartbeatRequestError::Field(_)) => {
            (HeartbeatResult::Malformed, reply::text(StatusCode::BAD_REQUEST, &line))
        }
        HeartbeatRejected::Failed(error) => {
            tracing::debug!(%mission_id, %error, "cannot write a heartbeat");
            (HeartbeatResult::Failed, reply::text(StatusCode::SERVICE_UNAVAILABLE, &line))
        }
    }
}
