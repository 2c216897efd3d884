//! The cron heartbeat: one small file per job, by which a monitor of jobs checks that the job lives and how it went.
//!
//! The monitor counts a job as dead if its `timestamp` is older than twice its `interval_seconds`.

use crate::mission::fleet::job_status::JobStatus;
use crate::mission::time::Timestamp;
use chrono::DateTime;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The monitor may run as another user.
const MODE: Mode = Mode::from_raw_mode(0o644);

/// The reporting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Job {
    /// The daemon.
    #[serde(rename = "lazarus-reconcile")]
    Reconcile,
    /// `lazarus-pit --write-heartbeat`.
    #[serde(rename = "lazarus-pit")]
    Pit,
}

impl Job {
    /// The file name in the monitor's directory.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Reconcile => "lazarus-reconcile.last",
            Self::Pit => "lazarus-pit.last",
        }
    }
}

/// The content of a job's heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// The reporting job.
    pub job: Job,
    /// The time of the heartbeat.
    pub at: Timestamp,
    /// The longest time until the next heartbeat.
    pub interval: Duration,
    /// The status of the job.
    pub status: JobStatus,
}

/// The document in the file.
#[derive(Serialize)]
struct Document {
    job: Job,
    /// The format requires a float, though only whole seconds are known.
    timestamp: f64,
    interval_seconds: u64,
    pid: u32,
    status: JobStatus,
}

/// The heartbeat could not be written; the previous one is kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the heartbeat `{}`: {cause}; create that directory, or make it writable for this user", .path.display())]
pub struct CronHeartbeatError {
    /// The path of the file.
    pub path: PathBuf,
    /// The cause.
    pub cause: Errno,
}

/// Replaces a job's heartbeat atomically.
pub fn write(directory: &Path, pulse: &Pulse) -> Result<(), CronHeartbeatError> {
    let name = pulse.job.file_name();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let pid = std::process::id();
    let line = line(pulse, pid);
    let written = open(directory, flags, Mode::empty()).and_then(|directory| {
        let temporary = format!(".{name}.{pid}");
        // Left by an earlier process with the same id.
        let _ = unlinkat(&directory, &*temporary, AtFlags::empty());
        let placed = fill(directory.as_fd(), &temporary, &line)
            .and_then(|()| renameat(&directory, &*temporary, &directory, name))
            .and_then(|()| fsync(&directory));
        if placed.is_err() {
            let _ = unlinkat(&directory, &*temporary, AtFlags::empty());
        }
        placed
    });
    written.map_err(|cause| CronHeartbeatError { path: directory.join(name), cause })
}

fn line(pulse: &Pulse, pid: u32) -> String {
    let Pulse { job, at, interval, status } = *pulse;
    let timestamp = at.after(Timestamp::from(DateTime::UNIX_EPOCH)).as_seconds_f64();
    let document = Document { job, timestamp, interval_seconds: interval.as_secs(), pid, status };
    serde_json::to_string(&document).expect("plain data is always JSON")
}

fn fill(directory: BorrowedFd<'_>, name: &str, line: &str) -> Result<(), Errno> {
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, create, MODE)?;
    // Independent of the umask.
    fchmod(&file, MODE)?;
    let mut file = File::from(file);
    writeln!(file, "{line}").map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    fsync(&file)
}
