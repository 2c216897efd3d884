//! Worktrees: their sources, and the record of their checkouts.

use crate::mission::identity::{CommitId, GitRef, RepositoryName};
use crate::mission::proposal::Spec;
use crate::mission::text::whole_span;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The delay before a failed checkout is retried; doubled with each further failure.
const RETRY_MIN: TimeDelta = TimeDelta::minutes(1);

/// The longest delay between retries.
const RETRY_MAX: TimeDelta = TimeDelta::hours(1);

/// A repository at a ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeSource {
    /// The repository.
    pub repository: RepositoryName,
    /// Branch, tag or commit; none for the default branch.
    #[serde(rename = "ref")]
    pub git_ref: Option<GitRef>,
}

impl WorktreeSource {
    /// The source that a proposal asks for.
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

/// A checkout that was handed over to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedOut {
    /// Its source.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// The commit that was checked out.
    pub commit: CommitId,
}

/// A checkout in progress, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// The repository and ref.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// When it was requested.
    pub since: Timestamp,
}

/// The repository `wizards/spellbook` at `main` is being checked out since 2026-11-28 12:00 UTC
impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The repository {} is being checked out since {}", self.source, self.since.formatted())
    }
}

/// How long a checkout may take before the issue reports it. A quick one is reported by its result alone.
pub const PUBLISHED_AFTER: Duration = Duration::from_secs(5);

/// A checkout that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutUnderWay {
    /// The source, and when the checkout was requested.
    pub what: UnderWay,
    /// The time since then.
    pub lasted: Duration,
}

impl CheckoutUnderWay {
    /// What is published of it, once it takes longer than [`PUBLISHED_AFTER`].
    #[must_use]
    pub fn published(&self) -> Option<&UnderWay> {
        Some(&self.what).filter(|_| self.lasted >= PUBLISHED_AFTER)
    }
}

/// The identity of a directory, which survives a move: its inode number and creation time, since the number of a
/// deleted directory is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryId(String);

impl DirectoryId {
    /// From an inode number and the creation time since 1970, if the file system records it.
    #[must_use]
    pub fn new(inode: u64, created: Option<Duration>) -> Self {
        Self(created.map_or_else(|| inode.to_string(), |created| format!("{inode}-{}", created.as_nanos())))
    }
}

/// A checkout that is being moved into its cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placing {
    /// The checkout.
    #[serde(flatten)]
    pub checked_out: CheckedOut,
    /// The directory that holds it. Records of older versions have none, which matches no directory.
    #[serde(default)]
    pub directory: DirectoryId,
}

/// The record of a cell's worktree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worktree {
    /// The checkout that was handed over, if any.
    pub checked_out: Option<CheckedOut>,
    /// A checkout in staging, for a cell that is about to be created or on its way into one. It outlives failures and
    /// crashes; it counts only if its directory exists.
    pub placing: Option<Box<Placing>>,
    /// The last failed checkout.
    pub failed: Option<Box<FailedCheckout>>,
    /// The running checkout that was published. It may outlive a process that was killed; nothing is decided by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Box<UnderWay>>,
}

/// A failed checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheckout {
    /// Its source; another source is tried immediately.
    #[serde(flatten)]
    pub source: WorktreeSource,
    /// How many times in a row it failed.
    pub failures: u32,
    /// When it is retried.
    pub retry_at: Timestamp,
    /// Why it failed.
    pub why: String,
}

/// The one error for a missing repository, one that is not allowed, and an unknown ref, so that it does not disclose
/// which private repositories exist.
pub const UNAVAILABLE: &str =
    "the repository or ref was not found, is not visible to this service, or is not allowed here; check both";

/// A hint for refs that may be short commit ids. These are never resolved: the commit that they mean can change with
/// every push, also after an approval.
const FULL_ID_HINT: &str = "name a commit by its full id of 40 digits";

impl Worktree {
    /// The worktree of a cell that is about to be created; `wanted` is placed with it if the directory `staged` holds a
    /// checkout of it.
    #[must_use]
    pub fn of_new_cell(self, wanted: Option<&WorktreeSource>, staged: Option<&DirectoryId>) -> Self {
        let is_ready =
            |placing: &Placing| wanted == Some(&placing.checked_out.source) && staged == Some(&placing.directory);
        let placing = self.placing.filter(|placing| is_ready(placing));
        Self { checked_out: None, placing, failed: self.failed, under_way: None }
    }

    /// Records that a checkout was handed over to the agent.
    pub fn hand_over(&mut self, checked_out: CheckedOut) {
        *self = Self { checked_out: Some(checked_out), ..Self::default() };
    }

    /// Records a failure and schedules the retry.
    pub fn fail(&mut self, source: WorktreeSource, why: String, now: Timestamp) {
        let may_be_short = source.git_ref.as_ref().is_some_and(GitRef::may_be_short_commit);
        let why = if may_be_short && why == UNAVAILABLE { format!("{why}; {FULL_ID_HINT}") } else { why };
        let before = self.failed.take().filter(|failed| failed.source == source);
        let failures = before.map_or(0, |failed| failed.failures).saturating_add(1);
        let delay = RETRY_MIN * 2_i32.pow(failures.saturating_sub(1).min(6));
        let failed = FailedCheckout { source, failures, retry_at: now.plus(delay.min(RETRY_MAX)), why };
        (self.failed, self.under_way) = (Some(Box::new(failed)), None);
    }

    /// When the next checkout is due, if one is; now if none has failed yet.
    #[must_use]
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        let retry_at = self.failed.as_ref().map_or(now, |failed| failed.retry_at);
        self.checked_out.is_none().then_some(retry_at)
    }
}
