//! The exit codes of all commands.

use std::process::ExitCode;

/// The result of a command, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Complete: nothing is left to do.
    Complete = 0,
    /// Incomplete, or something failed that a later run may fix.
    Failed = 1,
    /// Manual action required. Nothing was written, except before a token turned out to lack a scope.
    ManualAction = 2,
    /// `--exit-code`: an active mission is unhealthy, or a failure is permanent.
    Unhealthy = 3,
    /// `--exit-code`: a dry run found changes to make.
    Changes = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
