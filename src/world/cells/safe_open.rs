//! Opens files beneath a directory that others may write in, without ever leaving it, hanging, or reading too much.
//!
//! A path is resolved by `openat2` with `BENEATH | NO_SYMLINKS | NO_MAGICLINKS`; where the kernel or a sandbox
//! refuses that call (systemd's `RestrictSUIDSGID` answers ENOSYS), step by step with `O_NOFOLLOW`.

use crate::mission::cell::FileKind;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// How paths are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// `openat2`, and step by step where it is not to be had.
    Kernel,
    /// Always step by step.
    Stepwise,
}

/// Makes a file that was not there before, and opens nothing else.
pub const CREATE_NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Set once `openat2` was refused, so that it is not tried again for every file.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Opens `path` (relative, no `..`) beneath `directory`. A link anywhere in it is ELOOP or ENOTDIR.
pub fn open(directory: impl AsFd, path: &str, flags: OFlags, resolver: Resolver) -> Result<OwnedFd, Errno> {
    let path = path.trim_end_matches('/');
    let mut flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if !flags.contains(OFlags::PATH) {
        // Whatever stands there, opening it neither waits nor becomes our terminal; `O_PATH` opens nothing.
        flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
    }
    let directory = directory.as_fd();
    if resolver == Resolver::Kernel && !IS_REFUSED.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => IS_REFUSED.store(true, Ordering::Relaxed),
            answer => return answer,
        }
    }
    open_stepwise(directory, path, flags)
}

fn open_stepwise(directory: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (parents, name) = path.rsplit_once('/').map_or((None, path), |(parents, name)| (Some(parents), name));
    let mut reached: Option<OwnedFd> = None;
    for parent in parents.into_iter().flat_map(|parents| parents.split('/')) {
        let at = reached.as_ref().map_or(directory, AsFd::as_fd);
        reached = Some(openat(at, checked(parent)?, step, Mode::empty())?);
    }
    let at = reached.as_ref().map_or(directory, AsFd::as_fd);
    openat(at, checked(name)?, flags, Mode::empty())
}

fn checked(part: &str) -> Result<&str, Errno> {
    if matches!(part, "" | "." | "..") { Err(Errno::XDEV) } else { Ok(part) }
}

/// What kind of thing a status tells of; a regular file with several names is not simply a file.
#[must_use]
pub fn kind(status: &Stat) -> FileKind {
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile if status.st_nlink == 1 => FileKind::File,
        FileType::RegularFile => FileKind::HardLink,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => FileKind::Device,
    }
}

/// What stands at a name (no path) in a directory, links not followed.
pub fn kind_at(directory: impl AsFd, name: &str) -> Result<FileKind, Errno> {
    statat(directory, name.trim_end_matches('/'), AtFlags::SYMLINK_NOFOLLOW).map(|status| kind(&status))
}

/// What reading a file brought.
#[derive(Debug)]
pub enum FileRead {
    /// All of it, and its status.
    Whole(Vec<u8>, Stat),
    /// More than the limit; nothing was read.
    TooLarge,
    /// No regular file with one name.
    WrongType(FileKind),
}

/// Reads a file beneath `directory`, at most `limit` bytes of it.
pub fn read(directory: impl AsFd, path: &str, limit: usize, resolver: Resolver) -> Result<FileRead, Errno> {
    let file = match open(directory.as_fd(), path, OFlags::RDONLY, resolver) {
        Ok(file) => file,
        Err(Errno::LOOP) => return Ok(FileRead::WrongType(FileKind::Link)),
        // A socket cannot be opened at all.
        Err(Errno::NXIO) => return Ok(FileRead::WrongType(FileKind::Socket)),
        Err(error) => return Err(error),
    };
    let status = fstat(&file)?;
    let kind = kind(&status);
    if kind != FileKind::File {
        return Ok(FileRead::WrongType(kind));
    }
    let size = usize::try_from(status.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Ok(FileRead::TooLarge);
    }
    let mut contents = vec![0; size];
    let mut length = 0;
    while length < size {
        match rustix::io::read(&file, &mut contents[length..])? {
            0 => break,
            count => length += count,
        }
    }
    contents.truncate(length);
    Ok(FileRead::Whole(contents, status))
}
