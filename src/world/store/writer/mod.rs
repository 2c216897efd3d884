//! The single writer of a missions root: creates cells and replaces files atomically, and never overwrites.

mod moves;
mod worktree;

pub use worktree::Placed;

use crate::mission::alert::state::FleetAlertRecord;
use crate::mission::cell::Part;
use crate::mission::cell::json_file::pretty;
use crate::mission::cell::manifest::CellManifest;
use crate::mission::failure::FailureScope;
use crate::mission::identity::{MissionId, RootId};
use crate::mission::record::{IssueKey, Record};
use crate::mission::root_metadata::{RootFile, RootMetadata};
use crate::mission::time::Timestamp;
use crate::world::cells::look::open_directory;
use crate::world::cells::safe_open::{self, CREATE_NEW};
use crate::world::random;
use crate::world::store::acl::open_to_owner;
use crate::world::store::alerts::FLEET_ALERTS;
use crate::world::store::lock::{self, LockOptions, UninitializedRoot};
use crate::world::store::log::OF_CELL;
use crate::world::store::root::{
    OWN, RECORDS, ROOT_FILE, Root, RootError, STAGING, make_directory, names_in, read_record, record_name,
};
use crate::world::store::trash;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, fchmod, fchown, fsync, mkdirat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A failed write. The previous content is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot {tried} `{path}`: {cause}")]
pub struct WriteError {
    /// The attempted action.
    pub tried: &'static str,
    /// The path.
    pub path: String,
    /// The cause.
    pub cause: std::io::Error,
    /// Whether it is a file of the service, and not one in a cell.
    pub is_our_own: bool,
}

impl WriteError {
    /// Whether the file system as a whole fails or is full, and not only this file.
    fn is_disk_failure(&self) -> bool {
        let cause = Errno::from_io_error(&self.cause);
        cause.is_some_and(|cause| {
            let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::ROFS];
            let broken = [Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
            full.contains(&cause) || broken.contains(&cause)
        })
    }

    /// Whom the failure affects: without the service's own files no mission can be recorded.
    #[must_use]
    pub fn scope(&self) -> FailureScope {
        if self.is_our_own && self.is_disk_failure() { FailureScope::Service } else { FailureScope::Mission }
    }

    /// Whether manual action is required: a mount point in place of a cell, or modes that deny access. Failures of the
    /// whole disk may pass.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        let passing = [Errno::INTR, Errno::AGAIN, Errno::TIMEDOUT, Errno::STALE, Errno::NOENT, Errno::EXIST];
        !self.is_disk_failure() && !Errno::from_io_error(&self.cause).is_some_and(|cause| passing.contains(&cause))
    }
}

/// Exclusive write access to a root; released on drop.
#[derive(Debug)]
pub struct Writer {
    root: Arc<Root>,
    file: RootFile,
    staging: OwnedFd,
    records: OwnedFd,
    group: Option<Gid>,
    _lock: File,
}

impl Writer {
    /// Locks an initialised root, reopens it as the previous holder left it, and clears staging.
    pub(super) fn lock(root: &Root, access: LockOptions) -> Result<Self, RootError> {
        let own = root.open_own().map_err(|cause| root.unwritable(&cause))?;
        let lock = lock::take(root, own.as_fd(), access)?;
        let root = Root::open(root.path())?;
        let file = root.file().cloned().ok_or_else(|| root.unwritable(&Errno::NOENT))?;
        let writer = Self::new(Arc::new(root), &own, file, lock, access.group)?;
        writer.clear_staging()?;
        Ok(writer)
    }

    fn new(root: Arc<Root>, own: &OwnedFd, file: RootFile, lock: File, group: Option<u32>) -> Result<Self, RootError> {
        let open = |name| open_directory(own, name).map_err(|cause| root.unwritable(&cause));
        let (staging, records) = (open(STAGING)?, open(RECORDS)?);
        Ok(Self { root, file, staging, records, group: group.map(Gid::from_raw), _lock: lock })
    }

