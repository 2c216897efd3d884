//! What we remember of one issue. The binding in here is the truth; every other copy is for readers.

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

/// How many past changes the comment tells.
pub const CHANGES_MAX: usize = 5;

/// Which issue, by everything that may be needed to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[display("{repository}#{number}")]
pub struct IssueKey {
    /// The repository's id; survives a rename.
    pub repository_id: RepositoryId,
    /// The repository's name when last seen.
    pub repository: RepositoryName,
    /// The issue's id, unique on its forge.
    pub issue_id: IssueId,
    /// The issue's number in its repository.
    pub number: i64,
    /// Who filed it; zero or less is nobody in particular.
    pub author_id: i64,
}

/// Everything we remember of one issue: `.lazarus/missions/<repository id>-<issue id>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which issue this is about.
    #[serde(flatten)]
    pub issue: IssueKey,
    /// The issue's title as it was read last, as long as there is no binding that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The cell that belongs to it, once there is one.
    #[serde(default)]
    pub binding: Option<Binding>,
    /// Our comment.
    #[serde(default)]
    pub comment: Option<StatusComment>,
    /// The digest of a comment that is being written; a process that dies meanwhile, or cannot remember that it was written,
    /// leaves it. Then the comment is read before anything is written again, and is not taken for another host's.
    #[serde(default, alias = "intended")]
    pub comment_intent: Option<String>,
    /// The SHA-256 of that comment's text.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "intended_body")]
    pub comment_intent_body: Option<String>,
    /// How many comments the issue had when we last looked at ours; a deletion shows in nothing else. None where an earlier
    /// version has not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<i64>,
    /// What our labels and comment said last.
    #[serde(default, alias = "said")]
    pub published: Option<Published>,
    /// The last repair, until something else happens.
    #[serde(default)]
    pub repair: Option<Repair>,
    /// The last changes, oldest first, at most [`CHANGES_MAX`].
    #[serde(default)]
    pub changes: Vec<Event>,
    /// How restless its health was lately.
    #[serde(default, alias = "flapping")]
    pub flap_damping: FlapDamping,
    /// Whether the last pass saw it vanish or turn stale together with too many others, and told nothing yet
    /// ([`crate::mission::fleet::mass_change_guard`]).
    #[serde(default, alias = "is_unconfirmed")]
    pub awaits_confirmation: bool,
    /// Whether the last pass found it closed together with too many others, and did nothing yet
    /// ([`crate::mission::fleet::mass_change_guard`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_closing: bool,
    /// Since when what is published has been so without a break that an alarm is wanted.
    #[serde(default, alias = "bad_since")]
    pub failing_since: Option<Timestamp>,
    /// What was posted of that; belongs to the changes that post.
    #[serde(default, alias = "alarm")]
    pub alert: AlertRecord,
    /// What the forge last said of the issue.
    pub state: IssueState,
    /// The other root that serves this issue, if one does.
    #[serde(default, alias = "elsewhere")]
    pub other_owner: Option<OwnedByOtherRoot>,
    /// The issue's `updated_at` when another host was found to have spoken on it that has no cell for it yet; when it moves,
    /// that is read again.
    #[serde(default, alias = "yielded_at")]
    pub deferred_at: Option<Timestamp>,
    /// How many passes in a row asked for the issue and were told that there is none.
    #[serde(default, alias = "misses")]
    pub not_found_count: u32,
    /// Since when its cell is not wanted here: the issue is closed, gone, or served by another root.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Where the cell was moved to, as long as it is not moved back.
    #[serde(default)]
    pub archive: Option<ArchiveName>,
    /// When its archive was deleted, or found deleted; until the issue is reopened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_deleted_at: Option<Timestamp>,
    /// That the cell came back from there, until something else happens.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// The digest of title and body as they were first read, until there is a cell ([`crate::mission::approval::policy::text_digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_text: Option<String>,
    /// The approval that was given.
    #[serde(default)]
    pub approval: Option<Approval>,
    /// The approval that is asked for.
    #[serde(default, alias = "asking")]
    pub approval_request: Option<ApprovalRequest>,
    /// That a person has paused it.
    #[serde(default)]
    pub suspension: Option<Suspension>,
    /// Why the last label that was to pause it did not, until its phase changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_refused: Option<PauseRefusal>,
    /// What failed in the last turn and stays so until a person does something; belongs to the change that remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<MissionFailure>>,
    /// What lies in the cell's worktree; written only by those who put it there.
    #[serde(default)]
    pub worktree: Worktree,
}

