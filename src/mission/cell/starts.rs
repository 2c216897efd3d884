//! Spares agents that could not deliver their heartbeats because this service was away: for one *stale after* from the first
//! start since the last heartbeat, however often it starts.

use crate::mission::cell::CellObservation;
use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So many starts are remembered.
pub const STARTS_MAX: usize = 256;

/// And none for longer than this, which is longer than any *Stale after*.
const KEPT: TimeDelta = TimeDelta::days(7);

/// When the daemon was started: `.lazarus/starts.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// Which form this has.
    #[serde(default)]
    version: Version,
    /// The last starts, oldest first, at most [`STARTS_MAX`].
    #[serde(default, rename = "starts")]
    known: Vec<Timestamp>,
    /// The last start that is not among them any more.
    #[serde(default)]
    forgotten_until: Option<Timestamp>,
}

/// The form of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

impl Starts {
    /// All starts up to now are forgotten.
    #[must_use]
    pub fn forgotten(now: Timestamp) -> Self {
        Self { forgotten_until: Some(now), ..Self::default() }
    }

    /// What is remembered once the daemon has started at this moment.
    #[must_use]
    pub fn with(mut self, start: Timestamp) -> Self {
        self.known.push(start);
        self.known.sort_unstable();
        let too_many = self.known.len().saturating_sub(STARTS_MAX);
        let too_old = self.known.iter().filter(|known| start.after(**known) > KEPT).count();
        let forgotten = self.known.drain(..too_many.max(too_old)).max();
        self.forgotten_until = self.forgotten_until.max(forgotten);
        self
    }

    /// The first start after a heartbeat; none where there was none, or nobody knows which was the first.
    #[must_use]
    pub fn first_since(&self, heartbeat: Timestamp) -> Option<Timestamp> {
        let is_known = self.forgotten_until.is_none_or(|forgotten| forgotten <= heartbeat);
        self.known.iter().copied().find(|start| *start > heartbeat).filter(|_| is_known)
    }
}

/// What a verdict is held against.
#[derive(Clone, Copy, Debug)]
pub struct Grace<'a> {
    /// The starts of this daemon; none in a single pass.
    pub starts: &'a Starts,
    /// The verdict that was published last.
    pub published: Option<Verdict>,
    /// The cell.
    pub sighting: &'a CellObservation,
    /// The heartbeat's limit.
    pub stale_after: Duration,
    /// The time.
    pub now: Timestamp,
}

impl Grace<'_> {
    /// The verdict, or that the agent is healthy as before, for as long as it is spared.
    #[must_use]
    pub fn applied_to(&self, verdict: Verdict) -> Verdict {
        if verdict.reason == Reason::HeartbeatTimeout && self.holds() {
            Verdict { health: Health::Healthy, reason: Reason::HeartbeatOk }
        } else {
            verdict
        }
    }

    /// Whether its last heartbeat came over HTTP, it was healthy when we stopped, and it has not had its time since.
    fn holds(&self) -> bool {
        let was_healthy = self.published.is_some_and(|published| published.health == Health::Healthy);
        let Some(cell) = self.sighting.cell().filter(|_| was_healthy) else { return false };
        let heartbeat = cell.heartbeat.as_ref().and_then(|beat| beat.heartbeat.timestamp);
        let Some(heartbeat) = heartbeat.filter(|at| cell.received_at == Some(*at)) else { return false };
        let Some(start) = self.starts.first_since(heartbeat) else { return false };
        let passed = self.now.after(start);
        passed >= TimeDelta::zero() && TimeDelta::from_std(self.stale_after).is_ok_and(|limit| passed <= limit)
    }
}
