//! A file of JSON that is written under a temporary name first, so that a reader sees the old one or the new one, and never
//! half of one.

use crate::mission::cell::json_file::pretty;
use crate::world::cells::safe_open::CREATE_NEW;
use rustix::fs::{AtFlags, Mode, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

/// A whole file under a temporary name. It is removed unless it is placed.
#[derive(Debug)]
pub(crate) struct Staged {
    directory: OwnedFd,
    temporary: String,
    file: File,
    is_placed: bool,
}

impl Staged {
    /// Writes it in the directory that it is to be placed in. A file that came from another directory would make every
    /// heartbeat wait for every other one, since a file system moves between directories one at a time.
    pub(crate) fn write(
        directory: OwnedFd,
        temporary: &str,
        mode: Mode,
        contents: &impl Serialize,
    ) -> Result<Self, Errno> {
        // What an earlier process left behind, or somebody else put there.
        let _ = unlinkat(&directory, temporary, AtFlags::empty());
        let file = File::from(openat(&directory, temporary, CREATE_NEW, mode)?);
        let mut staged = Self { directory, temporary: temporary.to_owned(), file, is_placed: false };
        // Whatever the umask is.
        fchmod(&staged.file, mode)?;
        let written = staged.file.write_all(pretty(contents).as_bytes());
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(staged)
    }

    /// The file, for who wants to make it durable first.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name.
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
