//! Runs git on what strangers made: bounded in time, memory, file size and what is read of it, outlived by nothing that it
//! started, and never outliving us.

use crate::world::clock;
use crate::world::git::error::CheckoutError;
use crate::world::git::guard;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, prlimit};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The most of what it complains that is kept, in bytes: the end, where the reason stands.
const COMPLAINT_BYTES_MAX: usize = 16 * 1024;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The most address space, in bytes.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How long processes that were killed may take to end.
const END_MAX: Duration = Duration::from_secs(10);

/// What it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// When it has to be done.
    pub(super) deadline: Instant,
    /// How long that was at the start of all steps.
    pub(super) time: Duration,
    /// The largest file that it may write.
    pub(super) file_bytes: u64,
}

/// It has ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    /// How.
    pub(super) status: ExitStatus,
    /// The end of what it complained.
    pub(super) complaint: String,
}

/// Takes what it says, piece by piece; an error stops it.
pub(super) type Listener<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), CheckoutError>;

/// Runs what [`guard::command`] made to its end. Whatever comes back, nothing that it started is left.
pub(super) fn run(
    command: Command,
    input: &str,
    bounds: Bounds,
    listener: Listener<'_>,
) -> Result<Ended, CheckoutError> {
    let mut running = Running::start(command)?;
    running.limit(bounds).map_err(|error| CheckoutError::failed("limit what git may use", &error))?;
    running.order(input);
    let mut complaint = Vec::new();
    while let Some((voice, bytes)) = running.hear(bounds)? {
        match voice {
            Voice::Said => listener(&bytes)?,
            Voice::Complained => {
                complaint.extend_from_slice(&bytes);
                complaint.drain(..complaint.len().saturating_sub(COMPLAINT_BYTES_MAX));
            }
        }
    }
    let status = running.reap().map_err(|error| CheckoutError::failed("run git", &error))?;
    let complaint = String::from_utf8_lossy(&complaint).into_owned();
    match guard::refusal(status, &complaint) {
        Some(cause) => Err(CheckoutError::failed("run git", &cause)),
        None => Ok(Ended { status, complaint }),
    }
}

/// Which of its two outputs.
#[derive(Clone, Copy)]
enum Voice {
    Said,
    Complained,
}

/// A program under way, in a process group of its own that dies with this value.
struct Running {
    child: Child,
    pid: Pid,
    /// Can be read once the program has ended; none afterwards.
    end: Option<OwnedFd>,
    /// Those of its outputs that are still open.
    pipes: Vec<(Voice, OwnedFd)>,
    is_reaped: bool,
}

impl Running {
    fn start(mut command: Command) -> Result<Self, CheckoutError> {
        let failed = |error: &dyn std::fmt::Display| CheckoutError::failed("run git", error);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let pid = Pid::from_child(&child);
        let said = child.stdout.take().map(|pipe| (Voice::Said, OwnedFd::from(pipe)));
        let complained = child.stderr.take().map(|pipe| (Voice::Complained, OwnedFd::from(pipe)));
        let pipes = said.into_iter().chain(complained).collect();
        let mut running = Self { child, pid, end: None, pipes, is_reaped: false };
        running.end = Some(pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(&error))?);
        Ok(running)
    }

    /// git and what it starts inherit these: it is started only when it is ordered.
    fn limit(&self, bounds: Bounds) -> Result<(), Errno> {
        let limits = [
            (Resource::Core, 0),
            (Resource::Fsize, bounds.file_bytes),
            (Resource::As, MEMORY_BYTES_MAX),
            // Ends it also when we have ended, and nobody looks at the deadline.
            (Resource::Cpu, bounds.time.as_secs() + 1),
        ];
        for (resource, most) in limits {
            // Only root may raise what this process itself is limited to.
            let most = getrlimit(resource).maximum.map_or(most, |granted| most.min(granted));
            prlimit(Some(self.pid), resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        Ok(())
    }

    /// The pipe stays open for as long as this lives: when it closes, the guard ends the group.
    fn order(&mut self, input: &str) {
        if let Some(stdin) = &mut self.child.stdin {
            // Whoever has ended before it listened says why in its own words.
            let _ = stdin.write_all(guard::order(input).as_bytes());
        }
    }

    fn hear(&mut self, bounds: Bounds) -> Result<Option<(Voice, Vec<u8>)>, CheckoutError> {
        self.next(bounds.deadline).map_err(|error| match error {
            Errno::TIMEDOUT => CheckoutError::TooSlow { limit: bounds.time },
            error => CheckoutError::failed("listen to git", &error),
        })
    }

    /// The next piece of what it says; none once it has ended and all is said.
    fn next(&mut self, deadline: Instant) -> Result<Option<(Voice, Vec<u8>)>, Errno> {
        while self.end.is_some() || !self.pipes.is_empty() {
            let ready = self.wait(deadline)?;
            let Some((voice, pipe)) = self.pipes.get(ready) else {
                // What is left of its group holds its pipes open.
                self.end = None;
                self.kill();
                continue;
            };
            let mut piece = vec![0; PIECE_BYTES];
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => drop(self.pipes.remove(ready)),
                Ok(count) => {
                    piece.truncate(count);
                    return Ok(Some((*voice, piece)));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Waits until there is something to read: the number of a pipe, or one more for the end.
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

    /// Ends the whole group. It is ours as long as its leader is not reaped.
    fn kill(&self) {
        // That nobody is left is as good.
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
            // A pipe is at its end when the last who holds it is gone, so nobody writes in the directory any more.
            let deadline = clock::blocking_instant() + END_MAX;
            while let Ok(Some(_)) = self.next(deadline) {}
            let _ = self.reap();
        }
    }
}