/// A cell that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When.
    pub at: Timestamp,
    /// Where what stood in its way was moved to.
    pub displaced: Option<ArchiveName>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: Person,
    /// When it ends by itself, as the issue's due date stood when we looked last.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Suspension {
    /// When it ends by itself: at the issue's due date, unless that had passed when the pause began.
    #[must_use]
    pub fn ends_at(&self, due_at: Option<Timestamp>) -> Option<Timestamp> {
        due_at.filter(|due_at| *due_at > self.since)
    }
}

/// Why `mission/suspended` did not pause a mission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseRefusal {
    /// It was set when the mission was not active yet, for instance when the issue was filed.
    NotActive,
    /// The account of this service set it.
    OwnAccount,
    /// The account that set it does not exist.
    UnknownAccount,
}

/// The tie between an issue and its cell, with what was accepted for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The cell; kept for ever, whatever becomes of names and addresses.
    pub mission_id: MissionId,
    /// When the cell was first made.
    pub created_at: Timestamp,
    /// The mission's title as accepted.
    pub name: String,
    /// What was accepted; a later edit that is refused leaves it as it is.
    pub spec: Spec,
    /// How many invisible characters the accepted text had.
    #[serde(default)]
    pub invisible: usize,
    /// Whether the cell was ever seen with all its parts; if not, it has not vanished but was never made.
    #[serde(default, alias = "seen_whole")]
    pub was_complete: bool,
    /// Whether a wizard ever beat in it.
    #[serde(default, alias = "ever_beat")]
    pub ever_heartbeat: bool,
}

impl Binding {
    /// The verdict on its cell, before anything is damped or held back.
    #[must_use]
    pub fn judge(&self, sighting: &CellObservation, now: Timestamp) -> Verdict {
        let (ever_beat, stale_after) = (self.ever_heartbeat, self.spec.stale_after());
        assess(&Facts { sighting, bound: true, ever_heartbeat: ever_beat, stale_after, now })
    }

    /// The proposal as it was accepted last.
    #[must_use]
    pub fn proposal(&self) -> Proposal {
        Proposal { name: self.name.clone(), spec: self.spec.clone(), invisible: self.invisible, outside: 0 }
    }
}

/// Our comment as we left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusComment {
    /// Its id on the forge.
    pub id: i64,
    /// The digest of what it means.
    pub digest: String,
    /// Whether the issue was read again after it was posted, or by a later pass after it was edited to name this root: of
    /// two roots that speak at once, only that tells the one that lost.
    #[serde(default = "yes")]
    pub is_confirmed: bool,
    /// What it asks to be approved, and shows all of ([`crate::mission::approval::policy::requested_digest`]).
    #[serde(default, alias = "asks")]
    pub requested_digest: Option<String>,
    /// Whether it was written anew since it was posted.
    #[serde(default = "yes")]
    pub is_edited: bool,
    /// The SHA-256 of its body as the forge answered the last write; none where an earlier version wrote it.
    #[serde(default)]
    pub body_sha256: Option<String>,
    /// When the forge says that it was last edited, as it answered the last write.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// When the write was that first showed what it asks to be approved; later edits for health leave it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    /// When it was last posted again after somebody had deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reposted_at: Option<Timestamp>,
}

fn yes() -> bool {
    true
}

