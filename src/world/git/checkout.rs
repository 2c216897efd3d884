//! One checkout, step by step: fetch, count, check out, hand over.

use crate::mission::identity::CommitId;
use crate::world::clock;
use crate::world::git::census::Census;
use crate::world::git::child::{self, Bounds, ChildEnd, Listener};
use crate::world::git::environment::{self, GitPermissions};
use crate::world::git::error::CheckoutError;
use crate::world::git::git_errors;
use crate::world::git::handover;
use crate::world::git::source::{CheckoutLimits, CheckoutSource, Destination};
use crate::world::git::walk::Until;
use crate::world::git::written::WrittenBytes;
use crate::world::store::removal::{BUDGET, remove_tree_at};
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The arguments of a git command.
type Arguments<'a> = &'a [&'a str];

/// The file where a fetch records what it fetched.
const FETCH_HEAD: &str = "FETCH_HEAD";

/// The object formats; which one a repository has shows only when it is fetched.
const FORMATS: [&str; 2] = ["sha1", "sha256"];

/// The most bytes of output of a command that prints one line.
const LINE_BYTES_MAX: usize = 1024;

/// A checkout in progress in its own directory.
pub(super) struct Checkout<'a> {
    git: &'a Path,
    source: &'a CheckoutSource,
    destination: Destination<'a>,
    limits: CheckoutLimits,
    deadline: Instant,
}

impl<'a> Checkout<'a> {
    pub(super) fn new(
        git: &'a Path,
        source: &'a CheckoutSource,
        destination: Destination<'a>,
        limits: CheckoutLimits,
    ) -> Self {
        Self { git, source, destination, limits, deadline: clock::blocking_instant() + limits.time }
    }

    /// Runs all steps. After an error the caller removes the directory.
    pub(super) fn make(&self) -> Result<CommitId, CheckoutError> {
        self.fetch()?;
        let commit = self.resolve()?;
        self.count(&commit)?;
        self.fill(&commit)?;
        self.settle()?;
        self.hand_over().map(|()| commit)
    }

    fn fetch(&self) -> Result<(), CheckoutError> {
        let permissions = environment::for_fetch(self.source)?;
        for format in FORMATS {
            self.begin(format)?;
            let ended = self.fetch_with(&permissions)?;
            if ended.status.success() {
                return Ok(());
            }
            // A repository created for one object format takes no other.
            let is_of_another = format == FORMATS[0] && ended.stderr.contains("mismatched algorithms");
            if !is_of_another {
                return Err(if self.is_pack_full() {
                    CheckoutError::TooLarge { limit: self.limits.bytes }
                } else {
                    git_errors::of_fetch(&ended, self.limits)
                });
            }
        }
        Err(CheckoutError::Unfit { flaw: "its object ids have a format that git does not know".to_owned() })
    }

