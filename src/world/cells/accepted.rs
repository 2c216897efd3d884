//! What a cell remembers of the heartbeats that came over HTTP, in a directory that its wizard cannot write in.

use crate::mission::cell::Part;
use crate::mission::cell::replay::Accepted;
use crate::mission::time::Timestamp;
use crate::world::cells::safe_open::{self, FileRead, Resolver};
use crate::world::store::staged::Staged;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// Beside the token, so that it moves, and goes, with the cell.
const NAME: &str = "heartbeat.accepted.json";

/// What it is called before it is whole.
const TEMPORARY: &str = ".heartbeat.accepted";

/// Nobody but us needs to read it.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The most that is read of it: ten names of sessions, each character of them escaped, fit.
const BYTES_MAX: usize = 64 * 1024;

/// What is remembered; nothing where nothing can be read, since a damaged memory is no reason to refuse heartbeats.
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

/// When the last heartbeat came, as far as that can be read.
pub(super) fn received_at(cell: impl AsFd, resolver: Resolver) -> Option<Timestamp> {
    let path = format!("{}{NAME}", Part::Config.path());
    let Ok(FileRead::Whole(bytes, _)) = safe_open::read(cell, &path, BYTES_MAX, resolver) else { return None };
    serde_json::from_slice::<Accepted>(&bytes).ok()?.received_at()
}

/// Makes ready what is to be remembered.
pub(super) fn stage(cell: impl AsFd, accepted: &Accepted, resolver: Resolver) -> Result<Staged, Errno> {
    let config = safe_open::open(cell, Part::Config.path(), OFlags::PATH | OFlags::DIRECTORY, resolver)?;
    Staged::write(config, TEMPORARY, MODE, accepted)
}

/// Puts it in place.
pub(super) fn place(staged: Staged) -> Result<(), Errno> {
    staged.place(NAME)
}
