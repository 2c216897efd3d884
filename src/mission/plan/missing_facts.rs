//! Which facts a plan depends on and nobody has asked the forge for yet.

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

/// What is to be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingFacts {
    /// The issue's comments, also where they were read before.
    pub comments: bool,
    /// Our comment alone, by its id.
    pub comment: Option<i64>,
    /// Who set which label, and when.
    pub timeline: bool,
    /// What the forge says of the repository that a worktree is wanted from.
    pub origin: Option<RepositoryName>,
    /// Our record of the issue.
    pub record: bool,
}

impl MissingFacts {
    /// Whether there is nothing to fetch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a turn has to know before it plans.
#[must_use]
pub fn missing_facts(observation: &Observation, situation: &Lifecycle) -> MissingFacts {
    let timeline = needs_timeline(observation, situation);
    MissingFacts {
        comments: timeline || needs_comments(observation, situation),
        comment: observation.comment_to_check().filter(|_| !is_told_nothing(situation)),
        timeline,
        origin: needs_origin(observation, situation),
        record: false,
    }
}

/// Whether the plan depends on comments that have not been read: on an issue without a cell of ours,
/// another root may have spoken, and what we said may not be known to us.
fn needs_comments(observation: &Observation, situation: &Lifecycle) -> bool {
    if observation.comments != Comments::Unread {
        return false;
    }
    if is_told_nothing(situation) || (*situation == Lifecycle::NotForThisHost && observation.here.take == Take::Named) {
        return false;
    }
    let Some(record) = &observation.record else { return true };
    let issue = &observation.issue;
    if let Some(elsewhere) = &record.other_owner {
        let is_old = elsewhere.updated_at != issue.updated_at || elsewhere.comments != issue.comments;
        return observation.here.is_this_root(elsewhere.root) || (is_old && issue.is_open());
    }
    if record.deferred_at.is_some() {
        // What the other host said is of no use once it is not for it to answer.
        return record.deferred_at != Some(issue.updated_at) || !matches!(situation, Lifecycle::NotForThisHost);
    }
    let is_unsure = record.comment.as_ref().is_none_or(|comment| !comment.is_confirmed) || has_lost_a_comment(record);
    if is_unsure || observation.is_comment_suspect || has_lost_an_alarm(observation) {
        return true;
    }
    let is_asking = record.approval_request.is_some();
    if is_asking && record.comment.as_ref().is_none_or(|comment| comment.body_sha256.is_none()) {
        return true;
    }
    // Before a request is shown otherwise, it has to be known whether what was shown so far was ours.
    let depends = record.binding.is_none() || is_asking;
    needs_timeline(observation, situation) || (depends && writes_anything(observation, situation))
}

/// Whether nobody knows if our comment says what it was meant to say.
fn has_lost_a_comment(record: &Record) -> bool {
    record.comment_intent.is_some() || record.comment_intent_body.is_some()
}

/// Whether nothing is said on the issue, whatever its comments are.
fn is_told_nothing(situation: &Lifecycle) -> bool {
    matches!(situation, Lifecycle::NotAProposal | Lifecycle::Missing | Lifecycle::Deleted(_))
}

/// Whether nobody knows if an alarm of a mission that goes on was said.
fn has_lost_an_alarm(observation: &Observation) -> bool {
    let is_open = observation.issue.is_open() && observation.binding().is_some();
    is_open && observation.record.as_ref().is_some_and(|record| record.alert.intent.is_some())
}

/// Whether the plan depends on who put a label on the issue, and when; then it depends on the comments, too.
fn needs_timeline(observation: &Observation, situation: &Lifecycle) -> bool {
    if observation.timeline != Timeline::Unread || !observation.issue.is_open() {
        return false;
    }
    let has_spoken = observation.record.as_ref().is_some_and(|record| record.comment.is_some());
    let is_edited = matches!(situation, Lifecycle::Active(active) if active.edit.is_some());
    let is_granted =
        (is_edited || situation.waits_for_approval()) && has_spoken && observation.issue.has(&Label::ApprovalGranted);
    is_granted || needs_label_history(observation)
}

/// The repository that the plan depends on and that the forge was not asked about.
fn needs_origin(observation: &Observation, situation: &Lifecycle) -> Option<RepositoryName> {
    let Lifecycle::Active(active) = situation else { return None };
    let is_new = match observation.sighting {
        // A cell that comes back brings its worktree along.
        CellObservation::Absent => observation.archive.kept.is_none(),
        CellObservation::Cell(_) => false,
        // Nothing can be filled there, whatever the answer.
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

/// Whether the plan as it stands would change more than our memory.
fn writes_anything(observation: &Observation, situation: &Lifecycle) -> bool {
    let planned = plan_cell(observation, situation).into_iter().chain(plan_status(observation, situation));
    planned.into_iter().any(|change| !change.is_record_only())
}
