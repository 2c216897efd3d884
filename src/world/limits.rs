//! What the system grants this process, looked at before it is needed: a limit that is too low is one message, and neither
//! an abort nor a wait without end.

use crate::world::lock_unpoisoned::locked;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::sync::Mutex;
use std::thread::{Builder, scope, yield_now};

/// How often the end of the threads that were tried is looked for.
const LOOKS_MAX: usize = 10_000;

/// Where the kernel lists the threads of this process.
const THREADS: &str = "/proc/self/task";

/// A limit, and the least that any command of ours works with.
#[derive(Clone, Copy, Debug)]
struct Floor {
    resource: Resource,
    least: u64,
    /// How messages name the resource.
    what: &'static str,
    /// The flag of `ulimit`.
    flag: &'static str,
    /// The setting of a systemd unit.
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

/// What is not granted.
#[derive(Debug, thiserror::Error)]
pub enum Shortage {
    /// A limit of the process.
    #[error(
        "this process may have {granted} {what}, and needs at least {least}; raise `ulimit {flag}` in the shell that starts \
         it, or `{unit}=` in its systemd unit"
    )]
    CapacityLimit {
        /// What there may be.
        granted: u64,
        /// The least that is needed.
        least: u64,
        /// Of what.
        what: &'static str,
        /// The flag of `ulimit`.
        flag: &'static str,
        /// The setting of a systemd unit.
        unit: &'static str,
    },
    /// Threads.
    #[error(
        "cannot start {needed} threads: {cause}; let this account have more processes and threads: raise `ulimit -u` in the \
         shell that starts it, or `LimitNPROC=` and `TasksMax=` in its systemd unit; where memory is limited, raise `ulimit -v` and \
         `ulimit -d` too"
    )]
    Threads {
        /// How many.
        needed: usize,
        /// Why not.
        cause: io::Error,
    },
}

/// Finds out whether a program of ours can work at all, as the first thing that it does. From here on, a file that would
/// grow beyond its limit is an error of the write, and not the end of the process.
pub fn check() -> Result<(), Shortage> {
    let mut held = SigSet::empty();
    held.add(Signal::SIGXFSZ);
    // What is started later inherits this, but for other programs. That it fails is not foreseen by any kernel.
    let _ = held.thread_block();
    FLOORS.into_iter().try_for_each(Floor::check)
}

impl Floor {
    fn check(self) -> Result<(), Shortage> {
        let Self { resource, least, what, flag, unit } = self;
        match getrlimit(resource).current {
            Some(granted) if granted < least => Err(Shortage::CapacityLimit { granted, least, what, flag, unit }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Finds out whether so many threads can be had at once, by starting them: what counts is not the limit alone, but what
/// else the account runs, and what the service manager grants.
pub fn threads(needed: usize) -> Result<(), Shortage> {
    let before = running();
    let gate = Mutex::new(());
    let started = scope(|threads| {
        let _closed = locked(&gate);
        (0..needed).try_for_each(|_| Builder::new().spawn_scoped(threads, || drop(locked(&gate))).map(drop))
    });
    // A thread counts until the kernel has put it away, which is after it was waited for.
    for _ in (0..LOOKS_MAX).take_while(|_| running() > before) {
        yield_now();
    }
    started.map_err(|cause| Shortage::Threads { needed, cause })
}

fn running() -> usize {
    std::fs::read_dir(THREADS).map_or(0, Iterator::count)
}
