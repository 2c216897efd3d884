//! Runs a mission's turn: observes it, reconciles it, and stores the result in memory.

use crate::engine::Engine;
use crate::engine::facts::fetch;
use crate::engine::failure::Failure;
use crate::engine::fleet::{IssueRef, ListedFacts, fingerprint, place_of};
use crate::engine::forge::Forge;
use crate::engine::queue::Key;
use crate::engine::reconcile::{TurnOutcome, reconcile};
use crate::engine::report::MissionResult;
use crate::mission::cell::CellObservation;
use crate::mission::identity::MissionId;
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::plan::change::Change;
use crate::mission::plan::step::Candidate;
use crate::mission::record::{IssueState, Record};
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::lifecycle::is_proposal;
use crate::world::applier::Applier;
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::OwnComments;
use crate::world::{WorldError, clock};
use tokio::time::Instant;

impl Engine {
    /// Runs the turn of one issue. Releases reserved capacity that it did not use, unless its checkout is running.
    pub(super) async fn reconcile_issue(&self, forge: &Forge, place: IssueRef) -> Vec<Failure> {
        let begun = clock::instant();
        let failures = Box::pin(self.look(forge, place)).await;
        if let Some(applier) = forge.applier().filter(|_| failures.is_empty()) {
            applier.forget_checkouts(place, begun).await;
        }
        let mut fleet = locked(&self.fleet);
        if !forge.checkouts.is_known(place) {
            fleet.release(place, None);
        }
        fleet.alerts.end(place);
        failures
    }

    async fn look(&self, forge: &Forge, place: IssueRef) -> Vec<Failure> {
        // Webhooks must not make us read a repository that is not configured.
        let (Some(repository), Some(applier)) = (forge.repository(place.0), forge.applier()) else { return Vec::new() };
        let applier = applier.at(self.now());
        let listed = locked(&self.fleet).take_listed(place);
        let listed = listed.filter(|_| !self.queue.is_event(Key::Issue { repository: place.0, number: place.1 }));
        let (facts, begun) = listed.map_or((None, clock::instant()), |(facts, at)| (Some(facts), at));
        let observed = match facts {
            Some(ListedFacts::Ready(mut candidate)) => {
                let is_confirmed = locked(&self.fleet).confirms(&mut candidate);
                if is_confirmed {
                    Ok(Some(*candidate))
                } else {
                    self.observe(forge, &applier, candidate.seen.issue).await
                }
            }
            Some(ListedFacts::Facts(facts)) => self.observe(forge, &applier, *facts).await,
            None => match self.ask(forge, &repository, place).await {
                Ok(Some(facts)) => self.observe(forge, &applier, facts).await,
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            },
        };
        match observed {
            Ok(None) => Vec::new(),
            Ok(Some(candidate)) => Box::pin(self.reconcile(forge, &applier, candidate, begun)).await,
            Err(error) => vec![Failure::of_turn(&repository.name, place.1, &error)],
        }
    }

    /// Requests one issue; none if there is nothing to do.
    async fn ask(
        &self,
        forge: &Forge,
        repository: &RepositoryRef,
        place: IssueRef,
    ) -> Result<Option<IssueFacts>, WorldError> {
        match forge.observer.issue(repository, place.1).await? {
            Some(facts) => Ok(Some(facts)),
            None => self.not_found(forge, place).await,
        }
    }

    /// Observes one issue; none if it is not a mission.
    async fn observe(
        &self,
        forge: &Forge,
        applier: &Applier,
        facts: IssueFacts,
    ) -> Result<Option<Candidate>, WorldError> {
        let record = applier.remembered(&facts.key).await?;
        if record.is_none() && (!is_proposal(&facts) || !facts.is_open()) {
            return Ok(None);
        }
        let place = place_of(&facts.key);
        let mut candidate = Candidate::new(Observation::new(applier.here(), facts, record));
        {
            let mut fleet = locked(&self.fleet);
            fleet.find_one_closed(&candidate.seen.issue);
            candidate.seen.is_held = fleet.is_held(place);
            candidate.seen.alert_permit = fleet.alerts.permit(place);
            candidate.seen.is_comment_suspect = fleet.is_comment_suspect(place);
        }
        forge.observer.see(vec![&mut candidate.seen]).await;
        loop {
            locked(&self.fleet).place(&mut candidate, self.settings.limits);
            let missing = candidate.missing();
            if missing.is_empty() {
                return Ok(Some(candidate));
            }
            let whose = OwnComments::of(&candidate.seen);
            fetch(&forge.observer, &whose, &missing).await.fill(&mut candidate.seen)?;
            candidate.turn.answered();
        }
    }

