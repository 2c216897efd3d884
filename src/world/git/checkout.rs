//! One checkout, step by step: fetch, count, check out, hand over.

use crate::mission::identity::CommitId;
use crate::world::clock;
use crate::world::git::census::Census;
use crate::world::git::child::{self, Bounds, ChildEnd, Listener};
use crate::world::git::environment::{self, Leave};
use crate::world::git::error::CheckoutError;
use crate::world::git::handover;
use crate::world::git::source::{CheckoutLimits, CheckoutSource, Destination};
use crate::world::git::verdict;
use crate::world::git::walk::Until;
use crate::world::git::written::Written;
use crate::world::store::removal::{BUDGET, remove_tree_at};
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What a step asks git, after its name.
type Arguments<'a> = &'a [&'a str];

/// Where a fetch notes what it brought, and from where.
const FETCH_HEAD: &str = "FETCH_HEAD";

/// The ways of a repository to name its objects; which it is shows only when it is fetched.
const FORMATS: [&str; 2] = ["sha1", "sha256"];

/// The answer of a step that prints one line is never longer, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// A checkout under way in a directory of its own.
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

    /// Does all of it. What an error leaves in the directory is the caller's to remove.
    pub(super) fn make(&self) -> Result<CommitId, CheckoutError> {
        self.fetch()?;
        let commit = self.resolve()?;
        self.count(&commit)?;
        self.fill(&commit)?;
        self.settle()?;
        self.hand_over().map(|()| commit)
    }

    fn fetch(&self) -> Result<(), CheckoutError> {
        let leave = environment::to_fetch(self.source)?;
        for format in FORMATS {
            self.begin(format)?;
            let ended = self.fetch_with(&leave)?;
            if ended.status.success() {
                return Ok(());
            }
            // A repository made for one kind of ids takes no other.
            let is_of_another = format == FORMATS[0] && ended.complaint.contains("mismatched algorithms");
            if !is_of_another {
                return Err(if self.is_pack_full() {
                    CheckoutError::TooLarge { limit: self.limits.bytes }
                } else {
                    verdict::of_fetch(&ended, self.limits)
                });
            }
        }
        Err(CheckoutError::Unfit { flaw: "its object ids have a format that git does not know".to_owned() })
    }

    /// Whether a pack has come to the limit of a file's size. Who writes it is killed then, and git does not say why.
    fn is_pack_full(&self) -> bool {
        let entries = std::fs::read_dir(self.destination.directory.join(".git/objects/pack")).into_iter().flatten();
        let mut sizes = entries.filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok());
        sizes.any(|pack| pack.len() >= self.limits.bytes)
    }

    /// Makes an empty repository. Asked a second time, git would keep the first format.
    fn begin(&self, format: &str) -> Result<(), CheckoutError> {
        let tried = "create the repository";
        remove_tree_at(&self.destination.directory.join(".git"), BUDGET)
            .map_err(|left| CheckoutError::failed(tried, &left))?;
        let (branch, format) =
            (format!("--initial-branch={}", self.destination.branch), format!("--object-format={format}"));
        self.step(tried, &["init", "--quiet", "--template=", &branch, &format])
    }

    /// The ref goes in by the standard input, where nothing can be taken for an option.
    fn fetch_with(&self, leave: &Leave) -> Result<ChildEnd, CheckoutError> {
        let url = self.source.url().as_str();
        let options = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance"];
        let arguments = [&["fetch"], &options[..], &["--stdin", "--end-of-options", url]].concat();
        let wanted = self.source.git_ref().map_or_else(|| "HEAD".to_owned(), ToString::to_string);
        let mut ended = self.run(leave, &arguments, &format!("{wanted}\n"), &mut |_| Ok(()))?;
        // A forge can answer with what it was sent, and git prints it.
        let secrets = environment::secrets(self.source);
        ended.complaint = secrets.iter().fold(ended.complaint, |said, secret| said.replace(secret, "…"));
        Ok(ended)
    }

    /// Which commit it is; a tag may stand before it, or for something that is none.
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

    /// Trees are counted too: a million empty ones are no less work.
    fn count(&self, commit: &CommitId) -> Result<(), CheckoutError> {
        let mut census = Census::new(self.limits);
        let arguments = ["ls-tree", "-r", "-t", "-l", "-z", &commit.to_string()];
        let ended = self.ask(&arguments, &mut |piece| census.read(piece))?;
        self.done("list the commit", &ended)
    }

    /// Puts branch and files there. What the commit holds is counted by now; what its attributes make of it is counted while
    /// it is written, and once more when all of it is there.
    fn fill(&self, commit: &CommitId) -> Result<(), CheckoutError> {
        let tried = "check out the commit";
        let directory = self.open_directory().map_err(|error| CheckoutError::failed(tried, &error))?;
        let mut written = Written::new(directory.as_fd(), self.limits.bytes, self.until());
        let arguments = ["reset", "--quiet", "--hard", "--no-recurse-submodules", &commit.to_string()];
        let command = self.command(&environment::to_work_here(), &arguments)?;
        let ended = child::run_watched(command, "", self.bounds(), (&mut |_| Ok(()), Some(&mut written)))?;
        self.done(tried, &ended)?;
        written.count()
    }

    /// Leaves a repository as its next users need it, and as git itself would never make it.
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

    /// A step that has to succeed.
    fn step(&self, tried: &'static str, arguments: Arguments<'_>) -> Result<(), CheckoutError> {
        let ended = self.ask(arguments, &mut |_| Ok(()))?;
        self.done(tried, &ended)
    }

    fn done(&self, tried: &'static str, ended: &ChildEnd) -> Result<(), CheckoutError> {
        if ended.status.success() { Ok(()) } else { Err(verdict::of_step(tried, ended, self.limits)) }
    }

    /// A step that needs no forge.
    fn ask(&self, arguments: Arguments<'_>, listener: Listener<'_>) -> Result<ChildEnd, CheckoutError> {
        self.run(&environment::to_work_here(), arguments, "", listener)
    }

    fn run(
        &self,
        leave: &Leave,
        arguments: Arguments<'_>,
        input: &str,
        listener: Listener<'_>,
    ) -> Result<ChildEnd, CheckoutError> {
        child::run(self.command(leave, arguments)?, input, self.bounds(), listener)
    }

    fn command(&self, leave: &Leave, arguments: Arguments<'_>) -> Result<Command, CheckoutError> {
        let mut command = environment::command(self.git, self.destination.directory, leave)?;
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
