//! Why a repository could not be checked out, told apart by who can do something about it.

use crate::mission::worktree::CANNOT_BE_HAD;
use crate::world::git::version::FLOOR;
use std::time::Duration;

/// A checkout that did not succeed; nothing of it is left. No variant ever holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutError {
    /// There is none, or the bot may not read it, or there is no such ref. Which of these it is would tell whoever
    /// files a proposal what exists in repositories that they may not read.
    #[error("{CANNOT_BE_HAD}")]
    CannotBeHad,
    /// More files and directories than a checkout may have.
    #[error("the repository holds more than {limit} files and directories; name a smaller one")]
    TooManyEntries {
        /// The most there may be.
        limit: u64,
    },
    /// More than a checkout may hold, or git needs more memory for it than it may have.
    #[error("the repository is larger than {limit} bytes; name a smaller one")]
    TooLarge {
        /// The most it may hold.
        limit: u64,
    },
    /// Not done in time.
    #[error("the repository could not be checked out within {} seconds; the next pass tries again", .limit.as_secs_f32())]
    TooSlow {
        /// The most that all steps together may take.
        limit: Duration,
    },
    /// It holds what no checkout may contain.
    #[error("the repository cannot be checked out safely: {flaw}; put that right in the repository")]
    Unfit {
        /// What that is.
        flaw: String,
    },
    /// The forge did not answer, or not as a forge does.
    #[error("git cannot fetch from the forge: {cause}; check that it runs, and `forge.url`")]
    Unreachable {
        /// What git said.
        cause: String,
    },
    /// There is no git that could be used.
    #[error("{cause}; install git {} or newer", FLOOR)]
    NoGit {
        /// What there is instead.
        cause: String,
    },
    /// Something of our own: the disk, the group, a process that cannot be started.
    #[error("cannot {tried}: {cause}")]
    Failed {
        /// What was being done.
        tried: &'static str,
        /// Why it failed.
        cause: String,
    },
}

impl CheckoutError {
    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CannotBeHad => "worktree-not-found",
            Self::TooManyEntries { .. } => "worktree-too-many-entries",
            Self::TooLarge { .. } => "worktree-too-large",
            Self::TooSlow { .. } => "worktree-too-slow",
            Self::Unfit { .. } => "worktree-unfit",
            Self::Unreachable { .. } => "worktree-unreachable",
            Self::NoGit { .. } => "no-git",
            Self::Failed { .. } => "worktree",
        }
    }

    /// Whether whoever named the repository can do something about it, and nobody else.
    #[must_use]
    pub fn is_the_proposers(&self) -> bool {
        match self {
            Self::CannotBeHad
            | Self::TooManyEntries { .. }
            | Self::TooLarge { .. }
            | Self::TooSlow { .. }
            | Self::Unfit { .. } => true,
            Self::Unreachable { .. } | Self::NoGit { .. } | Self::Failed { .. } => false,
        }
    }

    /// Something of our own that failed.
    pub(in crate::world) fn failed(tried: &'static str, cause: &dyn std::fmt::Display) -> Self {
        Self::Failed { tried, cause: cause.to_string() }
    }
}
