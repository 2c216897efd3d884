//! The record of one issue. Its binding is authoritative; all other copies are for readers.

use crate::mission::alert::state::AlertRecord;
use crate::mission::approval::policy::{Approval, ApprovalRequest};
use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::flap_damping::FlapDamping;
use crate::mission::cell::health::{CellPath, Facts, Verdict, assess};
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::cell::heartbeat_fields::Notes;
use crate::mission::cell::worktree::Worktree;
use crate::mission::failure::MissionFailure;
use crate::mission::identity::{HostName, IssueId, MissionId, RepositoryId, RepositoryName, RootId};
use crate::mission::person::Person;
use crate::mission::proposal::{Proposal, Spec};
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many past changes the comment lists.
pub const CHANGES_MAX: usize = 5;

/// The identity of an issue, with all that is needed to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[display("{repository}#{number}")]
pub struct IssueKey {
    /// The repository's id; survives a rename.
    pub repository_id: RepositoryId,
    /// The repository's name when it was last seen.
    pub repository: RepositoryName,
    /// The issue's id, unique on its forge.
    pub issue_id: IssueId,
    /// The issue's number in its repository.
    pub number: i64,
    /// The id of its author's account; zero or less is not a real account.
    pub author_id: i64,
}

/// The record of one issue: `.lazarus/missions/<repository id>-<issue id>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The issue.
    #[serde(flatten)]
    pub issue: IssueKey,
    /// The issue's last title, while there is no binding with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The cell that belongs to it, once there is one.
    #[serde(default)]
    pub binding: Option<Binding>,
    /// Our status comment.
    #[serde(default)]
    pub comment: Option<StatusComment>,
    /// The digest of a comment that is being written. It outlives a crash and a failed write of the record; then the
    /// comment is read before the next write, and is not mistaken for another host's.
    #[serde(default, alias = "intended")]
    pub comment_intent: Option<String>,
    /// The SHA-256 of that comment's text.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "intended_body")]
    pub comment_intent_body: Option<String>,
    /// How many comments the issue had when ours was last read; only this shows a deletion. None in records of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<i64>,
    /// The status that our labels and comment last published.
    #[serde(default, alias = "said")]
    pub published: Option<Published>,
    /// The last repair, until the next change.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// The last changes, oldest first, at most [`CHANGES_MAX`].
    #[serde(default)]
    pub changes: Vec<Event>,
    /// The flap damping of its health.
    #[serde(default, alias = "flapping")]
    pub flap_damping: FlapDamping,
    /// Whether the last pass saw it degrade together with too many others, and has not published that
    /// ([`crate::mission::fleet::mass_change_guard`]).
    #[serde(default, alias = "is_unconfirmed")]
    pub awaits_confirmation: bool,
    /// Whether the last pass found it closed together with too many others, and has not acted on that
    /// ([`crate::mission::fleet::mass_change_guard`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_closing: bool,
    /// Since when the published status has met an alert condition without a break.
    #[serde(default, alias = "bad_since")]
    pub failing_since: Option<Timestamp>,
    /// The alerts that were posted; written only by the changes that post them.
    #[serde(default, alias = "alarm")]
    pub alert: AlertRecord,
    /// The state that the forge last reported.
    pub state: IssueState,
    /// The other root that owns this issue, if any.
    #[serde(default, alias = "elsewhere")]
    pub other_owner: Option<OwnedByOtherRoot>,
    /// The issue's `updated_at` when it had a comment of another host that has no cell for it yet; the comments are
    /// read again when it changes.
    #[serde(default, alias = "yielded_at")]
    pub deferred_at: Option<Timestamp>,
    /// How many passes in a row the issue was not found.
    #[serde(default, alias = "misses")]
    pub not_found_count: u32,
    /// Since when its cell is not wanted here: the issue is closed, deleted, or owned by another root.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The archive of its cell, until the cell is restored.
    #[serde(default)]
    pub archive: Option<ArchiveName>,
    /// When its archive was deleted or found missing; until the issue is reopened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_deleted_at: Option<Timestamp>,
    /// The last restore from the archive, until the next change.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// The digest of title and body as they were first read, until there is a cell
    /// ([`crate::mission::approval::policy::text_digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text: Option<String>,
    /// The approval that was given.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// The approval that is requested.
    #[serde(default, alias = "asking")]
    pub approval_request: Option<ApprovalRequest>,
    /// Its suspension, if it is suspended.
    #[serde(default)]
    pub suspension: Option<Suspension>,
    /// Why the last `mission/suspended` was rejected, until its phase changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_refused: Option<PauseRefusal>,
    /// The permanent failure of the last turn; written only by the change that records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<MissionFailure>>,
    /// The cell's worktree; written only by checkouts.
    #[serde(default)]
    pub worktree: Worktree,
}

