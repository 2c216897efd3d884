//! The status view: the facts that labels and comment publish, none of which changes only because time passes.

use crate::mission::approval::policy::{Approval, ApprovalRequest, requested_digest};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::cell::worktree::{CheckedOut, UnderWay, WorktreeSource};
use crate::mission::identity::{HostName, MissionId};
use crate::mission::proposal::Spec;
use crate::mission::proposal::formless::FormHelp;
use crate::mission::proposal::problem::Problem;
use crate::mission::record::{Event, PauseRefusal};
use crate::mission::status::former_words::use_former_words;
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::{Refused, Waiting};
use crate::mission::status::phase::Phase;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;
use serde::Serialize;

/// The contents of the status comment, before rendering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The published facts; the comment is edited only when they change.
    pub view: StatusView,
    /// The last changes, oldest first; not part of the digest.
    pub changes: Vec<Event>,
}

/// The published facts. None of them changes only because time passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusView {
    /// The mission's phase.
    pub phase: Phase,
    /// The cell's health; none without a cell.
    pub health: Option<Health>,
    /// The reason of the health, by its fixed name.
    pub reason: Option<&'static str>,
    /// The path below the cell that the reason is about.
    pub place: Option<&'static str>,
    /// What is wrong at that path.
    pub flaw: Option<String>,
    /// Since when phase and health are unchanged; none without a cell.
    pub since: Option<Timestamp>,
    /// The last heartbeat, after a heartbeat timeout.
    pub heartbeat_at: Option<Timestamp>,
    /// The state that the agent reported last; none before its first heartbeat.
    pub agent_state: Option<WizardState>,
    /// Since when it reports this state, if that is waiting or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_state_since: Option<Timestamp>,
    /// The message that it reported with that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The mission, once it has a cell.
    pub mission: Option<MissionId>,
    /// The path of the cell, or of the cell to create.
    pub cell: Option<String>,
    /// This host's name.
    pub host: HostName,
    /// The spec of the valid proposal.
    pub spec: Option<Spec>,
    /// The command that sends a heartbeat for this cell.
    pub beat_command: Option<String>,
    /// The command that checks every cell of this root.
    pub scan_command: String,
    /// The answers that need correcting.
    pub problems: Vec<Problem>,
    /// The form, if the issue was filed without it; otherwise left out of the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<FormHelp>,
    /// The edits that were not applied.
    pub refused: Vec<Refused>,
    /// What the mission waits for.
    pub waiting: Option<Waiting>,
    /// The approval that is requested, for a new proposal or for an edit.
    pub approval_prompt: Option<ApprovalPrompt>,
    /// The approval that was given.
    pub approval: Option<Approval>,
    /// The pause, if a person has paused the mission.
    pub suspended: Option<SuspensionView>,
    /// Why the service removed the label `mission/suspended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_refused: Option<PauseRefusal>,
    /// The checkout in the worktree, or the requested one.
    pub worktree: Option<WorktreeView>,
    /// The state of the cell of a closed mission.
    pub teardown: Option<TeardownView>,
    /// The restoration of the cell from the archive.
    pub restored: Option<RestoredView>,
    /// The host of the label `host/…`, with `host.label`.
    pub host_label: Option<HostName>,
    /// The number of invisible characters removed from title and objective.
    pub invisible: usize,
    /// The parts that were recreated.
    pub repair: Option<Repaired>,
    /// What blocks this host until a person acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstructed: Option<String>,
    /// The mistakes in how the heartbeat is written. An empty list is left out, so that digests of earlier versions
    /// stay valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A requested approval, as the comment shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalPrompt {
    /// The digest of the spec, as `meta/mission.json` will have it.
    pub digest: String,
    /// The proposal's title.
    pub name: String,
    /// Whether the title differs from the mission's.
    pub name_differs: bool,
    /// The spec to approve.
    pub spec: Spec,
    /// The number of invisible characters left out.
    pub invisible: usize,
    /// The number of characters in the body outside the answers.
    pub outside: usize,
    /// The request, with the reason why the last approval does not count.
    pub request: ApprovalRequest,
    /// Whether `approval.approvers` lists accounts.
    pub has_approvers: bool,
    /// The author's id, if that account is trusted and may confirm the edit; otherwise left out of the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_author: Option<i64>,
}

/// A pause, and when it ends automatically.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuspensionView {
    /// When it began.
    pub since: Timestamp,
    /// The login of the person who paused the mission.
    pub by: String,
    /// When it ends, if the issue has a due date.
    pub until: Option<Timestamp>,
}

/// The state of a worktree's checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorktreeView {
    /// Requested, and not tried yet.
    Wanted(WorktreeSource),
    /// Being checked out for longer than a few seconds.
    UnderWay(UnderWay),
    /// Checked out.
    CheckedOut(CheckedOut),
    /// Failed, with the reason.
    Failed(WorktreeSource, String),
}

/// Where the cell of a closed mission is, with paths as people type them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeardownView {
    /// There is no cell.
    NoCell,
    /// In its place until its heartbeats stop, at the latest until this time.
    StaysUntil(Timestamp),
    /// Ready to be moved, and not moved yet.
    Due,
    /// In the archive, at this path.
    Archived(String),
    /// Archived, and the archive was deleted.
    Deleted,
}

/// A cell that was restored from the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoredView {
    /// When it was restored.
    pub at: Timestamp,
    /// The archive path of what was in its place.
    pub displaced: Option<String>,
}

/// The recreated parts, by paths below the cell; `.` is the whole cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// When they were recreated.
    pub at: Timestamp,
    /// Their paths.
    pub paths: Vec<&'static str>,
}

impl Status {
    /// The digest in the comment's first line, which shows whether the comment is up to date.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut view = serde_json::to_value(&self.view).expect("plain data is always JSON");
        use_former_words(&mut view);
        // Half of the hash is plenty to tell two texts apart, and keeps the comment's first line short.
        let mut digest = sha256(&view.to_string());
        digest.truncate(32);
        digest
    }

    /// The lazarus-managed labels that the issue should carry.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        let phase = Label::Phase(self.view.phase);
        let health = self.view.health.map(Label::Health);
        let wizard = self.view.agent_state.map(Label::Wizard);
        let approval = match (&self.view.approval_prompt, &self.view.approval) {
            (Some(_), _) => Some(Label::ApprovalNeeded),
            (None, Some(_)) => Some(Label::ApprovalGranted),
            (None, None) => None,
        };
        let host = self.view.host_label.clone().map(Label::Host);
        [Some(Label::Proposal), Some(phase), health, approval, wizard, host].into_iter().flatten().collect()
    }

    /// The digest of the approval request that the comment shows in full; an approval is compared with it.
    #[must_use]
    pub fn requested_digest(&self) -> Option<String> {
        self.view.approval_prompt.as_ref().map(|prompt| requested_digest(&prompt.request.digest))
    }

    /// A short form for plans, logs and tables: `active, stale (heartbeat-timeout)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let StatusView { phase, health, reason, place, .. } = &self.view;
        match (health, reason, place) {
            (Some(health), Some(reason), Some(place)) => format!("{phase}, {health} ({reason} {place})"),
            (Some(health), Some(reason), None) => format!("{phase}, {health} ({reason})"),
            (Some(health), None, _) => format!("{phase}, {health}"),
            (None, _, _) => phase.to_string(),
        }
    }
}
