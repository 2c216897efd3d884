//! Decides whether an authorized person approved exactly what a proposal requests.

use crate::mission::approval::policy::{
    Approval, ApprovalMode, ApprovalRequest, Denial, approval_digest, requested_digest, text_digest,
};
use crate::mission::observation::{CommentFacts, LabelEvent, Observation, Timeline};
use crate::mission::proposal::Proposal;
use crate::mission::status::label::Label;
use crate::mission::status::own_comment::{OwnComment, own_comment};

/// The state of a proposal's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// No approval is required.
    NotRequired,
    /// The approval was given.
    Approved(Approval),
    /// The approval is requested and not given yet.
    Requested(ApprovalRequest),
}

/// Whether a proposal may be carried out.
#[must_use]
pub fn approval_state(observation: &Observation, proposal: &Proposal) -> ApprovalState {
    if !is_needed(observation, proposal) {
        return ApprovalState::NotRequired;
    }
    let digest = approval_digest(proposal);
    let record = observation.record.as_ref();
    if let Some(given) = record.and_then(|record| record.approval.clone()).filter(|given| given.digest == digest) {
        return ApprovalState::Approved(given);
    }
    let before = record.and_then(|record| record.approval_request.clone()).filter(|request| request.digest == digest);
    if !observation.issue.has(&Label::ApprovalGranted) {
        let denial = before.and_then(|request| request.denial);
        let is_reported = matches!(denial, Some(Denial::Changed(_)));
        let is_new = !is_reported && shows(observation, &digest) && own_comment(observation).was_changed();
        return ApprovalState::Requested(ApprovalRequest {
            digest,
            denial: if is_new { Some(Denial::Changed(None)) } else { denial },
        });
    }
    match verify_approval(observation, proposal, &digest) {
        Ok(given) => ApprovalState::Approved(given),
        Err(denial) => ApprovalState::Requested(ApprovalRequest { digest, denial: Some(denial) }),
    }
}

fn is_needed(observation: &Observation, proposal: &Proposal) -> bool {
    let is_required = observation.here.approval.mode == ApprovalMode::Label;
    let Some(binding) = observation.binding() else {
        let is_as_filed = is_by_trusted_author(observation) && is_first_text(observation);
        return proposal.spec.cell.is_some() || (is_required && !is_as_filed);
    };
    let is_changed = binding.name != proposal.name || binding.spec != proposal.spec;
    is_required && is_changed
}

fn is_by_trusted_author(observation: &Observation) -> bool {
    observation.here.approval.authors.contains(&observation.issue.key.author_id)
}

/// Whether the text as first read needs no approval, while an edited one does.
#[must_use]
pub fn depends_on_first_text(observation: &Observation) -> bool {
    observation.here.approval.mode == ApprovalMode::Label && is_by_trusted_author(observation)
}

/// Whether the issue is unedited since it was first read; earlier edits cannot be detected.
fn is_first_text(observation: &Observation) -> bool {
    let first = observation.record.as_ref().and_then(|record| record.first_text.as_ref());
    let issue = &observation.issue;
    first.is_none_or(|first| *first == text_digest(&issue.title, &issue.body))
}

/// Whether the issue's own author may approve this: trusted authors confirm edits of their own issues. Adopting an
/// existing cell needs another person.
#[must_use]
pub fn may_author_confirm(observation: &Observation, proposal: &Proposal) -> bool {
    let is_adoption = observation.binding().is_none() && proposal.spec.cell.is_some();
    depends_on_first_text(observation) && !is_adoption
}

/// Checks the last change of the label against all conditions of an approval.
fn verify_approval(observation: &Observation, proposal: &Proposal, digest: &str) -> Result<Approval, Denial> {
    let Timeline::Read(events) = &observation.timeline else { return Err(Denial::Outdated(None)) };
    let clicks = events.iter().filter(|event| event.label == Label::ApprovalGranted);
    let click = clicks.max_by_key(|event| event.id).filter(|event| event.is_added).ok_or(Denial::Nobody)?;
    let context = &observation.here;
    let by = click.who.clone();
    if by.id <= 0 || context.is_ours(by.id) {
        return Err(Denial::Nobody);
    }
    let is_author = by.id == observation.issue.key.author_id;
    if is_author && !may_author_confirm(observation, proposal) {
        return Err(Denial::Author(by));
    }
    if !is_author && !context.approval.approvers.is_empty() && !context.approval.approvers.contains(&by.id) {
        return Err(Denial::NotAnApprover(by));
    }
    let own = own_comment(observation);
    let is_shown = shows(observation, digest);
    if matches!(own, OwnComment::AsLeft(comment) if is_shown && approved_current_text(observation, click, comment)) {
        return Ok(Approval { digest: digest.to_owned(), by, at: click.at });
    }
    Err(if is_shown && own.was_changed() { Denial::Changed(Some(by)) } else { Denial::Outdated(Some(by)) })
}

/// Whether the comment as last written requested this approval and showed it in full.
fn shows(observation: &Observation, digest: &str) -> bool {
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    known.is_some_and(|known| known.requested_digest == Some(requested_digest(digest)))
}

/// Whether the label was set after the request was first shown. Gitea reports whole seconds, so an event in the second
/// of that write may precede it. The id of a never edited comment is in one sequence with the timeline's ids
/// (go-gitea/gitea `models/issues/comment.go`).
fn approved_current_text(observation: &Observation, click: &LabelEvent, comment: &CommentFacts) -> bool {
    let Some(known) = observation.record.as_ref().and_then(|record| record.comment.as_ref()) else { return false };
    let was_never_edited = !known.is_edited && comment.updated_at == comment.created_at;
    known.requested_at.is_some_and(|requested_at| click.at > requested_at)
        || (was_never_edited && click.id > comment.id)
}
