//! Time and chance of the sandbox: nothing else in it reads a clock, waits, or draws a number without a seed.

use chrono::{DateTime, SubsecRound, Utc};
use std::time::Duration;
use tokio::time::{Sleep, Timeout};
use uuid::Uuid;

/// The time now in whole seconds, as a Gitea has it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// Waits so long.
pub(super) fn sleep(length: Duration) -> Sleep {
    tokio::time::sleep(length)
}

/// Gives something up after so long.
pub(super) fn timeout<F: Future>(length: Duration, work: F) -> Timeout<F> {
    tokio::time::timeout(length, work)
}

/// A word that was never given before, for tokens, sessions and directories.
pub(super) fn word() -> String {
    Uuid::new_v4().simple().to_string()
}
