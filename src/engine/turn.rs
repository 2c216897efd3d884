//! Takes one mission's turn: gathers the facts, carries the turn out, and keeps in mind how it ended.

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
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::clock;
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::OwnComments;
use tokio::time::Instant;

impl Engine {
    /// Takes the turn of one issue. Capacity that was reserved for it and not taken is free again afterwards.
    pub(super) async fn reconcile_issue(&self, forge: &Forge, place: IssueRef) -> Vec<Failure> {
        let troubles = Box::pin(self.look(forge, place)).await;
        let mut fleet = locked(&self.fleet);
        fleet.release(place, None);
        fleet.alerts.end(place);
        troubles
    }

    async fn look(&self, forge: &Forge, place: IssueRef) -> Vec<Failure> {
        // Whoever may send webhooks may not make us look at a repository that nobody configured.
        let (Some(repository), Some(applier)) = (forge.repository(place.0), forge.applier()) else { return Vec::new() };
        let applier = applier.at(self.now());
        let listed = locked(&self.fleet).take_news(place);
        let listed = listed.filter(|_| !self.queue.is_event(Key::Issue { repository: place.0, number: place.1 }));
        let (told, begun) = listed.map_or((None, clock::instant()), |(told, at)| (Some(told), at));
        let observed = match told {
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

    /// What the forge says of one issue; none where there is nothing to do about it.
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

    /// Everything that is known of one issue; none where it is no business of ours.
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
            fleet.find_closed([&candidate.seen.issue]);
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
        let troubles = result.failures.clone();
        match &self.gathered {
            // What went wrong is gathered with all else that did.
            Some(gathered) => locked(&gathered.found).results.push(MissionResult { failures: Vec::new(), ..result }),
            None => self.enqueue_again(&outcome, &troubles),
        }
        self.publish_soon();
        troubles
    }

    /// Whether all is as it should be now, another look tells.
    fn enqueue_again(&self, outcome: &TurnOutcome, troubles: &[Failure]) {
        let key = &outcome.observation.issue.key;
        for change in outcome.changes.iter().filter(|change| !change.is_record_only()) {
            tracing::info!(kind = change.kind(), "{key}: {change}");
        }
        if troubles.iter().any(|trouble| matches!(trouble.kind, "no-label" | "labels-ignored")) {
            // Somebody took a label of ours away, which an audit puts right.
            self.queue.add(Key::Resync);
        }
        if outcome.changes.iter().any(|change| !change.is_record_only()) {
            self.queue.add(Key::Issue { repository: key.repository_id, number: key.number });
        }
    }

    fn track(&self, record: &Record, outcome: &TurnOutcome, is_well: bool, begun: Instant) {
        let observation = &outcome.observation;
        let place = place_of(&record.issue);
        let ground = self.view_context();
        let mut fleet = locked(&self.fleet);
        let known = fleet.track(record);
        known.looked_at = Some(begun);
        if is_well {
            known.forget_suspicion(begun);
        }
        known.wants_capacity = outcome.lifecycle.wants_capacity(observation);
        let is_quiet = outcome.changes.is_empty() && is_well;
        known.settled = is_quiet.then(|| fingerprint(&observation.issue));
        let key = &observation.issue.key;
        let id_of_issue = MissionId::of_issue(&observation.here.forge, key.repository_id, key.issue_id);
        // A cell that it only wishes to take over is not its own to be shown by.
        let id = record.binding.as_ref().map_or(id_of_issue, |binding| binding.mission_id);
        if id != id_of_issue {
            fleet.hide(id_of_issue);
        }
        let is_new = outcome.changes.iter().any(|change| matches!(change, Change::CreateCell { .. }));
        fleet.release(place, is_new.then_some(id));
        let verdict = fleet.known.get_mut(&place).and_then(|known| known.verdict(&observation.sighting, ground.time()));
        let has_ended = !record.is_served_here() && observation.sighting == CellObservation::Absent;
        if has_ended {
            fleet.drop_cell(id);
            fleet.show_archived(place, &ground);
        } else if let Some(verdict) = verdict {
            fleet.show(id, &observation.sighting, verdict, &ground);
        } else {
            let is_told = observation.issue.is_open() && record.other_owner.is_none();
            if is_told { fleet.show_waiting(id, place, &ground) } else { fleet.hide(id) }
        }
    }

    /// The forge has no such issue. Of one that was closed, that is as good as closed; whether another one is gone only
    /// those tell who have seen everything.
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
