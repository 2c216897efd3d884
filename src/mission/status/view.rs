//! The meaning of a status: the facts behind labels and comment, and nothing that changes by the mere passing of time.

use crate::mission::approval::policy::{Approval, ApprovalRequest, requested_digest};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::cell::worktree::{CheckedOut, UnderWay, WorktreeSource};
use crate::mission::identity::{HostName, MissionId};
use crate::mission::proposal::formless::FormHelp;
use crate::mission::proposal::problem::Problem;
use crate::mission::proposal::{self, Spec};
use crate::mission::record::{Event, PauseRefusal};
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::{Refused, Waiting};
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// What the comment says, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// All that matters; a comment is written again only when this changes.
    pub view: StatusView,
    /// The last changes, oldest first.
    pub changes: Vec<Event>,
}

/// The meaning of a status. Nothing in here changes by the mere passing of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusView {
    /// The phase.
    pub phase: Phase,
    /// The verdict; none without a cell.
    pub health: Option<Health>,
    /// The reason's word.
    pub reason: Option<&'static str>,
    /// The path that the reason speaks of, below the cell.
    pub place: Option<&'static str>,
    /// What is wrong there.
    pub flaw: Option<String>,
    /// Since when phase and health are what they are; with a cell.
    pub since: Option<Timestamp>,
    /// The last heartbeat, while the wizard is silent.
    pub heartbeat_at: Option<Timestamp>,
    /// What the wizard says of itself, once it has beaten.
    pub agent_state: Option<WizardState>,
    /// Since when it says so, where it waits for people or has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_state_since: Option<Timestamp>,
    /// Its message then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The mission, once it has a cell.
    pub mission: Option<MissionId>,
    /// The cell's path: where it is, or would be.
    pub cell: Option<String>,
    /// This host.
    pub host: HostName,
    /// What was asked for, where it was understood.
    pub spec: Option<Spec>,
    /// The command that beats for this very cell.
    pub beat_command: Option<String>,
    /// The command that looks at every cell of this root.
    pub scan_command: String,
    /// What needs correcting.
    pub problems: Vec<Problem>,
    /// The form, where the issue was filed without it. Where it was not, the digest knows nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<FormHelp>,
    /// What a later edit asked for in vain.
    pub refused: Vec<Refused>,
    /// What the mission waits for.
    pub waiting: Option<Waiting>,
    /// The approval that is asked for, of a new proposal or of an edit.
    pub approval_prompt: Option<ApprovalPrompt>,
    /// The approval that it rests on.
    pub approval: Option<Approval>,
    /// That a person has paused it.
    pub suspended: Option<SuspensionView>,
    /// Why the label that was to pause it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_refused: Option<PauseRefusal>,
    /// What lies in the worktree, or is to.
    pub worktree: Option<WorktreeNews>,
    /// What becomes of the cell of a mission that has ended.
    pub teardown: Option<TeardownView>,
    /// That the cell came back from the archive.
    pub restored: Option<RestoredView>,
    /// The host's label, where issues carry it.
    pub host_label: Option<HostName>,
    /// How many invisible characters were removed.
    pub invisible: usize,
    /// What was made again.
    pub repair: Option<Repaired>,
    /// What this host could not do about the cell, and only a person can mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstructed: Option<String>,
    /// The mistakes in how the heartbeat is written. Left out where there are none, as in comments of earlier versions,
    /// so that their digests stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An approval that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalPrompt {
    /// The digest of the spec, as `meta/mission.json` will have it.
    pub digest: String,
    /// The title.
    pub name: String,
    /// Whether it is another title than the mission's.
    pub name_differs: bool,
    /// The spec.
    pub spec: Spec,
    /// How many invisible characters are left out.
    pub invisible: usize,
    /// How many characters the body has outside the answers.
    pub outside: usize,
    /// What is to be approved, and why the last approval does not count.
    pub request: ApprovalRequest,
    /// Whether `approval.approvers` names who may.
    pub has_approvers: bool,
    /// The author, where that account is trusted and may confirm it. Else left out, as in comments of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_author: Option<i64>,
}

/// A pause, and when it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuspensionView {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Until when, if the issue has a due date.
    pub until: Option<Timestamp>,
}

/// What lies in a worktree, or is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorktreeNews {
    /// It was asked for, and has not been tried yet.
    Wanted(WorktreeSource),
    /// It is being checked out, and that takes long.
    UnderWay(UnderWay),
    /// It lies there.
    CheckedOut(CheckedOut),
    /// It was tried in vain, and why.
    Failed(WorktreeSource, String),
}

/// Where the cell of a mission that has ended is, as people type it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeardownView {
    /// There is none.
    NoCell,
    /// Still in its place, until its wizard is silent or this moment has come.
    StaysUntil(Timestamp),
    /// It is to be moved, and could not be yet.
    Due,
    /// There.
    Archived(String),
    /// It was archived, and its archive was deleted.
    Deleted,
}

/// A cell that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoredView {
    /// When.
    pub at: Timestamp,
    /// Where what stood in its way lies now.
    pub displaced: Option<String>,
}

/// What was made again, by paths below the cell; `.` is the whole cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// When.
    pub at: Timestamp,
    /// What.
    pub paths: Vec<&'static str>,
}

impl Status {
    /// The digest that tells whether the comment is up to date.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut view = serde_json::to_value(&self.view).expect("plain data is always JSON");
        use_former_names(&mut view);
        // Half of the hash is plenty to tell two texts apart, and keeps the comment's first line short.
        let mut digest = proposal::digest(&view);
        digest.truncate(32);
        digest
    }

    /// The labels that the issue carries, of all those that are ours.
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

    /// What it asks to be approved, and that it shows all of it, as an approval is compared with it.
    #[must_use]
    pub fn requested_digest(&self) -> Option<String> {
        self.view.approval_prompt.as_ref().map(|asked| requested_digest(&asked.request.digest))
    }

    /// In a few words, for plans, logs and tables: `active, stale (silent)`.
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

/// Names of fields, now and in the first digests.
const FORMER_FIELDS: [(&str, &str); 4] = [
    ("agent_state", "says"),
    ("agent_state_since", "says_since"),
    ("approval_prompt", "asked"),
    ("teardown", "ending"),
];

/// Reasons of health, now and in the first digests.
const FORMER_REASONS: [(&str, &str); 6] = [
    ("no-heartbeat", "never-beaten"),
    ("not-initialized", "not-scaffolded"),
    ("heartbeat-ok", "beating"),
    ("completed", "finished"),
    ("heartbeat-timeout", "silent"),
    ("clock-skew", "stamp-in-future"),
];

/// Digests are taken over the names that the first comments were written with: a field or a reason that is renamed is no
/// change of status, so no comment is written again for it.
fn use_former_names(view: &mut Value) {
    let Value::Object(fields) = view else { return };
    for (now, former) in FORMER_FIELDS {
        if let Some(value) = fields.remove(now) {
            fields.insert(former.to_owned(), value);
        }
    }
    let prompt = fields.get_mut("asked").and_then(Value::as_object_mut);
    if let Some((prompt, request)) = prompt.and_then(|prompt| prompt.remove("request").map(|request| (prompt, request)))
    {
        prompt.insert("asking".to_owned(), request);
    }
    if let Some(reason) = fields.get_mut("reason")
        && let Some((_, former)) = FORMER_REASONS.iter().find(|(now, _)| reason == now)
    {
        *reason = Value::from(*former);
    }
}
