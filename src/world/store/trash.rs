//! The trash: leftovers of ended processes and deleted archives, to be removed when there is time.

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

/// The directory in the service's own directory.
pub(super) const TRASH: &str = "trash";

/// The most attempts to create the trash while another process removes it.
const TRIES_MAX: u32 = 3;

/// The time budget for emptying the trash beside a pass or another command.
pub const ASIDE: Duration = Duration::from_secs(10);

/// Moves an entry into the trash atomically, under a new name.
pub(super) fn discard(own: BorrowedFd<'_>, from: BorrowedFd<'_>, name: &str) -> Result<String, Errno> {
    let discarded = format!("{name}.{}", random::id().simple());
    let mut tries = 0;
    loop {
        tries += 1;
        make_directory(own, TRASH, 0o700)?;
        let moved = open(own).and_then(|trash| {
            renameat_with(from, name, &trash, &*discarded, RenameFlags::NOREPLACE)?;
            fsync(&trash)
        });
        match moved {
            // Another process has just emptied and removed it.
            Err(Errno::NOENT) if tries < TRIES_MAX => {}
            moved => return moved.map(|()| discarded),
        }
    }
}

/// Removes one entry of the trash within the budget of an archive.
pub(super) fn remove(own: BorrowedFd<'_>, discarded: &str) -> Result<(), String> {
    let trash = open(own).map_err(|error| error.to_string())?;
    let name = CString::new(discarded).map_err(|error| error.to_string())?;
    remove_from(&trash, &name, BUDGET)
}

/// Removes all entries of a root's trash, each within the budget of an archive and all within `all`. Returns what
/// remains, and why.
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
    // Fails if it is not empty, which is fine.
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
