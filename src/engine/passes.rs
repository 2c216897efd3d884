//! Tracks passes and their failures, and publishes snapshots.

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

/// The most error messages that are kept of one pass.
const ERRORS_MAX: usize = 20;

/// The shortest interval between snapshots while many missions change.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// The engine counts as stuck when no turn has ended and no request was sent for this long.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// The current pass, and the results of those before it.
#[derive(Debug)]
pub(super) struct PassBook {
    pub(super) summary: Passes,
    begun: Option<Instant>,
    /// Whether it has scanned every cell.
    pub(super) is_swept: bool,
    errors: Vec<String>,
    /// Whether it had a failure of the service, or could not read a repository.
    is_incomplete: bool,
    /// The last failure of the service, other than of the forge, and whether it occurred in this pass.
    failed: Option<Failure>,
    has_failed: bool,
    /// The failures of each key's last run, until a run succeeds.
    failing: BTreeMap<Key, Vec<Failure>>,
    /// The last observed progress, as a count of runs and requests, and when it was observed.
    progress: (u64, Timestamp),
}

/// The result of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct PassEnd {
    pub(super) number: u64,
    pub(super) is_complete: bool,
    pub(super) duration: Duration,
    pub(super) delayed: usize,
}

impl PassBook {
    pub(super) fn new(now: Timestamp) -> Self {
        let summary = Passes { started_at: Some(now), ..Passes::default() };
        Self {
            summary,
            begun: None,
            is_swept: false,
            errors: Vec::new(),
            is_incomplete: false,
            failed: None,
            has_failed: false,
            failing: BTreeMap::new(),
            progress: (0, now),
        }
    }

    pub(super) fn open(&mut self) {
        (self.begun, self.is_swept) = (Some(clock::instant()), false);
        (self.is_incomplete, self.has_failed) = (false, false);
        self.errors.clear();
    }

    pub(super) fn note(&mut self, failures: &[Failure]) {
        self.is_incomplete |= failures.iter().any(Failure::is_of_the_pass);
        // Failures of the forge are reported by `forge_error`.
        let is_ours = |failure: &&Failure| failure.scope == FailureScope::Service && !failure.is_outage();
        if let Some(failed) = failures.iter().find(is_ours) {
            self.has_failed = true;
            self.summary.service_error = Some(failed.message_with_subject());
            self.failed = Some(failed.clone());
        }
        let capacity = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(failures.iter().take(capacity).map(Failure::message_with_subject));
    }

    /// Records the failures of a key's run.
    pub(super) fn note_look(&mut self, key: Key, failures: &[Failure]) {
        if failures.is_empty() {
            self.failing.remove(&key);
        } else {
            self.failing.insert(key, failures.to_vec());
        }
    }

    /// Ends a pass that is not finished when the next one is due. Slow missions do not make it incomplete, but
    /// unfinished reads of repositories do.
    pub(super) fn give_up(&mut self, left: usize, is_unread: bool) {
        if self.begun.is_some() {
            self.is_incomplete |= is_unread;
            self.errors.push(format!("the pass had not finished when the next one was due; {left} more in the queue"));
        }
    }

    /// Whether there was progress within [`STUCK_AFTER`], or nothing to do. Requests time out sooner than that.
    pub(super) fn is_moving(&mut self, now: Timestamp, is_idle: bool, progress: u64) -> bool {
        if is_idle || progress != self.progress.0 || now < self.progress.1 {
            self.progress = (progress, now);
        }
        now.after(self.progress.1) <= STUCK_AFTER
    }

    /// The current failures, one for each subject.
    fn failures(&self, standing: &[Failure]) -> FailureCounts {
        let mut failing: Vec<&Failure> = self.failing.values().flatten().chain(standing).chain(&self.failed).collect();
        failing.sort_by(|a, b| (a.scope, &a.about).cmp(&(b.scope, &b.about)));
        failing.dedup_by(|a, b| (a.scope, &a.about) == (b.scope, &b.about));
        let count = |scope| failing.iter().filter(|failure| failure.scope == scope).count();
        FailureCounts {
            service: count(FailureScope::Service),
            repository: count(FailureScope::Repository),
            mission: count(FailureScope::Mission),
            first: failing.iter().take(ERRORS_MAX).map(|failure| FailureView::from(*failure)).collect(),
        }
    }

