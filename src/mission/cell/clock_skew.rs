//! How far the clocks of agents and of the forge are off: noted, and no reason for any verdict.

use crate::mission::time::{Timestamp, format_length};
use chrono::TimeDelta;
use std::fmt;
use std::time::Duration;

/// So far two clocks may differ, and nobody needs to know.
const OFF_MAX: TimeDelta = TimeDelta::minutes(2);

/// From so many seconds on, a forge whose clock differs from this host's is worth a warning.
pub const FORGE_OFFSET_MAX: i64 = 30;

/// That this host's clock is ahead of the forge's by so many seconds, in words; none where they agree.
#[must_use]
pub fn forge_offset(seconds: i64) -> Option<String> {
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    let length = format_length(Duration::from_secs(seconds.unsigned_abs()));
    (seconds.abs() >= FORGE_OFFSET_MAX).then(|| format!("The clock of this host is {length} {direction} Gitea's"))
}

/// A clock that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset(TimeDelta);

impl ClockOffset {
    /// What the sender's time says of its clock, if a heartbeat with it comes at this moment; none where the clock is right.
    #[must_use]
    pub fn of(sent: Timestamp, received: Timestamp) -> Option<Self> {
        let offset = sent.after(received);
        (offset.abs() > OFF_MAX).then_some(Self(offset))
    }

    /// Whether it is ahead, and not behind.
    #[must_use]
    pub fn is_ahead(self) -> bool {
        self.0 > TimeDelta::zero()
    }
}

/// `agent clock 2 h behind`: in the largest unit of which there are two, and rounded, so that the way of a heartbeat over the
/// network changes nothing.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = (self.0.num_seconds().unsigned_abs() + 30) / 60;
        let units = [(24 * 60, "d"), (60, "h"), (1, "min")];
        let (size, unit) = units.into_iter().find(|(size, _)| minutes >= 2 * size).unwrap_or((1, "min"));
        let direction = if self.is_ahead() { "ahead" } else { "behind" };
        write!(f, "agent clock {} {unit} {direction}", minutes / size)
    }
}