/// The restore of a cell from the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When it was restored.
    pub at: Timestamp,
    /// The archive that whatever was at its path was moved to.
    pub displaced: Option<ArchiveName>,
}

/// A suspension of a mission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When it began.
    pub since: Timestamp,
    /// The account that set the label.
    pub by: Person,
    /// When it ends automatically: the issue's due date when it was last read.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Suspension {
    /// When it ends automatically: at the issue's due date, unless that had passed when the suspension began.
    #[must_use]
    pub fn ends_at(&self, due_at: Option<Timestamp>) -> Option<Timestamp> {
        due_at.filter(|due_at| *due_at > self.since)
    }
}

/// Why `mission/suspended` did not suspend a mission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseRefusal {
    /// It was set when the mission was not active yet, for instance when the issue was filed.
    NotActive,
    /// The account of this service set it.
    OwnAccount,
    /// The account that set it does not exist any more.
    UnknownAccount,
}

/// The binding of an issue to its cell, with the accepted proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The cell's id; it never changes, even if names and addresses do.
    pub mission_id: MissionId,
    /// When the cell was first created.
    pub created_at: Timestamp,
    /// The accepted title.
    pub name: String,
    /// The accepted spec; a rejected edit does not change it.
    pub spec: Spec,
    /// How many invisible characters the accepted text had.
    #[serde(default)]
    pub invisible: usize,
    /// Whether the cell was ever complete; otherwise a missing cell was never created.
    #[serde(default, alias = "seen_whole")]
    pub was_complete: bool,
    /// Whether it ever had a heartbeat.
    #[serde(default, alias = "ever_beat")]
    pub ever_heartbeat: bool,
}

impl Binding {
    /// The health of its cell, before flap damping and the mass change guard.
    #[must_use]
    pub fn judge(&self, sighting: &CellObservation, now: Timestamp) -> Verdict {
        let (ever_heartbeat, stale_after) = (self.ever_heartbeat, self.spec.stale_after());
        assess(&Facts { sighting, bound: true, ever_heartbeat, stale_after, now })
    }

    /// The proposal that was last accepted.
    #[must_use]
    pub fn proposal(&self) -> Proposal {
        Proposal { name: self.name.clone(), spec: self.spec.clone(), invisible: self.invisible, outside: 0 }
    }
}

/// Our status comment as it was last written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusComment {
    /// Its id on the forge.
    pub id: i64,
    /// The digest of the status that it shows.
    pub digest: String,
    /// Whether the issue was read again after it was posted, or by a later pass after it was edited to name this root:
    /// of two roots that post concurrently, only that detects which one lost.
    #[serde(default = "yes")]
    pub is_confirmed: bool,
    /// The digest of the text that it shows for approval ([`crate::mission::approval::policy::requested_digest`]).
    #[serde(default, alias = "asks")]
    pub requested_digest: Option<String>,
    /// Whether it was edited since it was posted.
    #[serde(default = "yes")]
    pub is_edited: bool,
    /// The SHA-256 of its body in the forge's answer to the last write; none in records of earlier versions.
    #[serde(default)]
    pub body_sha256: Option<String>,
    /// Its `updated_at` in the forge's answer to the last write.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// When the text for approval was first shown; later edits for health do not change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// When it was last reposted after a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reposted_at: Option<Timestamp>,
}

fn yes() -> bool {
    true
}

