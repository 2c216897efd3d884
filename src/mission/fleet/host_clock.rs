//! Detects jumps of this host's clock; after one, health that depends on time is published one pass later.

use crate::mission::cell::health::Verdict;
use crate::mission::record::Record;
use crate::mission::time::{Timestamp, format_length};
use chrono::TimeDelta;
use std::fmt;
use std::time::Duration;

/// The largest difference between wall time and boot time from one pass to the next.
pub const JUMP_MAX: TimeDelta = TimeDelta::minutes(2);

/// A reading of both clocks of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    /// The wall time, which can be set.
    pub wall: Timestamp,
    /// The time since boot, which cannot be set; none if it was not read.
    pub boot: Option<Duration>,
}

impl From<Timestamp> for HostClock {
    fn from(wall: Timestamp) -> Self {
        Self { wall, boot: None }
    }
}

/// The evidence of a clock jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockJump {
    /// The wall time has moved by this much more than the time since boot.
    Moved(TimeDelta),
    /// The wall time is before the newest record, which has this time.
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
        f.write_str("; health that depends on time is published once the next pass confirms it")
    }
}

/// Compares the clock from one pass to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch {
    before: Option<HostClock>,
    is_behind: bool,
}

impl ClockWatch {
    /// Records the reading that a pass begins with, and compares it with the last one and the newest time in any
    /// record. Returns a jump; a clock that stays wrong is reported once.
    pub fn observe(&mut self, now: HostClock, newest: Option<Timestamp>) -> Option<ClockJump> {
        let before = self.before.replace(now);
        let was_behind = self.is_behind;
        let newer = newest.filter(|newest| newest.after(now.wall) > JUMP_MAX);
        self.is_behind = newer.is_some();
        let moved = before.and_then(|before| moved(before, now)).filter(|by| by.abs() > JUMP_MAX);
        let behind = newer.filter(|_| !was_behind);
        moved.map(ClockJump::Moved).or(behind.map(ClockJump::BeforeRecord))
    }
}

/// How much further the wall time has moved than the boot time.
fn moved(before: HostClock, now: HostClock) -> Option<TimeDelta> {
    let passed = now.boot?.checked_sub(before.boot?)?;
    Some(now.wall.after(before.wall) - TimeDelta::from_std(passed).ok()?)
}

/// Whether a health is held back in a pass in which the clock has jumped: it depends on time, and is a change.
#[must_use]
pub fn waits(record: &Record, verdict: Verdict) -> bool {
    let published = record.published();
    verdict.reason.rests_on_time() && published.is_none_or(|published| published.health != verdict.health)
}

/// The newest time that any of these records contains.
#[must_use]
pub fn newest<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Timestamp> {
    let times = |record: &Record| {
        let published = record.published.as_ref().map(|published| published.since);
        published.max(record.changes.iter().map(|change| change.at).max())
    };
    records.into_iter().filter_map(times).max()
}
