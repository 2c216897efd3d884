//! Logs of JSON lines: one per cell, and the service's journal of changes outside cells.

use crate::mission::cell::{FileKind, Part};
use crate::world::cells::safe_open::{self, CREATE_NEW};
use rustix::fs::{Mode, OFlags, fstat, openat, renameat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

/// A log is rotated above this size in bytes; one old file is kept.
pub const LOG_BYTES_MAX: u64 = 256 * 1024;

/// A log file in a directory.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: &'static str,
    /// The name of the rotated file.
    former: &'static str,
    mode: u32,
    /// The open flags if the file is missing.
    missing: OFlags,
}

/// The log of a cell; a missing one is recreated with the cell's other parts.
pub(super) const OF_CELL: Log =
    Log { name: "daemon.log", former: "daemon.log.1", mode: Part::Log.mode(), missing: OFlags::empty() };

/// The service's own journal.
pub(super) const JOURNAL: Log =
    Log { name: "journal.log", former: "journal.log.1", mode: 0o600, missing: OFlags::CREATE };

impl Log {
    /// Adds a line. Anything else in place of the file is left alone.
    pub(super) fn append(&self, directory: impl AsFd, line: &str) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(self.mode);
        let wary = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let flags = OFlags::WRONLY | OFlags::APPEND | wary | self.missing;
        let mut log = openat(&directory, self.name, flags, mode)?;
        let status = fstat(&log)?;
        if safe_open::kind(&status) != FileKind::File {
            return Err(Errno::INVAL);
        }
        if status.st_size.cast_unsigned() > LOG_BYTES_MAX {
            renameat(&directory, self.name, &directory, self.former)?;
            log = openat(&directory, self.name, CREATE_NEW, mode)?;
        }
        File::from(log).write_all(line.as_bytes()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}
