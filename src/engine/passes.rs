//! Keeps the book of passes, and publishes how everything is.

use crate::engine::Engine;
use crate::engine::forge::Forge;
use crate::mission::time::Timestamp;
use crate::snapshot::{Passes, Snapshot};
use crate::trouble::Trouble;
use crate::world::clock;
use crate::world::mutex::locked;
use chrono::TimeDelta;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The most messages of one pass that are kept.
const ERRORS_MAX: usize = 20;

/// While many missions change, the snapshot is replaced no more often than this.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// When not one look has ended and not one request been made for so long, we hang.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// The pass that is under way, and those before it.
#[derive(Debug)]
pub(super) struct PassBook {
    pub(super) told: Passes,
    begun: Option<Instant>,
    /// Whether every cell has been looked at in it.
    pub(super) is_swept: bool,
    errors: Vec<String>,
    is_failed: bool,
    /// How many looks had ended and requests been made when one was last seen to, and when that was.
    moved: (u64, Timestamp),
}

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) is_complete: bool,
    pub(super) duration: Duration,
    pub(super) delayed: usize,
}

impl PassBook {
    pub(super) fn new(now: Timestamp) -> Self {
        let told = Passes { started_at: Some(now), ..Passes::default() };
        Self { told, begun: None, is_swept: false, errors: Vec::new(), is_failed: false, moved: (0, now) }
    }

    pub(super) fn open(&mut self) {
        (self.begun, self.is_swept, self.is_failed) = (Some(clock::instant()), false, false);
        self.errors.clear();
    }

    pub(super) fn note(&mut self, troubles: &[Trouble]) {
        self.is_failed |= !troubles.is_empty();
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(troubles.iter().take(room).map(Trouble::message_with_subject));
    }

    /// The next one is due, and this one is not over.
    pub(super) fn give_up(&mut self, left: usize) {
        if self.begun.is_some() {
            self.is_failed = true;
            self.errors.push(format!("the pass was not over when the next one was due; {left} more in line"));
        }
    }

    /// Whether something has moved lately, or there was nothing to move. The slowest forge answers sooner than this, or is
    /// given up.
    pub(super) fn is_moving(&mut self, now: Timestamp, is_idle: bool, moved: u64) -> bool {
        if is_idle || moved != self.moved.0 || now < self.moved.1 {
            self.moved = (moved, now);
        }
        now.after(self.moved.1) <= STUCK_AFTER
    }

    /// Ends the pass, with so many issues that failed and come again later; none where there was none.
    pub(super) fn close(&mut self, now: Timestamp, delayed: usize) -> Option<Ended> {
        let begun = self.begun.take()?;
        if delayed > 0 && !self.is_failed {
            self.is_failed = true;
            self.errors.push(format!("{delayed} that failed before are tried again later"));
        }
        self.told.finished_at = Some(now);
        self.told.errors = std::mem::take(&mut self.errors);
        if self.is_failed {
            self.told.incomplete += 1;
        } else {
            self.told.complete += 1;
            self.told.complete_at = Some(now);
        }
        let number = self.told.complete + self.told.incomplete;
        Some(Ended { number, is_complete: !self.is_failed, duration: clock::instant() - begun, delayed })
    }
}

/// When the snapshot was replaced last, and whether something has changed since.
#[derive(Debug)]
pub(super) struct Published {
    at: Instant,
    is_outdated: bool,
}

impl Published {
    pub(super) fn now() -> Self {
        Self { at: clock::instant(), is_outdated: false }
    }
}

impl Engine {
    /// Takes note of what went wrong; the pass that it belongs to is not complete then.
    pub(super) fn note(&self, troubles: &[Trouble]) {
        if let Some(gathered) = &self.gathered {
            locked(&gathered.found).troubles.extend_from_slice(troubles);
            return;
        }
        for trouble in troubles {
            tracing::warn!(kind = trouble.kind, "{}", trouble.message_with_subject());
            self.metrics.error(trouble.kind);
        }
        locked(&self.passes).note(troubles);
    }

    /// Ends the pass if nothing is left to do in it, or if the next one is due.
    pub(super) fn close_pass(&self, is_overdue: bool) {
        let now = self.now();
        let ended = {
            let mut passes = locked(&self.passes);
            let is_idle = self.queue.is_idle();
            if is_overdue && !is_idle {
                passes.give_up(self.queue.depth());
            }
            // One in which nothing at all has moved for so long is stuck, and whoever watches us has to see that.
            let moved = self.queue.ended() + self.forge.as_ref().map_or(0, |forge| forge.traffic().total());
            let is_stuck = !passes.is_moving(now, is_idle, moved);
            let is_over = (is_overdue && !is_stuck) || (passes.is_swept && is_idle);
            is_over.then(|| passes.close(now, self.queue.delayed())).flatten()
        };
        if let Some(Ended { number, is_complete, duration, delayed }) = ended {
            self.metrics.pass_ended(is_complete, duration);
            if self.gathered.is_some() {
                return;
            }
            let how = if is_complete { "complete" } else { "incomplete" };
            let duration_ms = duration.as_millis();
            tracing::info!(duration_ms, delayed, "pass {number}: {how}, {duration_ms} ms");
            self.publish();
        }
    }

    /// Publishes, unless that was done just now; whoever finds nothing left in line will do it then. A thousand missions
    /// that change at once need no thousand snapshots.
    pub(super) fn publish_soon(&self) {
        let is_due = {
            let mut published = locked(&self.published);
            published.is_outdated = true;
            clock::instant() - published.at >= PUBLISH_INTERVAL
        };
        if is_due {
            self.publish();
        }
    }

    /// What was left to be published later.
    pub(super) fn publish_rest(&self) {
        if self.queue.is_idle() && locked(&self.published).is_outdated {
            self.publish();
        }
    }

    pub(super) fn publish(&self) {
        // Held to the end, so that no older snapshot follows a newer one.
        let mut published = locked(&self.published);
        *published = Published::now();
        let before = Arc::clone(&self.snapshot.borrow());
        // Of the others, one lock at a time.
        let tick = *locked(&self.tick);
        let missions = locked(&self.fleet).views();
        let passes = locked(&self.passes).told.clone();
        let gateways = locked(&self.gateways).clone();
        let traffic = self.forge.as_ref().map(Forge::traffic).unwrap_or_default();
        let snapshot = Snapshot { tick, missions, passes, gateways, traffic, ..(*before).clone() };
        self.snapshot.send_replace(Arc::new(snapshot));
    }
}
