//! Keeps git from outliving this process: this program, run again as a guard, leads git's process group and ends the
//! group when the pipe between the two closes, for any reason.
//!
//! A signal on the parent's death is not enough: it is tied to a thread, and git's children do not inherit it.

use crate::world::git::error::CheckoutError;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::io::{BufRead, Read, StdinLock, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;

/// The name of the guard process; it is not a command and not in the help.
pub const NAME: &str = "lazarus-git-guard";

/// The exit code if git could not start, as in shells.
const NOT_STARTED: u8 = 127;

/// The most bytes of git's standard input.
const INPUT_BYTES_MAX: u64 = 16 * 1024;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Sets the guard program, which calls [`stand`] first; the first call wins.
pub fn appoint(program: &Path) {
    PROGRAM.get_or_init(|| program.to_owned());
}

/// Must run first in `main`: acts as the guard if this process was started as one, and returns its exit code. Otherwise
/// sets this program as the guard.
#[must_use]
pub fn stand() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) {
        return Some(guard(arguments));
    }
    // Valid even after another version was installed in its place.
    appoint(Path::new("/proc/self/exe"));
    None
}

/// A guarded git command without arguments. git starts when [`order`] arrives on standard input.
pub(super) fn command(git: &Path) -> Result<Command, CheckoutError> {
    let program = PROGRAM.get().ok_or_else(|| CheckoutError::failed("run git", &"no guard program is set"))?;
    let mut command = Command::new(program);
    command.arg0(NAME).arg(git).stdin(Stdio::piped());
    Ok(command)
}

/// Makes the guard start git with this standard input. The pipe stays open afterwards.
pub(super) fn order(input: &str) -> String {
    format!("{}\n{input}", input.len())
}

/// Why git did not start, if the guard reports it.
pub(super) fn start_error(status: ExitStatus, stderr: &str) -> Option<String> {
    let cause = stderr.strip_prefix(NAME)?.strip_prefix(": ")?.trim_end();
    (status.code() == Some(i32::from(NOT_STARTED))).then(|| cause.to_owned())
}

fn guard(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    // Shown by `ps` and `top`, which would otherwise show `exe`.
    let _ = std::fs::write("/proc/self/comm", NAME);
    let mut lifeline = std::io::stdin().lock();
    // Without an order the parent has ended, and there is nothing to guard.
    let Some((git, input)) = arguments.next().zip(read_order(&mut lifeline)) else { return ExitCode::FAILURE };
    let mut command = Command::new(git);
    command.args(arguments).stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut git = match command.spawn() {
        Ok(git) => git,
        Err(error) => {
            let _ = std::io::stderr().write_all(format!("{NAME}: {error}\n").as_bytes());
            return ExitCode::from(NOT_STARTED);
        }
    };
    if let Some(mut stdin) = git.stdin.take() {
        // If git ended before it read its input, it reports the reason itself.
        let _ = stdin.write_all(&input);
    }
    match end_of(&mut git, &lifeline) {
        Some(status) => end_as(status),
        None => end_all(git),
    }
}

fn read_order(lifeline: &mut StdinLock<'_>) -> Option<Vec<u8>> {
    let mut length = String::new();
    lifeline.by_ref().take(INPUT_BYTES_MAX).read_line(&mut length).ok()?;
    let length: u64 = length.strip_suffix('\n')?.parse().ok()?;
    let mut input = Vec::new();
    lifeline.take(length.min(INPUT_BYTES_MAX)).read_to_end(&mut input).ok()?;
    (u64::try_from(input.len()) == Ok(length)).then_some(input)
}

/// The exit status of git; none if the pipe closed before, or watching failed.
fn end_of(git: &mut Child, lifeline: &StdinLock<'_>) -> Option<ExitStatus> {
    let end = pidfd_open(Pid::from_child(git), PidfdFlags::empty()).ok()?;
    let mut watched = [&end.as_fd(), &lifeline.as_fd()].map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
    loop {
        match poll(&mut watched, None) {
            Ok(_) if !watched[0].revents().is_empty() => return git.wait().ok(),
            Ok(_) if watched[1].revents().is_empty() => {}
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}

/// Ends with git's status, so that the parent learns it.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        let _ = kill_process(getpid(), signal);
    }
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_STARTED - 1))
}

/// Ends git, its children and this process.
fn end_all(mut git: Child) -> ExitCode {
    // If it was started by hand, it may not lead a process group.
    let _ = git.kill();
    let _ = kill_process_group(getpid(), Signal::KILL);
    ExitCode::FAILURE
}
