//! The vocabulary of change: each value is one thing that can be done to the world, and says so in one line.

use crate::mission::alert::config::IssueName;
use crate::mission::alert::message::{AlertMessage, FleetAlertMessage};
use crate::mission::alert::state::{AlertRecord, FleetAlertRecord};
use crate::mission::cell::Part;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::manifest::CellManifest;
use crate::mission::cell::worktree::WorktreeSource;
use crate::mission::failure::MissionFailure;
use crate::mission::identity::MissionId;
use crate::mission::observation::AttachedLabel;
use crate::mission::record::{IssueKey, IssueState, Record, StatusComment};
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef, RootMetadata};
use crate::mission::status::label::Label;
use crate::mission::status::view::Status;
use crate::mission::text::code_span;
use crate::mission::time::Timestamp;
use std::fmt::Display;

/// One change to the world. Adding a variant leads, by the compiler, to its words and to its effect. Its words are
/// one line, naming labels, paths and verdicts, never a time.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Change {
    /// Make this directory a missions root.
    #[display("initialise the missions root `{path}`")]
    InitialiseRoot {
        /// Its path, as people type it.
        path: String,
        /// What the root's file says, all but the id.
        root: Box<RootMetadata>,
    },
    /// Bring what the root's own file says of host, forge and repositories up to date.
    #[display("remember in the missions root: {what}")]
    UpdateRoot {
        /// What it says then.
        root: Box<RootMetadata>,
        /// What that changes, in a few words.
        what: String,
    },
    /// Create a label that an issue may need.
    #[display("create the label `{}` in `{}`", label.name(), repository.name)]
    CreateLabel {
        /// Where.
        repository: RepositoryRef,
        /// Which.
        label: Label,
    },
    /// Put a label's `exclusive` flag right.
    #[display("make the label `{}` in `{}` {}", label.name(), repository.name, exclusiveness(label))]
    CorrectLabel {
        /// Where.
        repository: RepositoryRef,
        /// Which.
        label: Label,
        /// The label as it is.
        found: RepositoryLabel,
    },
    /// Make a cell, whole, and remember the binding first.
    #[display("make the cell `{}`", manifest.mission_id)]
    CreateCell {
        /// What its files say.
        manifest: Box<CellManifest>,
        /// What another change checks out for it, if one does. What lies in staging and is a checkout of this becomes its
        /// worktree; without that the worktree is created empty, and filled by the other change.
        worktree: Option<WorktreeSource>,
        /// The record with the new binding.
        record: Box<Record>,
    },
    /// Tie an issue to the cell that already bears its id, or remember what was approved for it since.
    #[display("{}", taken_up(record))]
    BindCell {
        /// The record with the binding and the approval.
        record: Box<Record>,
    },
    /// Have a repository checked out, and hand it over as a cell's worktree. Where there is no cell yet it waits in staging
    /// for the change that creates one.
    #[display("check out {source} for the cell `{mission_id}`")]
    CheckOut {
        /// Whose.
        issue: IssueKey,
        /// Its cell.
        mission_id: MissionId,
        /// Which repository, and which ref of it.
        source: WorktreeSource,
    },
    /// Move a cell whole into the archive.
    #[display("move the cell `{}` to the archive, as `{name}`", manifest.mission_id)]
    ArchiveCell {
        /// What its files say from then on.
        manifest: Box<CellManifest>,
        /// As what it lies there.
        name: ArchiveName,
        /// The record that says so.
        record: Box<Record>,
    },
    /// Move a cell back from the archive.
    #[display("move the cell `{}` back from the archive, from `{name}`{}", manifest.mission_id, to_make_room(*displaced))]
    RestoreCell {
        /// What its files say from then on.
        manifest: Box<CellManifest>,
        /// As what it lies there.
        name: ArchiveName,
        /// As what that which stands in its way is to lie there, if something does.
        displaced: Option<ArchiveName>,
        /// The parts that it lacks.
        missing: Vec<Part>,
        /// The record that says so.
        record: Box<Record>,
    },
    /// Make a missing part of a cell again, empty or as it was at birth.
    #[display("make `{}` again in the cell `{}`", part.path(), manifest.mission_id)]
    RestorePart {
        /// What the cell's files say.
        manifest: Box<CellManifest>,
        /// Which part.
        part: Part,
    },
    /// Replace a file of ours whose contents are out of date.
    #[display("bring `{}` of the cell `{mission_id}` up to date", part.path())]
    UpdateFile {
        /// Whose.
        mission_id: MissionId,
        /// Which file.
        part: Part,
        /// Its new contents.
        contents: String,
    },
    /// Put labels on the issue; the forge drops the siblings of exclusive ones.
    #[display("add {}{}", names(labels.iter().map(Label::name)), dropped(displaced))]
    AddLabels {
        /// Where.
        issue: IssueKey,
        /// Which.
        labels: Vec<Label>,
        /// Labels of others that the forge drops for it.
        displaced: Vec<AttachedLabel>,
    },
    /// Take one label off the issue.
    #[display("remove `{}`", label.name)]
    RemoveLabel {
        /// Where.
        issue: IssueKey,
        /// Which of those attached.
        label: AttachedLabel,
    },
    /// Write the issue's whole list of labels; only where a token cannot take single ones off.
    #[display("replace the labels, {}{}", replaced(add, remove), dropped(displaced))]
    ReplaceLabels {
        /// Where.
        issue: IssueKey,
        /// What comes on.
        add: Vec<Label>,
        /// What goes off.
        remove: Vec<AttachedLabel>,
        /// Labels of others that go off too, or the forge would drop ours of their scope.
        displaced: Vec<AttachedLabel>,
    },
    /// Post our comment.
    #[display("post the comment{}: {}", again(*is_repost), status.summary())]
    PostComment {
        /// Where.
        issue: IssueKey,
        /// What it says.
        status: Box<Status>,
        /// Whether somebody had deleted the one before.
        is_repost: bool,
    },
    /// Edit our comment.
    #[display("edit the comment: {}", status.summary())]
    EditComment {
        /// Where.
        issue: IssueKey,
        /// Its id on the forge.
        id: i64,
        /// What it says.
        status: Box<Status>,
        /// Whether it names this root where it named none, or another one. Another host may do the same at this moment,
        /// and of two edits the last one stays.
        is_claim: bool,
        /// Since when the approval request that it shows has been shown; none where this edit shows one first, or anew.
        requested_at: Option<Timestamp>,
    },
    /// Remove a surplus comment of ours.
    #[display("remove our surplus comment {id}")]
    RemoveComment {
        /// Where.
        issue: IssueKey,
        /// Its id on the forge.
        id: i64,
    },
    /// Remember which comment is ours, though nothing in it has to change now.
    #[display("remember that comment {} is {}", comment.id, certainty(comment))]
    RecordComment {
        /// Where.
        issue: IssueKey,
        /// The comment.
        comment: StatusComment,
    },
    /// Post a new comment that says that a mission went bad, is still bad, or is well again.
    #[display("{}", notice.summary())]
    PostAlert {
        /// Where.
        issue: IssueKey,
        /// What it says.
        notice: Box<AlertMessage>,
        /// What is remembered of the mission's alarms before.
        memory: Box<AlertRecord>,
    },
    /// Remember of a mission's alarms what nothing has to be said for.
    #[display("{}", stands(memory))]
    RecordAlert {
        /// Whose.
        issue: IssueKey,
        /// All that is remembered then.
        memory: Box<AlertRecord>,
    },
    /// Post one new comment that speaks for many missions.
    #[display("{} on `{issue}`", notice.summary())]
    PostFleetAlert {
        /// Where.
        issue: IssueName,
        /// What it says.
        notice: Box<FleetAlertMessage>,
        /// What is remembered of the fleet's alarm before.
        memory: Box<FleetAlertRecord>,
    },
    /// Remember of the fleet's alarm what nothing has to be said for.
    #[display("remember that the alarm for many speaks for {}", memory.members.len())]
    RecordFleetAlert {
        /// All that is remembered then.
        memory: Box<FleetAlertRecord>,
    },
    /// Remember what failed in this turn and stays so until a person does something, or that nothing does any more.
    #[display("remember {}", failed(failure.as_deref()))]
    RecordFailure {
        /// Whose.
        issue: IssueKey,
        /// What failed.
        failure: Option<Box<MissionFailure>>,
    },
    /// Remember what was seen and said.
    #[display("remember: {}", remembered(record))]
    WriteRecord {
        /// All but comment and alarm, which belong to the changes above.
        record: Box<Record>,
    },
}

