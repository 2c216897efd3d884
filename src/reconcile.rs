//! One pass over one mission, in two halves: observe, plan the cell, apply; look again, plan the status, apply.

use crate::mission::cell_plan::plan_cell;
use crate::mission::change::Change;
use crate::mission::expected::expected;
use crate::mission::observation::{Comments, Observation};
use crate::mission::plan::{plan_status, preview};
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::observer::Observer;

/// What a pass over one mission came to.
#[derive(Debug)]
pub struct Outcome {
    /// The facts that the status was planned from.
    pub observation: Observation,
    /// The changes made, or in a preview those that would be.
    pub changes: Vec<Change>,
    /// What failed; the next pass tries again.
    pub errors: Vec<WorldError>,
}

/// Carries both halves out.
pub async fn reconcile(observer: &Observer, applier: &Applier, observation: Observation) -> Outcome {
    let mut outcome = Outcome { observation, changes: Vec::new(), errors: Vec::new() };
    let planned = plan_cell(&outcome.observation);
    apply_all(applier, &planned, &mut outcome).await;
    if !planned.is_empty() {
        let mut after = expected(&outcome.observation, &outcome.changes);
        after.sighting = observer.look(vec![after.mission_id]).await.swap_remove(0);
        // What was checked out, or why not, is known only now.
        match applier.remembered(&after.issue.key).await {
            Ok(record) => after.record = record.or(after.record),
            Err(error) => outcome.errors.push(error),
        }
        outcome.observation = after;
    }
    let mut planned = plan_status(&outcome.observation);
    if planned.iter().any(Change::is_claim) {
        planned = plan_afresh(observer, planned, &mut outcome).await;
    }
    apply_all(applier, &planned, &mut outcome).await;
    if outcome.errors.iter().any(|error| matches!(error, WorldError::CommentGone { .. })) {
        look_again(observer, applier, &mut outcome).await;
    }
    // Two roots may take an issue at once, and the forge knows no lock. Of two comments of ours the smaller id keeps the
    // mission, and of two roots that look after they have posted, one at least sees both.
    if outcome.changes.iter().any(|change| matches!(change, Change::PostComment { .. })) {
        look_again(observer, applier, &mut outcome).await;
        // That there is none but ours is a part of having posted it.
        outcome.changes.retain(|change| !matches!(change, Change::RememberComment { .. }));
    }
    outcome
}

/// What [`reconcile`] would do. Holds nothing that could do it.
#[must_use]
pub fn imagine(observation: &Observation) -> Outcome {
    let changes = preview(observation);
    let observation = expected(observation, &changes);
    Outcome { observation, changes, errors: Vec::new() }
}

/// Changes of one half do not depend on each other: each is tried, whatever became of the others.
async fn apply_all(applier: &Applier, planned: &[Change], outcome: &mut Outcome) {
    for change in planned {
        match applier.apply(change).await {
            Ok(()) => outcome.changes.push(change.clone()),
            Err(error) if error.is_told_on_the_issue() => {
                tracing::warn!(kind = error.kind(), "{}: {error}", outcome.observation.issue.key);
            }
            Err(error) => outcome.errors.push(error),
        }
    }
}

/// Reads what is said on the issue right before this root claims it, and plans anew; another one may have been quicker.
/// That it was not is confirmed by a later pass, since of two edits the last one stays.
async fn plan_afresh(observer: &Observer, mut planned: Vec<Change>, outcome: &mut Outcome) -> Vec<Change> {
    match observer.comments(&outcome.observation.issue.key).await {
        Ok(comments) => {
            outcome.observation.comments = Comments::Read(comments);
            plan_status(&outcome.observation)
        }
        Err(error) => {
            outcome.errors.push(error.into());
            planned.retain(|change| !change.is_claim());
            planned
        }
    }
}

/// Plans the comment anew, from what is said on the issue now: one that we know was deleted, or another root spoke first.
async fn look_again(observer: &Observer, applier: &Applier, outcome: &mut Outcome) {
    let observation = &mut outcome.observation;
    match observer.comments(&observation.issue.key).await {
        Ok(comments) => {
            // Our own post is among them, and is not in the listing that the issue came from.
            observation.issue.comments = i64::try_from(comments.len()).unwrap_or(i64::MAX);
            observation.comments = Comments::Read(comments);
        }
        Err(error) => return outcome.errors.push(error.into()),
    }
    match applier.remembered(&observation.issue.key).await {
        Ok(record) => observation.record = record,
        Err(error) => return outcome.errors.push(error),
    }
    observation.repaired.clear();
    outcome.errors.retain(|error| !matches!(error, WorldError::CommentGone { .. }));
    let mut planned = plan_status(&outcome.observation);
    // The labels are right already, as far as they could be put right.
    planned.retain(|change| !change.is_about_labels());
    apply_all(applier, &planned, outcome).await;
}
