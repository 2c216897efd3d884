//! Issues that are not in a listing of open ones: closed, gone, or only hidden from us.

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

/// What a complete listing lacks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Asked for by number, and there.
    pub(super) found: Vec<IssueFacts>,
    /// Asked for by number, and not there, while the repository is.
    pub(super) gone: Vec<IssueFacts>,
}

impl Surveyor<'_> {
    /// Only an answer about the issue itself says whether it is closed or gone: what could not be read of the listing does not
    /// matter for it.
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
                Ok(_) => missing.gone.push(IssueFacts::deleted(&record, self.here.now)),
                Err(error) => {
                    // An issue that is too large says nothing of the others.
                    is_forge_well &= matches!(error, ForgeError::TooLarge { .. });
                    let number = record.issue.number;
                    self.failures.push(Failure::of_turn(&repository.name, number, &error.into()));
                }
            }
        }
        if !is_forge_well {
            // A forge that fails for one of them may answer wrongly for another.
            missing.gone.clear();
        }
        if !missing.gone.is_empty()
            && let Err(error) = self.observer.repository(&repository.name, Some(repository.id)).await
        {
            // It was renamed, archived, hidden or replaced while we asked, and that is why nothing was found.
            self.failures.push(Failure::repository(&repository.name, &error));
            missing.gone.clear();
        }
        missing
    }

    /// Missions that have ended, and whose cells can be moved away now, whose archives were deleted, whose alerts stand, or that
    /// something has failed for. A closed issue is
    /// asked for first, since it may have been reopened.
    pub(super) async fn ended_issues(&mut self, repositories: &[Surveyed]) -> Vec<IssueFacts> {
        let root = Arc::clone(self.root);
        let archives = blocking(move || root.archive_names()).await;
        let has_lost_archive = |record: &Record| {
            let is_told = record.state == IssueState::Closed && record.other_owner.is_none();
            let archive = record.archive.filter(|_| is_told).zip(archives.as_ref());
            archive.is_some_and(|(name, archives)| !archives.contains(&name))
        };
        let is_ended = |record: &&Record| {
            let is_untold = record.state == IssueState::Closed && has_more_to_tell(record);
            let has_cell = record.binding.as_ref().is_some_and(|b| self.existing.contains(&b.mission_id));
            record.state != IssueState::Open && (has_cell || is_untold || has_lost_archive(record))
        };
        let records: Vec<Record> = self.records.by_issue.values().filter(is_ended).cloned().collect();
        let mut ended = Vec::new();
        for record in records {
            let served = repositories.iter().find(|surveyed| surveyed.known.id == record.issue.repository_id);
            let Some(Surveyed { known, labels: _ }) = served else { continue };
            let facts = IssueFacts::deleted(&record, self.here.now);
            if !has_more_to_tell(&record) && !self.is_due(&facts, &record).await {
                continue;
            }
            if record.state == IssueState::Deleted {
                ended.push(facts);
                continue;
            }
            match self.observer.issue(known, record.issue.number).await {
                Ok(Some(issue)) if issue.key.issue_id == record.issue.issue_id => ended.push(issue),
                // It was closed when we saw it last, and that is enough.
                Ok(_) => ended.push(facts),
                Err(error) => {
                    self.failures.push(Failure::of_turn(&known.name, record.issue.number, &error.into()));
                }
            }
        }
        ended
    }

    async fn is_due(&self, facts: &IssueFacts, record: &Record) -> bool {
        let mut imagined = Observation::new(Arc::clone(&self.here), facts.clone(), Some(record.clone()));
        self.observer.see(vec![&mut imagined]).await;
        match teardown(&imagined) {
            Teardown::Ready | Teardown::Deleted => true,
            Teardown::NoCell | Teardown::GraceUntil(_) | Teardown::Archived(_) => false,
        }
    }

    /// Holds back what hits too many missions at once.
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
            if was_open && matches!(candidate.situation(), Lifecycle::Deleted(_)) {
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

    /// Of this host's clock a single pass knows no more than that it is earlier than what was remembered.
    fn guard_clock(&self, candidates: &mut [Candidate]) {
        let newest = newest(self.records.by_issue.values());
        let Some(jump) = ClockWatch::default().observe(HostClock::from(self.here.now), newest) else { return };
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
            "{count} issues are gone at once ({}, …): is this the right forge, and is it whole? Their cells stay as they \
             are; if they were deleted on purpose, run {}, with no daemon beside it",
            named.join(", "),
            self.settings.given.command(&format!("--once --allow-archive {count}"))
        );
        let about = self.here.forge.to_string();
        self.failures
            .push(Failure { scope: FailureScope::Repository, ..Failure::service(about, "many-gone", message) });
    }
}

/// Whether an alert stands, or something has failed that another look may mend.
fn has_more_to_tell(record: &Record) -> bool {
    record.alert.firing.is_some() || record.failure.is_some()
}
