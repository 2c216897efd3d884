//! One heartbeat of a wizard, written whole: what `lazarus-pit beat` does.

use crate::mission::cell::Part;
use crate::mission::contents::pretty;
use crate::mission::heartbeat::{Heartbeat, MESSAGE_CHARS_MAX, WizardState};
use crate::mission::text::without_invisible;
use crate::mission::time::Timestamp;
use crate::world::beneath::{self, Contents, Resolver};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The most that is read of the heartbeat before.
const HEARTBEAT_BYTES_MAX: usize = 64 * 1024;

/// Why there was no beat.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// No cell was named, and none is around here.
    #[error("no cell: `{}` is in none, name one with `--cell DIR` or MISSION_CELL", .0.display())]
    NoCell(PathBuf),
    /// The directory named is no cell.
    #[error("`{}` is not a Mission Cell: it has no `{}`", .0.display(), Part::Cell.path())]
    NotACell(PathBuf),
    /// The directory named cannot be looked into.
    #[error("cannot look into the cell `{}`: {}; beat as an account of the cell's group", .path.display(), .cause)]
    Unseen {
        /// Where.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// The message is too long.
    #[error("the message has {0} characters, the limit is {MESSAGE_CHARS_MAX}")]
    Message(usize),
    /// It could not be written; the beat before still stands.
    #[error("cannot write `{}`: {cause}", .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        cause: Errno,
    },
}

impl BeatError {
    /// Whether the command was wrong, and not the disk.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }
}

/// Finds the cell to beat for: the one named, else the nearest one upwards from `here`.
pub fn find_cell(named: Option<&Path>, here: &Path) -> Result<PathBuf, BeatError> {
    let is_cell = |path: &Path| path.join(Part::Cell.path()).is_file();
    if let Some(path) = named {
        let path = path.to_owned();
        return match std::fs::metadata(path.join(Part::Cell.path())) {
            Ok(file) if file.is_file() => Ok(path),
            Err(cause) if cause.kind() == ErrorKind::PermissionDenied => Err(BeatError::Unseen { path, cause }),
            Ok(_) | Err(_) => Err(BeatError::NotACell(path)),
        };
    }
    let found = here.ancestors().find(|path| is_cell(path));
    found.map(Path::to_owned).ok_or_else(|| BeatError::NoCell(here.to_owned()))
}

/// A message without what nobody can see, unless it is too long.
pub fn checked(message: Option<&str>) -> Result<Option<String>, BeatError> {
    let message = message.map(|message| without_invisible(message).0);
    let length = message.as_ref().map_or(0, |message| message.chars().count());
    if length > MESSAGE_CHARS_MAX { Err(BeatError::Message(length)) } else { Ok(message) }
}

/// Writes a heartbeat with the next sequence number in place of the last one.
pub fn beat(cell: &Path, state: WizardState, message: Option<&str>, now: Timestamp) -> Result<(), BeatError> {
    let message = checked(message)?;
    let failed = |cause| BeatError::Write { path: cell.join(Part::Heartbeat.path()), cause };
    let directory = File::open(cell).map(OwnedFd::from);
    let directory = directory.map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let sequence = last_sequence(&directory).map_or(1, |last| last.saturating_add(1));
    let heartbeat = Heartbeat { timestamp: Some(now), state: state.to_string(), sequence: Some(sequence), message };
    replace(&directory, &pretty(&heartbeat)).map_err(failed)
}

fn last_sequence(cell: impl AsFd) -> Option<u64> {
    match beneath::read(cell, Part::Heartbeat.path(), HEARTBEAT_BYTES_MAX, Resolver::Kernel) {
        Ok(Contents::Whole(bytes, _)) => Heartbeat::parse(&bytes).ok()?.sequence,
        Ok(Contents::TooLarge | Contents::WrongType(_)) | Err(_) => None,
    }
}

/// By a temporary name and a rename, so that a reader sees the old beat or the new one, and never half of one.
fn replace(cell: impl AsFd, contents: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let state = beneath::open(cell, Part::State.path(), flags, Resolver::Kernel)?;
    let temporary = format!(".heartbeat.{}", std::process::id());
    // What an earlier process of the same number left behind, or somebody else put there.
    let _ = unlinkat(&state, &*temporary, AtFlags::empty());
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(Part::Heartbeat.mode());
    let written = openat(&state, &*temporary, create, mode).and_then(|file| {
        // The group may read and replace it, whatever the wizard's umask is.
        fchmod(&file, mode)?;
        let mut file = File::from(file);
        file.write_all(contents.as_bytes()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        fsync(&file)?;
        renameat(&state, &*temporary, &state, "heartbeat.json")
    });
    if written.is_err() {
        let _ = unlinkat(&state, &*temporary, AtFlags::empty());
    }
    written
}
