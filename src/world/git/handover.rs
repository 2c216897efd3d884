//! Hands a finished checkout over to its users: sets group and modes without following links, then syncs it to disk.

use crate::world::git::error::CheckoutError;
use crate::world::git::walk::{Until, names, walk};
use crate::world::store::acl::open_to_owner;
use rustix::fs::{FileType, Gid, Mode, OFlags, fchmod, fchown, fstat, openat, syncfs};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The set-group-id bit: new files in a directory get its group.
const SET_GROUP_ID: u32 = 0o2000;

/// The most bytes of a text file of git's own.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// The index, which can be large and holds only names from the repository.
const INDEX: &CStr = c"index";

/// The action in error messages.
pub(super) const TRIED: &str = "hand the worktree over";

/// Gives a directory and everything below it to the group, with the owner's rights, and syncs it.
pub(super) fn hand_over(directory: BorrowedFd<'_>, group: Option<u32>, until: Until) -> Result<(), CheckoutError> {
    let group = group.map(Gid::from_raw);
    let failed = |error: Errno| CheckoutError::failed(TRIED, &error);
    walk(directory, None, until, &mut |at, name, _| give(at, name, group).map_err(failed))?;
    grant(directory, group, SET_GROUP_ID).and_then(|()| syncfs(directory)).map_err(failed)
}

fn give(at: BorrowedFd<'_>, name: &CStr, group: Option<Gid>) -> Result<(), Errno> {
    let entry = open(at, name, OFlags::empty())?;
    match FileType::from_raw_mode(fstat(&entry)?.st_mode) {
        FileType::Directory => grant(entry.as_fd(), group, SET_GROUP_ID),
        FileType::RegularFile => grant(entry.as_fd(), group, 0),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Errno::INVAL),
    }
}

/// Sets the group first, since changing it clears the set-group-id bit.
fn grant(file: BorrowedFd<'_>, group: Option<Gid>, special: u32) -> Result<(), Errno> {
    if group.is_some() {
        fchown(file, None, group)?;
        if special & SET_GROUP_ID != 0 {
            open_to_owner(file);
        }
    }
    let owners = fstat(file)?.st_mode & 0o700;
    fchmod(file, Mode::from_raw_mode(owners | owners >> 3 | special))
}

/// Opens an entry; a link is an error.
pub(super) fn open(at: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | flags, Mode::empty())
}

/// The first of git's own files that contains one of these texts.
pub(super) fn find_secret(own: BorrowedFd<'_>, secrets: &[String]) -> Result<Option<String>, Errno> {
    for name in names(own)?.into_iter().filter(|name| name.as_c_str() != INDEX) {
        let file = open(own, &name, OFlags::empty())?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            continue;
        }
        let mut text = Vec::new();
        let read = std::fs::File::from(file).take(TEXT_BYTES_MAX).read_to_end(&mut text);
        read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let holds = |secret: &String| text.windows(secret.len()).any(|found| found == secret.as_bytes());
        if secrets.iter().any(holds) {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
