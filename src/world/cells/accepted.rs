//! Stores which heartbeats of a cell were accepted over HTTP, in a directory that its agent cannot write in.

use crate::mission::cell::Part;
use crate::mission::cell::replay::Accepted;
use crate::mission::time::Timestamp;
use crate::world::cells::safe_open::{self, FileRead, Resolver};
use crate::world::store::staged::Staged;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// Beside the token, so that it is archived and deleted with the cell.
const NAME: &str = "heartbeat.accepted.json";

/// The temporary name while it is written.
const TEMPORARY: &str = ".heartbeat.accepted";

/// Only this service reads it.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The most bytes that are read: ten session names with every character escaped fit.
const BYTES_MAX: usize = 64 * 1024;

/// Reads the state; empty if it is unreadable, since a damaged file is no reason to reject heartbeats.
pub(super) fn read(cell: impl AsFd, resolver: Resolver) -> Accepted {
    let path = format!("{}{NAME}", Part::Config.path());
    let cause = match safe_open::read(cell, &path, BYTES_MAX, resolver) {
        Ok(FileRead::Whole(bytes, _)) => match serde_json::from_slice(&bytes) {
            Ok(accepted) => return accepted,
            Err(error) => error.to_string(),
        },
        Ok(FileRead::TooLarge) => "it is too large".to_owned(),
        Ok(FileRead::WrongType(kind)) => format!("it is {kind}"),
        Err(Errno::NOENT) => return Accepted::default(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("`{path}` of a cell is unusable: {cause}; it is replaced");
    Accepted::default()
}

/// The time of the last heartbeat, if readable.
pub(super) fn received_at(cell: impl AsFd, resolver: Resolver) -> Option<Timestamp> {
    let path = format!("{}{NAME}", Part::Config.path());
    let Ok(FileRead::Whole(bytes, _)) = safe_open::read(cell, &path, BYTES_MAX, resolver) else { return None };
    serde_json::from_slice::<Accepted>(&bytes).ok()?.received_at()
}

/// Writes the new state under a temporary name.
pub(super) fn stage(cell: impl AsFd, accepted: &Accepted, resolver: Resolver) -> Result<Staged, Errno> {
    let config = safe_open::open(cell, Part::Config.path(), OFlags::PATH | OFlags::DIRECTORY, resolver)?;
    Staged::write(config, TEMPORARY, MODE, accepted)
}

/// Moves the new state into place.
pub(super) fn place(staged: Staged) -> Result<(), Errno> {
    staged.place(NAME)
}
