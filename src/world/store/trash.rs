//! What is to be removed and lies where nobody reads any more: rests of dead processes, and archives that were deleted.

use crate::mission::text::Printable;
use crate::world::clock;
use crate::world::random;
use crate::world::store::removal::{BUDGET, remove_tree};
use crate::world::store::root::{OWN, Root, make_directory};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, fsync, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Where it lies, in the service's own directory.
pub(super) const TRASH: &str = "trash";

/// How often the trash is made that somebody else removes.
const TRIES_MAX: u32 = 3;

/// How long one pass, or one command that is about something else, goes on removing.
pub const ASIDE: Duration = Duration::from_secs(10);

/// Moves something into the trash, where it has another name. It is gone from where it was in one step.
pub(super) fn throw(own: BorrowedFd<'_>, from: BorrowedFd<'_>, name: &str) -> Result<String, Errno> {
    let thrown = format!("{name}.{}", random::id().simple());
    let mut tries = 0;
    loop {
        tries += 1;
        make_directory(own, TRASH, 0o700)?;
        let moved = open(own).and_then(|trash| {
            renameat_with(from, name, &trash, &*thrown, RenameFlags::NOREPLACE)?;
            fsync(&trash)
        });
        match moved {
            // Whoever has just emptied it has removed it.
            Err(Errno::NOENT) if tries < TRIES_MAX => {}
            moved => return moved.map(|()| thrown),
        }
    }
}

/// Removes one thing from the trash, within the budget of an archive.
pub(super) fn remove(own: BorrowedFd<'_>, thrown: &str) -> Result<(), String> {
    let trash = open(own).map_err(|error| error.to_string())?;
    let name = CString::new(thrown).map_err(|error| error.to_string())?;
    remove_from(&trash, &name, BUDGET)
}

/// Removes all that is in the trash of a root, each thing within the budget of an archive and all of it in no more than
/// `all`. What is left, and why.
#[must_use]
pub fn empty(root: &Root, all: Duration) -> Vec<String> {
    let deadline = clock::blocking_instant() + all;
    let (own, trash) = match root.open_own().and_then(|own| Ok((open(own.as_fd())?, own))) {
        Ok((trash, own)) => (own, trash),
        Err(Errno::NOENT) => return Vec::new(),
        Err(error) => return vec![format!("`{}/{OWN}/{TRASH}` cannot be read: {error}", root.path().display())],
    };
    let Ok(names) = Dir::read_from(&trash) else { return Vec::new() };
    let mut left = Vec::new();
    for name in names.filter_map(|entry| Some(entry.ok()?.file_name().to_owned())) {
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let budget = BUDGET.min(deadline.saturating_duration_since(clock::blocking_instant()));
        if let Err(why) = remove_from(&trash, &name, budget) {
            let name = Printable::new(&name.to_string_lossy());
            left.push(format!("`{}/{OWN}/{TRASH}/{name}` cannot be removed: {why}", root.path().display()));
        }
    }
    // Where something is in it, it stays.
    let _ = unlinkat(&own, TRASH, AtFlags::REMOVEDIR);
    left
}

fn remove_from(trash: &OwnedFd, name: &CStr, budget: Duration) -> Result<(), String> {
    match unlinkat(trash, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => remove_tree(trash.as_fd(), name, budget).map_err(|left| left.to_string()),
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn open(own: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(own, TRASH, flags, Mode::empty())
}
