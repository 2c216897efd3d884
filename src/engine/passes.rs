//! Keeps the book of passes, and publishes how everything is.

use crate::engine::Engine;
use crate::engine::failure::Failure;
use crate::engine::forge::Forge;
use crate::engine::queue::Key;
use crate::engine::snapshot::{FailureCounts, FailureView, Passes, Snapshot};
use crate::mission::failure::FailureScope;
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::lock_unpoisoned::locked;
use chrono::TimeDelta;
use std::collections::BTreeMap;
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
    /// Whether the service failed in it, or a repository could not be read.
    is_incomplete: bool,
    /// What the service failed with last, other than by the forge, and whether that was in this pass.
    failed: Option<Failure>,
    has_failed: bool,
    /// What the last look at each key failed with, as long as no look has succeeded since.
    failing: BTreeMap<Key, Vec<Failure>>,
    /// How many looks had ended and requests been made when one was last seen to, and when that was.
    moved: (u64, Timestamp),
}

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct PassEnd {
    pub(super) number: u64,
    pub(super) is_complete: bool,
    pub(super) duration: Duration,
    pub(super) delayed: usize,
}

impl PassBook {
    pub(super) fn new(now: Timestamp) -> Self {
        let told = Passes { started_at: Some(now), ..Passes::default() };
        Self {
            told,
            begun: None,
            is_swept: false,
            errors: Vec::new(),
            is_incomplete: false,
            failed: None,
            has_failed: false,
            failing: BTreeMap::new(),
            moved: (0, now),
        }
    }

    pub(super) fn open(&mut self) {
        (self.begun, self.is_swept) = (Some(clock::instant()), false);
        (self.is_incomplete, self.has_failed) = (false, false);
        self.errors.clear();
    }

    pub(super) fn note(&mut self, troubles: &[Failure]) {
        self.is_incomplete |= troubles.iter().any(Failure::is_of_the_pass);
        // That the forge fails is told by what it was asked last.
        let is_ours = |trouble: &&Failure| trouble.scope == FailureScope::Service && !trouble.is_outage();
        if let Some(failed) = troubles.iter().find(is_ours) {
            self.has_failed = true;
            self.told.service_error = Some(failed.message_with_subject());
            self.failed = Some(failed.clone());
        }
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(troubles.iter().take(room).map(Failure::message_with_subject));
    }

    /// Takes note of how the look at a key ended.
    pub(super) fn note_look(&mut self, key: Key, troubles: &[Failure]) {
        if troubles.is_empty() {
            self.failing.remove(&key);
        } else {
            self.failing.insert(key, troubles.to_vec());
        }
    }

    /// The next one is due, and this one is not over. That missions take long keeps no pass from being complete, but that
    /// the repositories are still being read does.
    pub(super) fn give_up(&mut self, left: usize, is_unread: bool) {
        if self.begun.is_some() {
            self.is_incomplete |= is_unread;
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

    /// What fails now, each thing once.
    fn failures(&self, standing: &[Failure]) -> FailureCounts {
        let mut failing: Vec<&Failure> = self.failing.values().flatten().chain(standing).chain(&self.failed).collect();
        failing.sort_by(|a, b| (a.scope, &a.about).cmp(&(b.scope, &b.about)));
        failing.dedup_by(|a, b| (a.scope, &a.about) == (b.scope, &b.about));
        let count = |scope| failing.iter().filter(|trouble| trouble.scope == scope).count();
        FailureCounts {
            service: count(FailureScope::Service),
            repository: count(FailureScope::Repository),
            mission: count(FailureScope::Mission),
            first: failing.iter().take(ERRORS_MAX).map(|trouble| FailureView::from(*trouble)).collect(),
        }
    }

    /// Ends the pass, with so many issues that failed and come again later; none where there was none.
    pub(super) fn close(&mut self, now: Timestamp, delayed: usize) -> Option<PassEnd> {
        let begun = self.begun.take()?;
        if delayed > 0 && self.errors.is_empty() {
            self.errors.push(format!("{delayed} that failed before are tried again later"));
        }
        self.told.finished_at = Some(now);
        self.told.errors = std::mem::take(&mut self.errors);
        self.told.last_complete = !self.is_incomplete;
        if !self.has_failed {
            (self.failed, self.told.service_error) = (None, None);
        }
        if self.is_incomplete {
            self.told.incomplete += 1;
        } else {
            self.told.complete += 1;
            self.told.complete_at = Some(now);
        }
        let number = self.told.complete + self.told.incomplete;
        Some(PassEnd { number, is_complete: !self.is_incomplete, duration: clock::instant() - begun, delayed })
    }
}

/// When the snapshot was replaced last, and whether something has changed since.
#[derive(Debug)]
pub(super) struct PublishTimes {
    at: Instant,
    is_outdated: bool,
}

impl PublishTimes {
    pub(super) fn now() -> Self {
        Self { at: clock::instant(), is_outdated: false }
    }
}

impl Engine {
    /// Takes note of how the look at a key ended.
    pub(super) fn note_look(&self, key: Key, troubles: &[Failure]) {
        locked(&self.passes).note_look(key, troubles);
        self.note(troubles);
    }

    /// Takes note of what went wrong.
    pub(super) fn note(&self, troubles: &[Failure]) {
        if let Some(gathered) = &self.gathered {
            locked(&gathered.found).failures.extend_from_slice(troubles);
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
                let is_unread = self.queue.is_asked(Key::Resync) || self.queue.is_asked(Key::Listing);
                passes.give_up(self.queue.depth(), is_unread);
            }
            // One in which nothing at all has moved for so long is stuck, and whoever watches us has to see that.
            let moved = self.queue.ended() + self.forge.as_ref().map_or(0, |forge| forge.traffic().total());
            let is_stuck = !passes.is_moving(now, is_idle, moved);
            let is_over = (is_overdue && !is_stuck) || (passes.is_swept && is_idle);
            is_over.then(|| passes.close(now, self.queue.delayed())).flatten()
        };
        if let Some(PassEnd { number, is_complete, duration, delayed }) = ended {
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
        *published = PublishTimes::now();
        let before = Arc::clone(&self.snapshot.borrow());
        // Of the others, one lock at a time.
        let tick = *locked(&self.tick);
        let missions = locked(&self.fleet).views();
        let standing = self.forge.as_ref().map(Forge::standing).unwrap_or_default();
        let passes = {
            let passes = locked(&self.passes);
            Passes { failures: passes.failures(&standing), ..passes.told.clone() }
        };
        let gateways = locked(&self.gateways).clone();
        let traffic = self.forge.as_ref().map(Forge::traffic).unwrap_or_default();
        let clock_offset = self.forge.as_ref().and_then(|forge| forge.gitea.clock_offset());
        let snapshot = Snapshot { tick, missions, passes, gateways, traffic, clock_offset, ..(*before).clone() };
        self.snapshot.send_replace(Arc::new(snapshot));
    }
}
