//! A grace period for agents that could not deliver heartbeats while the daemon was down: one *stale after* from its
//! first start since the last heartbeat, however often it restarts.

use crate::mission::cell::CellObservation;
use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most starts that are recorded.
pub const STARTS_MAX: usize = 256;

/// How long a start is recorded; longer than any *Stale after*.
const KEPT: TimeDelta = TimeDelta::days(7);

/// The daemon's starts: `.lazarus/starts.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// The version of the file format.
    #[serde(default)]
    version: Version,
    /// The last starts, oldest first, at most [`STARTS_MAX`].
    #[serde(default, rename = "starts")]
    known: Vec<Timestamp>,
    /// The last start that was dropped from them.
    #[serde(default)]
    forgotten_until: Option<Timestamp>,
}

/// The version of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

impl Starts {
    /// A record that has lost all starts up to now.
    #[must_use]
    pub fn forgotten(now: Timestamp) -> Self {
        Self { forgotten_until: Some(now), ..Self::default() }
    }

    /// The record after a start at this time.
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

    /// The first start after a heartbeat; none if there was none, or if it may have been dropped.
    #[must_use]
    pub fn first_since(&self, heartbeat: Timestamp) -> Option<Timestamp> {
        let is_known = self.forgotten_until.is_none_or(|forgotten| forgotten <= heartbeat);
        self.known.iter().copied().find(|start| *start > heartbeat).filter(|_| is_known)
    }
}

/// The facts that the grace period depends on.
#[derive(Clone, Copy, Debug)]
pub struct Grace<'a> {
    /// The daemon's starts; empty in a single pass.
    pub starts: &'a Starts,
    /// The health that was published last.
    pub published: Option<Verdict>,
    /// The observation of the cell.
    pub sighting: &'a CellObservation,
    /// The age from which on a heartbeat is stale.
    pub stale_after: Duration,
    /// The current time.
    pub now: Timestamp,
}

impl Grace<'_> {
    /// The given health, or `heartbeat-ok` during the grace period.
    #[must_use]
    pub fn applied_to(&self, verdict: Verdict) -> Verdict {
        if verdict.reason == Reason::HeartbeatTimeout && self.applies() {
            Verdict { health: Health::Healthy, reason: Reason::HeartbeatOk }
        } else {
            verdict
        }
    }

    /// Whether the grace period applies: the last heartbeat came over HTTP, the cell was healthy before the stop, and
    /// *stale after* has not passed since the start.
    fn applies(&self) -> bool {
        let was_healthy = self.published.is_some_and(|published| published.health == Health::Healthy);
        let Some(cell) = self.sighting.cell().filter(|_| was_healthy) else { return false };
        let heartbeat = cell.heartbeat.as_ref().and_then(|observed| observed.heartbeat.timestamp);
        let Some(heartbeat) = heartbeat.filter(|at| cell.received_at == Some(*at)) else { return false };
        let Some(start) = self.starts.first_since(heartbeat) else { return false };
        let passed = self.now.after(start);
        passed >= TimeDelta::zero() && TimeDelta::from_std(self.stale_after).is_ok_and(|limit| passed <= limit)
    }
}
