//! Reads cells from disk: a fixed number of small files each, never files that an agent created.

use crate::mission::cell::heartbeat::{Heartbeat, ObservedHeartbeat};
use crate::mission::cell::json_file::{FILE_BYTES_MAX, Flaw, parse_object};
use crate::mission::cell::{CellFacts, CellObservation, FileKind, Part, PartObservation, ReadFailure};
use crate::mission::identity::MissionId;
use crate::mission::time::Timestamp;
use crate::world::cells::accepted;
use crate::world::cells::safe_open::{self, FileRead, Resolver};
use crate::world::clock;
use chrono::{DateTime, TimeDelta};
use rustix::fs::{Access, AtFlags, Mode, OFlags, Stat, accessat, fstat, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The time that a partially written heartbeat gets to become complete.
const SETTLING: Duration = Duration::from_millis(20);

/// Reads the cell with this id in a missions root. Reads again once if the read failed or a heartbeat is being written
/// in place.
pub fn look(root: impl AsFd, id: MissionId, resolver: Resolver) -> CellObservation {
    look_at(root, &id.to_string(), resolver)
}

/// Reads a cell in another directory, where cells have other names.
pub(in crate::world) fn look_at(directory: impl AsFd, name: &str, resolver: Resolver) -> CellObservation {
    let look = || look_once(directory.as_fd(), name, resolver);
    let first = look();
    if is_being_written(&first, directory.as_fd(), name, resolver) {
        clock::block_for(SETTLING);
        return look();
    }
    if failure(&first).is_some() { look() } else { first }
}

/// Whether the heartbeat looks partially written and changed within the last two seconds.
fn is_being_written(sighting: &CellObservation, root: BorrowedFd<'_>, name: &str, resolver: Resolver) -> bool {
    let CellObservation::Cell(cell) = sighting else { return false };
    if !matches!(cell.part(Part::Heartbeat), PartObservation::Unreadable(flaw) if flaw.may_pass()) {
        return false;
    }
    let path = format!("{name}/{}", Part::Heartbeat.path());
    let status = safe_open::open(root, &path, OFlags::PATH, resolver).and_then(fstat);
    let age = |status: Stat| clock::precise_now().after(written_at(&status));
    status.is_ok_and(|status| age(status) < TimeDelta::seconds(2))
}

/// The first failure of the cell or of a part.
pub(super) fn failure(sighting: &CellObservation) -> Option<ReadFailure> {
    let is_failed = |sight: &PartObservation| match sight {
        PartObservation::Failed(failure) => Some(*failure),
        PartObservation::Present
        | PartObservation::Missing
        | PartObservation::WrongType(_)
        | PartObservation::Unreadable(_) => None,
    };
    match sighting {
        CellObservation::Failed(failure) => Some(*failure),
        CellObservation::Cell(cell) => Part::ALL.into_iter().find_map(|part| is_failed(cell.part(part))),
        CellObservation::Absent | CellObservation::NotADirectory(_) => None,
    }
}

/// Whether access to a part is denied, which may end without a change of its times.
pub(super) fn is_refused(sighting: &CellObservation) -> bool {
    let refused = PartObservation::Unreadable(Flaw::Refused);
    sighting.cell().is_some_and(|cell| Part::ALL.into_iter().any(|part| *cell.part(part) == refused))
}

fn look_once(root: BorrowedFd<'_>, name: &str, resolver: Resolver) -> CellObservation {
    match open_directory(root, name) {
        Ok(cell) => CellObservation::Cell(Box::new(look_inside(cell.as_fd(), resolver))),
        Err(Errno::NOENT) => CellObservation::Absent,
        Err(Errno::NOTDIR | Errno::LOOP) => match safe_open::kind_at(root, name) {
            Ok(kind) => CellObservation::NotADirectory(kind),
            Err(error) => CellObservation::Failed(failed(error)),
        },
        Err(error) => CellObservation::Failed(failed(error)),
    }
}

/// Opens a directory as a base; a symbolic link is not a directory.
pub(in crate::world) fn open_directory(at: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name.trim_end_matches('/'), flags, Mode::empty())
}

fn look_inside(cell: BorrowedFd<'_>, resolver: Resolver) -> CellFacts {
    let mut facts = CellFacts::empty();
    for part in [Part::Artifacts, Part::Worktree] {
        facts.see(part, look_at_directory(cell, part));
    }
    for part in [Part::Mission, Part::Cell, Part::Heartbeat] {
        let sight = look_at_file(cell, part, resolver, &mut facts);
        facts.see(part, sight);
        let parent = part.parent().expect("every file has a directory, always: Part::parent");
        // A file that was opened without following a link proves its directory.
        let is_reached = match sight {
            PartObservation::Present => true,
            PartObservation::Unreadable(flaw) => flaw != Flaw::Refused,
            PartObservation::Missing | PartObservation::WrongType(_) | PartObservation::Failed(_) => false,
        };
        facts.see(parent, if is_reached { PartObservation::Present } else { look_at_directory(cell, parent) });
    }
    facts.received_at = accepted::received_at(cell, resolver);
    facts.see(Part::Logs, look_at_directory(cell, Part::Logs));
    for part in [Part::Log, Part::Token] {
        let is_reached = part.parent().is_some_and(|parent| *facts.part(parent) == PartObservation::Present);
        facts.see(part, if is_reached { look_at_kind(cell, part) } else { PartObservation::Missing });
    }
    facts
}