impl Change {
    /// Whether it takes a mission by an edit of a comment.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        matches!(self, Self::EditComment { is_claim: true, .. })
    }

    /// Whether it changes nothing but what we remember.
    #[must_use]
    pub fn is_record_only(&self) -> bool {
        matches!(
            self,
            Self::WriteRecord { .. }
                | Self::RecordComment { .. }
                | Self::RecordAlert { .. }
                | Self::RecordFailure { .. }
                | Self::RecordFleetAlert { .. }
        )
    }

    /// Whether it writes on the forge about a mission.
    #[must_use]
    pub fn writes_on_issue(&self) -> bool {
        match self {
            Self::AddLabels { .. }
            | Self::RemoveLabel { .. }
            | Self::ReplaceLabels { .. }
            | Self::PostComment { .. }
            | Self::EditComment { .. }
            | Self::RemoveComment { .. }
            | Self::PostAlert { .. } => true,
            Self::InitialiseRoot { .. }
            | Self::UpdateRoot { .. }
            | Self::CreateLabel { .. }
            | Self::CorrectLabel { .. }
            | Self::CreateCell { .. }
            | Self::BindCell { .. }
            | Self::CheckOut { .. }
            | Self::ArchiveCell { .. }
            | Self::RestoreCell { .. }
            | Self::RestorePart { .. }
            | Self::UpdateFile { .. }
            | Self::RecordComment { .. }
            | Self::RecordAlert { .. }
            | Self::PostFleetAlert { .. }
            | Self::RecordFleetAlert { .. }
            | Self::RecordFailure { .. }
            | Self::WriteRecord { .. } => false,
        }
    }

    /// What it says in our comment, where it posts or edits that.
    #[must_use]
    pub fn comment_status(&self) -> Option<&Status> {
        let (Self::PostComment { status, .. } | Self::EditComment { status, .. }) = self else { return None };
        Some(status)
    }

    /// Whether it posts or edits our comment.
    #[must_use]
    pub fn is_about_our_comment(&self) -> bool {
        matches!(self, Self::PostComment { .. } | Self::EditComment { .. })
    }

    /// Whether it writes labels on an issue.
    #[must_use]
    pub fn is_about_labels(&self) -> bool {
        matches!(self, Self::AddLabels { .. } | Self::RemoveLabel { .. } | Self::ReplaceLabels { .. })
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

fn exclusiveness(label: &Label) -> &'static str {
    if label.is_exclusive() { "exclusive" } else { "not exclusive" }
}