/// What we said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The phase.
    pub phase: Phase,
    /// The verdict, with a cell.
    pub verdict: Option<Verdict>,
    /// Since when phase and health are what they are.
    pub since: Timestamp,
    /// What the wizard says of itself, once it has beaten.
    #[serde(default, alias = "says")]
    pub agent_state: Option<WizardState>,
    /// Since when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "says_since")]
    pub agent_state_since: Option<Timestamp>,
    /// Its message, where it waits for people or has failed, as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last heartbeat, while the wizard is silent.
    #[serde(default)]
    pub heartbeat_at: Option<Timestamp>,
    /// The mistakes in how the heartbeat is written.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// Parts that were missing and were made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When.
    pub at: Timestamp,
    /// What; the whole cell is `.`.
    pub places: Vec<CellPath>,
}

/// One line of history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When we saw it.
    pub at: Timestamp,
    /// In our own words.
    pub what: String,
}

/// What the forge last said of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueState {
    /// In the listing of open issues.
    Open,
    /// Closed.
    Closed,
    /// Not there any more when asked for by number.
    #[serde(alias = "gone")]
    Deleted,
}

/// Another root's claim to an issue, as its comment states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedByOtherRoot {
    /// The mission there.
    pub mission_id: MissionId,
    /// The root there.
    pub root: RootId,
    /// The host there.
    pub host: Option<HostName>,
    /// The issue's `updated_at` when this was read; when it moves, it is read again.
    pub updated_at: Timestamp,
    /// How many comments the issue had; when one is deleted, `updated_at` stays and this falls.
    pub comments: i64,
}

impl Record {
    /// A record of an issue that nothing is known about yet.
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

    /// Whether its issue is open, as far as we know, and no other root serves it.
    #[must_use]
    pub fn is_served_here(&self) -> bool {
        self.state == IssueState::Open && self.other_owner.is_none()
    }

    /// The same, but what belongs to the changes that speak is as another one has it.
    #[must_use]
    pub fn with_publish_state_of(self, known: Self) -> Self {
        let Self {
            comment, comment_intent: intended, comment_intent_body: intended_body, alert: alarm, failure, ..
        } = known;
        Self { comment, comment_intent: intended, comment_intent_body: intended_body, alert: alarm, failure, ..self }
    }

    /// Why our comment does not say what is so, where the forge refuses that it is written.
    #[must_use]
    pub fn comment_refusal(&self) -> Option<&str> {
        self.failure.as_ref().filter(|failure| failure.is_of_comment).map(|failure| failure.message.as_str())
    }

    /// The verdict that was published last.
    #[must_use]
    pub fn published(&self) -> Option<Verdict> {
        self.published.as_ref().and_then(|said| said.verdict)
    }

    /// The mission's title: as accepted, else as it was read last.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.binding.as_ref().map(|binding| binding.name.as_str()).or(self.title.as_deref())
    }

    /// The archive in which the cell of an ended mission lies, as far as we know.
    #[must_use]
    pub fn kept_archive(&self) -> Option<ArchiveName> {
        let has_ended = self.state != IssueState::Open && self.other_owner.is_none();
        self.archive.filter(|_| has_ended && self.archive_deleted_at.is_none())
    }

    /// Takes note that the archive in which the cell lay is deleted, and by what that was found out.
    pub fn note_deleted_archive(&mut self, at: Timestamp, what: &str) {
        if self.archive_deleted_at.is_none() {
            self.archive_deleted_at = Some(at);
            self.note(at, what.to_owned());
        }
    }

    /// Our comment was written or read, and stands as it was meant.
    pub fn remember_comment(&mut self, comment: StatusComment) {
        (self.comment, self.comment_intent, self.comment_intent_body) = (Some(comment), None, None);
    }

    /// Adds a line of history and lets the oldest go.
    pub fn note(&mut self, at: Timestamp, what: String) {
        self.changes.push(Event { at, what });
        let surplus = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..surplus);
    }
}
