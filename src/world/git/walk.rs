//! Walks through a checkout of untrusted content without recursion and without following links, within limits of depth
//! and time.

use crate::world::clock;
use crate::world::git::census::DEPTH_MAX;
use crate::world::git::error::CheckoutError;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The deadline of a walk, and the time limit for the whole checkout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    pub(super) deadline: Instant,
    pub(super) time: Duration,
}

/// Receives each entry: its directory, name and status. A directory comes before its content.
pub(super) type Visitor<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &CStr, &Stat) -> Result<(), CheckoutError>;

/// Visits everything below a directory. Entries that disappear meanwhile are skipped.
pub(super) fn walk(
    top: BorrowedFd<'_>,
    skipped: Option<&CStr>,
    until: Until,
    visit: Visitor<'_>,
) -> Result<(), CheckoutError> {
    let mut open = vec![Level::of(top.try_clone_to_owned().map_err(|error| failed(&error))?)?];
    while let Some(level) = open.last_mut() {
        let Some(name) = level.names.pop() else {
            open.pop();
            continue;
        };
        let depth = open.len();
        let Some(Level { directory, .. }) = open.last() else { continue };
        if depth == 1 && skipped == Some(&*name) {
            continue;
        }
        let status = match statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            status => status.map_err(|error| failed(&error))?,
        };
        visit(directory.as_fd(), &name, &status)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            continue;
        }
        if depth > DEPTH_MAX {
            return Err(CheckoutError::Unfit { flaw: format!("it has directories more than {DEPTH_MAX} deep") });
        }
        if clock::blocking_instant() >= until.deadline {
            return Err(CheckoutError::TooSlow { limit: until.time });
        }
        let entered = enter(directory.as_fd(), &name).map_err(|error| failed(&error))?;
        open.push(Level::of(entered)?);
    }
    Ok(())
}

/// A directory and its entries still to visit.
struct Level {
    directory: OwnedFd,
    names: Vec<CString>,
}

impl Level {
    fn of(directory: OwnedFd) -> Result<Self, CheckoutError> {
        let names = names(directory.as_fd()).map_err(|error| failed(&error))?;
        Ok(Self { directory, names })
    }
}

fn failed(error: &dyn std::fmt::Display) -> CheckoutError {
    CheckoutError::failed("look through the worktree", error)
}

fn enter(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// The names in a directory.
pub(super) fn names(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}