fn look_at_directory(cell: BorrowedFd<'_>, part: Part) -> PartObservation {
    match safe_open::kind_at(cell, part.path()) {
        Ok(FileKind::Directory) => PartObservation::Present,
        Ok(kind) => PartObservation::WrongType(kind),
        Err(error) => not_seen(cell, part, error),
    }
}

fn look_at_file(cell: BorrowedFd<'_>, part: Part, resolver: Resolver, facts: &mut CellFacts) -> PartObservation {
    match safe_open::read(cell, part.path(), FILE_BYTES_MAX, resolver) {
        Ok(FileRead::Whole(bytes, status)) => match understand(part, &bytes, &status, facts) {
            Ok(()) => PartObservation::Present,
            Err(flaw) => PartObservation::Unreadable(flaw),
        },
        Ok(FileRead::TooLarge) => PartObservation::Unreadable(Flaw::TooLarge),
        Ok(FileRead::WrongType(kind)) => PartObservation::WrongType(kind),
        Err(error) => not_seen(cell, part, error),
    }
}

/// Whether a file exists. Nothing is opened, so links in the path do not matter; its directory is checked separately.
fn look_at_kind(cell: BorrowedFd<'_>, part: Part) -> PartObservation {
    match safe_open::kind_at(cell, part.path()) {
        Ok(FileKind::File) => PartObservation::Present,
        Ok(kind) => PartObservation::WrongType(kind),
        Err(error) => not_seen(cell, part, error),
    }
}

fn understand(part: Part, bytes: &[u8], status: &Stat, facts: &mut CellFacts) -> Result<(), Flaw> {
    if part == Part::Heartbeat {
        let (heartbeat, notes) = Heartbeat::parse(bytes)?;
        let (written_at, seen_at) = (written_at(status), clock::precise_now());
        facts.heartbeat = Some(ObservedHeartbeat { heartbeat, notes, written_at, seen_at });
    } else if part == Part::Mission {
        facts.mission = Some(parse_object(bytes)?);
    } else {
        facts.config = Some(parse_object(bytes)?);
    }
    Ok(())
}

fn written_at(status: &Stat) -> Timestamp {
    let nanoseconds = u32::try_from(status.st_mtime_nsec).unwrap_or_default();
    Timestamp::from(DateTime::from_timestamp(status.st_mtime, nanoseconds).unwrap_or_default())
}

/// In a readable root ENOENT is a fact about the cell; so is a file in place of a directory, and a denial that only the
/// agent can have caused.
fn not_seen(cell: BorrowedFd<'_>, part: Part, error: Errno) -> PartObservation {
    match error {
        Errno::NOENT | Errno::NOTDIR => PartObservation::Missing,
        error if is_refusal(error) && is_agents_doing(cell, part) => PartObservation::Unreadable(Flaw::Refused),
        error => PartObservation::Failed(failed(error)),
    }
}

/// Denied by modes, access lists, a lease, or an agent's own file system mounted there.
fn is_refusal(error: Errno) -> bool {
    [Errno::ACCESS, Errno::PERM, Errno::AGAIN, Errno::NOTCONN].contains(&error)
}

/// Whether access is allowed up to a part that the agent may replace, so that the part itself denies it. The
/// directories of a cell are this service's own, so their modes are not the agent's doing.
fn is_agents_doing(cell: BorrowedFd<'_>, part: Part) -> bool {
    if !part.is_for_the_agent() {
        return false;
    }
    match part.parent().map(|parent| (parent, safe_open::kind_at(cell, parent.path()))) {
        None => may_search(cell, "."),
        Some((parent, Ok(_))) => may_search(cell, parent.path()),
        Some((_, Err(error))) => is_refusal(error) && may_search(cell, "."),
    }
}

fn may_search(cell: BorrowedFd<'_>, path: &str) -> bool {
    let directory = openat(cell, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    directory.is_ok_and(|directory| accessat(directory, ".", Access::EXEC_OK, AtFlags::empty()).is_ok())
}

pub(in crate::world) fn failed(error: Errno) -> ReadFailure {
    match error {
        Errno::ACCESS | Errno::PERM => ReadFailure::Permission,
        Errno::TIMEDOUT => ReadFailure::Timeout,
        _ => ReadFailure::Io,
    }
}
