//! The one place where time is read and waited for.
//!
//! Wall time dates what is written, and may jump. A monotonic instant measures how long something takes. Async code has
//! tokio's, which a test or a simulation can pause and advance; code that blocks a thread waits for the kernel, which
//! knows no paused time, and has the system's.

use crate::mission::time::Timestamp;
use chrono::{DateTime, SubsecRound, Utc};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Interval, Sleep, Timeout};

/// All wall time comes from here.
fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall time in whole seconds, as everything that is written has it.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(DateTime::<Utc>::from(wall()).trunc_subsecs(0))
}

/// The wall time with its fraction of a second, to be compared with the times of files.
#[must_use]
pub fn precise_now() -> Timestamp {
    Timestamp::from(DateTime::<Utc>::from(wall()))
}

/// As [`precise_now`], as the time since 1970; zero before that.
#[must_use]
pub fn since_epoch() -> Duration {
    wall().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The monotonic instant of async code. It follows tokio's paused time.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// The monotonic instant of code that blocks its thread until a child process or another process's lock lets it go on.
#[must_use]
pub fn blocking_instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// The time since the host was started, the time in which it was suspended included.
#[must_use]
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Waits so long.
pub fn sleep(length: Duration) -> Sleep {
    tokio::time::sleep(length)
}

/// Waits until then.
pub fn sleep_until(due: Instant) -> Sleep {
    tokio::time::sleep_until(due)
}

/// Waits for a future, but only so long.
pub fn timeout<F: IntoFuture>(length: Duration, future: F) -> Timeout<F::IntoFuture> {
    tokio::time::timeout(length, future)
}

/// Waits for a future, but only until then.
pub fn timeout_at<F: IntoFuture>(due: Instant, future: F) -> Timeout<F::IntoFuture> {
    tokio::time::timeout_at(due, future)
}

/// Ticks now, and then each time this long has gone by.
#[must_use]
pub fn interval(every: Duration) -> Interval {
    tokio::time::interval(every)
}

/// Blocks this thread for so long.
pub fn block_for(length: Duration) {
    std::thread::sleep(length);
}
