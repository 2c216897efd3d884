//! Removes an untrusted directory tree that may still be changing: without recursion, without following links, and
//! within a time budget.
//!
//! A nested directory is moved up before it is emptied, so that at any depth only two directories are open.

use crate::mission::text::Printable;
use crate::world::clock;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, chmod, fchmod, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// The time budget for one tree.
pub const BUDGET: Duration = Duration::from_secs(600);

/// The name prefix of a directory that was moved up. An existing entry with such a name keeps it, and another number is
/// used.
const MOVED: &str = ".lazarus-removal.";

/// Why a part of a tree remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The time budget is used up.
    TooSlow(Duration),
    /// The first entry that could not be removed, and why.
    Refused(String, Errno),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSlow(budget) => write!(
                f,
                "it is still not empty after {} s: it is very large, or processes that have it open keep creating files in it; \
                 stop them, and the next run removes it",
                budget.as_secs()
            ),
            Self::Refused(name, cause) => {
                write!(f, "`{name}` in it: {cause}; change its owner or mode, or remove it as root")
            }
        }
    }
}

impl std::error::Error for Left {}

/// Removes the directory at a path, and everything in it. A missing one is a success.
pub fn remove_tree_at(path: &Path, budget: Duration) -> Result<(), Left> {
    let refused = |cause| Left::Refused(Printable::new(&path.to_string_lossy()).to_string(), cause);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(refused(Errno::INVAL)) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent.map_err(refused)?,
    };
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| refused(Errno::INVAL))?;
    remove_tree(parent.as_fd(), &name, budget)
}

/// Removes a directory by its name in another one. First closes it: no other account can enter by its path any more.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &CStr, budget: Duration) -> Result<(), Left> {
    let top = match open(parent, name) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(cause) => return Err(refused(name, cause)),
    };
    revoke_access(&top);
    let mut removal = Removal { top, deadline: clock::blocking_instant() + budget, budget, moved: 0, left: None };
    loop {
        let is_moving = removal.sweep()?;
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Another process created entries meanwhile.
            Err(Errno::NOTEMPTY | Errno::EXIST) if is_moving => removal.left = None,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                return Err(removal.left.unwrap_or_else(|| refused(name, Errno::NOTEMPTY)));
            }
            Err(cause) => return Err(refused(name, cause)),
        }
    }
}

/// The removal of one tree.
struct Removal {
    top: OwnedFd,
    deadline: Instant,
    budget: Duration,
    /// The number of directories that were moved up.
    moved: u64,
    left: Option<Left>,
}

impl Removal {
    /// Processes the entries of the top once; returns whether anything was removed or moved.
    fn sweep(&mut self) -> Result<bool, Left> {
        let mut is_moving = false;
        for name in entries(&self.top).map_err(|cause| refused(c".", cause))? {
            self.check_time()?;
            let Ok(name) = name else { break };
            match remove_entry(self.top.as_fd(), &name) {
                Ok(()) => is_moving = true,
                Err(Errno::NOTEMPTY | Errno::EXIST) => is_moving |= self.empty(&name)?,
                Err(cause) => self.note(&name, cause),
            }
        }
        Ok(is_moving)
    }

    /// Empties a directory in the top and removes it; returns whether anything moved.
    fn empty(&mut self, name: &CStr) -> Result<bool, Left> {
        let directory = match open(self.top.as_fd(), name) {
            Ok(directory) => directory,
            // Replaced meanwhile; the next sweep sees it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(true),
            Err(cause) => {
                self.note(name, cause);
                return Ok(false);
            }
        };
        revoke_access(&directory);
        let mut is_moving = false;
        let entries = match entries(&directory) {
            Ok(entries) => entries,
            Err(cause) => {
                self.note(name, cause);
                return Ok(false);
            }
        };
        for entry in entries {
            self.check_time()?;
            let Ok(entry) = entry else { break };
            let removed = match remove_entry(directory.as_fd(), &entry) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => self.move_up(directory.as_fd(), &entry),
                removed => removed,
            };
            match removed {
                Ok(()) => is_moving = true,
                Err(cause) => self.note(&entry, cause),
            }
        }
        match unlinkat(&self.top, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(cause) => {
                self.note(name, cause);
                Ok(is_moving)
            }
        }
    }

    fn move_up(&mut self, from: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            let to = format!("{MOVED}{}", self.moved);
            let rename = || renameat_with(from, name, &self.top, &*to, RenameFlags::NOREPLACE);
            match rename() {
                Err(Errno::EXIST) => {}
                // A directory that its owner may not write in cannot be moved.
                Err(Errno::ACCESS) => {
                    return open(from, name).map(|moved| revoke_access(&moved)).and_then(|()| rename());
                }
                moved => return moved,
            }
        }
    }

    fn check_time(&self) -> Result<(), Left> {
        if clock::blocking_instant() < self.deadline { Ok(()) } else { Err(Left::TooSlow(self.budget)) }
    }

    fn note(&mut self, name: &CStr, cause: Errno) {
        // Its entries report why it is not empty.
        if !matches!(cause, Errno::NOENT | Errno::NOTEMPTY) {
            self.left.get_or_insert_with(|| refused(name, cause));
        }
    }
}

fn refused(name: &CStr, cause: Errno) -> Left {
    Left::Refused(Printable::new(&name.to_string_lossy()).to_string(), cause)
}

/// Opens a directory, including one of this account without rights for the account itself.
fn open(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(at, name, flags | OFlags::RDONLY, Mode::empty());
    if opened.as_ref().err() != Some(&Errno::ACCESS) {
        return opened;
    }
    // By the found file, not by its name, which another entry may have by now.
    let found = openat(at, name, flags | OFlags::PATH, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    chmod(path, Mode::from_raw_mode(0o700)).map_err(|_| Errno::ACCESS)?;
    openat(at, name, flags | OFlags::RDONLY, Mode::empty())
}

/// Revokes the group's access, so that no new entries appear. A directory owned by an agent stays unchanged.
fn revoke_access(directory: &OwnedFd) {
    let _ = fchmod(directory, Mode::from_raw_mode(0o700));
}

/// The entries of a directory, read one at a time, so that a million of them need no memory.
fn entries(directory: &OwnedFd) -> Result<impl Iterator<Item = Result<CString, Errno>> + use<>, Errno> {
    let names = Dir::read_from(directory)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    Ok(names.filter(|name| !name.as_deref().is_ok_and(|name| matches!(name.to_bytes(), b"." | b".."))))
}

/// Removes a file, a link or an empty directory. A directory that is not empty is [`Errno::NOTEMPTY`].
fn remove_entry(at: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let removed = match unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => match unlinkat(at, name, AtFlags::REMOVEDIR) {
            // It is not a directory, so the first error is the cause.
            Err(Errno::NOTDIR) => Err(Errno::PERM),
            removed => removed,
        },
        removed => removed,
    };
    if removed == Err(Errno::NOENT) { Ok(()) } else { removed }
}
