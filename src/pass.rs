//! One complete pass: survey, set up, and then every mission, several at a time but never two on one issue.

use crate::mission::change::Change;
use crate::mission::identity::RepositoryId;
use crate::mission::observation::{Here, Observation};
use crate::mission::time::Timestamp;
use crate::reconcile::{Outcome, imagine, reconcile};
use crate::report::Report;
use crate::settings::Settings;
use crate::survey::{Scope, Survey, survey};
use crate::trouble::{Refusal, Trouble};
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::entry::Entry;
use crate::world::lock::Access;
use crate::world::observer::Observer;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// What a pass would do. Holds no writer.
pub async fn preview(settings: &Settings, scope: &Scope, now: Timestamp) -> Result<Report, Refusal> {
    let started = Instant::now();
    let root = Arc::new(settings.open_root()?);
    let survey = survey(settings, settings.gitea()?, &root, scope, now).await?;
    let Survey { here, gitea, mut setup, fleet, observations, troubles, .. } = survey;
    let outcomes = observations.iter().map(imagine).collect();
    setup.extend(fleet);
    let mut report = Report::new(&here, &setup, outcomes, troubles);
    report.is_preview = true;
    report.finish(gitea.requests(), started.elapsed());
    Ok(report)
}

/// Told how many missions of how many are done, each time one is.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Carries a pass out. `clock` is read once, when nobody else writes in the root any more.
pub async fn once(
    settings: &Settings,
    scope: &Scope,
    clock: fn() -> Timestamp,
    progress: Progress<'_>,
) -> Result<Report, Refusal> {
    let started = Instant::now();
    let access = Access { lock_wait: settings.lock_wait, is_lasting: false, group: settings.group_id()? };
    let entry = enter(settings, access).await?;
    // After the wait, so that what happened meanwhile is not ahead of it.
    let now = clock();
    let survey = survey(settings, settings.gitea()?, &entry.root(), scope, now).await?;
    let Survey { here, gitea, observer, repositories, setup, fleet, mut observations, mut troubles, .. } = survey;
    let applier = Arc::new(Applier::new(gitea.clone(), here, access, entry, settings.checkouts()));
    for surveyed in &repositories {
        applier.know_labels(&surveyed.known, &surveyed.labels);
    }
    let mut changes = Vec::new();
    let failed = set_up(&applier, setup, &mut changes).await?;
    troubles.extend(failed.values().cloned());
    observations.retain(|observation| !failed.contains_key(&observation.issue.key.repository_id));
    let here = applier.here();
    settle_root(&mut observations, &here);
    let crew = Crew { observer, applier, most: settings.concurrent_missions };
    let outcomes = crew.reconcile_all(observations, progress, &mut troubles).await;
    if let Some(change) = fleet {
        match speak_for_many(&crew.applier, &change).await {
            Ok(()) => changes.push(change),
            Err(trouble) => troubles.push(trouble),
        }
    }
    let mut report = Report::new(&here, &changes, outcomes, troubles);
    report.finish(gitea.requests(), started.elapsed());
    Ok(report)
}

/// Eyes and hands for several missions at once.
struct Crew {
    observer: Observer,
    applier: Arc<Applier>,
    most: usize,
}

impl Crew {
    /// Missions side by side. A defect that one of them meets costs the others nothing.
    async fn reconcile_all(
        &self,
        observations: Vec<Observation>,
        progress: Progress<'_>,
        troubles: &mut Vec<Trouble>,
    ) -> Vec<Outcome> {
        let total = observations.len();
        let mut waiting = observations.into_iter();
        let mut under_way = JoinSet::new();
        let mut keys = HashMap::new();
        let mut outcomes = Vec::new();
        for done in 1..=total {
            while under_way.len() < self.most
                && let Some(observation) = waiting.next()
            {
                let key = observation.issue.key.clone();
                let (observer, applier) = (self.observer.clone(), Arc::clone(&self.applier));
                let task = under_way.spawn(async move { reconcile(&observer, &applier, observation).await });
                keys.insert(task.id(), key);
            }
            match under_way.join_next().await {
                Some(Ok(outcome)) => outcomes.push(outcome),
                Some(Err(error)) => troubles.extend(keys.get(&error.id()).map(Trouble::defect)),
                None => break,
            }
            progress(done, total);
        }
        outcomes
    }
}

/// Waiting for another writer to end blocks.
pub(crate) async fn enter(settings: &Settings, access: Access) -> Result<Entry, Refusal> {
    let path = settings.missions_root.clone();
    let entered = tokio::task::spawn_blocking(move || Entry::to(&path, access));
    let entered = entered.await.expect("opening a root never panics");
    Ok(entered.map_err(|error| settings.refused_root(error))?)
}

/// Without its root there is no pass; without its labels a repository waits for the next one.
pub(crate) async fn set_up(
    applier: &Applier,
    setup: Vec<Change>,
    changes: &mut Vec<Change>,
) -> Result<BTreeMap<RepositoryId, Trouble>, Refusal> {
    let mut failed = BTreeMap::new();
    for change in setup {
        let error = match applier.apply(&change).await {
            Ok(()) => {
                changes.push(change);
                continue;
            }
            Err(WorldError::Root(error)) => return Err(Refusal::Root(error)),
            Err(error) => error,
        };
        if let Change::CreateLabel { repository, .. } | Change::CorrectLabel { repository, .. } = &change {
            let message = format!("cannot {change}: {error}");
            let (about, kind) = (repository.name.to_string(), error.kind());
            let trouble = Trouble { about, issue: None, kind, message, needs_a_token: error.is_about_the_token() };
            failed.entry(repository.id).or_insert(trouble);
        }
    }
    Ok(failed)
}

/// What is said for many, or remembered of it.
pub(crate) async fn speak_for_many(applier: &Applier, change: &Change) -> Result<(), Trouble> {
    let Err(error) = applier.apply(change).await else { return Ok(()) };
    let about = applier.here().notify.issue.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = format!("cannot {change}: {error}");
    Err(Trouble { about, issue: None, kind: error.kind(), message, needs_a_token: error.is_about_the_token() })
}

/// A root that was initialised just now has a name by now.
fn settle_root(observations: &mut [Observation], here: &Arc<Here>) {
    for observation in observations {
        observation.here = Arc::clone(here);
    }
}
