//! Exit codes: one meaning each, for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Complete, and everything it had to do is done.
    Complete = 0,
    /// Incomplete, or something failed.
    Failed = 1,
    /// A person must act. Nothing was written, but for what came before a token turned out to be too narrow.
    Refused = 2,
    /// `--exit-code`: an active mission is not well.
    Alarm = 3,
    /// `--exit-code`: a dry run has changes to make.
    Changes = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
