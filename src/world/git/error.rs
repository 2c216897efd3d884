//! Why a checkout failed, classified by who can fix it.

use crate::mission::cell::worktree::UNAVAILABLE;
use crate::world::git::version::FLOOR;
use std::time::Duration;

/// A failed checkout; nothing of it is left. No variant holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckoutError {
    /// No such repository or ref, or no access for the bot. Which of them would reveal to proposers what exists in
    /// repositories that they may not read.
    #[error("{UNAVAILABLE}")]
    CannotBeHad,
    /// More files and directories than allowed.
    #[error("the repository holds more than {limit} files and directories; name a smaller one")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// More bytes than allowed, or git exceeds its memory limit.
    #[error("the repository is larger than {limit} bytes; name a smaller one")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Not done within the time limit.
    #[error("the repository could not be checked out within {} seconds; the next pass tries again", .limit.as_secs_f32())]
    TooSlow {
        /// The time limit for all steps together.
        limit: Duration,
    },
    /// The content is not allowed in a checkout.
    #[error("the repository cannot be checked out safely: {flaw}; fix that in the repository")]
    Unfit {
        /// The flaw.
        flaw: String,
    },
    /// Gitea did not answer, or the answer is invalid.
    #[error("git cannot fetch from Gitea: {cause}; check that it runs, and `forge.url`")]
    Unreachable {
        /// The message of git.
        cause: String,
    },
    /// No usable git.
    #[error("{cause}; install git {} or newer", FLOOR)]
    NoGit {
        /// What was found instead.
        cause: String,
    },
    /// A local failure: the disk, the group, a process that cannot start.
    #[error("cannot {tried}: {cause}")]
    Failed {
        /// The failed action.
        tried: &'static str,
        /// The cause.
        cause: String,
    },
}

impl CheckoutError {
    /// The stable name for JSON, logs and metrics.
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

    /// Whether only the proposer can fix it.
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
