//! Surveys issues: lists them, finds missing ones, and fetches the facts that plans depend on.

use crate::engine::facts::fetch;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::survey::{Scope, Survey, Surveyed, Surveyor};
use crate::mission::fleet::admission::Admission;
use crate::mission::fleet::ownership::Claims;
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::plan::step::Candidate;
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::lifecycle::is_proposal;
use crate::world::forge::{ForgeError, HELD_BYTES_MAX};
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::{KnownIssues, ListedIssues, OwnComments};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many numbers of left-out issues a message shows.
const LEFT_OUT_SHOWN: usize = 10;

impl Surveyor<'_> {
    pub(super) async fn survey_issues(&mut self, scope: &Scope, survey: &mut Survey) -> Result<(), FatalError> {
        let mut issues = Vec::new();
        let mut deleted = Vec::new();
        for Surveyed { known, labels: _ } in &survey.repositories {
            match scope {
                Scope::Everything => {
                    let suspect = self.find_changed_comments(known).await;
                    let ids = self.records.issues_of(known.id);
                    let known_issues = KnownIssues { ids, repositories: survey.repositories.len() };
                    let listed = self.open_issues(known, known_issues, &mut deleted).await;
                    issues.extend(self.issues_beside(known, &suspect, &listed).await);
                    issues.extend(listed);
                }
                Scope::Issue { repository: _, number } => issues.extend(self.one_issue(known, *number).await?),
            }
        }
        if *scope == Scope::Everything {
            issues.extend(self.ended_issues(&survey.repositories).await);
        }
        issues.extend(deleted);
        survey.candidates = self.observe(issues, scope).await;
        if *scope == Scope::Everything {
            self.guard(&mut survey.candidates);
        }
        self.ask(&mut survey.candidates).await;
        Ok(())
    }

    /// The open issues, and the known open ones that a complete listing lacks.
    async fn open_issues(
        &mut self,
        repository: &RepositoryRef,
        known_issues: KnownIssues,
        deleted: &mut Vec<IssueFacts>,
    ) -> Vec<IssueFacts> {
        let listed = match self.observer.open_issues(repository, known_issues).await {
            Ok(listed) => listed,
            Err(error) => {
                self.failures.push(Failure::of_listing(&repository.name, &error));
                return Vec::new();
            }
        };
        self.begun_at.extend(listed.begun_at.map(|begun_at| (repository.id, begun_at)));
        self.has_skipped |= !listed.skipped.is_empty();
        for skipped in &listed.skipped {
            let name = &repository.name;
            let message = format!("`{name}`: {skipped}; it is skipped, and its state is unknown: close or shorten it");
            self.failures.push(Failure::of_repository(name, "too-large", message));
        }
        self.report_left_out(repository, &listed);
        let mut issues = listed.issues;
        if listed.is_complete {
            let missing = self.missing_issues(repository, &listed.seen).await;
            issues.extend(missing.found);
            deleted.extend(missing.deleted);
        } else {
            let about = repository.name.to_string();
            let message =
                format!("`{about}`: the list of issues kept changing while it was read; the next pass reads it again");
            // Constant filing and closing of issues can cause only this.
            self.failures.push(Failure::of_repository(&repository.name, "listing-incomplete", message));
        }
        issues
    }

    /// Reports issues beyond the size limit; huge issues must not prevent a pass.
    fn report_left_out(&mut self, repository: &RepositoryRef, listed: &ListedIssues) {
        let count = listed.left_out.len();
        if count == 0 {
            return;
        }
        let numbers = listed.left_out.iter().take(LEFT_OUT_SHOWN).map(|number| format!("#{number}"));
        let numbers = numbers.collect::<Vec<_>>().join(", ");
        let more = if count > LEFT_OUT_SHOWN { ", …" } else { "" };
        let name = &repository.name;
        let message = format!(
            "`{name}`: {count} issues are skipped ({numbers}{more}): all proposals together are larger than {} MiB, and the \
             largest are not read; close or shorten them",
            HELD_BYTES_MAX / (1024 * 1024)
        );
        // Huge issues can cause only this.
        self.failures.push(Failure::of_repository(name, "too-large", message));
    }

    /// The issues of these numbers that are not in the listing, if they exist.
    async fn issues_beside(
        &mut self,
        repository: &RepositoryRef,
        numbers: &[i64],
        listed: &[IssueFacts],
    ) -> Vec<IssueFacts> {
        let mut found = Vec::new();
        for number in numbers {
            if listed.iter().any(|issue| issue.key.number == *number) {
                continue;
            }
            match self.observer.issue(repository, *number).await {
                Ok(issue) => found.extend(issue),
                Err(error) => self.failures.push(Failure::of_turn(&repository.name, *number, &error.into())),
            }
        }
        found
    }

    async fn one_issue(&mut self, repository: &RepositoryRef, number: i64) -> Result<Option<IssueFacts>, FatalError> {
        match self.observer.issue(repository, number).await {
            Ok(Some(issue)) => Ok(Some(issue)),
            Ok(None) => Err(FatalError::Issue(format!(
                "`{}` has no issue {number} (pull requests do not count)",
                repository.name
            ))),
            Err(error) => {
                self.failures.push(Failure::of_turn(&repository.name, number, &error.into()));
                Ok(None)
            }
        }
    }

    /// Observes each proposal, without further requests to the forge.
    async fn observe(&mut self, mut issues: Vec<IssueFacts>, scope: &Scope) -> Vec<Candidate> {
        issues.sort_by_key(|issue| (issue.key.repository_id, issue.key.number));
        issues.dedup_by_key(|issue| issue.key.issue_id);
        let mut candidates = Vec::new();
        for issue in issues {
            let key = (issue.key.repository_id, issue.key.issue_id);
            if let Some(message) = self.records.damaged.get(&key) {
                let issue = &issue.key;
                let damaged = Failure::mission(&issue.repository, issue.number, "record", message.clone());
                self.failures.push(Failure { is_permanent: true, ..damaged });
                continue;
            }
            let record = self.records.by_issue.get(&key).cloned();
            if record.is_none() && (!is_proposal(&issue) || !issue.is_open()) {
                continue;
            }
            let mut seen = Observation::new(Arc::clone(&self.context), issue, record);
            self.suspect(&mut seen, scope);
            candidates.push(Candidate::new(seen));
        }
        candidates.shrink_to_fit();
        self.observer.see(candidates.iter_mut().map(|candidate| &mut candidate.seen).collect()).await;
        candidates
    }

    /// Finds owners and capacity, and fetches missing facts, until none are missing: a mission that turns out to be
    /// owned by another host frees capacity.
    async fn ask(&mut self, candidates: &mut Vec<Candidate>) {
        loop {
            self.place(candidates);
            let mut under_way = JoinSet::new();
            for (at, candidate) in candidates.iter_mut().enumerate() {
                let missing = candidate.missing();
                if !missing.is_empty() {
                    let (observer, whose) = (self.observer.clone(), OwnComments::of(&candidate.seen));
                    under_way.spawn(async move { (at, fetch(&observer, &whose, &missing).await) });
                }
            }
            if under_way.is_empty() {
                return;
            }
            let mut failed = BTreeSet::new();
            while let Some(fetched) = under_way.join_next().await {
                let (at, fetched) = fetched.expect("fetching never panics");
                match fetched.fill(&mut candidates[at].seen) {
                    Ok(()) => candidates[at].turn.answered(),
                    Err(error) => {
                        failed.insert(at);
                        self.take(&error, &candidates[at].seen);
                    }
                }
            }
            for at in failed.into_iter().rev() {
                candidates.remove(at);
            }
        }
    }

    fn take(&mut self, error: &ForgeError, observation: &Observation) {
        let key = &observation.issue.key;
        if let ForgeError::TooLarge { .. } = error {
            self.has_skipped = true;
        }
        self.failures.push(Failure::of_turn(&key.repository, key.number, &error.clone().into()));
    }

    /// Assigns the owner of each cell, and admits new ones.
    fn place(&self, candidates: &mut [Candidate]) {
        let fleet = locked(self.fleet);
        let mut claims = Claims::default();
        let mut wanting = Vec::new();
        for Candidate { seen, turn, .. } in candidates.iter_mut() {
            let lifecycle = turn.lifecycle(seen);
            seen.owner = claims.owner(seen, lifecycle, fleet.bound_to(seen.mission_id));
            if lifecycle.wants_capacity(seen) {
                wanting.push(seen.issue.key.clone());
            }
        }
        let admissions = fleet.admit(wanting.iter(), self.settings.limits);
        for Candidate { seen, .. } in candidates {
            let key = (seen.issue.key.repository_id, seen.issue.key.issue_id);
            seen.admission = admissions.get(&key).copied().unwrap_or(Admission::Admitted);
        }
    }
}
