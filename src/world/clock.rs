//! The only place where time is read and waited for.
//!
//! Wall time dates what is written, and may jump. A monotonic instant measures durations. Async code uses tokio's
//! clock, which a test or a simulation can pause and advance; code that blocks a thread uses the system's, since the
//! kernel has no paused time.

use crate::mission::time::Timestamp;
use chrono::{DateTime, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Interval, Sleep, Timeout};

/// The source of all wall time.
fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall time in whole seconds, as everywhere in written data.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(DateTime::<Utc>::from(wall()).trunc_subsecs(0))
}

/// The wall time with its fraction of a second, to compare it with file times.
#[must_use]
pub fn precise_now() -> Timestamp {
    Timestamp::from(DateTime::<Utc>::from(wall()))
}

/// As [`precise_now`], as the duration since 1970; zero before that.
#[must_use]
pub fn since_epoch() -> Duration {
    wall().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The monotonic instant of async code. It follows tokio's paused time.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// The monotonic instant of code that blocks its thread for a child process or another process's lock.
#[must_use]
pub fn blocking_instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// The time since boot, including suspension.
#[must_use]
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Waits for this duration.
pub fn sleep(length: Duration) -> Sleep {
    tokio::time::sleep(length)
}

/// Waits until this instant.
pub fn sleep_until(due: Instant) -> Sleep {
    tokio::time::sleep_until(due)
}

/// Waits for a future with a timeout.
pub fn timeout<F: IntoFuture>(length: Duration, future: F) -> Timeout<F::IntoFuture> {
    tokio::time::timeout(length, future)
}

/// Waits for a future with a deadline.
pub fn timeout_at<F: IntoFuture>(due: Instant, future: F) -> Timeout<F::IntoFuture> {
    tokio::time::timeout_at(due, future)
}

/// Ticks immediately, then at this interval.
#[must_use]
pub fn interval(every: Duration) -> Interval {
    tokio::time::interval(every)
}

/// Blocks this thread for this duration.
pub fn block_for(length: Duration) {
    std::thread::sleep(length);
}
