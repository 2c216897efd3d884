//! Runs git on untrusted repositories with limits on time, memory, file size and output, and ends every process that it
//! started.

use crate::world::clock;
use crate::world::git::error::CheckoutError;
use crate::world::git::guard;
use crate::world::git::written::WrittenBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, prlimit};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The most bytes of standard error that are kept: the end, which holds the reason.
const STDERR_BYTES_MAX: usize = 16 * 1024;

/// The most bytes of one read.
const PIECE_BYTES: usize = 64 * 1024;

/// The most address space, in bytes.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The time limit for killed processes to end.
const END_MAX: Duration = Duration::from_secs(10);

/// The resource limits of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The deadline.
    pub(super) deadline: Instant,
    /// The time from the start of all steps to the deadline.
    pub(super) time: Duration,
    /// The largest file that it may write, in bytes.
    pub(super) file_bytes: u64,
}

/// The command has ended without being killed.
#[derive(Debug)]
pub(super) struct ChildEnd {
    /// The exit status.
    pub(super) status: ExitStatus,
    /// The end of its standard error.
    pub(super) stderr: String,
}

/// Receives the output piece by piece; an error stops the command.
pub(super) type Listener<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), CheckoutError>;

/// Runs the command of [`guard::command`] to its end. On return no process that it started is left.
pub(super) fn run(
    command: Command,
    input: &str,
    bounds: Bounds,
    listener: Listener<'_>,
) -> Result<ChildEnd, CheckoutError> {
    run_watched(command, input, bounds, (listener, None))
}

/// The same, while what it writes is counted.
pub(super) fn run_watched(
    command: Command,
    input: &str,
    bounds: Bounds,
    (listener, mut written): (Listener<'_>, Option<&mut WrittenBytes<'_>>),
) -> Result<ChildEnd, CheckoutError> {
    let mut running = Running::start(command)?;
    running.limit(bounds).map_err(|error| CheckoutError::failed("set the resource limits of git", &error))?;
    running.order(input);
    let mut stderr = Vec::new();
    loop {
        let due = written.as_ref().map(|written| written.due);
        match running.read_next(bounds, due)? {
            Read::Piece(Output::Stdout, bytes) => listener(&bytes)?,
            Read::Piece(Output::Stderr, bytes) => {
                stderr.extend_from_slice(&bytes);
                stderr.drain(..stderr.len().saturating_sub(STDERR_BYTES_MAX));
            }
            Read::Idle => {
                if let Some(written) = &mut written {
                    written.count()?;
                }
            }
            Read::End => break,
        }
    }
    let status = running.reap().map_err(|error| CheckoutError::failed("run git", &error))?;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    match guard::start_error(status, &stderr) {
        Some(cause) => Err(CheckoutError::failed("run git", &cause)),
        None => Ok(ChildEnd { status, stderr }),
    }
}

/// One of the two outputs.
#[derive(Clone, Copy)]
enum Output {
    Stdout,
    Stderr,
}

/// The result of a read.
enum Read {
    /// Output arrived.
    Piece(Output, Vec<u8>),
    /// No output before another task is due.
    Idle,
    /// The command has ended, and all output is read.
    End,
}

/// A running command, in its own process group that is killed on drop.
struct Running {
    child: Child,
    pid: Pid,
    /// Readable once the command has ended; none afterwards.
    end: Option<OwnedFd>,
    /// The outputs that are still open.
    pipes: Vec<(Output, OwnedFd)>,
    is_reaped: bool,
}

impl Running {
    fn start(mut command: Command) -> Result<Self, CheckoutError> {
        let failed = |error: &dyn std::fmt::Display| CheckoutError::failed("run git", error);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let pid = Pid::from_child(&child);
        let stdout = child.stdout.take().map(|pipe| (Output::Stdout, OwnedFd::from(pipe)));
        let stderr = child.stderr.take().map(|pipe| (Output::Stderr, OwnedFd::from(pipe)));
        let pipes = stdout.into_iter().chain(stderr).collect();
        let mut running = Self { child, pid, end: None, pipes, is_reaped: false };
        running.end = Some(pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(&error))?);
        Ok(running)
    }

    /// git and its children inherit these limits: git starts only after the order.
    fn limit(&self, bounds: Bounds) -> Result<(), Errno> {
        let limits = [
            (Resource::Core, 0),
            (Resource::Fsize, bounds.file_bytes),
            (Resource::As, MEMORY_BYTES_MAX),
            // Ends it even if this process has ended and nothing checks the deadline.
            (Resource::Cpu, bounds.time.as_secs() + 1),
        ];
        for (resource, most) in limits {
            // Only root may raise what this process itself is limited to.
            let most = getrlimit(resource).maximum.map_or(most, |granted| most.min(granted));
            prlimit(Some(self.pid), resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        Ok(())
    }

    /// The pipe stays open as long as this value lives: when it closes, the guard ends the group.
    fn order(&mut self, input: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            // A guard that ended before it read the order reports the reason itself.
            let _ = stdin.write_all(guard::order(input).as_bytes());
        }
    }

    fn read_next(&mut self, bounds: Bounds, due: Option<Instant>) -> Result<Read, CheckoutError> {
        match self.next(due.map_or(bounds.deadline, |due| due.min(bounds.deadline))) {
            Ok(Some((output, bytes))) => Ok(Read::Piece(output, bytes)),
            Ok(None) => Ok(Read::End),
            Err(Errno::TIMEDOUT) if clock::blocking_instant() < bounds.deadline => Ok(Read::Idle),
            Err(Errno::TIMEDOUT) => Err(CheckoutError::TooSlow { limit: bounds.time }),
            Err(error) => Err(CheckoutError::failed("read the output of git", &error)),
        }
    }

    /// The next piece of output; none once the command has ended and all output is read.
    fn next(&mut self, deadline: Instant) -> Result<Option<(Output, Vec<u8>)>, Errno> {
        while self.end.is_some() || !self.pipes.is_empty() {
            let ready = self.wait(deadline)?;
            let Some((output, pipe)) = self.pipes.get(ready) else {
                // The rest of its group keeps the pipes open.
                self.end = None;
                self.kill();
                continue;
            };
            let mut piece = vec![0; PIECE_BYTES];
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => drop(self.pipes.remove(ready)),
                Ok(count) => {
                    piece.truncate(count);
                    return Ok(Some((*output, piece)));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Waits for input: returns the index of a pipe, or one more for the end.
    fn wait(&self, deadline: Instant) -> Result<usize, Errno> {
        let open = self.pipes.iter().map(|(_, pipe)| pipe).chain(&self.end);
        let mut polled: Vec<PollFd<'_>> =
            open.map(|end| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)).collect();
        loop {
            let left = deadline.saturating_duration_since(clock::blocking_instant());
            let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            match poll(&mut polled, Some(&left)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        polled.iter().position(|end| !end.revents().is_empty()).ok_or(Errno::IO)
    }

    /// Kills the whole group. The group id is valid until its leader is reaped.
    fn kill(&self) {
        // An empty group is fine.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    fn reap(&mut self) -> std::io::Result<ExitStatus> {
        self.is_reaped = true;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            // A pipe ends when its last holder has ended, so no process writes in the directory any more.
            let deadline = clock::blocking_instant() + END_MAX;
            while let Ok(Some(_)) = self.next(deadline) {}
            let _ = self.reap();
        }
    }
}
