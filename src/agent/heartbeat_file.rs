//! Writes one heartbeat into a cell's file, atomically: what `lazarus-pit beat` does.

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

/// The content of a heartbeat, without its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatPayload {
    /// The state that the agent reports.
    pub state: WizardState,
    /// The run of the agent that sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The number that the sender gives it; in a file, the number after the previous one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// A message for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl HeartbeatPayload {
    /// A heartbeat of the current session.
    #[must_use]
    pub fn new(state: WizardState, message: Option<&str>) -> Self {
        Self { state, session: None, sequence: None, message: message.map(str::to_owned) }
    }
}

/// Why no heartbeat was written.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatFileError {
    /// No cell was named, and the working directory is in none.
    #[error("no cell: `{}` is in none, name one with `--cell DIR` or MISSION_CELL", .0.display())]
    NoCell(PathBuf),
    /// The named directory is no cell.
    #[error("`{}` is not a Mission Cell: it has no `{}`", .0.display(), Part::Cell.path())]
    NotACell(PathBuf),
    /// The named directory cannot be read.
    #[error("cannot read the cell `{}`: {}; send the heartbeat as an account of the cell's group", .path.display(), .cause)]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// The reason.
        cause: std::io::Error,
    },
    /// The file cannot be written; the previous heartbeat stays.
    #[error("cannot write `{}`: {cause}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: Errno,
    },
}

impl HeartbeatFileError {
    /// Whether the command has to change: only a write error can pass.
    #[must_use]
    pub fn needs_manual_action(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }
}

/// Finds the cell: the named one, otherwise the nearest one upwards from the working directory.
pub fn find_cell(named: Option<&Path>, working_directory: &Path) -> Result<PathBuf, HeartbeatFileError> {
    let is_cell = |path: &Path| path.join(Part::Cell.path()).is_file();
    if let Some(path) = named {
        let path = path.to_owned();
        return match std::fs::metadata(path.join(Part::Cell.path())) {
            Ok(file) if file.is_file() => Ok(path),
            Err(cause) if cause.kind() == ErrorKind::PermissionDenied => {
                Err(HeartbeatFileError::Unreadable { path, cause })
            }
            Ok(_) | Err(_) => Err(HeartbeatFileError::NotACell(path)),
        };
    }
    let found = working_directory.ancestors().find(|path| is_cell(path));
    found.map(Path::to_owned).ok_or_else(|| HeartbeatFileError::NoCell(working_directory.to_owned()))
}

/// Replaces the last heartbeat, with the next number of its session. Without a session, the heartbeat continues the
/// last one. A message that is too long is cut.
pub fn write_heartbeat(cell: &Path, payload: &HeartbeatPayload, now: Timestamp) -> Result<(), HeartbeatFileError> {
    let failed = |cause| HeartbeatFileError::Write { path: cell.join(Part::Heartbeat.path()), cause };
    let directory = File::open(cell).map(OwnedFd::from);
    let directory = directory.map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let last = last_heartbeat(&directory, Resolver::Kernel);
    let heartbeat = Heartbeat {
        timestamp: Some(now),
        sender_timestamp: None,
        state: payload.state.to_string(),
        sequence: Some(last.as_ref().map_or(1, |last| last.next_sequence(payload.session.as_deref()))),
        session: payload.session.clone().or(last.and_then(|last| last.session)),
        message: payload.message.as_deref().map(|message| bounded(message).0),
    };
    let temporary = format!(".heartbeat.{}", std::process::id());
    let staged = stage_heartbeat(&directory, &heartbeat, &temporary, Resolver::Kernel).map_err(failed)?;
    fsync(staged.file()).and_then(|()| staged.place(Part::Heartbeat.name())).map_err(failed)
}
