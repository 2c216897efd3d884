//! Lists, measures and deletes archived cells without trusting their content.

use crate::mission::cell::archive::{Archive, ArchiveName, Measure};
use crate::mission::text::Printable;
use crate::mission::time::Timestamp;
use crate::world::cells::look::open_directory;
use crate::world::store::log::JOURNAL;
use crate::world::store::root::{ARCHIVE, OWN, Root, RootError, names_in, user_name};
use crate::world::store::trash::{self, TRASH};
use crate::world::store::writer::WriteError;
use chrono::DateTime;
use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, accessat, fstat, fsync, openat,
    statat, statx,
};
use rustix::io::Errno;
use rustix::path::Arg;
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The most entries of one archive that are counted.
const ENTRIES_MAX: u64 = 2_000_000;

/// The deepest nesting of directories that is counted.
const DEPTH_MAX: usize = 100;

/// The unit of `st_blocks`, in bytes.
const BLOCK_BYTES: u64 = 512;

/// The content of the archive directory.
#[derive(Debug, Default)]
pub struct Archives {
    /// The archives, the oldest first.
    pub archives: Vec<Archive>,
    /// The names of all other entries, which are never touched.
    pub others: Vec<String>,
}

/// The path of an archive.
#[must_use]
pub fn path(root: &Root, name: ArchiveName) -> PathBuf {
    root.path().join(OWN).join(ARCHIVE).join(name.to_string())
}

/// Lists all archives of a root. Takes no lock and writes nothing.
pub fn list(root: &Root) -> Result<Archives, RootError> {
    let mut found = Archives::default();
    let directory = match root.open_own().and_then(|own| open_directory(own, ARCHIVE)) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return Ok(found),
        Err(error) => return Err(unusable(root, error)),
    };
    for name in names_in(directory.as_fd(), ".").map_err(|error| unusable(root, error))? {
        match ArchiveName::parse(&name).ok().and_then(|parsed| look(directory.as_fd(), parsed)) {
            Some(archive) => found.archives.push(archive),
            None => found.others.push(name),
        }
    }
    found.archives.sort_by_key(|archive| (archive.archived_at, archive.name));
    Ok(found)
}

fn unusable(root: &Root, error: Errno) -> RootError {
    RootError::Unusable { path: format!("{}/{OWN}/{ARCHIVE}", root.path().display()), cause: error.to_string() }
}

/// An archive is a directory; any other entry with such a name is ignored.
fn look(directory: BorrowedFd<'_>, name: ArchiveName) -> Option<Archive> {
    let text = name.to_string();
    let status = statat(directory, &text, AtFlags::SYMLINK_NOFOLLOW).ok().filter(is_directory)?;
    // Whole seconds, as in the clock of a command.
    let moved_at = DateTime::from_timestamp(status.st_ctime, 0).unwrap_or_default();
    Some(Archive { name, archived_at: Timestamp::from(moved_at), measure: measure(directory, &text, &status) })
}

fn is_directory(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::Directory
}

fn measure(directory: BorrowedFd<'_>, name: &str, status: &Stat) -> Measure {
    let mut walk = Walk { device: status.st_dev, linked: HashSet::new(), entries: 0, measure: Measure::default() };
    walk.count(status);
    walk.enter(directory, name, name, 0);
    walk.measure
}

/// A walk through one archive that follows no link and stays on one file system.
struct Walk {
    device: u64,
    /// The inodes with several names that were counted already.
    linked: HashSet<u64>,
    entries: u64,
    measure: Measure,
}

impl Walk {
    fn count(&mut self, status: &Stat) {
        let is_directory = is_directory(status);
        if is_directory || status.st_nlink == 1 || self.linked.insert(status.st_ino) {
            self.measure.bytes += status.st_blocks.cast_unsigned() * BLOCK_BYTES;
        }
        self.measure.files += u64::from(!is_directory);
    }