    /// Ends the pass; `delayed` is the number of failed issues that wait for a retry. None if there was no pass.
    pub(super) fn close(&mut self, now: Timestamp, delayed: usize) -> Option<PassEnd> {
        let begun = self.begun.take()?;
        if delayed > 0 && self.errors.is_empty() {
            self.errors.push(format!("{delayed} failed issues are waiting for a retry"));
        }
        self.summary.finished_at = Some(now);
        self.summary.errors = std::mem::take(&mut self.errors);
        self.summary.last_complete = !self.is_incomplete;
        if !self.has_failed {
            (self.failed, self.summary.service_error) = (None, None);
        }
        if self.is_incomplete {
            self.summary.incomplete += 1;
        } else {
            self.summary.complete += 1;
            self.summary.complete_at = Some(now);
        }
        let number = self.summary.complete + self.summary.incomplete;
        Some(PassEnd { number, is_complete: !self.is_incomplete, duration: clock::instant() - begun, delayed })
    }
}

/// When the last snapshot was published, and whether something has changed since.
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
    /// Records the failures of a key's run.
    pub(super) fn note_look(&self, key: Key, failures: &[Failure]) {
        locked(&self.passes).note_look(key, failures);
        self.note(failures);
    }

    /// Records and logs failures.
    pub(super) fn note(&self, failures: &[Failure]) {
        if let Some(gathered) = &self.gathered {
            locked(&gathered.found).failures.extend_from_slice(failures);
            return;
        }
        for failure in failures {
            tracing::warn!(kind = failure.kind, "{}", failure.message_with_subject());
            self.metrics.error(failure.kind);
        }
        locked(&self.passes).note(failures);
    }

    /// Ends the pass if it is finished, or if the next one is due.
    pub(super) fn close_pass(&self, is_overdue: bool) {
        let now = self.now();
        let ended = {
            let mut passes = locked(&self.passes);
            let is_idle = self.queue.is_idle();
            if is_overdue && !is_idle {
                let is_unread = self.queue.is_asked(Key::Resync) || self.queue.is_asked(Key::Listing);
                passes.give_up(self.queue.depth(), is_unread);
            }
            // A pass without any progress for this long is stuck, which monitoring has to notice.
            let progress = self.queue.ended() + self.forge.as_ref().map_or(0, |forge| forge.traffic().total());
            let is_stuck = !passes.is_moving(now, is_idle, progress);
            let is_over = (is_overdue && !is_stuck) || (passes.is_swept && is_idle);
            is_over.then(|| passes.close(now, self.queue.delayed())).flatten()
        };
        if let Some(PassEnd { number, is_complete, duration, delayed }) = ended {
            self.metrics.pass_ended(is_complete, duration);
            if self.gathered.is_some() {
                return;
            }
            let result = if is_complete { "complete" } else { "incomplete" };
            let duration_ms = duration.as_millis();
            tracing::info!(duration_ms, delayed, "pass {number}: {result}, {duration_ms} ms");
            self.publish();
        }
    }

    /// Publishes a snapshot, unless the last one is too recent; then [`Engine::publish_rest`] does. A thousand changes
    /// do not need a thousand snapshots.
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

    /// Publishes the changes that [`Engine::publish_soon`] postponed.
    pub(super) fn publish_rest(&self) {
        if self.queue.is_idle() && locked(&self.published).is_outdated {
            self.publish();
        }
    }

    pub(super) fn publish(&self) {
        // Locked to the end, so that no older snapshot follows a newer one.
        let mut published = locked(&self.published);
        *published = PublishTimes::now();
        let before = Arc::clone(&self.snapshot.borrow());
        // Only one other lock at a time.
        let tick = *locked(&self.tick);
        let missions = locked(&self.fleet).views();
        let standing = self.forge.as_ref().map(Forge::standing).unwrap_or_default();
        let passes = {
            let passes = locked(&self.passes);
            Passes { failures: passes.failures(&standing), ..passes.summary.clone() }
        };
        let gateways = locked(&self.gateways).clone();
        let traffic = self.forge.as_ref().map(Forge::traffic).unwrap_or_default();
        let clock_offset = self.forge.as_ref().and_then(|forge| forge.gitea.clock_offset());
        let snapshot = Snapshot { tick, missions, passes, gateways, traffic, clock_offset, ..(*before).clone() };
        self.snapshot.send_replace(Arc::new(snapshot));
    }
}
