//! Issues that are not in the listing of open ones: closed, deleted, or not visible to us.

use crate::engine::failure::Failure;
use crate::engine::fleet::place_of;
use crate::engine::survey::{Surveyed, Surveyor};
use crate::mission::cell::teardown::{Teardown, teardown};
use crate::mission::failure::FailureScope;
use crate::mission::fleet::host_clock::{ClockWatch, HostClock, newest, waits};
use crate::mission::fleet::mass_change_guard::{DELETED_MIN, Guarded, held, holds_deletions};
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::plan::step::Candidate;
use crate::mission::record::{IssueState, Record};
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::lifecycle::Lifecycle;
use crate::world::blocking_pool::blocking;
use crate::world::forge::ForgeError;
use crate::world::lock_unpoisoned::locked;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The known open issues that a complete listing lacks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Those that were found by their number.
    pub(super) found: Vec<IssueFacts>,
    /// Those that were not found, while the repository was.
    pub(super) deleted: Vec<IssueFacts>,
}

impl Surveyor<'_> {
    /// Requests each missing issue by its number, since only that shows whether it is closed or deleted. What could not be
    /// read of the listing does not matter for this.
    pub(super) async fn missing_issues(&mut self, repository: &RepositoryRef, seen: &BTreeSet<i64>) -> Missing {
        let is_missing = |record: &&Record| {
            record.issue.repository_id == repository.id
                && record.state == IssueState::Open
                && !seen.contains(&record.issue.issue_id)
        };
        let records: Vec<Record> = self.records.by_issue.values().filter(is_missing).cloned().collect();
        let mut missing = Missing::default();
        let mut is_forge_well = true;
        for record in records {
            match self.observer.issue(repository, record.issue.number).await {
                Ok(Some(issue)) if issue.key.issue_id == record.issue.issue_id => missing.found.push(issue),
                Ok(_) => missing.deleted.push(IssueFacts::deleted(&record, self.context.now)),
                Err(error) => {
                    // An issue that is too large says nothing about the others.
                    is_forge_well &= matches!(error, ForgeError::TooLarge { .. });
                    let number = record.issue.number;
                    self.failures.push(Failure::of_turn(&repository.name, number, &error.into()));
                }
            }
        }
        if !is_forge_well {
            // Gitea failed for one of them, so its answers for the others are not trusted.
            missing.deleted.clear();
        }
        if !missing.deleted.is_empty()
            && let Err(error) = self.observer.repository(&repository.name, Some(repository.id)).await
        {
            // It was renamed, archived, hidden or replaced meanwhile, which explains the missing issues.
            self.failures.push(Failure::repository(&repository.name, &error));
            missing.deleted.clear();
        }
        missing
    }

    /// Ended missions whose cells can be archived, whose archives were deleted, whose alerts are firing, or that have a
    /// failure. Closed issues are read again, since they may have been reopened.
    pub(super) async fn ended_issues(&mut self, repositories: &[Surveyed]) -> Vec<IssueFacts> {
        let root = Arc::clone(self.root);
        let archives = blocking(move || root.archive_names()).await;
        let has_lost_archive = |record: &Record| {
            let is_told = record.state == IssueState::Closed && record.other_owner.is_none();
            let archive = record.archive.filter(|_| is_told).zip(archives.as_ref());
            archive.is_some_and(|(name, archives)| !archives.contains(&name))
        };
        let is_ended = |record: &&Record| {
            let is_pending = record.state == IssueState::Closed && has_pending_report(record);
            let has_cell = record.binding.as_ref().is_some_and(|b| self.existing.contains(&b.mission_id));
            record.state != IssueState::Open && (has_cell || is_pending || has_lost_archive(record))
        };
        let records: Vec<Record> = self.records.by_issue.values().filter(is_ended).cloned().collect();
        let mut ended = Vec::new();
        for record in records {
            let served = repositories.iter().find(|surveyed| surveyed.known.id == record.issue.repository_id);
            let Some(Surveyed { known, labels: _ }) = served else { continue };
            let facts = IssueFacts::deleted(&record, self.context.now);
            if !has_pending_report(&record) && !self.is_due(&facts, &record).await {
                continue;
            }
            if record.state == IssueState::Deleted {
                ended.push(facts);
                continue;
            }
            match self.observer.issue(known, record.issue.number).await {
                Ok(Some(issue)) if issue.key.issue_id == record.issue.issue_id => ended.push(issue),
                // It was closed when it was last read, which is enough.
                Ok(_) => ended.push(facts),
                Err(error) => {
                    self.failures.push(Failure::of_turn(&known.name, record.issue.number, &error.into()));
                }
            }
        }
        ended
    }

    async fn is_due(&self, facts: &IssueFacts, record: &Record) -> bool {
        let mut projected = Observation::new(Arc::clone(&self.context), facts.clone(), Some(record.clone()));
        self.observer.see(vec![&mut projected]).await;
        match teardown(&projected) {
            Teardown::Ready | Teardown::Deleted => true,
            Teardown::NoCell | Teardown::GraceUntil(_) | Teardown::Archived(_) => false,
        }
    }

    /// Holds back changes that affect too many missions together.
    pub(super) fn guard(&mut self, candidates: &mut [Candidate]) {
        let seen = candidates.iter().enumerate();
        let degrading = held(seen.filter_map(|(at, candidate)| Some((at, Guarded::of(&candidate.seen)?))));
        for at in degrading {
            candidates[at].seen.is_held = true;
        }
        if self.is_only_pass {
            self.guard_clock(candidates);
        }
        self.guard_closings(candidates);
        let mut deleted = Vec::new();
        for (at, candidate) in candidates.iter_mut().enumerate() {
            let was_open = candidate.seen.record.as_ref().is_some_and(|record| record.state == IssueState::Open);
            if was_open && matches!(candidate.lifecycle(), Lifecycle::Deleted(_)) {
                deleted.push(at);
            }
        }
        if holds_deletions(deleted.len(), self.settings.allow_archive) {
            self.hold_deletions(candidates, &deleted);
        }
    }

    fn guard_closings(&self, candidates: &mut [Candidate]) {
        let mut fleet = locked(self.fleet);
        fleet.find_closed(candidates.iter().map(|candidate| &candidate.seen.issue));
        for Candidate { seen, .. } in candidates {
            seen.is_held |= fleet.is_held(place_of(&seen.issue.key));
        }
    }

    /// Holds back changes because of the clock; a single pass only detects that it is before the newest record.
    fn guard_clock(&self, candidates: &mut [Candidate]) {
        let newest = newest(self.records.by_issue.values());
        let Some(jump) = ClockWatch::default().observe(HostClock::from(self.context.now), newest) else { return };
        tracing::warn!("{jump}");
        for Candidate { seen, .. } in candidates {
            let record = seen.record.as_ref().filter(|record| !record.awaits_confirmation);
            let waits = record.zip(seen.verdict()).is_some_and(|(record, verdict)| waits(record, verdict));
            seen.is_held |= waits && seen.issue.is_open();
        }
    }

    fn hold_deletions(&mut self, candidates: &mut [Candidate], deleted: &[usize]) {
        let named: Vec<String> =
            deleted.iter().take(DELETED_MIN).map(|at| candidates[*at].seen.issue.key.to_string()).collect();
        for at in deleted {
            candidates[*at].seen.is_held = true;
        }
        let count = deleted.len();
        let message = format!(
            "{count} issues were not found in one pass ({}, …): is this the right Gitea, with all its data? Their cells are \
             kept; if the issues were deleted on purpose, run {} while no daemon runs",
            named.join(", "),
            self.settings.given.command(&format!("--once --allow-archive {count}"))
        );
        let about = self.context.forge.to_string();
        self.failures
            .push(Failure { scope: FailureScope::Repository, ..Failure::service(about, "many-gone", message) });
    }
}

/// Whether an alert is firing, or a failure may be fixed by another turn.
fn has_pending_report(record: &Record) -> bool {
    record.alert.firing.is_some() || record.failure.is_some()
}
