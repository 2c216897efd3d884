//! The changes that a plan can contain; each one formats as a single line for previews, logs and reports.

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

/// One change to disk, Gitea or our records. Its display is one line that names labels, paths and health, never a time.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Change {
    /// Initialize a directory as a missions root.
    #[display("initialize the missions root `{path}`")]
    InitialiseRoot {
        /// The path, as people type it.
        path: String,
        /// The contents of the root's metadata file, without the id.
        root: Box<RootMetadata>,
    },
    /// Update host, forge and repositories in the root's metadata file.
    #[display("update the missions root: {what}")]
    UpdateRoot {
        /// The new contents.
        root: Box<RootMetadata>,
        /// A short description of the differences.
        what: String,
    },
    /// Create a label that an issue may need.
    #[display("create the label `{}` in `{}`", label.name(), repository.name)]
    CreateLabel {
        /// The repository that lacks it.
        repository: RepositoryRef,
        /// The label to create.
        label: Label,
    },
    /// Correct a label's `exclusive` flag.
    #[display("make the label `{}` in `{}` {}", label.name(), repository.name, exclusiveness(label))]
    CorrectLabel {
        /// The repository that has it.
        repository: RepositoryRef,
        /// The label to correct.
        label: Label,
        /// The label as Gitea has it.
        found: RepositoryLabel,
    },
    /// Write the record with the binding, then create the cell atomically.
    #[display("create the cell `{}`", manifest.mission_id)]
    CreateCell {
        /// The contents of its files.
        manifest: Box<CellManifest>,
        /// The source that another change checks out for this cell, if one does. A staged checkout of it becomes the
        /// worktree; otherwise the worktree is created empty, and the other change fills it.
        worktree: Option<WorktreeSource>,
        /// The record with the new binding.
        record: Box<Record>,
    },
    /// Bind an issue to the existing cell with its id, or record what was approved for it since.
    #[display("{}", binding(record))]
    BindCell {
        /// The record with the binding and the approval.
        record: Box<Record>,
    },
    /// Check out a repository as a cell's worktree. If the cell does not exist yet, the checkout stays in staging for
    /// the change that creates the cell.
    #[display("check out {source} for the cell `{mission_id}`")]
    CheckOut {
        /// The mission's issue.
        issue: IssueKey,
        /// The mission's cell.
        mission_id: MissionId,
        /// The repository and the ref.
        source: WorktreeSource,
    },
    /// Move a whole cell to the archive.
    #[display("move the cell `{}` to the archive, as `{name}`", manifest.mission_id)]
    ArchiveCell {
        /// The contents of its files from then on.
        manifest: Box<CellManifest>,
        /// Its name in the archive.
        name: ArchiveName,
        /// The record with that name.
        record: Box<Record>,
    },
    /// Move a cell back from the archive.
    #[display("move the cell `{}` back from the archive, from `{name}`{}", manifest.mission_id, moving(*displaced))]
    RestoreCell {
        /// The contents of its files from then on.
        manifest: Box<CellManifest>,
        /// Its name in the archive.
        name: ArchiveName,
        /// The archive name for what is at the cell's path now, if anything is.
        displaced: Option<ArchiveName>,
        /// The parts that it lacks.
        missing: Vec<Part>,
        /// The record without an archive.
        record: Box<Record>,
    },
    /// Recreate a missing part of a cell, empty or with its initial contents.
    #[display("recreate `{}` in the cell `{}`", part.path(), manifest.mission_id)]
    RestorePart {
        /// The contents of the cell's files.
        manifest: Box<CellManifest>,
        /// The missing part.
        part: Part,
    },
    /// Replace a lazarus-managed file whose contents are out of date.
    #[display("update `{}` of the cell `{mission_id}`", part.path())]
    UpdateFile {
        /// The cell.
        mission_id: MissionId,
        /// The file.
        part: Part,
        /// Its new contents.
        contents: String,
    },
    /// Add labels to the issue; Gitea removes other labels in the scope of an exclusive one.
    #[display("add {}{}", names(labels.iter().map(Label::name)), dropped(displaced))]
    AddLabels {
        /// The issue.
        issue: IssueKey,
        /// The labels to add.
        labels: Vec<Label>,
        /// A team's own labels that Gitea removes for them.
        displaced: Vec<AttachedLabel>,
    },
    /// Remove one label from the issue.
    #[display("remove `{}`", label.name)]
    RemoveLabel {
        /// The issue.
        issue: IssueKey,
        /// The attached label; two labels of one name have different ids.
        label: AttachedLabel,
    },
    /// Replace the issue's whole list of labels: a job's token cannot remove single labels.
    #[display("replace the labels, {}{}", replaced(add, remove), dropped(displaced))]
    ReplaceLabels {
        /// The issue.
        issue: IssueKey,
        /// The labels to add.
        add: Vec<Label>,
        /// The labels to remove.
        remove: Vec<AttachedLabel>,
        /// A team's own labels to remove as well: otherwise Gitea would drop ours of the same scope.
        displaced: Vec<AttachedLabel>,
    },
    /// Post the status comment.
    #[display("post the comment{}: {}", again(*is_repost), status.summary())]
    PostComment {
        /// The issue.
        issue: IssueKey,
        /// The status to publish.
        status: Box<Status>,
        /// Whether another account deleted the previous comment.
        is_repost: bool,
    },
    /// Edit the status comment.
    #[display("edit the comment: {}", status.summary())]
    EditComment {
        /// The issue.
        issue: IssueKey,
        /// The comment's id in Gitea.
        id: i64,
        /// The status to publish.
        status: Box<Status>,
        /// Whether the comment names no root, or another one, before this edit. Another host may claim it concurrently,
        /// and the later of two edits wins.
        is_claim: bool,
        /// When the approval request in it was first shown; none if this edit shows a new request, or shows it again.
        requested_at: Option<Timestamp>,
    },
    /// Delete a second status comment of this root.
    #[display("delete the surplus comment {id}")]
    RemoveComment {
        /// The issue.
        issue: IssueKey,
        /// The comment's id in Gitea.
        id: i64,
    },
    /// Record the status comment without editing it.
    #[display("record comment {} as {}", comment.id, certainty(comment))]
    RecordComment {
        /// The issue.
        issue: IssueKey,
        /// The comment's state to record.
        comment: StatusComment,
    },
    /// Post a new comment for an alert that fires, reminds or resolves.
    #[display("{}", alert_message.summary())]
    PostAlert {
        /// The mission's issue.
        issue: IssueKey,
        /// The alert's text and state.
        alert_message: Box<AlertMessage>,
        /// The mission's alert record before the post.
        memory: Box<AlertRecord>,
    },
    /// Record a mission's alert state without posting.
    #[display("{}", alert_state(memory))]
    RecordAlert {
        /// The mission's issue.
        issue: IssueKey,
        /// The new alert record.
        memory: Box<AlertRecord>,
    },
    /// Post one new comment that alerts for many missions.
    #[display("{} on `{issue}`", alert_message.summary())]
    PostFleetAlert {
        /// The issue that `notify.issue` names.
        issue: IssueName,
        /// The alert's text and state.
        alert_message: Box<FleetAlertMessage>,
        /// The fleet's alert record before the post.
        memory: Box<FleetAlertRecord>,
    },
    /// Record the fleet's alert state without posting.
    #[display("record the fleet alert, missions: {}", memory.members.len())]
    RecordFleetAlert {
        /// The new alert record.
        memory: Box<FleetAlertRecord>,
    },
    /// Record a failure that requires manual action, or that none remains.
    #[display("record {}", failed(failure.as_deref()))]
    RecordFailure {
        /// The mission's issue.
        issue: IssueKey,
        /// The failure; none clears the recorded one.
        failure: Option<Box<MissionFailure>>,
    },
    /// Write the record of what was observed and published.
    #[display("write the record: {}", recorded(record))]
    WriteRecord {
        /// The record; its comment and alert are ignored, since the changes above write them.
        record: Box<Record>,
    },
}

