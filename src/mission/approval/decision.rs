//! Whether somebody who may has agreed to what a proposal asks for, and to nothing else.

use crate::mission::approval::policy::{
    Approval, ApprovalMode, ApprovalRequest, Denial, approval_digest, requested_digest, text_digest,
};
use crate::mission::observation::{CommentFacts, LabelEvent, Observation, Timeline};
use crate::mission::proposal::Proposal;
use crate::mission::status::label::Label;
use crate::mission::status::own_comment::{OwnComment, own_comment};

/// What is known of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// None is needed.
    NotRequired,
    /// It was given.
    Approved(Approval),
    /// It is waited for.
    Requested(ApprovalRequest),
}

/// Whether this proposal may be carried out.
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
    let before = record.and_then(|record| record.approval_request.clone()).filter(|asking| asking.digest == digest);
    if !observation.issue.has(&Label::ApprovalGranted) {
        let denial = before.and_then(|asking| asking.denial);
        let is_told = matches!(denial, Some(Denial::Changed(_)));
        let is_news = !is_told && shows(observation, &digest) && own_comment(observation).was_changed();
        return ApprovalState::Requested(ApprovalRequest {
            digest,
            denial: if is_news { Some(Denial::Changed(None)) } else { denial },
        });
    }
    match verify_approval(observation, proposal, &digest) {
        Ok(given) => ApprovalState::Approved(given),
        Err(denial) => ApprovalState::Requested(ApprovalRequest { digest, denial: Some(denial) }),
    }
}

fn is_needed(observation: &Observation, proposal: &Proposal) -> bool {
    let is_asked = observation.here.approval.mode == ApprovalMode::Label;
    let Some(binding) = observation.binding() else {
        let is_as_filed = is_by_trusted_author(observation) && is_first_text(observation);
        return proposal.spec.cell.is_some() || (is_asked && !is_as_filed);
    };
    let is_news = binding.name != proposal.name || binding.spec != proposal.spec;
    is_asked && is_news
}

fn is_by_trusted_author(observation: &Observation) -> bool {
    observation.here.approval.authors.contains(&observation.issue.key.author_id)
}

/// Whether the text as it was first read needs no approval, but another one does.
#[must_use]
pub fn depends_on_first_text(observation: &Observation) -> bool {
    observation.here.approval.mode == ApprovalMode::Label && is_by_trusted_author(observation)
}

/// Whether nobody has edited the issue since it was first read; before that, nobody can know.
fn is_first_text(observation: &Observation) -> bool {
    let first = observation.record.as_ref().and_then(|record| record.first_text.as_ref());
    let issue = &observation.issue;
    first.is_none_or(|first| *first == text_digest(&issue.title, &issue.body))
}

/// Whether a click of the issue's own author approves this: trusted authors confirm edits of what they filed. To take over
/// a cell that exists somebody else has to agree.
#[must_use]
pub fn may_author_confirm(observation: &Observation, proposal: &Proposal) -> bool {
    let is_adoption = observation.binding().is_none() && proposal.spec.cell.is_some();
    depends_on_first_text(observation) && !is_adoption
}

/// Holds the last click on the label against everything that makes it an approval.
fn verify_approval(observation: &Observation, proposal: &Proposal, digest: &str) -> Result<Approval, Denial> {
    let Timeline::Read(events) = &observation.timeline else { return Err(Denial::Outdated(None)) };
    let clicks = events.iter().filter(|event| event.label == Label::ApprovalGranted);
    let click = clicks.max_by_key(|event| event.id).filter(|event| event.is_added).ok_or(Denial::Nobody)?;
    let here = &observation.here;
    let by = click.who.clone();
    if by.id <= 0 || here.is_ours(by.id) {
        return Err(Denial::Nobody);
    }
    let is_author = by.id == observation.issue.key.author_id;
    if is_author && !may_author_confirm(observation, proposal) {
        return Err(Denial::Author(by));
    }
    if !is_author && !here.approval.approvers.is_empty() && !here.approval.approvers.contains(&by.id) {
        return Err(Denial::NotAnApprover(by));
    }
    let own = own_comment(observation);
    let is_shown = shows(observation, digest);
    if matches!(own, OwnComment::AsLeft(comment) if is_shown && approved_current_text(observation, click, comment)) {
        return Ok(Approval { digest: digest.to_owned(), by, at: click.at });
    }
    Err(if is_shown && own.was_changed() { Denial::Changed(Some(by)) } else { Denial::Outdated(Some(by)) })
}

/// Whether our comment asked for this when we left it, and showed all of it.
fn shows(observation: &Observation, digest: &str) -> bool {
    let spoken = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    spoken.is_some_and(|spoken| spoken.requested_digest == Some(requested_digest(digest)))
}

/// Whether the click came after the request was first shown. The forge tells whole seconds, so what happened in the second
/// of that write may have come before it. A comment that was never edited has an id in one sequence with the timeline's
/// (go-gitea/gitea `models/issues/comment.go`).
fn approved_current_text(observation: &Observation, click: &LabelEvent, comment: &CommentFacts) -> bool {
    let Some(spoken) = observation.record.as_ref().and_then(|record| record.comment.as_ref()) else { return false };
    let was_never_edited = !spoken.is_edited && comment.updated_at == comment.created_at;
    spoken.requested_at.is_some_and(|requested_at| click.at > requested_at)
        || (was_never_edited && click.id > comment.id)
}
