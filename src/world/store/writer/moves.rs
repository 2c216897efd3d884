//! Moves cells into the archive and back, each atomically.

use crate::mission::cell::Part;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::json_file::{FILE_BYTES_MAX, parse_object};
use crate::mission::cell::manifest::{CellManifest, updated};
use crate::world::cells::look::open_directory;
use crate::world::cells::safe_open::{self, FileRead};
use crate::world::store::root::ARCHIVE;
use crate::world::store::writer::{WriteError, Writer, make_directory, open_to_sync};
use rustix::fs::{RenameFlags, fsync, renameat_with};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

impl Writer {
    /// Moves a whole cell into the archive. Nothing in it changes except its manifest, and processes with open files
    /// continue there.
    pub fn archive_cell(&self, manifest: &CellManifest, name: ArchiveName) -> Result<(), WriteError> {
        let mission_id = manifest.mission_id.to_string();
        let archived = self.open_archive().and_then(|archive| {
            renameat_with(&self.root, &*mission_id, &archive, &*name.to_string(), RenameFlags::NOREPLACE)?;
            fsync(&archive)?;
            fsync(&self.root)?;
            open_directory(&archive, &name.to_string())
        });
        let archived = archived.map_err(|cause| self.unmoved("archive the cell", &mission_id, cause))?;
        self.bring_up_to_date(archived.as_fd(), manifest);
        Ok(())
    }

    /// Restores a cell from the archive; a cell in its place is archived first.
    pub fn restore_cell(
        &self,
        manifest: &CellManifest,
        name: ArchiveName,
        displaced: Option<ArchiveName>,
    ) -> Result<(), WriteError> {
        let mission_id = manifest.mission_id.to_string();
        let restored = self.open_archive().and_then(|archive| {
            if let Some(displaced) = displaced {
                let displaced = displaced.to_string();
                renameat_with(&self.root, &*mission_id, &archive, &*displaced, RenameFlags::NOREPLACE)?;
            }
            renameat_with(&archive, &*name.to_string(), &self.root, &*mission_id, RenameFlags::NOREPLACE)?;
            fsync(&self.root)?;
            fsync(&archive)?;
            self.open_cell(manifest.mission_id)
        });
        let restored = restored.map_err(|cause| self.unmoved("restore the cell", &mission_id, cause))?;
        self.bring_up_to_date(restored.as_fd(), manifest);
        Ok(())
    }

    fn unmoved(&self, tried: &'static str, mission_id: &str, cause: Errno) -> WriteError {
        let path = self.root.path().join(mission_id).display().to_string();
        WriteError { tried, path, cause: cause.into(), is_our_own: false }
    }

    fn open_archive(&self) -> Result<OwnedFd, Errno> {
        let own = self.root.open_own()?;
        make_directory(own.as_fd(), ARCHIVE, 0o700)?;
        open_to_sync(own.as_fd(), ARCHIVE)
    }

    /// Updates the phase in a cell's manifest, which is for readers; a failure does not prevent the move.
    fn bring_up_to_date(&self, cell: BorrowedFd<'_>, manifest: &CellManifest) {
        for (part, wanted) in [(Part::Mission, manifest.mission_file()), (Part::Cell, manifest.cell_file())] {
            let found = match safe_open::read(cell, part.path(), FILE_BYTES_MAX, self.root.resolver()) {
                Ok(FileRead::Whole(bytes, _)) => parse_object(&bytes).ok(),
                Ok(FileRead::TooLarge | FileRead::WrongType(_)) | Err(_) => None,
            };
            let Some(contents) = found.and_then(|found| updated(&found, &wanted)) else { continue };
            let placed = open_to_sync(cell, part.parent().unwrap_or(part).path()).and_then(|directory| {
                self.place(directory.as_fd(), part.name(), contents.as_bytes(), part.mode(), RenameFlags::empty())
            });
            if let Err(error) = placed {
                tracing::warn!("`{}` of the cell `{}` was not updated: {error}", part.path(), manifest.mission_id);
            }
        }
    }
}
