//! The effects on Gitea and on disk. Code here only executes; [`crate::mission`] decides.

pub mod applier;
pub mod blocking_pool;
pub(crate) mod catch_unwind;
pub mod cells;
pub mod checkout;
pub mod clock;
pub mod cron_heartbeat;
pub mod forge;
pub mod git;
pub mod heaps;
pub mod http_client;
pub mod limits;
pub(crate) mod lock_unpoisoned;
pub mod log_once;
pub mod observer;
pub mod random;
pub mod service;
pub mod store;
pub mod terminal;

use crate::mission::cell::worktree::CheckoutUnderWay;
use crate::mission::failure::{FailureScope, MissionFailure};
use crate::mission::identity::{MissionId, RepositoryName};
use crate::mission::time::Timestamp;
use crate::world::store::root::RootError;
use crate::world::store::writer::WriteError;
use forge::ForgeError;
use git::CheckoutError;

/// A change that failed. The next pass retries it.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A call to Gitea failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The root cannot be used.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A repository could not be checked out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The cell's `worktree/` is not an empty directory.
    #[error("`worktree/` of the cell `{mission_id}` is not an empty directory; its contents are kept")]
    WorktreeInUse {
        /// The mission of the cell.
        mission_id: MissionId,
    },
    /// A checkout is still running; its mission is enqueued when it ends.
    #[error("{}", .0.what)]
    CheckoutUnderWay(Box<CheckoutUnderWay>),
    /// A change that needs an initialised root came before its initialisation succeeded.
    #[error("the missions root is not initialised")]
    NoRoot,
    /// A needed label could not be created.
    #[error("the label `{label}` does not exist in `{repository}` and could not be created")]
    NoLabel {
        /// The name of the label.
        label: String,
        /// The repository without the label.
        repository: RepositoryName,
    },
    /// Gitea answered success, but did not apply the change.
    #[error("Gitea accepted a change of labels on {issue}, but did not apply it: {labels}")]
    LabelsIgnored {
        /// The issue.
        issue: String,
        /// The labels in question.
        labels: String,
    },
    /// Our comment was deleted.
    #[error("our comment {id} was deleted")]
    CommentGone {
        /// The id of the comment.
        id: i64,
    },
    /// Our comment was posted by another account, and the token's account may not edit it.
    #[error(
        "our comment {id} on {issue} was posted by a former account, and the account of the token may not edit it: {error}; \
         no second one is posted: give this account write access to the repository, and name the former one in \
         `forge.trusted_posters`, so that all its comments count as ours"
    )]
    CommentByOtherAccount {
        /// The id of the comment.
        id: i64,
        /// The issue.
        issue: String,
        /// Gitea's answer.
        error: String,
    },
}

impl WorldError {
    /// Whether only another token helps.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Forge(error) if error.is_about_the_token())
    }

    /// Whether it is reported on the issue, where the proposer can fix it, and is not a failure of this host.
    #[must_use]
    pub fn is_told_on_the_issue(&self) -> bool {
        let is_the_proposers = matches!(self, Self::Checkout(error) if error.is_the_proposers());
        is_the_proposers || matches!(self, Self::WorktreeInUse { .. })
    }

    /// Whether manual action is required.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Forge(error) => error.needs_a_person(),
            Self::Write(error) => error.needs_a_person(),
            Self::Checkout(error) => error.is_the_proposers(),
            Self::WorktreeInUse { .. } | Self::CommentByOtherAccount { .. } => true,
            Self::Root(_)
            | Self::NoRoot
            | Self::CheckoutUnderWay(_)
            | Self::NoLabel { .. }
            | Self::LabelsIgnored { .. }
            | Self::CommentGone { .. } => false,
        }
    }

    /// The failure to record, if it affects one mission or one repository and requires manual action.
    #[must_use]
    pub fn lasting(&self, now: Timestamp) -> Option<MissionFailure> {
        let is_lasting = self.needs_a_person() && self.scope() != FailureScope::Service;
        is_lasting.then(|| MissionFailure::new(self.kind(), &self.to_string(), true, now))
    }

    /// Whom the failure affects when it occurs in the work on one mission.
    #[must_use]
    pub fn scope(&self) -> FailureScope {
        match self {
            Self::Forge(error) => error.scope(),
            Self::Write(error) => error.scope(),
            Self::Root(_) | Self::NoRoot => FailureScope::Service,
            Self::NoLabel { .. } => FailureScope::Repository,
            Self::Checkout(_)
            | Self::CheckoutUnderWay(_)
            | Self::WorktreeInUse { .. }
            | Self::LabelsIgnored { .. }
            | Self::CommentGone { .. }
            | Self::CommentByOtherAccount { .. } => FailureScope::Mission,
        }
    }

    /// The stable name for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.kind(),
            Self::Root(error) => error.kind(),
            Self::Write(_) => "write",
            Self::Checkout(error) => error.kind(),
            Self::CheckoutUnderWay(_) => "worktree-under-way",
            Self::WorktreeInUse { .. } => "worktree-in-use",
            Self::NoRoot => "no-root",
            Self::NoLabel { .. } => "no-label",
            Self::LabelsIgnored { .. } => "labels-ignored",
            Self::CommentGone { .. } => "comment-gone",
            Self::CommentByOtherAccount { .. } => "comment-of-another",
        }
    }
}