impl Change {
    /// Whether it claims a mission for this root by editing a comment.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        matches!(self, Self::EditComment { is_claim: true, .. })
    }

    /// Whether it changes only our records.
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

    /// Whether it writes to a mission's issue.
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

    /// The status that it publishes, if it posts or edits the status comment.
    #[must_use]
    pub fn comment_status(&self) -> Option<&Status> {
        let (Self::PostComment { status, .. } | Self::EditComment { status, .. }) = self else { return None };
        Some(status)
    }

    /// Whether it posts or edits the status comment.
    #[must_use]
    pub fn is_about_our_comment(&self) -> bool {
        matches!(self, Self::PostComment { .. } | Self::EditComment { .. })
    }

    /// Whether it writes labels on an issue.
    #[must_use]
    pub fn is_about_labels(&self) -> bool {
        matches!(self, Self::AddLabels { .. } | Self::RemoveLabel { .. } | Self::ReplaceLabels { .. })
    }

    /// Its kind in JSON, logs and metrics: a fixed kebab-case name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

fn exclusiveness(label: &Label) -> &'static str {
    if label.is_exclusive() { "exclusive" } else { "not exclusive" }
}

fn binding(record: &Record) -> String {
    match (&record.binding, record.published.as_ref().and_then(|published| published.verdict)) {
        (Some(binding), None) => format!("bind the cell `{}`", binding.mission_id),
        (Some(binding), Some(_)) => format!("record the approval for the cell `{}`", binding.mission_id),
        (None, _) => "bind no cell".to_owned(),
    }
}