    /// Creates a root with a new id in an exclusively locked directory.
    pub fn initialise(
        ground: &UninitializedRoot,
        manifest: RootMetadata,
        now: Timestamp,
        access: LockOptions,
    ) -> Result<Self, RootError> {
        let root = Arc::clone(&ground.root);
        root.check_can_be_initialised()?;
        for path in [OWN.to_owned(), format!("{OWN}/{STAGING}"), format!("{OWN}/{RECORDS}")] {
            make_directory(root.as_fd(), &path, 0o700).map_err(|cause| root.unwritable(&cause))?;
        }
        let own = root.open_own().map_err(|cause| root.unwritable(&cause))?;
        let lock = ground.lock(own.as_fd(), access)?;
        let file = RootFile { root_id: RootId::from(random::id()), created_at: now, manifest };
        let writer = Self::new(root, &own, file, lock, access.group)?;
        writer.write_root_file(&writer.file)?;
        Ok(writer)
    }

    /// The root, for reading.
    #[must_use]
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// The root's identity when it was locked.
    #[must_use]
    pub fn file(&self) -> &RootFile {
        &self.file
    }

    /// Replaces the root's metadata; its id stays.
    pub fn update_root(&self, manifest: RootMetadata) -> Result<(), RootError> {
        self.write_root_file(&RootFile { manifest, ..self.file.clone() })
    }

    fn write_root_file(&self, file: &RootFile) -> Result<(), RootError> {
        let own = self.root.open_own().map_err(|cause| self.root.unwritable(&cause))?;
        self.place(own.as_fd(), ROOT_FILE, pretty(file).as_bytes(), 0o600, RenameFlags::empty())
            .map_err(|cause| self.root.unwritable(&cause))
    }

    /// Clears staging for later use. A directory tree is moved to the trash, atomically at any size, and removed later.
    fn clear_staging(&self) -> Result<(), RootError> {
        let path = self.root.path().join(OWN).join(STAGING).display().to_string();
        let unwritable = |cause: Errno| RootError::Unwritable { path: path.clone(), cause: cause.to_string() };
        for name in names_in(self.staging.as_fd(), ".").map_err(unwritable)? {
            match unlinkat(&self.staging, &*name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => self.discard(&name),
                // The probe of `doctor` removes its own file.
                Err(Errno::NOENT) => Ok(()),
                removed => removed,
            }
            .map_err(unwritable)?;
        }
        Ok(())
    }

    /// Moves an unneeded staged entry to the trash, if it exists.
    pub(super) fn discard(&self, staged: &str) -> Result<(), Errno> {
        if safe_open::kind_at(&self.staging, staged) == Err(Errno::NOENT) {
            return Ok(());
        }
        trash::discard(self.root.open_own()?.as_fd(), self.staging.as_fd(), staged).map(drop)
    }

    /// Reads the record of one issue. An unreadable record is an error.
    pub fn remembered(&self, issue: &IssueKey) -> Result<Option<Record>, WriteError> {
        read_record(self.records.as_fd(), &record_name(issue), self.root.resolver())
            .map_err(|cause| self.record_failed("read the record", issue, std::io::Error::other(cause)))
    }

    /// Changes the record of one issue. `change` gets the current record, or a new one.
    pub fn remember(&self, issue: &IssueKey, change: impl FnOnce(&mut Record)) -> Result<Record, WriteError> {
        let before = self.remembered(issue)?;
        let mut record = before.clone().unwrap_or_else(|| Record::new(issue.clone()));
        change(&mut record);
        if before.as_ref() != Some(&record) {
            self.write_record(issue, &record)?;
        }
        Ok(record)
    }

    /// The same, but writes the record even if nothing changes, to prove that it can be written.
    pub fn rewrite_record(&self, issue: &IssueKey, change: impl FnOnce(&mut Record)) -> Result<(), WriteError> {
        let mut record = self.remembered(issue)?.unwrap_or_else(|| Record::new(issue.clone()));
        change(&mut record);
        self.write_record(issue, &record)
    }

