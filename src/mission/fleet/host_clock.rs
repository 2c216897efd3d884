//! Finds out that this host's own clock has jumped; then verdicts that rest on time wait for one pass.

use crate::mission::cell::health::Verdict;
use crate::mission::record::Record;
use crate::mission::time::{Timestamp, format_length};
use chrono::TimeDelta;
use std::fmt;
use std::time::Duration;

/// So far the two clocks of a host may part between two passes.
pub const JUMP_MAX: TimeDelta = TimeDelta::minutes(2);

/// A reading of both clocks of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    /// The wall time, which somebody may set.
    pub wall: Timestamp,
    /// The time since the host was started, which nobody sets; none where it was not read.
    pub boot: Option<Duration>,
}

impl From<Timestamp> for HostClock {
    fn from(wall: Timestamp) -> Self {
        Self { wall, boot: None }
    }
}

/// How it is known that the clock has jumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockJump {
    /// The wall time has moved by so much more than the time since the host was started.
    Moved(TimeDelta),
    /// It is earlier than this record, which was written before.
    BeforeRecord(Timestamp),
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(by) => {
                let direction = if *by < TimeDelta::zero() { "back" } else { "ahead" };
                let length = format_length(by.abs().to_std().unwrap_or_default());
                write!(f, "the clock of this host has jumped {direction} by {length}")?;
            }
            Self::BeforeRecord(at) => {
                write!(f, "the clock of this host is wrong: the newest record was written at {}", at.formatted())?;
            }
        }
        f.write_str("; health that depends on the time is published when the next pass sees the same")
    }
}

/// What is known of the clock from one pass to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch {
    before: Option<HostClock>,
    is_behind: bool,
}

impl ClockWatch {
    /// Takes note of the reading that a pass begins with, beside the newest time in any record; whether the clock has
    /// jumped. A clock that stays wrong is told of once.
    pub fn observe(&mut self, now: HostClock, newest: Option<Timestamp>) -> Option<ClockJump> {
        let before = self.before.replace(now);
        let was_behind = self.is_behind;
        let ahead_of_us = newest.filter(|newest| newest.after(now.wall) > JUMP_MAX);
        self.is_behind = ahead_of_us.is_some();
        let moved = before.and_then(|before| moved(before, now)).filter(|by| by.abs() > JUMP_MAX);
        let behind = ahead_of_us.filter(|_| !was_behind);
        moved.map(ClockJump::Moved).or(behind.map(ClockJump::BeforeRecord))
    }
}

/// By how much the wall time has moved beyond the time that has passed.
fn moved(before: HostClock, now: HostClock) -> Option<TimeDelta> {
    let passed = now.boot?.checked_sub(before.boot?)?;
    Some(now.wall.after(before.wall) - TimeDelta::from_std(passed).ok()?)
}

/// Whether a verdict is not published in a pass in which the clock has jumped: it rests on time, and is news.
#[must_use]
pub fn waits(record: &Record, verdict: Verdict) -> bool {
    let published = record.published();
    verdict.reason.rests_on_time() && published.is_none_or(|published| published.health != verdict.health)
}

/// The newest time at which any of these records was written, as far as they tell.
#[must_use]
pub fn newest<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Timestamp> {
    let times = |record: &Record| {
        let said = record.published.as_ref().map(|said| said.since);
        said.max(record.changes.iter().map(|change| change.at).max())
    };
    records.into_iter().filter_map(times).max()
}
