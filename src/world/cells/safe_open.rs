//! Opens files below a directory that others may write in, without leaving it, hanging, or reading too much.
//!
//! Paths are resolved by `openat2` with `BENEATH | NO_SYMLINKS | NO_MAGICLINKS`; if the kernel or a sandbox denies that
//! call (systemd's `RestrictSUIDSGID` answers ENOSYS), component by component with `O_NOFOLLOW`.

use crate::mission::cell::FileKind;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// How paths are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// `openat2`, and component by component if it is unavailable.
    Kernel,
    /// Always component by component.
    Stepwise,
}

/// Creates a new file and never opens an existing one.
pub const CREATE_NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Set once `openat2` was denied, so that it is not tried again for every file.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Opens `path` (relative, no `..`) beneath `directory`. A link anywhere in it is ELOOP or ENOTDIR.
pub fn open(directory: impl AsFd, path: &str, flags: OFlags, resolver: Resolver) -> Result<OwnedFd, Errno> {
    let path = path.trim_end_matches('/');
    let mut flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if !flags.contains(OFlags::PATH) {
        // Opening a special file must neither block nor make it the controlling terminal; `O_PATH` opens nothing.
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

/// The kind of a file; a regular file with several names is a kind of its own.
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

/// The kind of the entry with this name (no path) in a directory, links not followed.
pub fn kind_at(directory: impl AsFd, name: &str) -> Result<FileKind, Errno> {
    statat(directory, name.trim_end_matches('/'), AtFlags::SYMLINK_NOFOLLOW).map(|status| kind(&status))
}

/// The result of reading a file.
#[derive(Debug)]
pub enum FileRead {
    /// The contents and the status.
    Whole(Vec<u8>, Stat),
    /// The file exceeds the limit; nothing was read.
    TooLarge,
    /// Not a regular file with one name.
    WrongType(FileKind),
}

/// Reads a file below `directory`, at most `limit` bytes.
pub fn read(directory: impl AsFd, path: &str, limit: usize, resolver: Resolver) -> Result<FileRead, Errno> {
    let file = match open(directory.as_fd(), path, OFlags::RDONLY, resolver) {
        Ok(file) => file,
        Err(Errno::LOOP) => return Ok(FileRead::WrongType(FileKind::Link)),
        // A socket cannot be opened.
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
