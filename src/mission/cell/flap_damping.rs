//! Dampens what is told of a restless cell: the worst of it is held until it has calmed down, and an hour has so many
//! writes for health and no more.

use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// With so many falls from healthy within [`WINDOW`] a cell is flapping.
pub const FALLS_MAX: usize = 3;

/// What is longer ago than this does not count any more.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);

/// How long a flapping cell has to be well before that is told.
pub const CALM: TimeDelta = TimeDelta::minutes(15);

/// The most label writes, and the most comment edits, that health and the wizard's words cost an issue within [`WINDOW`].
pub const WRITES_MAX: usize = 6;

/// How restless a mission was lately, and what telling it has cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlapDamping {
    /// The last verdict, told or not.
    pub seen: Option<Health>,
    /// The last falls from healthy, oldest first, at most [`FALLS_MAX`].
    #[serde(alias = "falls")]
    pub degradations: Vec<Degradation>,
    /// The verdict that is held, while it is.
    pub held: Option<Health>,
    /// Since when the cell has been well, while a verdict is held.
    #[serde(alias = "well_since")]
    pub stable_since: Option<Timestamp>,
    /// The last label writes for health, oldest first, at most [`WRITES_MAX`].
    pub label_writes: Vec<Timestamp>,
    /// The last comment edits for health, oldest first, at most [`WRITES_MAX`].
    pub comment_edits: Vec<Timestamp>,
}

/// A fall from healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// When it was seen.
    pub at: Timestamp,
    /// How deep: stale or incomplete.
    pub to: Health,
}

/// Label writes and comment edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of labels.
    pub label_writes: usize,
    /// Of the comment.
    pub comment_edits: usize,
}

impl Cost {
    /// What this costs more than another.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        Self {
            label_writes: self.label_writes.saturating_sub(other.label_writes),
            comment_edits: self.comment_edits.saturating_sub(other.comment_edits),
        }
    }
}

impl FlapDamping {
    /// Takes note of a verdict, and says which one is to be told.
    pub fn observe(&mut self, verdict: Verdict, now: Timestamp) -> Verdict {
        let is_bad = matches!(verdict.health, Health::Stale | Health::Incomplete);
        if is_bad && self.seen == Some(Health::Healthy) {
            push(&mut self.degradations, Degradation { at: now, to: verdict.health }, FALLS_MAX);
        }
        self.seen = Some(verdict.health);
        // What lies ahead was noted by a clock that was wrong.
        self.degradations.retain(|fall| fall.at <= now);
        let is_restless =
            self.degradations.len() == FALLS_MAX && self.degradations.iter().all(|fall| now.after(fall.at) <= WINDOW);
        let worst = self.degradations.iter().map(|fall| fall.to).max();
        match self.held {
            None if is_restless && is_bad => self.held = worst,
            // The order of the verdicts has stale before incomplete.
            Some(held) if is_bad => self.held = Some(held.max(verdict.health)),
            None | Some(_) => {}
        }
        self.release_if_stable(verdict.health, now);
        self.held.map_or(verdict, |health| Verdict { health, reason: Reason::Flapping })
    }

    /// Lets go of what is held once the cell has been well for long enough.
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
            // That nothing is known is neither well nor ill.
            Health::Healthy | Health::Uninitialized | Health::Unknown => {}
        }
    }

    /// Whether something is to be noted of a verdict though it is the same as before.
    #[must_use]
    pub fn is_waiting(&self, health: Health, now: Timestamp) -> bool {
        let is_calm = || self.stable_since.is_none_or(|since| since > now || now.after(since) >= CALM);
        self.seen != Some(health) || (self.held.is_some() && health == Health::Healthy && is_calm())
    }

    /// Whether telling something of health may cost this much now.
    #[must_use]
    pub fn allows(&self, cost: Cost, now: Timestamp) -> bool {
        let is_recent = |at: Timestamp| at <= now && now.after(at) < WINDOW;
        let recent = |times: &[Timestamp]| times.iter().filter(|at| is_recent(**at)).count();
        recent(&self.label_writes) + cost.label_writes <= WRITES_MAX
            && recent(&self.comment_edits) + cost.comment_edits <= WRITES_MAX
    }

    /// Takes note of what telling something of health costs.
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
