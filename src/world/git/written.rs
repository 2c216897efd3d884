//! Counts what a checkout has written, during and after it: a repository's attributes (`ident`, `eol`,
//! `working-tree-encoding`) can make a file up to fifty times as large as its blob.

use crate::world::clock;
use crate::world::git::error::CheckoutError;
use crate::world::git::walk::{Until, walk};
use rustix::fs::FileType;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The initial pause between counts.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The pause is at least this many times as long as the last count took.
const PAUSE_FACTOR: u32 = 5;

/// git's own directory, which has its own limit.
const OWN: &std::ffi::CStr = c".git";

/// Counts a worktree while git writes it.
#[derive(Debug)]
pub(super) struct WrittenBytes<'a> {
    directory: BorrowedFd<'a>,
    bytes_max: u64,
    until: Until,
    /// The time of the next count.
    pub(super) due: Instant,
}

impl<'a> WrittenBytes<'a> {
    pub(super) fn new(directory: BorrowedFd<'a>, bytes_max: u64, until: Until) -> Self {
        Self { directory, bytes_max, until, due: clock::blocking_instant() + PAUSE_MIN }
    }

    /// Counts everything; exceeding a limit is an error.
    pub(super) fn count(&mut self) -> Result<(), CheckoutError> {
        let begun = clock::blocking_instant();
        let mut bytes: u64 = 0;
        walk(self.directory, Some(OWN), self.until, &mut |_, _, status| {
            if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
                bytes = bytes.saturating_add(u64::try_from(status.st_size).unwrap_or_default());
            }
            if bytes > self.bytes_max { Err(CheckoutError::TooLarge { limit: self.bytes_max }) } else { Ok(()) }
        })?;
        let ended = clock::blocking_instant();
        self.due = ended + PAUSE_MIN.max((ended - begun) * PAUSE_FACTOR);
        Ok(())
    }
}