    /// Enters a directory; `path` is for messages.
    fn enter(&mut self, at: BorrowedFd<'_>, name: impl Arg, path: &str, depth: usize) {
        if depth > DEPTH_MAX {
            self.measure.is_more = true;
            return;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(at, name, flags, Mode::empty()) {
            Ok(directory) => self.walk(&directory, path, depth),
            // Moved by another process meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => self.add_obstacle(format!("`{path}` cannot be read: {error}")),
        }
    }

    fn walk(&mut self, directory: &OwnedFd, path: &str, depth: usize) {
        let Ok(entries) = Dir::read_from(directory) else {
            return self.add_obstacle(format!("`{path}` cannot be read"));
        };
        let mut is_empty = true;
        for entry in entries {
            let Ok(entry) = entry else { return self.add_obstacle(format!("`{path}` cannot be read")) };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            is_empty = false;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                self.measure.is_more = true;
                return;
            }
            self.meet(directory.as_fd(), entry.file_name(), path, depth);
        }
        if !is_empty && accessat(directory, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()).is_err() {
            let owner = fstat(directory).map_or("another user".to_owned(), |status| user_name(status.st_uid));
            self.add_obstacle(format!(
                "this user may not remove anything from `{path}`; `chmod -R g+rwX` there as user {owner}, or remove the archive as root"
            ));
        }
    }

    fn meet(&mut self, directory: BorrowedFd<'_>, name: &CStr, path: &str, depth: usize) {
        let Ok(status) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        if !is_directory(&status) {
            return self.count(&status);
        }
        let path = format!("{path}/{}", Printable::new(&name.to_string_lossy()));
        if status.st_dev != self.device || is_mount(directory, name) {
            self.measure.is_more = true;
            return self.add_obstacle(format!("a file system is mounted on `{path}`"));
        }
        self.count(&status);
        self.enter(directory, name, &path, depth + 1);
    }

    fn add_obstacle(&mut self, why: String) {
        self.measure.obstacle.get_or_insert(why);
    }
}

/// Whether something is mounted there, including a bind mount of the same file system.
fn is_mount(directory: BorrowedFd<'_>, name: &CStr) -> bool {
    let status = statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    status.is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Adds a line to the service's journal, which records every deletion.
pub fn note(root: &Root, entry: &impl Serialize) -> Result<(), WriteError> {
    let line = serde_json::to_string(entry).map_err(std::io::Error::from);
    let noted = line.and_then(|line| Ok(JOURNAL.append(root.open_own()?, &format!("{line}\n"))?));
    let path = || format!("{}/{OWN}/{}", root.path().display(), JOURNAL.name);
    noted.map_err(|cause| WriteError { tried: "write", path: path(), cause, is_our_own: true })
}

/// An archive in the trash that will not be restored.
#[derive(Debug)]
pub struct DiscardedArchive {
    name: ArchiveName,
    own: OwnedFd,
    discarded: String,
}

/// Moves an archive to the trash atomically, also beside a daemon. If its removal does not follow, the next process
/// that empties the trash removes it.
pub fn take_out(root: &Root, name: ArchiveName, archived_at: Timestamp) -> Result<DiscardedArchive, WriteError> {
    let failed = |cause: std::io::Error| WriteError {
        tried: "delete",
        path: path(root, name).display().to_string(),
        cause,
        is_our_own: true,
    };
    let (own, discarded) = move_out(root, name, archived_at).map_err(failed)?;
    Ok(DiscardedArchive { name, own, discarded })
}

fn move_out(root: &Root, name: ArchiveName, archived_at: Timestamp) -> std::io::Result<(OwnedFd, String)> {
    let own = root.open_own()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let archive = openat(&own, ARCHIVE, flags, Mode::empty())?;
    let found = look(archive.as_fd(), name).ok_or(Errno::NOENT)?;
    if found.archived_at != archived_at {
        return Err(std::io::Error::other("it was archived again meanwhile"));
    }
    let discarded = trash::discard(own.as_fd(), archive.as_fd(), &name.to_string())?;
    fsync(&archive)?;
    Ok((own, discarded))
}

impl DiscardedArchive {
    /// Removes it within its time budget. It counts as deleted even if parts remain.
    pub fn remove(self) -> Result<(), String> {
        let Self { name, own, discarded } = self;
        let left = |why: String| {
            format!("the archive `{name}` was deleted, but parts of it remain in `{OWN}/{TRASH}/{discarded}`: {why}")
        };
        trash::remove(own.as_fd(), &discarded).map_err(left)
    }
}
