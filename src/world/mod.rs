//! The effects: the forge and the disk. Everything in here does as it is told; [`crate::mission`] decides.

mod accepted;
pub mod accounts;
mod acl;
pub mod alert_targets;
pub mod applier;
pub mod archive;
pub mod beats;
pub mod beneath;
pub mod cells;
pub mod checkout;
pub mod clock;
pub mod courier;
pub mod crew;
pub mod cron_heartbeat;
pub mod entry;
pub mod git;
pub mod gitea;
pub mod heaps;
pub mod journal;
pub mod ledger;
pub mod lock;
pub(crate) mod mutex;
pub mod observer;
pub mod random;
pub mod removal;
pub mod repository;
pub mod root;
pub mod service;
pub(crate) mod staged;
pub mod starts;
pub mod trash;
pub mod watch;
pub mod writer;

use crate::mission::failure::{Failure, FailureScope};
use crate::mission::identity::{MissionId, RepositoryName};
use crate::mission::time::Timestamp;
use git::CheckoutError;
use gitea::ForgeError;
use root::RootError;
use writer::WriteError;

/// A change that could not be made. The next pass tries again.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A repository.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// A worktree that somebody has put something into, or something else in the place of.
    #[error("`worktree/` of the cell `{mission_id}` is no empty directory, and what is there stays")]
    WorktreeInUse {
        /// Whose.
        mission_id: MissionId,
    },
    /// A change that needs an initialised root came before its initialisation succeeded.
    #[error("the missions root is not initialised")]
    NoRoot,
    /// The label is needed, but could not be created.
    #[error("the label `{label}` does not exist in `{repository}` and could not be created")]
    NoLabel {
        /// Which.
        label: String,
        /// Where.
        repository: RepositoryName,
    },
    /// The forge answered success, but did not do it.
    #[error("the forge accepted a change of labels on {issue}, but did not make it: {labels}")]
    LabelsIgnored {
        /// Which issue.
        issue: String,
        /// Which labels.
        labels: String,
    },
    /// Our comment is not there any more.
    #[error("our comment {id} is not there any more")]
    CommentGone {
        /// Its id.
        id: i64,
    },
    /// Our comment was posted by another account, and the account of the token may not edit it.
    #[error(
        "our comment {id} on {issue} was posted by a former account, and the account of the token may not edit it: {error}; \
         no second one is posted: give this account write access to the repository, and name the former one in \
         `forge.trusted_posters`, so that all its comments count as ours"
    )]
    CommentOfAnother {
        /// Its id.
        id: i64,
        /// Which issue.
        issue: String,
        /// What the forge said.
        error: String,
    },
}

impl WorldError {
    /// Whether a person has to give another token before anything can help.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Forge(error) if error.is_about_the_token())
    }

    /// Whether it is told on the issue, where whoever filed it can mend it, and is no trouble of this host.
    #[must_use]
    pub fn is_told_on_the_issue(&self) -> bool {
        let is_the_proposers = matches!(self, Self::Checkout(error) if error.is_the_proposers());
        is_the_proposers || matches!(self, Self::WorktreeInUse { .. })
    }

    /// Whether it stays so until a person does something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Forge(error) => error.needs_a_person(),
            Self::Write(error) => error.needs_a_person(),
            Self::Checkout(error) => error.is_the_proposers(),
            Self::WorktreeInUse { .. } | Self::CommentOfAnother { .. } => true,
            Self::Root(_)
            | Self::NoRoot
            | Self::NoLabel { .. }
            | Self::LabelsIgnored { .. }
            | Self::CommentGone { .. } => false,
        }
    }

    /// What is remembered of it, where it is one mission's or one repository's and stays so until a person does something.
    #[must_use]
    pub fn lasting(&self, now: Timestamp) -> Option<Failure> {
        let is_lasting = self.needs_a_person() && self.scope() != FailureScope::Service;
        is_lasting.then(|| Failure::new(self.kind(), &self.to_string(), true, now))
    }

    /// Whose trouble it is where it came up in the turn of one mission.
    #[must_use]
    pub fn scope(&self) -> FailureScope {
        match self {
            Self::Forge(error) => error.scope(),
            Self::Write(error) => error.scope(),
            Self::Root(_) | Self::NoRoot => FailureScope::Service,
            Self::NoLabel { .. } => FailureScope::Repository,
            Self::Checkout(_)
            | Self::WorktreeInUse { .. }
            | Self::LabelsIgnored { .. }
            | Self::CommentGone { .. }
            | Self::CommentOfAnother { .. } => FailureScope::Mission,
        }
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.kind(),
            Self::Root(error) => error.kind(),
            Self::Write(_) => "write",
            Self::Checkout(error) => error.kind(),
            Self::WorktreeInUse { .. } => "worktree-in-use",
            Self::NoRoot => "no-root",
            Self::NoLabel { .. } => "no-label",
            Self::LabelsIgnored { .. } => "labels-ignored",
            Self::CommentGone { .. } => "comment-gone",
            Self::CommentOfAnother { .. } => "comment-of-another",
        }
    }
}
