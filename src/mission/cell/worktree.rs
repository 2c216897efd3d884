//! What a cell's worktree is made from, and what is remembered of making it.

use crate::mission::identity::{CommitId, GitRef, RepositoryName};
use crate::mission::proposal::Spec;
use crate::mission::text::whole_span;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long after a first failure a checkout is tried again; doubled with each further one.
const RETRY_MIN: TimeDelta = TimeDelta::minutes(1);

/// And never later than this.
const RETRY_MAX: TimeDelta = TimeDelta::hours(1);

/// A repository at some ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeSource {
    /// Which.
    pub repository: RepositoryName,
    /// Branch, tag or commit; none for the default branch.
    #[serde(rename = "ref")]
    pub git_ref: Option<GitRef>,
}

impl WorktreeSource {
    /// What a proposal asks for.
    #[must_use]
    pub fn of(spec: &Spec) -> Option<Self> {
        Some(Self { repository: spec.repository.clone()?, git_ref: spec.git_ref.clone() })
    }
}

/// `wizards/spellbook` at `main`
impl fmt::Display for WorktreeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.git_ref {
            Some(git_ref) => write!(f, "`{}` at {}", self.repository, whole_span(&git_ref.to_string())),
            None => write!(f, "`{}`", self.repository),
        }
    }
}

/// What was checked out and handed over; it is the wizard's since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedOut {
    /// From where.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// Which commit.
    pub commit: CommitId,
}

/// What is being checked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// From where.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// Since when.
    pub since: Timestamp,
}

/// The repository `wizards/spellbook` at `main` is being checked out since 2026-11-28 12:00 UTC
impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The repository {} is being checked out since {}", self.source, self.since.formatted())
    }
}

/// How long a checkout may take before the issue says that it is under way. A quick one is told by what it comes to alone.
pub const TOLD_AFTER: Duration = Duration::from_secs(5);

/// A checkout that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutUnderWay {
    /// What is checked out, and since when.
    pub what: UnderWay,
    /// How long that is.
    pub lasted: Duration,
}

impl CheckoutUnderWay {
    /// What is to be told of it, once it takes so long.
    #[must_use]
    pub fn told(&self) -> Option<&UnderWay> {
        Some(&self.what).filter(|_| self.lasted >= TOLD_AFTER)
    }
}

/// One directory on this disk, wherever it is moved: its inode number, and when that was created, since the number of a
/// deleted directory is used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryId(String);

impl DirectoryId {
    /// Of an inode number and the time of its creation since 1970, where the file system knows that.
    #[must_use]
    pub fn new(inode: u64, created: Option<Duration>) -> Self {
        Self(created.map_or_else(|| inode.to_string(), |created| format!("{inode}-{}", created.as_nanos())))
    }
}

/// A checkout on its way into its cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placing {
    /// What was checked out.
    #[serde(flatten)]
    pub checked_out: CheckedOut,
    /// The directory that holds it. A record of an older version names none, and no directory is taken for it.
    #[serde(default)]
    pub directory: DirectoryId,
}

/// What we remember of a cell's worktree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worktree {
    /// What was checked out, once something was.
    pub checked_out: Option<CheckedOut>,
    /// What lies in staging for a cell that is about to be created, or is being moved into one. Whoever fails or dies
    /// meanwhile leaves it; it counts only where its directory is found.
    pub placing: Option<Box<Placing>>,
    /// The last failure.
    pub failed: Option<Box<FailedCheckout>>,
    /// What was told to be under way. Whoever dies meanwhile leaves it; it is only repeated, and nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Box<UnderWay>>,
}

/// A checkout that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheckout {
    /// Of what; another one is tried at once.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
    /// Why, in our own words.
    pub why: String,
}

/// The one answer to a repository that is missing, one that may not be used, and an unknown ref, so that nobody learns which
/// private repositories there are.
pub const CANNOT_BE_HAD: &str =
    "the forge has no such repository or ref for us, or it may not be used here; check both";

/// What is said besides of a ref that may be a short commit id. It is never looked up: which commit it means can change
/// with every push, also after somebody has approved it.
const GIVE_IT_WHOLE: &str = "a commit has to be named in full, by all 40 digits of its id";

impl Worktree {
    /// The worktree of a cell that is about to be created: `wanted` is placed with it if `staged` is the directory that holds
    /// a checkout of it.
    #[must_use]
    pub fn of_new_cell(self, wanted: Option<&WorktreeSource>, staged: Option<&DirectoryId>) -> Self {
        let is_ready =
            |placing: &Placing| wanted == Some(&placing.checked_out.source) && staged == Some(&placing.directory);
        let placing = self.placing.filter(|placing| is_ready(placing));
        Self { checked_out: None, placing, failed: self.failed, under_way: None }
    }

    /// Notes that this lies in its cell, and is the wizard's since.
    pub fn hand_over(&mut self, checked_out: CheckedOut) {
        *self = Self { checked_out: Some(checked_out), ..Self::default() };
    }

    /// Notes that it failed again, and when the next try is due.
    pub fn fail(&mut self, source: WorktreeSource, why: String, now: Timestamp) {
        let may_be_short = source.git_ref.as_ref().is_some_and(GitRef::may_be_short_commit);
        let why = if may_be_short && why == CANNOT_BE_HAD { format!("{why}; {GIVE_IT_WHOLE}") } else { why };
        let before = self.failed.take().filter(|failed| failed.source == source);
        let failures = before.map_or(0, |failed| failed.failures).saturating_add(1);
        let pause = RETRY_MIN * 2_i32.pow(failures.saturating_sub(1).min(6));
        let failed = FailedCheckout { source, failures, retry_at: now.plus(pause.min(RETRY_MAX)), why };
        (self.failed, self.under_way) = (Some(Box::new(failed)), None);
    }

    /// When the next try is due, if one is; at once where there was none yet.
    #[must_use]
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        let retry_at = self.failed.as_ref().map_or(now, |failed| failed.retry_at);
        self.checked_out.is_none().then_some(retry_at)
    }
}
