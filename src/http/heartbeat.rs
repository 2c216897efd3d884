//! A wizard's heartbeat over the network: whoever has the cell's token replaces the cell's heartbeat.

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

/// Answers a beat.
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
        // Only who has the token is told so.
        Err(BodyFault::TooLarge) => None,
        Err(fault @ (BodyFault::Late | BodyFault::Broken)) => return (HeartbeatResult::Unfinished, fault.reply()),
    };
    let (beats, now) = (Arc::clone(&web.beats), web.snapshot().tick.now());
    // A disk that hangs must not hold up the webhook.
    let beat = move || beats.beat(mission_id, token.as_bytes(), body.as_deref(), now);
    match tokio::task::spawn_blocking(beat).await {
        Ok(Ok(())) => (HeartbeatResult::Accepted, reply::no_content()),
        Ok(Err(refusal)) => refused(mission_id, &refusal),
        Err(_) => (HeartbeatResult::Failed, reply::broken()),
    }
}

fn refused(mission_id: MissionId, refusal: &HeartbeatRejected) -> (HeartbeatResult, Reply) {
    let line = refusal.to_string();
    match refusal {
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
            tracing::debug!(%mission_id, %error, "a heartbeat could not be written");
            (HeartbeatResult::Failed, reply::text(StatusCode::SERVICE_UNAVAILABLE, &line))
        }
    }
}
