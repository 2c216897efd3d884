//! Writes JSON files under a temporary name first, so that readers see the old or the new content and never a part.

use crate::mission::cell::json_file::pretty;
use crate::world::cells::safe_open::CREATE_NEW;
use rustix::fs::{AtFlags, Mode, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

/// A complete file under a temporary name. It is removed unless it is placed.
#[derive(Debug)]
pub(crate) struct Staged {
    directory: OwnedFd,
    temporary: String,
    file: File,
    is_placed: bool,
}

impl Staged {
    /// Writes the file in its target directory. A file from another directory would make every heartbeat wait for every
    /// other one, since a file system serialises moves between directories.
    pub(crate) fn write(
        directory: OwnedFd,
        temporary: &str,
        mode: Mode,
        contents: &impl Serialize,
    ) -> Result<Self, Errno> {
        // Left by an earlier process, or created by another account.
        let _ = unlinkat(&directory, temporary, AtFlags::empty());
        let file = File::from(openat(&directory, temporary, CREATE_NEW, mode)?);
        let mut staged = Self { directory, temporary: temporary.to_owned(), file, is_placed: false };
        // Independent of the umask.
        fchmod(&staged.file, mode)?;
        let written = staged.file.write_all(pretty(contents).as_bytes());
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(staged)
    }

    /// The file, to sync it first.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Renames it to its final name.
    pub(crate) fn place(mut self, name: &str) -> Result<(), Errno> {
        renameat(&self.directory, &self.temporary, &self.directory, name)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}
