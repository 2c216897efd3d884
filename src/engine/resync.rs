//! Finds changes on the forge: by audits, which survey everything like a single pass, and by listings in between.
//! Enqueues the issues that need a turn.

use crate::engine::Engine;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::fleet::{fingerprint, place_of};
use crate::engine::forge::{Forge, OVERLAP, span};
use crate::engine::queue::Key;
use crate::engine::reconcile::TurnOutcome;
use crate::engine::report::MissionResult;
use crate::engine::survey::{CommentScope, Scope, Survey, SurveyRequest, survey};
use crate::mission::fleet::admission::Admission;
use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::{IssueFacts, PassContext};
use crate::mission::plan::change::Change;
use crate::mission::plan::step::Candidate;
use crate::mission::record::IssueKey;
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::comment_check::{SHARES, Share, share_at};
use crate::mission::status::lifecycle::Lifecycle;
use crate::mission::time::Timestamp;
use crate::world::applier::Applier;
use crate::world::blocking_pool::blocking;
use crate::world::forge::ForgeError;
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::KnownIssues;
use crate::world::{WorldError, clock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The most turns that a daemon's audit keeps in memory; the others are observed again when they run.
const TURNS_MAX: usize = 256;

/// The first delay between an audit with failures and the next one.
const AUDIT_RETRY: Duration = Duration::from_secs(30);

/// The outages among the failures of the forge and of repositories. Issues that cannot be read are retried separately.
fn outages(failures: &[Failure]) -> impl Iterator<Item = &Failure> {
    failures.iter().filter(|failure| failure.issue.is_none() && failure.is_outage())
}

impl Forge {
    /// Records an audit. After an outage the next one follows with the next tick; after other failures, with
    /// exponential backoff.
    fn audited(
        &self,
        served: Vec<RepositoryRef>,
        since: BTreeMap<RepositoryId, Timestamp>,
        failures: &[Failure],
        now: Timestamp,
        interval: Duration,
    ) {
        let mut hold = locked(&self.hold);
        let is_outage = outages(failures).next().is_some();
        let is_new = |known: &RepositoryRef| served.iter().all(|other| other.id != known.id);
        let is_out = |known: &RepositoryRef| outages(failures).any(|failure| failure.about == known.name.to_string());
        // A repository that did not answer this time stays listed.
        let kept: Vec<RepositoryRef> =
            hold.repositories.iter().filter(|known| is_new(known) && is_out(known)).cloned().collect();
        hold.repositories = served.into_iter().chain(kept).collect();
        hold.since.extend(since);
        hold.standing = failures.iter().filter(|failure| failure.issue.is_none()).cloned().collect();
        hold.audit_failures = if failures.is_empty() { 0 } else { hold.audit_failures.saturating_add(1) };
        let delay = match hold.audit_failures {
            0 => interval,
            failures => AUDIT_RETRY.saturating_mul(1 << failures.min(16)).min(interval),
        };
        hold.audit_due = (!is_outage).then(|| now.plus(span(delay)));
    }
}

impl Engine {
    /// Surveys everything, plans the first step of each turn, and enqueues the missions that need one.
    pub(super) async fn resync(&self, forge: &Forge) -> Vec<Failure> {
        let asked_at = clock::instant();
        let survey = match self.survey(forge, asked_at).await {
            Ok(survey) => survey,
            Err(error) => return self.refused(error),
        };
        let Survey { context, repositories, setup, fleet, mut candidates, mut failures, begun_at, comments, .. } =
            survey;
        self.note_forge_state(survey.out_of_reach);
        locked(&self.passes).summary.missing_forms = survey.missing_forms;
        if context.me == 0 {
            return failures;
        }
        let Some(applier) = forge.applier_for(&context) else { return failures };
        for surveyed in &repositories {
            applier.know_labels(&surveyed.known, &surveyed.labels);
        }
        let mut changes = Vec::new();
        let failed = set_up(&applier, setup, &mut changes).await;
        self.log_changes(changes);
        let failed = match failed {
            Ok(failed) => failed,
            Err(error) => return failures.into_iter().chain(self.refused(error)).collect(),
        };
        let is_served = |id: RepositoryId| !failed.contains_key(&id);
        let served = repositories.into_iter().map(|surveyed| surveyed.known).filter(|known| is_served(known.id));
        let since = begun_at.into_iter().map(|(id, begun_at)| (id, begun_at.plus(-OVERLAP))).collect();
        let comments_since = comments.into_iter().map(|(id, begun_at)| (id, begun_at.plus(-OVERLAP)));
        locked(&forge.hold).comments_since.extend(comments_since);
        failures.extend(failed.values().cloned());
        // Issues that were not found are requested once more.
        let is_soon = candidates.iter_mut().any(|candidate| matches!(candidate.lifecycle(), Lifecycle::Missing));
        let interval = if is_soon { AUDIT_RETRY } else { self.settings.daemon.audit_interval };
        forge.audited(served.collect(), since, &failures, context.now, interval);
        // The next scan decides about missions that are held back here, except in a single pass.
        let is_held = |candidate: &Candidate| {
            let is_held = candidate.seen.is_held || locked(&self.fleet).is_held(place_of(&candidate.seen.issue.key));
            is_held && self.gathered.is_none()
        };
        candidates.retain(|candidate| is_served(candidate.seen.issue.key.repository_id) && !is_held(candidate));
        let context = applier.here();
        let (count, effort) = (candidates.len(), Arc::clone(&context.effort));
        let is_once = self.gathered.is_some();
        let planned = blocking(move || plan(candidates, &context, is_once)).await;
        let (bodies_parsed, lifecycles_found) = (effort.bodies_parsed(), effort.lifecycles_found());
        tracing::debug!(bodies_parsed, lifecycles_found, "planned the turns of {count} missions");
        if let Some(gathered) = &self.gathered {
            locked(&gathered.found).alert = fleet;
        }
        self.take_resync(planned, asked_at);
        failures
    }

    /// Records the results of an audit, and enqueues the missions that need a turn.
    fn take_resync(&self, planned: Vec<Planned>, asked_at: Instant) {
        let mut fleet = locked(&self.fleet);
        fleet.show_all_waiting(&self.view_context());
        if let Some(gathered) = &self.gathered {
            gathered.expect(planned.len());
        }
        for Planned { key, mission_id, fingerprint, wants_capacity, is_admitted, next } in planned {
            let place = place_of(&key);
            if let Some(known) =
                fleet.known.get_mut(&place).filter(|known| known.looked_at.is_none_or(|at| at < asked_at))
            {
                let is_settled = matches!(next, Next::Nothing(_));
                known.settled = is_settled.then_some(fingerprint);
                if is_settled {
                    known.forget_suspicion(asked_at);
                }
                known.wants_capacity = wants_capacity;
            }
            let is_changed = match next {
                Next::Nothing(result) => {
                    self.gather_quiet(result);
                    false
                }
                Next::Turn(candidate) => fleet.enqueue_candidate(*candidate, asked_at),
                Next::Look(facts) => fleet.enqueue_if_changed(*facts, asked_at),
            };
            if is_changed {
                if wants_capacity && is_admitted {
                    fleet.reserve(&key, mission_id);
                }
                self.queue.add(Key::Issue { repository: place.0, number: place.1 });
            }
        }
    }

    fn gather_quiet(&self, result: Option<Box<MissionResult>>) {
        if let (Some(gathered), Some(result)) = (&self.gathered, result) {
            locked(&gathered.found).results.push(*result);
            gathered.step(true);
        }
    }

    /// Logs or collects applied changes without an issue.
    pub(super) fn log_changes(&self, changes: Vec<Change>) {
        for change in changes {
            if let Some(gathered) = &self.gathered {
                locked(&gathered.found).changes.push(change);
            } else {
                tracing::info!(kind = change.kind(), "applied: {change}");
            }
        }
    }

    async fn survey(&self, forge: &Forge, asked_at: Instant) -> Result<Survey, FatalError> {
        // Opened again by its path, since another file system may have been mounted there.
        let root = match &self.gathered {
            Some(_) => Arc::clone(&self.root),
            None => Arc::new(self.settings.open_root()?),
        };
        let scope = self.gathered.as_ref().map_or(&Scope::Everything, |gathered| &gathered.scope);
        let (settings, fleet, is_only_pass) = (&self.settings, &self.fleet, self.gathered.is_some());
        let (now, starts) = (self.now(), &self.starts);
        let comments = {
            let mut hold = locked(&forge.hold);
            // The first audit after a start covers changes during the downtime; the rotation begins with the next one.
            let share = match (&self.gathered, hold.share) {
                (Some(_), _) => Share::OfTheOld(share_at(now)),
                (None, None) => Share::None,
                (None, Some(share)) => Share::Of(share),
            };
            hold.share = Some(hold.share.map_or_else(|| share_at(now), |share| (share + 1) % SHARES));
            CommentScope { share, since: hold.comments_since.clone(), asked_at }
        };
        let request = SurveyRequest { settings, scope, now, starts, fleet, is_only_pass, comments: &comments };
        survey(request, forge.gitea.clone(), &root).await
    }

    /// Reports an error that prevented the audit and requires manual action.
    fn refused(&self, error: FatalError) -> Vec<Failure> {
        let message = error.to_string();
        if let Some(gathered) = &self.gathered {
            locked(&gathered.found).fatal = Some(error);
            return Vec::new();
        }
        locked(&self.passes).summary.forge_error = Some(message.clone());
        let about = self.settings.missions_root.display().to_string();
        vec![Failure::service(about, "refused", message)]
    }

    pub(super) fn note_forge_state(&self, error: Option<String>) {
        let mut passes = locked(&self.passes);
        let is_back = error.is_none() && passes.summary.forge_error.is_some();
        passes.summary.forge_error = error;
        drop(passes);
        if is_back {
            tracing::info!("Gitea is available again");
            self.queue.release_all();
        }
    }

    /// Lists the changes of each repository since the last listing, with two requests if there are none.
    pub(super) async fn list(&self, forge: &Forge) -> Vec<Failure> {
        let (repositories, since) = {
            let hold = locked(&forge.hold);
            (hold.repositories.clone(), hold.since.clone())
        };
        let (mut failures, mut read) = (Vec::new(), 0);
        let mut listings = Vec::new();
        for repository in repositories {
            // Listings begin after the first complete audit.
            let Some(since) = since.get(&repository.id) else { continue };
            // Comments first, so that the issues of changed ones are listed after that.
            let comments_checked = self.find_changed_comments(forge, &repository).await;
            let asked_at = clock::instant();
            let listed = self.list_issues(forge, &repository, *since).await;
            read += usize::from(listed.is_ok());
            let listed = listed.map(|issues| listings.push((issues, asked_at)));
            // One failure per repository.
            match listed.and(comments_checked) {
                Ok(()) => {}
                Err(error) => {
                    // It was renamed or deleted, which an audit detects.
                    if matches!(error, ForgeError::Moved { .. } | ForgeError::NotFound { .. }) {
                        self.queue.add(Key::Resync);
                    }
                    failures.push(Failure::of_listing(&repository.name, &error));
                }
            }
        }
        self.enqueue_if_changed(listings);
        // The forge is available if any repository can be read.
        let unread = failures.first().filter(|_| read == 0);
        self.note_forge_state(unread.map(|failure| failure.message.clone()));
        failures
    }

    async fn list_issues(
        &self,
        forge: &Forge,
        repository: &RepositoryRef,
        since: Timestamp,
    ) -> Result<Vec<IssueFacts>, ForgeError> {
        let ids = locked(&self.fleet).issues_of(repository.id);
        let known = KnownIssues { ids, repositories: locked(&forge.hold).repositories.len() };
        let listed = forge.observer.issues_since(repository, since, known).await?;
        let begun_at = listed.begun_at.filter(|_| listed.is_complete);
        if let Some(begun_at) = begun_at {
            locked(&forge.hold).since.insert(repository.id, begun_at.plus(-OVERLAP));
        }
        // These exceeded the listing's size limit; each is requested separately.
        for number in listed.left_out.into_iter().take(TURNS_MAX) {
            self.queue.add(Key::Issue { repository: repository.id, number });
        }
        Ok(listed.issues)
    }

    /// Stores the listings of all repositories together, since the mass change guard needs all closed issues.
    fn enqueue_if_changed(&self, listings: Vec<(Vec<IssueFacts>, Instant)>) {
        let mut fleet = locked(&self.fleet);
        fleet.find_closed(listings.iter().flat_map(|(issues, _)| issues));
        for (facts, asked_at) in
            listings.into_iter().flat_map(|(issues, at)| issues.into_iter().map(move |it| (it, at)))
        {
            let key = Key::Issue { repository: facts.key.repository_id, number: facts.key.number };
            if fleet.enqueue_if_changed(facts, asked_at) {
                self.queue.add(key);
            }
        }
    }
}

/// The result of an audit for one mission.
struct Planned {
    key: IssueKey,
    mission_id: MissionId,
    fingerprint: u64,
    wants_capacity: bool,
    is_admitted: bool,
    next: Next,
}

enum Next {
    /// No turn is needed; a single pass reports this result.
    Nothing(Option<Box<MissionResult>>),
    /// Its turn, which has begun.
    Turn(Box<Candidate>),
    /// It needs a turn beyond the [`TURNS_MAX`] that a daemon keeps in memory.
    Look(Box<IssueFacts>),
}

/// Plans the first step of each turn. The context has the id of a root that was initialized just now.
fn plan(candidates: Vec<Candidate>, context: &Arc<PassContext>, is_once: bool) -> Vec<Planned> {
    let mut turns = 0;
    let plan = |mut candidate: Candidate| {
        candidate.seen.here = Arc::clone(context);
        let wants_capacity = candidate.turn.lifecycle(&candidate.seen).wants_capacity(&candidate.seen);
        let (key, mission_id) = (candidate.seen.issue.key.clone(), candidate.seen.mission_id);
        let fingerprint = fingerprint(&candidate.seen.issue);
        let is_admitted = candidate.seen.admission == Admission::Admitted;
        // Blocked missions are reported in each pass.
        let is_quiet = candidate.is_quiet() && !matches!(candidate.lifecycle_in_fleet(), Lifecycle::Blocked(_));
        let next = if is_quiet {
            Next::Nothing(is_once.then(|| Box::new(MissionResult::of(context, &TurnOutcome::quiet(candidate)))))
        } else if is_once || turns < TURNS_MAX {
            turns += 1;
            Next::Turn(Box::new(candidate))
        } else {
            Next::Look(Box::new(candidate.seen.issue))
        };
        Planned { key, mission_id, fingerprint, wants_capacity, is_admitted, next }
    };
    candidates.into_iter().map(plan).collect()
}

/// Applies the setup. A failure about the root ends the pass; a repository whose labels fail waits for the next one.
async fn set_up(
    applier: &Applier,
    setup: Vec<Change>,
    changes: &mut Vec<Change>,
) -> Result<BTreeMap<RepositoryId, Failure>, FatalError> {
    let mut failed = BTreeMap::new();
    for change in setup {
        let error = match applier.apply(&change).await {
            Ok(()) => {
                changes.push(change);
                continue;
            }
            Err(WorldError::Root(error)) => return Err(FatalError::Root(error)),
            Err(error) => error,
        };
        if let Change::CreateLabel { repository, .. } | Change::CorrectLabel { repository, .. } = &change {
            let failure = Failure::unmade(repository.name.to_string(), &change, &error);
            failed.entry(repository.id).or_insert(failure);
        }
    }
    Ok(failed)
}
