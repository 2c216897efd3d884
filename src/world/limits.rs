//! Checks the resource limits of this process before they matter, so that a limit that is too low leads to one error message,
//! not to an abort or a hang.

use crate::world::lock_unpoisoned::locked;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::sync::Mutex;
use std::thread::{Builder, scope, yield_now};

/// The most polls for the end of the trial threads.
const POLLS_MAX: usize = 10_000;

/// Where the kernel lists the threads of this process.
const THREADS: &str = "/proc/self/task";

/// A resource and the least limit with which every command works.
#[derive(Clone, Copy, Debug)]
struct Floor {
    resource: Resource,
    least: u64,
    /// How messages name the resource.
    what: &'static str,
    /// The option of `ulimit`.
    flag: &'static str,
    /// The directive of a systemd unit.
    unit: &'static str,
}

const MIB: u64 = 1024 * 1024;

const FLOORS: [Floor; 5] = [
    Floor { resource: Resource::Stack, least: MIB / 2, what: "bytes of stack", flag: "-s", unit: "LimitSTACK" },
    Floor { resource: Resource::As, least: 512 * MIB, what: "bytes of address space", flag: "-v", unit: "LimitAS" },
    Floor { resource: Resource::Data, least: 128 * MIB, what: "bytes of data", flag: "-d", unit: "LimitDATA" },
    Floor { resource: Resource::Fsize, least: 1, what: "bytes in a file", flag: "-f", unit: "LimitFSIZE" },
    Floor { resource: Resource::Nofile, least: 64, what: "open files", flag: "-n", unit: "LimitNOFILE" },
];

/// A resource that this process lacks.
#[derive(Debug, thiserror::Error)]
pub enum Shortage {
    /// A resource limit is too low.
    #[error(
        "this process may have {granted} {what}, and needs at least {least}; raise `ulimit {flag}` in the shell that starts \
         it, or `{unit}=` in its systemd unit"
    )]
    TooLow {
        /// The current limit.
        granted: u64,
        /// The least that works.
        least: u64,
        /// The resource, as in the message.
        what: &'static str,
        /// The option of `ulimit`.
        flag: &'static str,
        /// The directive of a systemd unit.
        unit: &'static str,
    },
    /// Threads cannot be started.
    #[error(
        "cannot start {needed} threads: {cause}; let this account have more processes and threads: raise `ulimit -u` in the \
         shell that starts it, or `LimitNPROC=` and `TasksMax=` in its systemd unit; where memory is limited, raise `ulimit -v` and \
         `ulimit -d` too"
    )]
    Threads {
        /// The number of threads that a command needs.
        needed: usize,
        /// The error of the system.
        cause: io::Error,
    },
}

/// Checks the limits, as the first thing that a program does. From then on, a write beyond the file size limit is an error
/// instead of a signal that ends the process.
pub fn check() -> Result<(), Shortage> {
    let mut held = SigSet::empty();
    held.add(Signal::SIGXFSZ);
    // Threads that start later inherit the mask; other programs that this one executes do not. No kernel fails here.
    let _ = held.thread_block();
    FLOORS.into_iter().try_for_each(Floor::check)
}

impl Floor {
    fn check(self) -> Result<(), Shortage> {
        let Self { resource, least, what, flag, unit } = self;
        match getrlimit(resource).current {
            Some(granted) if granted < least => Err(Shortage::TooLow { granted, least, what, flag, unit }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Checks that this number of threads can run concurrently, by starting them: other processes of the account and the service
/// manager count towards the limit too.
pub fn threads(needed: usize) -> Result<(), Shortage> {
    let before = running();
    let gate = Mutex::new(());
    let started = scope(|threads| {
        let _closed = locked(&gate);
        (0..needed).try_for_each(|_| Builder::new().spawn_scoped(threads, || drop(locked(&gate))).map(drop))
    });
    // The kernel counts a thread for a moment after it was joined.
    for _ in (0..POLLS_MAX).take_while(|_| running() > before) {
        yield_now();
    }
    started.map_err(|cause| Shortage::Threads { needed, cause })
}

fn running() -> usize {
    std::fs::read_dir(THREADS).map_or(0, Iterator::count)
}