fn taken_up(record: &Record) -> String {
    match (&record.binding, record.published.as_ref().and_then(|said| said.verdict)) {
        (Some(binding), None) => format!("take up the cell `{}`", binding.mission_id),
        (Some(binding), Some(_)) => format!("remember what was approved for the cell `{}`", binding.mission_id),
        (None, _) => "take up no cell".to_owned(),
    }
}

fn certainty(comment: &StatusComment) -> &'static str {
    if comment.is_confirmed { "ours" } else { "to be read again" }
}

fn again(is_repost: bool) -> &'static str {
    if is_repost { " again" } else { "" }
}

fn to_make_room(displaced: Option<ArchiveName>) -> String {
    displaced.map(|name| format!(", and what is in its place to `{name}`")).unwrap_or_default()
}

fn replaced(add: &[Label], remove: &[AttachedLabel]) -> String {
    let without = format!("without {}", names(remove.iter().map(|label| &label.name)));
    if add.is_empty() { without } else { format!("with {} and {without}", names(add.iter().map(Label::name))) }
}

fn failed(failure: Option<&MissionFailure>) -> String {
    failure.map_or("that nothing fails".to_owned(), |failure| format!("what failed: {}", failure.kind))
}

fn stands(memory: &AlertRecord) -> String {
    let raised = memory.firing.map(|raised| format!("remember the alarm: {}", raised.cause));
    raised.unwrap_or_else(|| "remember that no alarm stands".to_owned())
}

fn names(labels: impl Iterator<Item = impl Display>) -> String {
    labels.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What a team loses by it, and why.
fn dropped(displaced: &[AttachedLabel]) -> String {
    if displaced.is_empty() {
        return String::new();
    }
    let labels: Vec<String> = displaced.iter().map(|label| code_span(&label.name)).collect();
    format!("; Gitea drops {}, exclusive in the same scope", labels.join(", "))
}

fn remembered(record: &Record) -> String {
    match (&record.state, &record.other_owner, &record.published) {
        (IssueState::Open, _, _) if record.not_found_count > 0 => format!("{} was not found", record.issue),
        (IssueState::Closed, _, _) => "closed".to_owned(),
        (IssueState::Deleted, _, _) => format!("{} is gone", record.issue),
        (IssueState::Open, Some(elsewhere), _) => match &elsewhere.host {
            Some(host) => format!("elsewhere, on `{host}`"),
            None => "elsewhere".to_owned(),
        },
        (IssueState::Open, None, Some(said)) => match &said.verdict {
            Some(verdict) => format!("{}, {} ({})", said.phase, verdict.health, verdict.reason),
            None => said.phase.to_string(),
        },
        (IssueState::Open, None, None) => "nothing said".to_owned(),
    }
}
