//! Moves a staged worktree into its cell, never in place of anything.

use crate::mission::cell::Part;
use crate::mission::cell::checkout::WorktreeSite;
use crate::mission::cell::json_file::{FILE_BYTES_MAX, parse_object, pretty};
use crate::mission::cell::worktree::DirectoryId;
use crate::mission::identity::{CommitId, MissionId};
use crate::world::cells::safe_open::{self, FileRead};
use crate::world::store::root::{OWN, STAGING};
use crate::world::store::writer::{WriteError, Writer, open_to_sync};
use rustix::fs::{Dir, RenameFlags, fsync, renameat};
use rustix::io::Errno;
use serde_json::json;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// The result of placing a worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The worktree is in place.
    Here,
    /// The cell's own `worktree/` is not an empty directory; it is kept.
    InTheWay,
}

impl Writer {
    /// The path of a staging entry, for programs that take only paths.
    #[must_use]
    pub fn staging_path(&self, name: &str) -> PathBuf {
        self.root.path().join(OWN).join(STAGING).join(name)
    }

    /// The identity of a directory in staging.
    pub fn identify_staged(&self, name: &str) -> Result<DirectoryId, WriteError> {
        let identified = open_to_sync(self.staging.as_fd(), name).and_then(identify);
        identified.map_err(|cause| {
            let path = self.staging_path(name).display().to_string();
            WriteError { tried: "inspect", path, cause: cause.into(), is_our_own: true }
        })
    }

    /// Moves a staged worktree into a cell. It replaces an empty directory and nothing else.
    pub fn place_worktree(&self, mission_id: MissionId, staged: &str) -> Result<Placed, WriteError> {
        let placed = self.open_cell(mission_id).and_then(|cell| {
            let cell = open_to_sync(cell.as_fd(), ".")?;
            renameat(&self.staging, staged, &cell, Part::Worktree.name())?;
            fsync(&cell)
        });
        match placed {
            Ok(()) => Ok(Placed::Here),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(Placed::InTheWay),
            Err(cause) => Err(self.failed("fill", mission_id, Part::Worktree, cause)),
        }
    }

    /// What is in place of a cell's worktree.
    pub fn look_at_worktree(&self, mission_id: MissionId) -> Result<WorktreeSite, WriteError> {
        let looked = match self.open_cell(mission_id) {
            Ok(cell) => look(&cell),
            Err(Errno::NOENT) => Ok(WorktreeSite::NoCell),
            Err(error) => Err(error),
        };
        looked.map_err(|cause| self.failed("inspect", mission_id, Part::Worktree, cause))
    }

    /// Records the commit in a cell's manifest; if that fails, the next pass repairs it.
    pub fn note_commit(&self, mission_id: MissionId, commit: &CommitId) {
        let noted = self.open_cell(mission_id).and_then(|cell| {
            let found = match safe_open::read(&cell, Part::Mission.path(), FILE_BYTES_MAX, self.root.resolver())? {
                FileRead::Whole(bytes, _) => parse_object(&bytes).ok(),
                FileRead::TooLarge | FileRead::WrongType(_) => None,
            };
            let Some(mut file) = found else { return Ok(()) };
            let worktree = file.get_mut("worktree").and_then(serde_json::Value::as_object_mut);
            let before = worktree.and_then(|worktree| worktree.insert("commit".to_owned(), json!(commit)));
            if before == Some(json!(commit)) {
                return Ok(());
            }
            let meta = open_to_sync(cell.as_fd(), Part::Meta.path())?;
            let (name, mode) = (Part::Mission.name(), Part::Mission.mode());
            self.place(meta.as_fd(), name, pretty(&file).as_bytes(), mode, RenameFlags::empty())
        });
        if let Err(error) = noted {
            tracing::warn!("`{}` of the cell `{mission_id}` was not updated: {error}", Part::Mission.path());
        }
    }

    /// Moves an unneeded staged worktree to the trash.
    pub fn discard_worktree(&self, staged: &str) {
        if let Err(error) = self.discard(staged) {
            tracing::debug!("`{staged}` is left in staging: {error}");
        }
    }
}

fn look(cell: &OwnedFd) -> Result<WorktreeSite, Errno> {
    let worktree = match open_to_sync(cell.as_fd(), Part::Worktree.path()) {
        Ok(worktree) => worktree,
        Err(Errno::NOENT) => return Ok(WorktreeSite::Free),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(WorktreeSite::Taken { directory: None }),
        Err(error) => return Err(error),
    };
    for entry in Dir::read_from(&worktree)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(WorktreeSite::Taken { directory: Some(identify(worktree)?) });
        }
    }
    Ok(WorktreeSite::Free)
}

fn identify(directory: OwnedFd) -> Result<DirectoryId, Errno> {
    let metadata =
        File::from(directory).metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let created = metadata.created().ok().and_then(|created| created.duration_since(UNIX_EPOCH).ok());
    Ok(DirectoryId::new(metadata.ino(), created))
}
