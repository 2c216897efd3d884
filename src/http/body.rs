//! Reads a request's body within a limit of bytes and a deadline.

use crate::http::reply::{self, Reply};
use crate::world::clock;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Incoming};
use std::time::Duration;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// The body exceeds the limit of bytes.
    TooLarge,
    /// The deadline passed before the end of the body.
    Late,
    /// The connection closed before the end of the body.
    Broken,
}

impl BodyFault {
    /// The response to the sender.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::TooLarge => reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Late => reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
            Self::Broken => reply::text(StatusCode::BAD_REQUEST, "the body is incomplete"),
        }
    }
}

/// Reads a whole body. One whose declared length exceeds the limit is not read at all.
pub(super) async fn read(body: Incoming, bytes_max: usize, timeout: Duration) -> Result<Bytes, BodyFault> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyFault::TooLarge);
    }
    match clock::timeout(timeout, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyFault::TooLarge),
        Ok(Err(_)) => Err(BodyFault::Broken),
        Err(_) => Err(BodyFault::Late),
    }
}