    fn write_record(&self, issue: &IssueKey, record: &Record) -> Result<(), WriteError> {
        let (name, contents) = (record_name(issue), pretty(record));
        self.place(self.records.as_fd(), &name, contents.as_bytes(), 0o600, RenameFlags::empty())
            .map_err(|cause| self.record_failed("write the record", issue, cause.into()))
    }

    /// Replaces the stored state of the fleet's alerts.
    pub fn write_fleet_alerts(&self, memory: &FleetAlertRecord) -> Result<(), WriteError> {
        self.write_own(FLEET_ALERTS, memory)
    }

    /// Replaces a file in the service's own directory.
    pub(super) fn write_own(&self, name: &str, contents: &impl Serialize) -> Result<(), WriteError> {
        let own = self.root.open_own();
        let placed =
            own.and_then(|own| self.place(own.as_fd(), name, pretty(contents).as_bytes(), 0o600, RenameFlags::empty()));
        let path = || self.root.path().join(OWN).join(name).display().to_string();
        placed.map_err(|cause| WriteError { tried: "write", path: path(), cause: cause.into(), is_our_own: true })
    }

    fn record_failed(&self, tried: &'static str, issue: &IssueKey, cause: std::io::Error) -> WriteError {
        let path = self.root.path().join(OWN).join(RECORDS).join(record_name(issue));
        WriteError { tried, path: path.display().to_string(), cause, is_our_own: true }
    }

    /// Creates a cell: built in staging, synced, then moved into place atomically, never replacing anything. A worktree
    /// that was checked out for it in staging becomes a part of it.
    pub fn create_cell(
        &self,
        manifest: &CellManifest,
        worktree: Option<&str>,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let name = manifest.mission_id.to_string();
        self.build_cell(&name, manifest, worktree, now).map_err(|cause| {
            if let Err(error) = self.discard(&name) {
                tracing::debug!("`{name}` is left in staging: {error}");
            }
            let path = self.root.path().join(&name).display().to_string();
            WriteError { tried: "create the cell", path, cause: cause.into(), is_our_own: false }
        })
    }

