//! The vocabulary of change: each value is one thing that can be done to the world, and says so in one line.

use crate::mission::alarm::{Alarm, Ledger};
use crate::mission::archive::ArchiveName;
use crate::mission::cell::Part;
use crate::mission::ground::{KnownRepository, RepositoryLabel, RootPapers};
use crate::mission::identity::MissionId;
use crate::mission::label::Label;
use crate::mission::meaning::Status;
use crate::mission::notice::{FleetNotice, Notice};
use crate::mission::notify::IssueName;
use crate::mission::observation::AttachedLabel;
use crate::mission::papers::CellPapers;
use crate::mission::record::{IssueKey, IssueState, Record, Spoken};
use crate::mission::text::code_span;
use crate::mission::worktree::WorktreeSource;
use std::fmt;

/// One change to the world. Adding a variant leads, by the compiler, to its words and to its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make this directory a missions root.
    InitialiseRoot {
        /// Its path, as people type it.
        path: String,
        /// What the root's file says, all but the id.
        root: Box<RootPapers>,
    },
    /// Bring what the root's own file says of host, forge and repositories up to date.
    UpdateRoot {
        /// What it says then.
        root: Box<RootPapers>,
        /// What that changes, in a few words.
        what: String,
    },
    /// Create a label that an issue may need.
    CreateLabel {
        /// Where.
        repository: KnownRepository,
        /// Which.
        label: Label,
    },
    /// Put a label's `exclusive` flag right.
    CorrectLabel {
        /// Where.
        repository: KnownRepository,
        /// Which.
        label: Label,
        /// The label as it is.
        found: RepositoryLabel,
    },
    /// Make a cell, whole, and remember the binding first.
    CreateCell {
        /// What its files say.
        papers: Box<CellPapers>,
        /// What another change checks out for it, if one does. What lies in staging and is a checkout of this becomes its
        /// worktree; without that the worktree is created empty, and filled by the other change.
        worktree: Option<WorktreeSource>,
        /// The record with the new binding.
        record: Box<Record>,
    },
    /// Tie an issue to the cell that already bears its id, or remember what was approved for it since.
    BindCell {
        /// The record with the binding and the approval.
        record: Box<Record>,
    },
    /// Have a repository checked out, and hand it over as a cell's worktree. Where there is no cell yet it waits in staging
    /// for the change that creates one.
    CheckOut {
        /// Whose.
        issue: IssueKey,
        /// Its cell.
        mission_id: MissionId,
        /// Which repository, and which ref of it.
        source: WorktreeSource,
    },
    /// Move a cell whole into the archive.
    ArchiveCell {
        /// What its files say from then on.
        papers: Box<CellPapers>,
        /// As what it lies there.
        name: ArchiveName,
        /// The record that says so.
        record: Box<Record>,
    },
    /// Move a cell back from the archive.
    RestoreCell {
        /// What its files say from then on.
        papers: Box<CellPapers>,
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
    RestorePart {
        /// What the cell's files say.
        papers: Box<CellPapers>,
        /// Which part.
        part: Part,
    },
    /// Replace a file of ours whose contents are out of date.
    UpdateFile {
        /// Whose.
        mission_id: MissionId,
        /// Which file.
        part: Part,
        /// Its new contents.
        contents: String,
    },
    /// Put labels on the issue; the forge drops the siblings of exclusive ones.
    AddLabels {
        /// Where.
        issue: IssueKey,
        /// Which.
        labels: Vec<Label>,
        /// Labels of others that the forge drops for it.
        displaced: Vec<AttachedLabel>,
    },
    /// Take one label off the issue.
    RemoveLabel {
        /// Where.
        issue: IssueKey,
        /// Which of those attached.
        label: AttachedLabel,
    },
    /// Write the issue's whole list of labels; only where a token cannot take single ones off.
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
    PostComment {
        /// Where.
        issue: IssueKey,
        /// What it says.
        status: Box<Status>,
    },
    /// Edit our comment.
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
    },
    /// Remove a surplus comment of ours.
    RemoveComment {
        /// Where.
        issue: IssueKey,
        /// Its id on the forge.
        id: i64,
    },
    /// Remember which comment is ours, though nothing in it has to change.
    RememberComment {
        /// Where.
        issue: IssueKey,
        /// The comment.
        comment: Spoken,
    },
    /// Post a new comment that says that a mission went bad, is still bad, or is well again.
    PostAlarm {
        /// Where.
        issue: IssueKey,
        /// What it says.
        notice: Box<Notice>,
        /// What is remembered of the mission's alarms before.
        memory: Box<Alarm>,
    },
    /// Remember of a mission's alarms what nothing has to be said for.
    RememberAlarm {
        /// Whose.
        issue: IssueKey,
        /// All that is remembered then.
        memory: Box<Alarm>,
    },
    /// Post one new comment that speaks for many missions.
    PostFleetAlarm {
        /// Where.
        issue: IssueName,
        /// What it says.
        notice: Box<FleetNotice>,
        /// What is remembered of the fleet's alarm before.
        memory: Box<Ledger>,
    },
    /// Remember of the fleet's alarm what nothing has to be said for.
    RememberFleet {
        /// All that is remembered then.
        memory: Box<Ledger>,
    },
    /// Remember what was seen and said.
    Remember {
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
    pub fn is_memory(&self) -> bool {
        matches!(
            self,
            Self::Remember { .. }
                | Self::RememberComment { .. }
                | Self::RememberAlarm { .. }
                | Self::RememberFleet { .. }
        )
    }

    /// Whether it writes labels on an issue.
    #[must_use]
    pub fn is_about_labels(&self) -> bool {
        matches!(self, Self::AddLabels { .. } | Self::RemoveLabel { .. } | Self::ReplaceLabels { .. })
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InitialiseRoot { .. } => "initialise-root",
            Self::UpdateRoot { .. } => "update-root",
            Self::CreateLabel { .. } => "create-label",
            Self::CorrectLabel { .. } => "correct-label",
            Self::CreateCell { .. } => "create-cell",
            Self::BindCell { .. } => "bind-cell",
            Self::CheckOut { .. } => "check-out",
            Self::ArchiveCell { .. } => "archive-cell",
            Self::RestoreCell { .. } => "restore-cell",
            Self::RestorePart { .. } => "restore-part",
            Self::UpdateFile { .. } => "update-file",
            Self::AddLabels { .. } => "add-labels",
            Self::RemoveLabel { .. } => "remove-label",
            Self::ReplaceLabels { .. } => "replace-labels",
            Self::PostComment { .. } => "post-comment",
            Self::EditComment { .. } => "edit-comment",
            Self::RemoveComment { .. } => "remove-comment",
            Self::RememberComment { .. } => "remember-comment",
            Self::PostAlarm { .. } => "post-alarm",
            Self::RememberAlarm { .. } => "remember-alarm",
            Self::PostFleetAlarm { .. } => "post-fleet-alarm",
            Self::RememberFleet { .. } => "remember-fleet-alarm",
            Self::Remember { .. } => "remember",
        }
    }
}