    async fn reconcile(&self, forge: &Forge, applier: &Applier, candidate: Candidate, begun: Instant) -> Vec<Failure> {
        let outcome = reconcile(&forge.observer, applier, candidate).await;
        let key = &outcome.observation.issue.key;
        let result = MissionResult::of(&applier.here(), &outcome);
        if let Ok(Some(record)) = applier.remembered(key).await {
            self.track(&record, &outcome, result.failures.is_empty(), begun);
        }
        let failures = result.failures.clone();
        match &self.gathered {
            // Its failures are collected with all others.
            Some(gathered) => gathered.take(MissionResult { failures: Vec::new(), ..result }),
            None => self.enqueue_again(&outcome, &failures),
        }
        self.publish_soon();
        failures
    }

    /// Enqueues the mission again after changes, to verify their result.
    fn enqueue_again(&self, outcome: &TurnOutcome, failures: &[Failure]) {
        let key = &outcome.observation.issue.key;
        for change in outcome.changes.iter().filter(|change| !change.is_record_only()) {
            tracing::info!(kind = change.kind(), "{key}: applied: {change}");
        }
        if failures.iter().any(|failure| matches!(failure.kind, "no-label" | "labels-ignored")) {
            // One of our labels was deleted, which an audit repairs.
            self.queue.add(Key::Resync);
        }
        if outcome.changes.iter().any(|change| !change.is_record_only()) {
            self.queue.add(Key::Issue { repository: key.repository_id, number: key.number });
        }
    }

    fn track(&self, record: &Record, outcome: &TurnOutcome, has_succeeded: bool, begun: Instant) {
        let observation = &outcome.observation;
        let place = place_of(&record.issue);
        let context = self.view_context();
        let mut fleet = locked(&self.fleet);
        let known = fleet.track(record);
        known.looked_at = Some(begun);
        if has_succeeded {
            known.forget_suspicion(begun);
        }
        known.wants_capacity = outcome.lifecycle.wants_capacity(observation);
        let is_quiet = outcome.changes.is_empty() && has_succeeded;
        known.settled = is_quiet.then(|| fingerprint(&observation.issue));
        let key = &observation.issue.key;
        let id_of_issue = MissionId::of_issue(&observation.here.forge, key.repository_id, key.issue_id);
        // A cell that it has not adopted yet does not identify its view.
        let id = record.binding.as_ref().map_or(id_of_issue, |binding| binding.mission_id);
        if id != id_of_issue {
            fleet.hide(id_of_issue);
        }
        if outcome.changes.iter().any(|change| matches!(change, Change::CreateCell { .. })) {
            fleet.release(place, Some(id));
        }
        let verdict =
            fleet.known.get_mut(&place).and_then(|known| known.verdict(&observation.sighting, context.time()));
        let has_ended = !record.is_served_here() && observation.sighting == CellObservation::Absent;
        if has_ended {
            fleet.drop_cell(id);
            fleet.show_archived(place, &context);
        } else if let Some(verdict) = verdict {
            fleet.show(id, &observation.sighting, verdict, &context);
        } else {
            let is_shown = observation.issue.is_open() && record.other_owner.is_none();
            if is_shown { fleet.show_waiting(id, place, &context) } else { fleet.hide(id) }
        }
    }

    /// Handles an issue that was not found. If it was closed, it counts as deleted; otherwise an audit decides.
    async fn not_found(&self, forge: &Forge, place: IssueRef) -> Result<Option<IssueFacts>, WorldError> {
        let key = locked(&self.fleet).known.get_mut(&place).map(|known| known.issue().clone());
        let (Some(key), Some(applier)) = (key, forge.applier()) else { return Ok(None) };
        let Some(record) = applier.remembered(&key).await? else { return Ok(None) };
        if record.state == IssueState::Open {
            self.queue.add(Key::Resync);
            return Ok(None);
        }
        Ok(Some(IssueFacts::deleted(&record, self.now())))
    }
}
