//! One heartbeat of a wizard, written whole: what `lazarus-pit beat` does.

use crate::mission::cell::Part;
use crate::mission::cell::heartbeat::{Heartbeat, WizardState};
use crate::mission::cell::heartbeat_fields::bounded;
use crate::mission::time::Timestamp;
use crate::world::cells::heartbeats::{last_heartbeat, stage_heartbeat};
use crate::world::cells::safe_open::Resolver;
use rustix::fs::fsync;
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What a wizard says with a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatPayload {
    /// How it is.
    pub state: WizardState,
    /// Which run of it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The number that the sender gives it; in a file it follows from the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// A few words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl HeartbeatPayload {
    /// One that belongs to whatever session there is.
    #[must_use]
    pub fn new(state: WizardState, message: Option<&str>) -> Self {
        Self { state, session: None, sequence: None, message: message.map(str::to_owned) }
    }
}

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

/// Writes a heartbeat in place of the last one, with the next number of its session; one that names no session belongs to
/// that of the last one. A message that is too long is cut.
pub fn beat(cell: &Path, word: &HeartbeatPayload, now: Timestamp) -> Result<(), BeatError> {
    let failed = |cause| BeatError::Write { path: cell.join(Part::Heartbeat.path()), cause };
    let directory = File::open(cell).map(OwnedFd::from);
    let directory = directory.map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let last = last_heartbeat(&directory, Resolver::Kernel);
    let heartbeat = Heartbeat {
        timestamp: Some(now),
        sender_timestamp: None,
        state: word.state.to_string(),
        sequence: Some(last.as_ref().map_or(1, |last| last.next_sequence(word.session.as_deref()))),
        session: word.session.clone().or(last.and_then(|last| last.session)),
        message: word.message.as_deref().map(|message| bounded(message).0),
    };
    let temporary = format!(".heartbeat.{}", std::process::id());
    let staged = stage_heartbeat(&directory, &heartbeat, &temporary, Resolver::Kernel).map_err(failed)?;
    fsync(staged.file()).and_then(|()| staged.place(Part::Heartbeat.name())).map_err(failed)
}
