//! A single pass, as CI runs it: the engine's first tick and all work that follows, or a preview of it.

use crate::config::Settings;
use crate::engine::Engine;
use crate::engine::failure::FatalError;
use crate::engine::reconcile::simulate;
use crate::engine::report::{MissionResult, Report};
use crate::engine::survey::{CommentScope, Scope, Survey, SurveyRequest, survey};
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::store::trash::ASIDE;
use std::sync::{Arc, Mutex};

/// Previews a pass, without write access.
pub async fn preview(settings: &Settings, scope: &Scope, now: Timestamp) -> Result<Report, FatalError> {
    let started = clock::instant();
    let root = Arc::new(settings.open_root()?);
    let fleet = Mutex::default();
    let (starts, comments) = (Arc::default(), CommentScope::at(now));
    let (starts, comments) = (&starts, &comments);
    let request = SurveyRequest { settings, scope, now, starts, fleet: &fleet, is_only_pass: true, comments };
    let survey = survey(request, settings.gitea()?, &root).await?;
    let Survey { context, gitea, mut setup, fleet, candidates, failures, .. } = survey;
    let results = candidates.into_iter().map(|candidate| MissionResult::of(&context, &simulate(candidate))).collect();
    setup.extend(fleet);
    let mut report = Report::new(&setup, results, failures);
    report.is_preview = true;
    report.finish(gitea.requests(), clock::instant() - started);
    Ok(report)
}

/// A callback with the number of finished missions and their total.
pub type PassProgress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Runs a pass. `clock` is read once the writer's lock is held.
pub async fn once(
    settings: &Settings,
    scope: &Scope,
    clock: fn() -> Timestamp,
    progress: PassProgress<'_>,
) -> Result<Report, FatalError> {
    let started = clock::instant();
    let engine = Engine::for_one_pass(settings.clone(), scope.clone(), clock()).await?;
    engine.tick(clock()).await;
    engine.drain(progress).await;
    engine.empty_trash(ASIDE).await;
    let mut report = engine.report()?;
    report.finish(engine.requests(), clock::instant() - started);
    Ok(report)
}
