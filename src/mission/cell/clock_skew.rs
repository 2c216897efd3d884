//! Clock offsets of agents and of the forge: reported, but without effect on health.

use crate::mission::time::{Timestamp, format_length};
use chrono::TimeDelta;
use std::fmt;
use std::time::Duration;

/// The largest offset of two clocks that is not reported.
const OFF_MAX: TimeDelta = TimeDelta::minutes(2);

/// The offset between this host's clock and the forge's, in seconds, from which on it is a warning.
pub const FORGE_OFFSET_MAX: i64 = 30;

/// A sentence about this host's clock being ahead of the forge's by so many seconds; none below [`FORGE_OFFSET_MAX`].
#[must_use]
pub fn forge_offset(seconds: i64) -> Option<String> {
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    let length = format_length(Duration::from_secs(seconds.unsigned_abs()));
    (seconds.abs() >= FORGE_OFFSET_MAX).then(|| format!("The clock of this host is {length} {direction} Gitea's"))
}

/// How far a sender's clock is ahead; negative if it is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset(TimeDelta);

impl ClockOffset {
    /// The offset of a sender's clock, from its time in a heartbeat and the time of arrival; none if within the
    /// tolerance.
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

/// `agent clock 2 h behind`: in the largest unit of which there are two, and rounded, so that the latency of the
/// network does not change the text.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = (self.0.num_seconds().unsigned_abs() + 30) / 60;
        let units = [(24 * 60, "d"), (60, "h"), (1, "min")];
        let (size, unit) = units.into_iter().find(|(size, _)| minutes >= 2 * size).unwrap_or((1, "min"));
        let direction = if self.is_ahead() { "ahead" } else { "behind" };
        write!(f, "agent clock {} {unit} {direction}", minutes / size)
    }
}