/// The status that was last published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The phase.
    pub phase: Phase,
    /// The health; none without a cell.
    pub verdict: Option<Verdict>,
    /// Since when phase and health are unchanged.
    pub since: Timestamp,
    /// The state that the agent reports, once it has sent a heartbeat.
    #[serde(default, alias = "says")]
    pub agent_state: Option<WizardState>,
    /// Since when the agent reports this state.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "says_since")]
    pub agent_state_since: Option<Timestamp>,
    /// The agent's message while it waits for people or has failed, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last heartbeat, while it is overdue.
    #[serde(default)]
    pub heartbeat_at: Option<Timestamp>,
    /// The mistakes in the form of the heartbeat.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// Missing parts that were recreated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When they were recreated.
    pub at: Timestamp,
    /// Their paths; the whole cell is `.`.
    pub places: Vec<CellPath>,
}

/// An entry of a mission's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was observed.
    pub at: Timestamp,
    /// A description for people.
    pub what: String,
}

/// The state of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueState {
    /// Open.
    Open,
    /// Closed.
    Closed,
    /// Not found by its number any more.
    #[serde(alias = "gone")]
    Deleted,
}

/// Another root's ownership of an issue, as its comment states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedByOtherRoot {
    /// The mission of that root.
    pub mission_id: MissionId,
    /// The id of that root.
    pub root: RootId,
    /// The host of that root.
    pub host: Option<HostName>,
    /// The issue's `updated_at` when this was read; it is read again when that changes.
    pub updated_at: Timestamp,
    /// How many comments the issue had; a deletion decreases this, but does not change `updated_at`.
    pub comments: i64,
}

impl Record {
    /// The initial record of an issue.
    #[must_use]
    pub fn new(issue: IssueKey) -> Self {
        Self {
            issue,
            title: None,
            binding: None,
            comment: None,
            comment_intent: None,
            comment_intent_body: None,
            comments: None,
            published: None,
            repair: None,
            changes: Vec::new(),
            flap_damping: FlapDamping::default(),
            awaits_confirmation: false,
            is_closing: false,
            failing_since: None,
            alert: AlertRecord::default(),
            state: IssueState::Open,
            other_owner: None,
            deferred_at: None,
            not_found_count: 0,
            ended_at: None,
            archive: None,
            archive_deleted_at: None,
            restored: None,
            first_text: None,
            approval: None,
            approval_request: None,
            suspension: None,
            pause_refused: None,
            failure: None,
            worktree: Worktree::default(),
        }
    }

    /// Whether its issue was last open, and no other root owns it.
    #[must_use]
    pub fn is_served_here(&self) -> bool {
        self.state == IssueState::Open && self.other_owner.is_none()
    }

    /// This record with the fields that only publishing changes write, taken from another one.
    #[must_use]
    pub fn with_publish_state_of(self, known: Self) -> Self {
        let Self { comment, comment_intent, comment_intent_body, alert, failure, .. } = known;
        Self { comment, comment_intent, comment_intent_body, alert, failure, ..self }
    }

    /// Why our comment is outdated, if the forge rejects writing it.
    #[must_use]
    pub fn comment_refusal(&self) -> Option<&str> {
        self.failure.as_ref().filter(|failure| failure.is_of_comment).map(|failure| failure.message.as_str())
    }

    /// The health that was last published.
    #[must_use]
    pub fn published(&self) -> Option<Verdict> {
        self.published.as_ref().and_then(|published| published.verdict)
    }

    /// The mission's title: the accepted one, otherwise the last one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.binding.as_ref().map(|binding| binding.name.as_str()).or(self.title.as_deref())
    }

    /// The archive that holds the cell of an ended mission, by the record.
    #[must_use]
    pub fn kept_archive(&self) -> Option<ArchiveName> {
        let has_ended = self.state != IssueState::Open && self.other_owner.is_none();
        self.archive.filter(|_| has_ended && self.archive_deleted_at.is_none())
    }

    /// Records that the cell's archive was deleted, and how that was detected.
    pub fn note_deleted_archive(&mut self, at: Timestamp, what: &str) {
        if self.archive_deleted_at.is_none() {
            self.archive_deleted_at = Some(at);
            self.note(at, what.to_owned());
        }
    }

    /// Records that our comment was written or read as intended.
    pub fn remember_comment(&mut self, comment: StatusComment) {
        (self.comment, self.comment_intent, self.comment_intent_body) = (Some(comment), None, None);
    }

    /// Adds an entry to the history, and drops the oldest beyond [`CHANGES_MAX`].
    pub fn note(&mut self, at: Timestamp, what: String) {
        self.changes.push(Event { at, what });
        let surplus = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..surplus);
    }
}
