//! Missions at some moment of their lives, as they are observed, without a forge.

use crate::support::cells::{at, seconds, with_heartbeat};
use crate::support::missions::{active, body, edit, labelled, proposal, settled};
use lazarus::mission::approval::policy::{ApprovalMode, ApprovalPolicy};
use lazarus::mission::cell::worktree::{CheckedOut, FailedCheckout, WorktreeSource};
use lazarus::mission::cell::{CellFacts, CellObservation};
use lazarus::mission::identity::CommitId;
use lazarus::mission::observation::{CommentFacts, Comments, LabelEvent, Observation, PassContext, Timeline};
use lazarus::mission::person::Person;
use lazarus::mission::record::{IssueState, Suspension};
use lazarus::mission::status::label::Label;
use lazarus::mission::status::phase::Phase;
use std::sync::Arc;

/// The author of every proposal here.
pub(crate) const AUTHOR: i64 = 4;
/// Somebody who may set labels.
pub(crate) const MAINTAINER: i64 = 5;

pub(crate) fn here(mut observation: Observation, change: impl FnOnce(&mut PassContext)) -> Observation {
    let mut here = (*observation.here).clone();
    change(&mut here);
    observation.here = Arc::new(here);
    observation
}

/// The same where approvals are asked for, and these accounts may give them; all, where there are none.
pub(crate) fn in_label_mode(observation: Observation, approvers: &[i64]) -> Observation {
    let approvers = approvers.iter().copied().collect();
    let policy = ApprovalPolicy { mode: ApprovalMode::Label, approvers, ..ApprovalPolicy::default() };
    here(observation, |here| here.approval = policy)
}

/// Somebody has swapped the label `approval/needed` for `approval/granted`, some seconds from now.
pub(crate) fn clicked(mut observation: Observation, who: i64, seconds: i64) -> Observation {
    observation.issue.labels.retain(|label| label.name != "approval/needed");
    observation.issue.labels.extend(labelled(&["approval/granted"]));
    let spoken = observation.record.as_ref().and_then(|record| record.comment.clone());
    observation.comments = Comments::Read(spoken.map(|spoken| as_left(&observation, &spoken)).into_iter().collect());
    observation.timeline = Timeline::Read(vec![event(Label::ApprovalGranted, who, seconds)]);
    observation
}

/// Our comment as we left it, edited since it was posted.
pub(crate) fn as_left(observation: &Observation, spoken: &lazarus::mission::record::StatusComment) -> CommentFacts {
    let marker = lazarus::mission::status::marker::Marker {
        mission: observation.binding().map(|binding| binding.mission_id),
        root: observation.binding().and(observation.here.root),
        host: observation.binding().map(|_| observation.here.host.clone()),
        digest: spoken.digest.clone(),
    };
    let (poster, updated_at) = (observation.here.me, spoken.updated_at.unwrap());
    let (created_at, body_sha256) = (updated_at.plus(seconds(-10)), spoken.body_sha256.clone().unwrap());
    CommentFacts { id: spoken.id, poster, marker: Some(marker), alert: None, body_sha256, created_at, updated_at }
}

pub(crate) fn event(label: Label, who: i64, seconds: i64) -> LabelEvent {
    let who = Person { id: who, login: format!("person{who}") };
    LabelEvent { id: 100, at: at(seconds), who, label, is_added: true }
}

/// A mission that was active, and whose issue is closed now.
pub(crate) fn closed(cell: CellFacts) -> Observation {
    let mut observation = active(cell);
    observation.issue.state = IssueState::Closed;
    observation
}

/// One whose cell lies in the archive since, and whose issue is open again.
pub(crate) fn reopened() -> Observation {
    let mut observation = settled(closed(with_heartbeat(-400, "working")));
    observation.issue.state = IssueState::Open;
    observation
}

/// A mission that a person has paused a minute ago.
pub(crate) fn suspended(cell: CellFacts) -> Observation {
    let mut observation = active(cell);
    observation.issue.labels = labelled(&["kind/mission-proposal", "mission/suspended", "health/healthy"]);
    if let Some(record) = &mut observation.record {
        let by = Person { id: MAINTAINER, login: "merlin".to_owned() };
        record.suspension = Some(Suspension { since: at(-60), by, until: None });
        if let Some(said) = &mut record.published {
            said.phase = Phase::Suspended;
        }
    }
    observation
}

pub(crate) fn spellbook() -> WorktreeSource {
    let answers = [("Repository", "wizards/spellbook"), ("Ref", "main")];
    WorktreeSource::of(&proposal(&answers).proposal().unwrap().spec).unwrap()
}

/// A mission whose worktree was checked out, and whose proposal then says this.
pub(crate) fn checked_out(answers: &[(&str, &str)]) -> Observation {
    let mut observation = with_spellbook();
    if let Some(record) = &mut observation.record {
        let commit = CommitId::parse(&"5a".repeat(20)).unwrap();
        record.worktree.failed = None;
        record.worktree.checked_out = Some(CheckedOut { source: spellbook(), commit });
    }
    edit(&mut observation, &body(answers));
    observation
}

/// One whose repository cannot be had.
pub(crate) fn not_checked_out(why: &str) -> Observation {
    let mut observation = with_spellbook();
    if let Some(record) = &mut observation.record {
        let (source, why) = (spellbook(), why.to_owned());
        record.worktree.failed = Some(Box::new(FailedCheckout { source, failures: 1, retry_at: at(60), why }));
    }
    observation
}

fn with_spellbook() -> Observation {
    let mut observation = settled(proposal(&[("Repository", "wizards/spellbook"), ("Ref", "main")]));
    if let CellObservation::Cell(cell) = &mut observation.sighting {
        cell.heartbeat = with_heartbeat(-10, "working").heartbeat;
    }
    settled(observation)
}