    /// Whether a pack has reached the limit of file size. Its writer is killed then, and git does not report why.
    fn is_pack_full(&self) -> bool {
        let entries = std::fs::read_dir(self.destination.directory.join(".git/objects/pack")).into_iter().flatten();
        let mut sizes = entries.filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok());
        sizes.any(|pack| pack.len() >= self.limits.bytes)
    }

    /// Creates an empty repository. `git init` on an existing one would keep its format.
    fn begin(&self, format: &str) -> Result<(), CheckoutError> {
        let tried = "create the repository";
        remove_tree_at(&self.destination.directory.join(".git"), BUDGET)
            .map_err(|left| CheckoutError::failed(tried, &left))?;
        let (branch, format) =
            (format!("--initial-branch={}", self.destination.branch), format!("--object-format={format}"));
        self.step(tried, &["init", "--quiet", "--template=", &branch, &format])
    }

    /// The ref is passed by standard input, where it cannot be taken for an option.
    fn fetch_with(&self, permissions: &GitPermissions) -> Result<ChildEnd, CheckoutError> {
        let url = self.source.url().as_str();
        let options = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance"];
        let arguments = [&["fetch"], &options[..], &["--stdin", "--end-of-options", url]].concat();
        let wanted = self.source.git_ref().map_or_else(|| "HEAD".to_owned(), ToString::to_string);
        let mut ended = self.run(permissions, &arguments, &format!("{wanted}\n"), &mut |_| Ok(()))?;
        // A server can echo the token, and git prints it.
        let secrets = environment::secrets(self.source);
        ended.stderr = secrets.iter().fold(ended.stderr, |text, secret| text.replace(secret, "…"));
        Ok(ended)
    }

    /// Resolves the fetched commit; an annotated tag may precede it, or point to something else.
    fn resolve(&self) -> Result<CommitId, CheckoutError> {
        let mut line = Vec::new();
        let ended =
            self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", "FETCH_HEAD^{commit}"], &mut |piece| {
                line.extend_from_slice(&piece[..piece.len().min(LINE_BYTES_MAX - line.len())]);
                Ok(())
            })?;
        if !ended.status.success() {
            return Err(CheckoutError::CannotBeHad);
        }
        let text = String::from_utf8_lossy(&line);
        CommitId::parse(text.trim_end()).map_err(|error| CheckoutError::failed("read the commit", &error))
    }

    /// Trees count too: a million empty ones cost as much.
    fn count(&self, commit: &CommitId) -> Result<(), CheckoutError> {
        let mut census = Census::new(self.limits);
        let arguments = ["ls-tree", "-r", "-t", "-l", "-z", &commit.to_string()];
        let ended = self.ask(&arguments, &mut |piece| census.read(piece))?;
        self.done("list the commit", &ended)
    }

    /// Writes branch and files. The commit's entries are counted already; what its attributes make of them is counted
    /// during the checkout and once more after it.
    fn fill(&self, commit: &CommitId) -> Result<(), CheckoutError> {
        let tried = "check out the commit";
        let directory = self.open_directory().map_err(|error| CheckoutError::failed(tried, &error))?;
        let mut written = WrittenBytes::new(directory.as_fd(), self.limits.bytes, self.until());
        let arguments = ["reset", "--quiet", "--hard", "--no-recurse-submodules", &commit.to_string()];
        let command = self.command(&environment::local(), &arguments)?;
        let ended = child::run_watched(command, "", self.bounds(), (&mut |_| Ok(()), Some(&mut written)))?;
        self.done(tried, &ended)?;
        written.count()
    }

    /// Prepares the repository for its users.
    fn settle(&self) -> Result<(), CheckoutError> {
        let tried = "set the repository up";
        self.step(tried, &["config", "core.symlinks", "false"])?;
        self.step(tried, &["config", "core.sharedRepository", "group"])?;
        self.step(tried, &["remote", "add", "--", "origin", self.source.url().as_str()])
    }

    fn hand_over(&self) -> Result<(), CheckoutError> {
        let failed = |error: Errno| CheckoutError::failed(handover::TRIED, &error);
        let directory = self.open_directory().map_err(failed)?;
        let own = handover::open(directory.as_fd(), c".git", OFlags::DIRECTORY).map_err(failed)?;
        unlinkat(&own, FETCH_HEAD, AtFlags::empty()).map_err(failed)?;
        let secrets = environment::secrets(self.source);
        if let Some(file) = handover::find_secret(own.as_fd(), &secrets).map_err(failed)? {
            return Err(CheckoutError::failed(handover::TRIED, &format!("`.git/{file}` holds the token")));
        }
        handover::hand_over(directory.as_fd(), self.destination.group, self.until())
    }

    fn open_directory(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(self.destination.directory, flags, Mode::empty())
    }

    /// Runs a step that has to succeed.
    fn step(&self, tried: &'static str, arguments: Arguments<'_>) -> Result<(), CheckoutError> {
        let ended = self.ask(arguments, &mut |_| Ok(()))?;
        self.done(tried, &ended)
    }

    fn done(&self, tried: &'static str, ended: &ChildEnd) -> Result<(), CheckoutError> {
        if ended.status.success() { Ok(()) } else { Err(git_errors::of_step(tried, ended, self.limits)) }
    }

    /// Runs a step that needs no network.
    fn ask(&self, arguments: Arguments<'_>, listener: Listener<'_>) -> Result<ChildEnd, CheckoutError> {
        self.run(&environment::local(), arguments, "", listener)
    }

    fn run(
        &self,
        permissions: &GitPermissions,
        arguments: Arguments<'_>,
        input: &str,
        listener: Listener<'_>,
    ) -> Result<ChildEnd, CheckoutError> {
        child::run(self.command(permissions, arguments)?, input, self.bounds(), listener)
    }

    fn command(&self, permissions: &GitPermissions, arguments: Arguments<'_>) -> Result<Command, CheckoutError> {
        let mut command = environment::command(self.git, self.destination.directory, permissions)?;
        command.args(arguments);
        Ok(command)
    }

    fn bounds(&self) -> Bounds {
        Bounds { deadline: self.deadline, time: self.limits.time, file_bytes: self.limits.bytes }
    }

    fn until(&self) -> Until {
        Until { deadline: self.deadline, time: self.limits.time }
    }
}
