//! Keeps git from outliving this process: this program, run once more, leads git's process group, and ends the group when
//! the pipe between the two closes, whatever closed it.
//!
//! A signal at the death of a parent would not do: it hangs on a thread, and what git starts does not inherit it.

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

/// The name under which a program of ours is run to guard; it is no command of it, and stands in no help.
pub const NAME: &str = "lazarus-git-guard";

/// The exit code of a guard that could not start git, as shells have it.
const NOT_STARTED: u8 = 127;

/// The most that git is told on its standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 16 * 1024;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Names the program that guards git, which calls [`stand`] first; the first that is named stays.
pub fn appoint(program: &Path) {
    PROGRAM.get_or_init(|| program.to_owned());
}

/// What a program of ours does before anything else: it guards, if it was run for that, and says how that ended.
/// Otherwise it is the one that is run to guard from now on.
#[must_use]
pub fn stand() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) {
        return Some(guard(arguments));
    }
    // Also after another version was installed in its place.
    appoint(Path::new("/proc/self/exe"));
    None
}

/// git under guard, with its arguments yet to come. It starts when [`order`] has come on the standard input.
pub(super) fn command(git: &Path) -> Result<Command, CheckoutError> {
    let program = PROGRAM.get().ok_or_else(|| CheckoutError::failed("run git", &"no guard program is set"))?;
    let mut command = Command::new(program);
    command.arg0(NAME).arg(git).stdin(Stdio::piped());
    Ok(command)
}

/// Has the guard start git with this on its standard input; for nothing there is none. The pipe stays open after it.
pub(super) fn order(input: &str) -> String {
    format!("{}\n{input}", input.len())
}

/// Why git did not start, where the guard ended for that.
pub(super) fn refusal(status: ExitStatus, complaint: &str) -> Option<String> {
    let cause = complaint.strip_prefix(NAME)?.strip_prefix(": ")?.trim_end();
    (status.code() == Some(i32::from(NOT_STARTED))).then(|| cause.to_owned())
}

fn guard(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    // What `ps` and `top` show; without it they show how it was found.
    let _ = std::fs::write("/proc/self/comm", NAME);
    let mut lifeline = std::io::stdin().lock();
    // Without an order the one who gives it has ended, and there is nothing to guard.
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
        // Whoever has ended before it listened says why in its own words.
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

/// How git ended; none if the pipe was closed before, or neither can be watched.
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

/// Ends as git did, so that whoever waits for this learns it.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        let _ = kill_process(getpid(), signal);
    }
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_STARTED - 1))
}

/// Ends git and all that it started, and this with them.
fn end_all(mut git: Child) -> ExitCode {
    // Whoever runs this by hand may have made it no leader of a group.
    let _ = git.kill();
    let _ = kill_process_group(getpid(), Signal::KILL);
    ExitCode::FAILURE
}