fn certainty(comment: &StatusComment) -> &'static str {
    if comment.is_confirmed { "confirmed" } else { "unconfirmed" }
}

fn again(is_repost: bool) -> &'static str {
    if is_repost { " again" } else { "" }
}

fn moving(displaced: Option<ArchiveName>) -> String {
    displaced.map(|name| format!(", and what is in its place to `{name}`")).unwrap_or_default()
}

fn replaced(add: &[Label], remove: &[AttachedLabel]) -> String {
    let without = format!("without {}", names(remove.iter().map(|label| &label.name)));
    if add.is_empty() { without } else { format!("with {} and {without}", names(add.iter().map(Label::name))) }
}

fn failed(failure: Option<&MissionFailure>) -> String {
    failure.map_or("that no failure remains".to_owned(), |failure| format!("the failure: {}", failure.kind))
}

fn alert_state(memory: &AlertRecord) -> String {
    let firing = memory.firing.map(|firing| format!("record the alert: {}", firing.cause));
    firing.unwrap_or_else(|| "record that no alert is firing".to_owned())
}

fn names(labels: impl Iterator<Item = impl Display>) -> String {
    labels.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The team's own labels that the change removes, with the reason.
fn dropped(displaced: &[AttachedLabel]) -> String {
    if displaced.is_empty() {
        return String::new();
    }
    let labels: Vec<String> = displaced.iter().map(|label| code_span(&label.name)).collect();
    format!("; Gitea drops {}, exclusive in the same scope", labels.join(", "))
}

fn recorded(record: &Record) -> String {
    match (&record.state, &record.other_owner, &record.published) {
        (IssueState::Open, _, _) if record.not_found_count > 0 => format!("{} was not found", record.issue),
        (IssueState::Closed, _, _) => "closed".to_owned(),
        (IssueState::Deleted, _, _) => format!("{} is deleted", record.issue),
        (IssueState::Open, Some(owner), _) => match &owner.host {
            Some(host) => format!("owned by another host, `{host}`"),
            None => "owned by another host".to_owned(),
        },
        (IssueState::Open, None, Some(published)) => match &published.verdict {
            Some(verdict) => format!("{}, {} ({})", published.phase, verdict.health, verdict.reason),
            None => published.phase.to_string(),
        },
        (IssueState::Open, None, None) => "nothing published".to_owned(),
    }
}
