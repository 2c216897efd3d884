//! Counts what a checkout has written, while it is written and once it is: a repository's attributes (`ident`, `eol`,
//! `working-tree-encoding`) make of a file another one, up to fifty times as large as what it is made from.

use crate::world::clock;
use crate::world::git::error::CheckoutError;
use crate::world::git::walk::{Until, walk};
use rustix::fs::FileType;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How soon after it was counted it is counted again, at first.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Counting takes no more than one part in so many of the time.
const PAUSE_FACTOR: u32 = 5;

/// Where git keeps its own, which has a limit of its own.
const OWN: &std::ffi::CStr = c".git";

/// What a worktree may hold, counted while git writes it.
#[derive(Debug)]
pub(super) struct Written<'a> {
    directory: BorrowedFd<'a>,
    bytes_max: u64,
    until: Until,
    /// When it is to be counted next.
    pub(super) due: Instant,
}

impl<'a> Written<'a> {
    pub(super) fn new(directory: BorrowedFd<'a>, bytes_max: u64, until: Until) -> Self {
        Self { directory, bytes_max, until, due: clock::blocking_instant() + PAUSE_MIN }
    }

    /// Counts all that is there; more than there may be is an error.
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
