//! Flap damping: the worst health of a flapping cell is published until it is stable, and writes for health are limited
//! per hour.

use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// A cell with this many degradations from healthy within [`WINDOW`] is flapping.
pub const FALLS_MAX: usize = 3;

/// The window in which degradations and writes count.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);

/// How long a flapping cell has to be healthy before that is published.
pub const CALM: TimeDelta = TimeDelta::minutes(15);

/// The most label writes, and the most comment edits, for health and agent state on one issue within [`WINDOW`].
pub const WRITES_MAX: usize = 6;

/// A mission's recent degradations, and the recent writes for its health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlapDamping {
    /// The last health, published or not.
    pub seen: Option<Health>,
    /// The last degradations from healthy, oldest first, at most [`FALLS_MAX`].
    #[serde(alias = "falls")]
    pub degradations: Vec<Degradation>,
    /// The health that is held while the cell is flapping.
    pub held: Option<Health>,
    /// Since when the cell has been healthy, while a health is held.
    #[serde(alias = "well_since")]
    pub stable_since: Option<Timestamp>,
    /// The last label writes for health, oldest first, at most [`WRITES_MAX`].
    pub label_writes: Vec<Timestamp>,
    /// The last comment edits for health, oldest first, at most [`WRITES_MAX`].
    pub comment_edits: Vec<Timestamp>,
}

/// A degradation from healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// When it was seen.
    pub at: Timestamp,
    /// The health after it: stale or incomplete.
    pub to: Health,
}

/// A number of label writes and comment edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Label writes.
    pub label_writes: usize,
    /// Comment edits.
    pub comment_edits: usize,
}

impl Cost {
    /// The part of this cost that exceeds another.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        Self {
            label_writes: self.label_writes.saturating_sub(other.label_writes),
            comment_edits: self.comment_edits.saturating_sub(other.comment_edits),
        }
    }
}

impl FlapDamping {
    /// Records a health, and returns the one to publish.
    pub fn observe(&mut self, verdict: Verdict, now: Timestamp) -> Verdict {
        let is_degraded = matches!(verdict.health, Health::Stale | Health::Incomplete);
        if is_degraded && self.seen == Some(Health::Healthy) {
            push(&mut self.degradations, Degradation { at: now, to: verdict.health }, FALLS_MAX);
        }
        self.seen = Some(verdict.health);
        // Times in the future were written by a wrong clock.
        self.degradations.retain(|degradation| degradation.at <= now);
        let is_flapping = self.degradations.len() == FALLS_MAX
            && self.degradations.iter().all(|degradation| now.after(degradation.at) <= WINDOW);
        let worst = self.degradations.iter().map(|degradation| degradation.to).max();
        match self.held {
            None if is_flapping && is_degraded => self.held = worst,
            // The order of the verdicts has stale before incomplete.
            Some(held) if is_degraded => self.held = Some(held.max(verdict.health)),
            None | Some(_) => {}
        }
        self.release_if_stable(verdict.health, now);
        self.held.map_or(verdict, |health| Verdict { health, reason: Reason::Flapping })
    }

    /// Releases the held health once the cell has been healthy for [`CALM`].
    fn release_if_stable(&mut self, health: Health, now: Timestamp) {
        match health {
            Health::Stale | Health::Incomplete => self.stable_since = None,
            Health::Healthy if self.held.is_some() => {
                let since = self.stable_since.filter(|since| *since <= now).unwrap_or(now);
                self.stable_since = Some(since);
                if now.after(since) >= CALM {
                    (self.held, self.stable_since) = (None, None);
                    self.degradations.clear();
                }
            }
            // An unknown health is neither a recovery nor a degradation.
            Health::Healthy | Health::Uninitialized | Health::Unknown => {}
        }
    }

    /// Whether a health has to be recorded: it differs from the last one, or ends a held one.
    #[must_use]
    pub fn is_waiting(&self, health: Health, now: Timestamp) -> bool {
        let is_stable = || self.stable_since.is_none_or(|since| since > now || now.after(since) >= CALM);
        self.seen != Some(health) || (self.held.is_some() && health == Health::Healthy && is_stable())
    }

    /// Whether a publication of health may cost this much now.
    #[must_use]
    pub fn allows(&self, cost: Cost, now: Timestamp) -> bool {
        let is_recent = |at: Timestamp| at <= now && now.after(at) < WINDOW;
        let recent = |times: &[Timestamp]| times.iter().filter(|at| is_recent(**at)).count();
        recent(&self.label_writes) + cost.label_writes <= WRITES_MAX
            && recent(&self.comment_edits) + cost.comment_edits <= WRITES_MAX
    }

    /// Records the cost of a publication of health.
    pub fn spend(&mut self, cost: Cost, now: Timestamp) {
        for _ in 0..cost.label_writes {
            push(&mut self.label_writes, now, WRITES_MAX);
        }
        for _ in 0..cost.comment_edits {
            push(&mut self.comment_edits, now, WRITES_MAX);
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T, most: usize) {
    list.push(item);
    list.drain(..list.len().saturating_sub(most));
}
