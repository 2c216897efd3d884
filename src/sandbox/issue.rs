//! An issue as plain data, with its comments and timeline.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
pub(super) struct SandboxLabel {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) color: String,
    pub(super) description: String,
    pub(super) is_exclusive: bool,
    pub(super) is_archived: bool,
}

impl SandboxLabel {
    /// Everything before the last slash (go-gitea/gitea `models/issues/label.go`).
    fn scope(&self) -> Option<&str> {
        let (scope, value) = self.name.rsplit_once('/')?;
        (self.is_exclusive && !scope.is_empty() && !value.is_empty()).then_some(scope)
    }

    pub(super) fn is_sibling_of(&self, other: &Self) -> bool {
        self.id != other.id && self.scope().is_some() && self.scope() == other.scope()
    }
}

#[derive(Clone, Debug)]
pub(super) struct SandboxIssue {
    pub(super) id: i64,
    pub(super) number: i64,
    pub(super) author: i64,
    pub(super) title: String,
    pub(super) body: String,
    /// When it was closed; none while it is open.
    pub(super) closed: Option<DateTime<Utc>>,
    pub(super) due: Option<DateTime<Utc>>,
    pub(super) is_locked: bool,
    pub(super) is_pull: bool,
    pub(super) labels: BTreeSet<i64>,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) entries: Vec<SandboxTimelineEntry>,
}

/// An issue to be filed.
#[derive(Debug)]
pub(super) struct NewIssue {
    pub(super) author: i64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) due: Option<DateTime<Utc>>,
    pub(super) is_pull: bool,
    pub(super) labels: Vec<i64>,
}

/// A comment or another timeline entry.
#[derive(Clone, Debug)]
pub(super) struct SandboxTimelineEntry {
    pub(super) id: i64,
    pub(super) author: i64,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Comment(String),
    LabelAdded(i64),
    LabelRemoved(i64),
    Closed,
    Reopened,
    /// A new due date, or its removal.
    Due {
        before: Option<DateTime<Utc>>,
        after: Option<DateTime<Utc>>,
    },
}

impl What {
    /// The type in a timeline (go-gitea/gitea `models/issues/comment.go`).
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Comment(_) => "comment",
            Self::LabelAdded(_) | Self::LabelRemoved(_) => "label",
            Self::Closed => "close",
            Self::Reopened => "reopen",
            Self::Due { after: None, before: _ } => "removed_deadline",
            Self::Due { before: None, after: Some(_) } => "added_deadline",
            Self::Due { before: Some(_), after: Some(_) } => "modified_deadline",
        }
    }

    /// The `body`: for an added label `1`, for a due date the days, the new one first.
    pub(super) fn body(&self) -> String {
        match self {
            Self::Comment(body) => body.clone(),
            Self::LabelAdded(_) => "1".to_owned(),
            Self::LabelRemoved(_) | Self::Closed | Self::Reopened => String::new(),
            Self::Due { before, after } => {
                let days: Vec<String> =
                    [after, before].into_iter().flatten().map(|day| day.format("%Y-%m-%d").to_string()).collect();
                days.join("|")
            }
        }
    }

    /// The label of the entry.
    pub(super) fn label(&self) -> Option<i64> {
        match self {
            Self::LabelAdded(id) | Self::LabelRemoved(id) => Some(*id),
            Self::Comment(_) | Self::Closed | Self::Reopened | Self::Due { .. } => None,
        }
    }
}

impl SandboxIssue {
    pub(super) fn comments(&self) -> impl Iterator<Item = &SandboxTimelineEntry> {
        self.entries.iter().filter(|entry| matches!(entry.what, What::Comment(_)))
    }

    /// Adds an entry, which changes the issue's `updated_at`.
    pub(super) fn note(&mut self, id: i64, author: i64, what: What, at: DateTime<Utc>) {
        self.updated = at;
        self.entries.push(SandboxTimelineEntry { id, author, created: at, updated: at, what });
    }

    /// Adds labels in the order of their names, and returns the changes. Only a label that was not there before removes
    /// the others of its exclusive scope (go-gitea/gitea `models/issues/issue_label.go`).
    pub(super) fn add_labels(&mut self, known: &[SandboxLabel], ids: &[i64]) -> Vec<What> {
        let mut new: Vec<&SandboxLabel> = known.iter().filter(|label| ids.contains(&label.id)).collect();
        new.sort_by(|a, b| a.name.cmp(&b.name));
        let mut done = Vec::new();
        for label in new {
            if self.labels.contains(&label.id) {
                continue;
            }
            let siblings = known.iter().filter(|known| known.is_sibling_of(label)).map(|label| label.id);
            done.extend(siblings.filter(|id| self.labels.remove(id)).map(What::LabelRemoved));
            self.labels.insert(label.id);
            done.push(What::LabelAdded(label.id));
        }
        done
    }

    /// Moves all its times into the past.
    pub(super) fn grow_older(&mut self, by: TimeDelta) {
        let times = [&mut self.created, &mut self.updated].into_iter();
        let times = times.chain(self.closed.as_mut()).chain(self.due.as_mut());
        let entries = self.entries.iter_mut().flat_map(|entry| [&mut entry.created, &mut entry.updated]);
        for time in times.chain(entries) {
            *time -= by;
        }
    }
}
