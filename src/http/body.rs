//! Reads a request's body: never more than its limit, never longer than its time.

use crate::http::reply::{self, Reply};
use crate::world::clock;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Incoming};
use std::time::Duration;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// It is larger than its limit.
    TooLarge,
    /// It did not come in time.
    Late,
    /// It broke off.
    Broken,
}

impl BodyFault {
    /// What the sender is told.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::TooLarge => reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Late => reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
            Self::Broken => reply::text(StatusCode::BAD_REQUEST, "the body broke off"),
        }
    }
}

/// Reads a body whole. One that says beforehand that it is too large is not read at all.
pub(super) async fn read(body: Incoming, bytes_max: usize, patience: Duration) -> Result<Bytes, BodyFault> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyFault::TooLarge);
    }
    match clock::timeout(patience, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyFault::TooLarge),
        Ok(Err(_)) => Err(BodyFault::Broken),
        Err(_) => Err(BodyFault::Late),
    }
}
