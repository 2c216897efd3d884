//! Drives a mission's turn: fetches the missing facts, applies the planned changes, and observes the cell again.

use crate::engine::facts::fetch;
use crate::mission::observation::Observation;
use crate::mission::plan::change::Change;
use crate::mission::plan::missing_facts::MissingFacts;
use crate::mission::plan::step::{Candidate, Step};
use crate::mission::record::IssueKey;
use crate::mission::status::lifecycle::Lifecycle;
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::observer::{Observer, OwnComments};

/// The outcome of a mission's turn.
#[derive(Debug)]
pub struct TurnOutcome {
    /// The facts that the status was planned from.
    pub observation: Observation,
    /// The mission's lifecycle state by them.
    pub lifecycle: Lifecycle,
    /// The changes that were applied, or would be in a preview.
    pub changes: Vec<Change>,
    /// The errors; the next pass retries.
    pub errors: Vec<WorldError>,
}

/// Runs a turn.
pub async fn reconcile(observer: &Observer, applier: &Applier, candidate: Candidate) -> TurnOutcome {
    let mut candidate = candidate;
    let mut errors = Vec::new();
    loop {
        let step = candidate.next_step();
        let Candidate { seen, turn, .. } = &mut candidate;
        match step {
            Step::Ask(missing) => match ask(observer, applier, &missing, seen).await {
                Ok(()) => turn.answered(),
                Err(error) => {
                    note_error(&mut errors, error);
                    turn.unanswered();
                }
            },
            Step::Apply(planned) => {
                if let Err(error) = prepare(applier, &seen.issue.key, &planned).await {
                    note_error(&mut errors, error);
                    continue;
                }
                for change in planned {
                    match applier.apply(&change).await {
                        Ok(()) => turn.made(change),
                        Err(WorldError::CheckoutUnderWay(under_way)) => {
                            turn.put_off(*under_way);
                            break;
                        }
                        Err(WorldError::CommentGone { .. }) if turn.found_comment_deleted() => {}
                        Err(error) if error.is_told_on_the_issue() => {
                            tracing::warn!(kind = error.kind(), "{}: {error}", seen.issue.key);
                        }
                        Err(error) => {
                            if let Some(failure) = error.lasting(seen.here.now) {
                                turn.failed(failure.of_comment(change.comment_status().is_some()));
                            }
                            note_error(&mut errors, error);
                        }
                    }
                }
            }
            Step::Look => {
                seen.sighting = observer.look(vec![seen.mission_id]).await.swap_remove(0);
                // The result of a checkout is in the record only now.
                match applier.remembered(&seen.issue.key).await {
                    Ok(record) => seen.record = record.or(seen.record.take()),
                    Err(error) => note_error(&mut errors, error),
                }
            }
            Step::Done => break,
        }
    }
    TurnOutcome { errors, ..TurnOutcome::quiet(candidate) }
}

/// Adds an error, unless the same one is there already.
fn note_error(errors: &mut Vec<WorldError>, error: WorldError) {
    if errors.iter().all(|known| known.to_string() != error.to_string()) {
        errors.push(error);
    }
}

/// Ensures that the record can be written before anything is written on the issue.
async fn prepare(applier: &Applier, issue: &IssueKey, planned: &[Change]) -> Result<(), WorldError> {
    if !planned.iter().any(Change::writes_on_issue) {
        return Ok(());
    }
    applier.prepare(issue, planned.iter().find_map(Change::comment_status)).await
}

async fn ask(
    observer: &Observer,
    applier: &Applier,
    missing: &MissingFacts,
    seen: &mut Observation,
) -> Result<(), WorldError> {
    fetch(observer, &OwnComments::of(seen), missing).await.fill(seen)?;
    if missing.record {
        seen.record = applier.remembered(&seen.issue.key).await?;
    }
    Ok(())
}

impl TurnOutcome {
    /// The outcome of a turn without changes.
    #[must_use]
    pub fn quiet(candidate: Candidate) -> Self {
        let Candidate { seen, turn, .. } = candidate;
        let (lifecycle, changes) = turn.end(&seen);
        Self { observation: seen, lifecycle, changes, errors: Vec::new() }
    }
}

/// Previews [`reconcile`], without write access.
#[must_use]
pub fn simulate(candidate: Candidate) -> TurnOutcome {
    let simulation = candidate.simulate();
    let (observation, lifecycle, changes) = (simulation.seen, simulation.lifecycle, simulation.changes);
    TurnOutcome { observation, lifecycle, changes, errors: Vec::new() }
}