/// One line, naming labels, paths and verdicts, never a time.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InitialiseRoot { path, root: _ } => write!(f, "initialise the missions root `{path}`"),
            Self::UpdateRoot { root: _, what } => write!(f, "remember in the missions root: {what}"),
            Self::CreateLabel { repository, label } => {
                write!(f, "create the label `{}` in `{}`", label.name(), repository.name)
            }
            Self::CorrectLabel { repository, label, found: _ } => {
                let exclusive = if label.is_exclusive() { "exclusive" } else { "not exclusive" };
                write!(f, "make the label `{}` in `{}` {exclusive}", label.name(), repository.name)
            }
            Self::CreateCell { papers, worktree: _, record: _ } => write!(f, "make the cell `{}`", papers.mission_id),
            Self::BindCell { record } => match (&record.binding, record.said.and_then(|said| said.verdict)) {
                (Some(binding), None) => write!(f, "take up the cell `{}`", binding.mission_id),
                (Some(binding), Some(_)) => {
                    write!(f, "remember what was approved for the cell `{}`", binding.mission_id)
                }
                (None, _) => write!(f, "take up no cell"),
            },
            Self::CheckOut { issue: _, mission_id, source } => {
                write!(f, "check out {source} for the cell `{mission_id}`")
            }
            Self::ArchiveCell { papers, name, record: _ } => {
                write!(f, "move the cell `{}` to the archive, as `{name}`", papers.mission_id)
            }
            Self::RestoreCell { papers, name, displaced, missing: _, record: _ } => {
                write!(f, "move the cell `{}` back from the archive, from `{name}`", papers.mission_id)?;
                match displaced {
                    Some(displaced) => write!(f, ", and what is in its place to `{displaced}`"),
                    None => Ok(()),
                }
            }
            Self::RestorePart { papers, part } => {
                write!(f, "make `{}` again in the cell `{}`", part.path(), papers.mission_id)
            }
            Self::UpdateFile { mission_id, part, contents: _ } => {
                write!(f, "bring `{}` of the cell `{mission_id}` up to date", part.path())
            }
            Self::AddLabels { issue: _, labels, displaced } => {
                write!(f, "add {}{}", names(labels.iter().map(Label::name)), dropped(displaced))
            }
            Self::RemoveLabel { issue: _, label } => write!(f, "remove `{}`", label.name),
            Self::ReplaceLabels { issue: _, add, remove, displaced } => {
                let (removed, dropped) = (names(remove.iter().map(|label| &label.name)), dropped(displaced));
                if add.is_empty() {
                    return write!(f, "replace the labels, without {removed}{dropped}");
                }
                let added = names(add.iter().map(Label::name));
                write!(f, "replace the labels, with {added} and without {removed}{dropped}")
            }
            Self::PostComment { issue: _, status } => write!(f, "post the comment: {}", status.summary()),
            Self::EditComment { issue: _, id: _, status, is_claim: _ } => {
                write!(f, "edit the comment: {}", status.summary())
            }
            Self::RemoveComment { issue: _, id } => write!(f, "remove our surplus comment {id}"),
            Self::RememberComment { issue: _, comment } => write!(f, "remember that comment {} is ours", comment.id),
            Self::PostAlarm { issue: _, notice, memory: _ } => f.write_str(&notice.summary()),
            Self::RememberAlarm { issue: _, memory } => match &memory.raised {
                Some(raised) => write!(f, "remember the alarm: {}", raised.cause),
                None => f.write_str("remember that no alarm stands"),
            },
            Self::PostFleetAlarm { issue, notice, memory: _ } => write!(f, "{} on `{issue}`", notice.summary()),
            Self::RememberFleet { memory } => {
                write!(f, "remember that the alarm for many speaks for {}", memory.members.len())
            }
            Self::Remember { record } => write!(f, "remember: {}", remembered(record)),
        }
    }
}

fn names(labels: impl Iterator<Item = impl fmt::Display>) -> String {
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
    match (&record.state, &record.elsewhere, &record.said) {
        (IssueState::Open, _, _) if record.misses > 0 => format!("{} was not found", record.issue),
        (IssueState::Closed, _, _) => "closed".to_owned(),
        (IssueState::Gone, _, _) => format!("{} is gone", record.issue),
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