    fn build_cell(
        &self,
        name: &str,
        manifest: &CellManifest,
        worktree: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Errno> {
        mkdirat(&self.staging, name, Mode::from_raw_mode(0o700))?;
        let cell = open_to_sync(self.staging.as_fd(), name)?;
        for part in Part::ALL {
            if part.parent().is_none() {
                mkdirat(&cell, part.path(), Mode::from_raw_mode(0o700))?;
            } else {
                let file = openat(&cell, part.path(), CREATE_NEW, Mode::from_raw_mode(0o600))?;
                self.fill(file, initial_contents(manifest, part, now).as_bytes(), part.mode())?;
            }
        }
        for part in Part::ALL.into_iter().filter(|part| part.parent().is_none()) {
            let directory = open_to_sync(cell.as_fd(), part.path())?;
            self.grant(&directory, part.mode())?;
            fsync(&directory)?;
        }
        if let Some(worktree) = worktree {
            renameat(&self.staging, worktree, &cell, Part::Worktree.name())?;
        }
        self.grant(&cell, 0o750)?;
        fsync(&cell)?;
        renameat_with(&self.staging, name, &self.root, name, RenameFlags::NOREPLACE)?;
        fsync(&self.root)
    }

    /// Recreates a missing part. A part that has appeared meanwhile is kept.
    pub fn restore_part(&self, manifest: &CellManifest, part: Part) -> Result<(), WriteError> {
        let restored = self.open_cell(manifest.mission_id).and_then(|cell| match part.parent() {
            None => self.restore_directory(cell.as_fd(), part),
            Some(parent) => {
                self.restore_directory(cell.as_fd(), parent)?;
                let directory = open_to_sync(cell.as_fd(), parent.path())?;
                let contents = contents(manifest, part);
                let name = part.name();
                match self.place(directory.as_fd(), name, contents.as_bytes(), part.mode(), RenameFlags::NOREPLACE) {
                    Ok(()) | Err(Errno::EXIST) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        });
        restored.map_err(|cause| self.failed("recreate", manifest.mission_id, part, cause))
    }

    fn restore_directory(&self, cell: BorrowedFd<'_>, part: Part) -> Result<(), Errno> {
        match mkdirat(cell, part.path(), Mode::from_raw_mode(0o700)) {
            Ok(()) => {
                let directory = open_to_sync(cell, part.path())?;
                self.grant(&directory, part.mode())?;
                fsync(&directory)?;
                fsync(&open_to_sync(cell, ".")?)
            }
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file of the service atomically.
    pub fn update_file(&self, mission_id: MissionId, part: Part, contents: &str) -> Result<(), WriteError> {
        let parent = part.parent().unwrap_or(part);
        let updated = self.open_cell(mission_id).and_then(|cell| {
            let directory = open_to_sync(cell.as_fd(), parent.path())?;
            self.place(directory.as_fd(), part.name(), contents.as_bytes(), part.mode(), RenameFlags::empty())
        });
        updated.map_err(|cause| self.failed("replace", mission_id, part, cause))
    }

    /// Adds a line to the cell's log. The log is for people, so a failed write is not an error.
    pub fn log(&self, mission_id: MissionId, kind: &str, text: &str, now: Timestamp) {
        let line = log_line(kind, text, now);
        let logs = self.open_cell(mission_id).and_then(|cell| open_directory(cell, Part::Logs.path()));
        let logged = logs.and_then(|logs| OF_CELL.append(logs, &line));
        if let Err(error) = logged {
            tracing::debug!(%mission_id, %error, "the cell's log cannot be written");
        }
    }

    fn open_cell(&self, mission_id: MissionId) -> Result<OwnedFd, Errno> {
        open_directory(&self.root, &mission_id.to_string())
    }

    fn failed(&self, tried: &'static str, mission_id: MissionId, part: Part, cause: Errno) -> WriteError {
        let path = self.root.path().join(mission_id.to_string()).join(part.path());
        WriteError { tried, path: path.display().to_string(), cause: cause.into(), is_our_own: false }
    }

    /// Writes a complete file in staging and moves it into place.
    fn place(
        &self,
        directory: BorrowedFd<'_>,
        name: &str,
        contents: &[u8],
        mode: u32,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let staged = random::id().to_string();
        let file = openat(&self.staging, &*staged, CREATE_NEW, Mode::from_raw_mode(0o600))?;
        let placed = self
            .fill(file, contents, mode)
            .and_then(|()| renameat_with(&self.staging, &*staged, directory, name, flags))
            .and_then(|()| fsync(&open_to_sync(directory, ".")?));
        if placed.is_err() {
            let _ = unlinkat(&self.staging, &*staged, AtFlags::empty());
        }
        placed
    }

    fn fill(&self, file: OwnedFd, contents: &[u8], mode: u32) -> Result<(), Errno> {
        let mut file = File::from(file);
        file.write_all(contents).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.grant(&file, mode)?;
        fsync(&file)
    }

    /// Sets group and mode; the group first, since changing it clears the set-group-id bit.
    fn grant(&self, file: impl AsFd, mode: u32) -> Result<(), Errno> {
        if self.group.is_some() && mode & 0o070 != 0 {
            fchown(file.as_fd(), None, self.group)?;
            if mode & 0o2000 != 0 {
                open_to_owner(file.as_fd());
            }
        }
        fchmod(file, Mode::from_raw_mode(mode))
    }
}

/// Opens a directory for syncing.
fn open_to_sync(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name.trim_end_matches('/'), flags, Mode::empty())
}

fn contents(manifest: &CellManifest, part: Part) -> String {
    if part == Part::Token {
        return format!("{}\n", random::secret());
    }
    manifest.contents(part).unwrap_or_default()
}

/// The initial contents of a file in a new cell; the log records the creation.
fn initial_contents(manifest: &CellManifest, part: Part, now: Timestamp) -> String {
    if part == Part::Log {
        return log_line("create-cell", &format!("create the cell `{}`", manifest.mission_id), now);
    }
    contents(manifest, part)
}

fn log_line(kind: &str, text: &str, now: Timestamp) -> String {
    format!("{}\n", json!({ "at": now, "change": kind, "text": text }))
}
