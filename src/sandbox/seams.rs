//! The sandbox's only access to the clock, to timers and to unseeded randomness.

use chrono::{DateTime, SubsecRound, Utc};
use std::time::Duration;
use tokio::time::{Sleep, Timeout};
use uuid::Uuid;

/// The current time in whole seconds, the resolution of Gitea.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// Sleeps for a duration.
pub(super) fn sleep(length: Duration) -> Sleep {
    tokio::time::sleep(length)
}

/// Cancels work after a duration.
pub(super) fn timeout<F: Future>(length: Duration, work: F) -> Timeout<F> {
    tokio::time::timeout(length, work)
}

/// A random unique id, for tokens, sessions and directories.
pub(super) fn random_id() -> String {
    Uuid::new_v4().simple().to_string()
}
