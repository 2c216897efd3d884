//! Determines which facts a plan depends on that were not requested from Gitea yet.

use crate::mission::approval::suspension::needs_label_history;
use crate::mission::cell::CellObservation;
use crate::mission::cell::checkout::{CheckoutDecision, decide_checkout};
use crate::mission::identity::RepositoryName;
use crate::mission::observation::{Comments, Observation, Take, Timeline};
use crate::mission::plan::cell::plan_cell;
use crate::mission::plan::plan_status;
use crate::mission::record::Record;
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::Lifecycle;

/// The facts to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingFacts {
    /// The issue's comments, even if they were read before.
    pub comments: bool,
    /// The id of the status comment, to be requested alone.
    pub comment: Option<i64>,
    /// The timeline: who set which label, and when.
    pub timeline: bool,
    /// The repository of the requested worktree, to be looked up.
    pub origin: Option<RepositoryName>,
    /// The record of the issue.
    pub record: bool,
}

impl MissingFacts {
    /// Whether there is nothing to fetch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The facts that a turn needs before it plans.
#[must_use]
pub fn missing_facts(observation: &Observation, lifecycle: &Lifecycle) -> MissingFacts {
    let timeline = needs_timeline(observation, lifecycle);
    MissingFacts {
        comments: timeline || needs_comments(observation, lifecycle),
        comment: observation.comment_to_check().filter(|_| !has_no_status(lifecycle)),
        timeline,
        origin: needs_origin(observation, lifecycle),
        record: false,
    }
}

/// Whether the plan depends on unread comments: on an issue without a cell of this root another root may have
/// commented, and the record of our own comment may be lost.
fn needs_comments(observation: &Observation, lifecycle: &Lifecycle) -> bool {
    if observation.comments != Comments::Unread {
        return false;
    }
    if has_no_status(lifecycle) || (*lifecycle == Lifecycle::NotForThisHost && observation.here.take == Take::Named) {
        return false;
    }
    let Some(record) = &observation.record else { return true };
    let issue = &observation.issue;
    if let Some(owner) = &record.other_owner {
        let is_old = owner.updated_at != issue.updated_at || owner.comments != issue.comments;
        return observation.here.is_this_root(owner.root) || (is_old && issue.is_open());
    }
    if record.deferred_at.is_some() {
        // The other host's comment matters only while the issue is reserved for that host.
        return record.deferred_at != Some(issue.updated_at) || !matches!(lifecycle, Lifecycle::NotForThisHost);
    }
    let is_unsure = record.comment.as_ref().is_none_or(|comment| !comment.is_confirmed) || has_pending_comment(record);
    if is_unsure || observation.is_comment_suspect || has_pending_alert(observation) {
        return true;
    }
    let is_requesting = record.approval_request.is_some();
    if is_requesting && record.comment.as_ref().is_none_or(|comment| comment.body_sha256.is_none()) {
        return true;
    }
    // Before the shown request changes, it must be known whether the text shown so far was written by this service.
    let depends = record.binding.is_none() || is_requesting;
    needs_timeline(observation, lifecycle) || (depends && writes_anything(observation, lifecycle))
}

/// Whether the answer to a write of the status comment was lost.
fn has_pending_comment(record: &Record) -> bool {
    record.comment_intent.is_some() || record.comment_intent_body.is_some()
}

/// Whether nothing is published on the issue, whatever its comments are.
fn has_no_status(lifecycle: &Lifecycle) -> bool {
    matches!(lifecycle, Lifecycle::NotAProposal | Lifecycle::Missing | Lifecycle::Deleted(_))
}

/// Whether the answer to an alert's post was lost, on an open mission with a cell.
fn has_pending_alert(observation: &Observation) -> bool {
    let is_open = observation.issue.is_open() && observation.binding().is_some();
    is_open && observation.record.as_ref().is_some_and(|record| record.alert.intent.is_some())
}

/// Whether the plan depends on who set a label, and when; it then depends on the comments too.
fn needs_timeline(observation: &Observation, lifecycle: &Lifecycle) -> bool {
    if observation.timeline != Timeline::Unread || !observation.issue.is_open() {
        return false;
    }
    let has_comment = observation.record.as_ref().is_some_and(|record| record.comment.is_some());
    let is_edited = matches!(lifecycle, Lifecycle::Active(active) if active.edit.is_some());
    let is_granted =
        (is_edited || lifecycle.waits_for_approval()) && has_comment && observation.issue.has(&Label::ApprovalGranted);
    is_granted || needs_label_history(observation)
}

/// The repository that the plan depends on and that was not looked up yet.
fn needs_origin(observation: &Observation, lifecycle: &Lifecycle) -> Option<RepositoryName> {
    let Lifecycle::Active(active) = lifecycle else { return None };
    let is_new = match observation.sighting {
        // A restored cell keeps its worktree.
        CellObservation::Absent => observation.archive.kept.is_none(),
        CellObservation::Cell(_) => false,
        // Nothing can be checked out there.
        CellObservation::NotADirectory(_) | CellObservation::Failed(_) => return None,
    };
    match decide_checkout(observation, &active.proposal.spec, is_new) {
        CheckoutDecision::Ask(repository) if active.suspension.is_none() => Some(repository),
        CheckoutDecision::Ask(_)
        | CheckoutDecision::Nothing
        | CheckoutDecision::Refused(_)
        | CheckoutDecision::CheckOut(_) => None,
    }
}

/// Whether the current plan changes more than records.
fn writes_anything(observation: &Observation, lifecycle: &Lifecycle) -> bool {
    let planned = plan_cell(observation, lifecycle).into_iter().chain(plan_status(observation, lifecycle));
    planned.into_iter().any(|change| !change.is_record_only())
}
