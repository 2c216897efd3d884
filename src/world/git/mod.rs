//! Checks out repositories; git is the only program that ever works on untrusted content.
//!
//! - git runs only in a directory of this service that no other account can reach yet, never in one that was handed
//!   over: a repository's own configuration can make any git command run anything.
//! - Its environment and configuration are built here and inherit nothing; it may connect to the forge's origin only,
//!   follows no redirect, prompts for nothing, and starts only its own parts.
//! - What it fetched is counted before the checkout, and what it writes during the checkout.
//! - The token is in the environment of the fetch only: in no argument, no file and no message.
//! - It runs under a guard and ends when this process ends, for any reason.
//! - No hook and no filter runs, links are checked out as plain files, submodules stay empty.
//!
//! Everything here blocks.

mod census;
mod checkout;
mod child;
mod environment;
mod error;
mod git_errors;
pub mod guard;
mod handover;
mod source;
mod version;
mod walk;
mod written;

pub use error::CheckoutError;
pub use source::{BYTES_MAX, CheckoutLimits, CheckoutSource, Destination, ENTRIES_MAX, TIME_MAX};
pub use version::{FLOOR, GitVersion};

use crate::mission::identity::CommitId;
use crate::world::clock;
use crate::world::store::removal::{BUDGET, remove_tree_at};
use checkout::Checkout;
use child::Bounds;
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use walk::Until;

/// The time limit for `git --version`.
const VERSION_TIME_MAX: Duration = Duration::from_secs(10);

/// The most bytes of its output.
const VERSION_BYTES_MAX: usize = 1024;

/// A git that is new enough. Cheap to keep.
#[derive(Clone, Debug)]
pub struct Git {
    path: PathBuf,
    version: GitVersion,
}

impl Git {
    /// Finds git in `PATH` and reads its version. Blocks for a moment.
    pub fn find() -> Result<Self, CheckoutError> {
        Self::find_in(&std::env::var_os("PATH").unwrap_or_default())
    }

    /// Finds git in these directories, written as in `PATH`; relative paths are ignored.
    pub fn find_in(directories: &OsStr) -> Result<Self, CheckoutError> {
        let candidates = std::env::split_paths(directories).filter(|directory| directory.is_absolute());
        let path = candidates.map(|directory| directory.join("git")).find(|path| is_program(path));
        let no_git = |cause: String| CheckoutError::NoGit { cause };
        let path = path.ok_or_else(|| no_git("there is no git in `PATH`".to_owned()))?;
        let text = ask_version(&path)?;
        let version = GitVersion::parse(&text)
            .ok_or_else(|| no_git(format!("`{}` does not report a git version", path.display())))?;
        if version < FLOOR {
            return Err(no_git(format!("`{}` is git {version}, which is too old", path.display())));
        }
        Ok(Self { path, version })
    }

    /// The path of the program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> GitVersion {
        self.version
    }

    /// Gives the content of a directory to a group, as the last step of a checkout does, within this time.
    pub fn hand_over(directory: BorrowedFd<'_>, group: Option<u32>, time: Duration) -> Result<(), CheckoutError> {
        handover::hand_over(directory, group, Until { deadline: clock::blocking_instant() + time, time })
    }

    /// Creates a worktree, syncs it, hands it over, and returns its commit. After an error nothing of it is left.
    pub fn check_out(
        &self,
        source: &CheckoutSource,
        destination: Destination<'_>,
        limits: CheckoutLimits,
    ) -> Result<CommitId, CheckoutError> {
        let directory = destination.directory;
        DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(|error| CheckoutError::failed("create the worktree", &error))?;
        Checkout::new(&self.path, source, destination, limits).make().inspect_err(|_| {
            if let Err(error) = remove_tree_at(directory, BUDGET) {
                tracing::warn!(directory = %directory.display(), %error, "the remains of a checkout cannot be removed");
            }
        })
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn ask_version(path: &Path) -> Result<String, CheckoutError> {
    let mut command = environment::command(path, Path::new("/"), &environment::local())?;
    command.arg("--version");
    let deadline = clock::blocking_instant() + VERSION_TIME_MAX;
    let bounds = Bounds { deadline, time: VERSION_TIME_MAX, file_bytes: 0 };
    let mut output = Vec::new();
    child::run(command, "", bounds, &mut |piece| {
        output.extend_from_slice(&piece[..piece.len().min(VERSION_BYTES_MAX - output.len())]);
        Ok(())
    })
    .map_err(|error| CheckoutError::NoGit { cause: format!("`{}` does not run: {error}", path.display()) })?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
