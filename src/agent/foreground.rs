//! Runs a command in the foreground: it inherits the standard streams, and gets the signals that this process gets.
//!
//! It stays in the process group, as with `timeout --foreground`: a terminal's Ctrl-Z stops both processes, `fg`
//! resumes both, and a signal that the terminal sends to the group is not forwarded a second time.

use crate::mission::text;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::task::Poll;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that are forwarded, unless they were ignored at the start, as under `nohup`.
const FORWARDED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// How a command ended.
#[derive(Debug)]
pub enum CommandEnd {
    /// It exited, or a signal ended it.
    Status(ExitStatus),
    /// It could not be started.
    NotStarted(std::io::Error),
}

impl CommandEnd {
    /// The exit code, by the convention of shells, `env` and `timeout`.
    #[must_use]
    pub fn code(&self) -> u8 {
        let code = match self {
            Self::Status(status) => status.code().or(status.signal().map(|number| 128 + number)).unwrap_or(1),
            Self::NotStarted(error) if error.kind() == ErrorKind::NotFound => 127,
            Self::NotStarted(_) => 126,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// A short description of the failure; none on success.
    #[must_use]
    pub fn failure(&self, command: &[OsString]) -> Option<String> {
        match self {
            Self::Status(status) if status.success() => None,
            Self::Status(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Some(format!("exit code {code}")),
                (None, Some(number)) => Some(format!("killed by {}", signal_name(number))),
                (None, None) => Some("ended for an unknown reason".to_owned()),
            },
            Self::NotStarted(error) => {
                let program = command.first().map(|program| text::shown(&program.to_string_lossy()));
                Some(format!("cannot start `{}`: {error}", program.unwrap_or_default()))
            }
        }
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// Catches the signals to forward.
#[derive(Debug)]
pub struct Foreground {
    streams: Vec<(Signal, Stream)>,
}

impl Foreground {
    /// Starts to catch signals. One that arrives before the command has started is forwarded once it has.
    pub fn new() -> std::io::Result<Self> {
        let ignored = ignored();
        let caught = FORWARDED.into_iter().filter(|signal| ignored & bit(*signal) == 0);
        let streams = caught.map(|caught| Ok((caught, signal(SignalKind::from_raw(caught as i32))?)));
        Ok(Self { streams: streams.collect::<std::io::Result<_>>()? })
    }

    /// Starts a command, with these variables added to the environment.
    pub fn start(&self, command: &[OsString], variables: &[(&str, &OsStr)]) -> Result<Child, CommandEnd> {
        let (program, arguments) =
            command.split_first().ok_or(CommandEnd::NotStarted(ErrorKind::InvalidInput.into()))?;
        Command::new(program).args(arguments).envs(variables.iter().copied()).spawn().map_err(CommandEnd::NotStarted)
    }

    /// Waits for the end of the command, and forwards signals until then.
    pub async fn wait(&mut self, mut child: Child) -> std::io::Result<CommandEnd> {
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return status.map(CommandEnd::Status),
                signal = self.next() => forward(&child, signal),
            }
        }
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut streams = self.streams.iter_mut();
            let received = streams.find_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

fn forward(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    // It has not been waited for, so the id still belongs to it; at worst it is a zombie.
    if let Some(pid) = pid.filter(|_| !has_reached_both(signal)) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Whether the terminal has sent the signal to the whole foreground group, the command included.
fn has_reached_both(signal: Signal) -> bool {
    let is_key = matches!(signal, Signal::SIGINT | Signal::SIGQUIT);
    let foreground = || rustix::termios::tcgetpgrp(File::open("/dev/tty").ok()?).ok();
    is_key && foreground() == Some(rustix::process::getpgrp())
}

/// The ignored signals, as a mask; none if the kernel does not report them.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}
