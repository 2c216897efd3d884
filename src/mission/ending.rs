//! What becomes of a cell that is not wanted here any more: it is moved away whole, once nobody works in it.

use crate::mission::archive::ArchiveName;
use crate::mission::cell::Sighting;
use crate::mission::health::Reason;
use crate::mission::observation::Observation;
use crate::mission::record::Record;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How far the ending of a cell has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// There is no cell.
    NoCell,
    /// Its wizard still beats; it stays where it is until that ends, or until this moment.
    StaysUntil(Timestamp),
    /// It can be moved.
    Due,
    /// It lies there.
    Archived(ArchiveName),
}

/// How far it is, and what is to be done.
#[must_use]
pub fn ending(observation: &Observation) -> Ending {
    let Some(record) = observation.record.as_ref().filter(|record| record.binding.is_some()) else {
        return Ending::NoCell;
    };
    match observation.sighting {
        Sighting::Absent => record.archive.map_or(Ending::NoCell, Ending::Archived),
        Sighting::NotADirectory(_) => Ending::NoCell,
        Sighting::Cell(_) | Sighting::Failed(_) => stays_until(observation, record),
    }
}

fn stays_until(observation: &Observation, record: &Record) -> Ending {
    let here = &observation.here;
    let end = record.ended_at.unwrap_or(here.now).plus(here.close_grace);
    match observation.verdict() {
        Some(verdict) if !may_be_moved(verdict.reason, end, here.now) => Ending::StaysUntil(end),
        _ => Ending::Due,
    }
}

/// Whether nobody works in an ended cell any more, or its grace is over.
#[must_use]
pub fn may_be_moved(reason: Reason, grace_ends_at: Timestamp, now: Timestamp) -> bool {
    now >= grace_ends_at || !may_be_at_work(reason)
}

/// Whether a wizard beats, or we cannot tell.
fn may_be_at_work(reason: Reason) -> bool {
    match reason {
        Reason::Beating | Reason::Flapping | Reason::Permission | Reason::Io | Reason::Timeout => true,
        Reason::NotScaffolded
        | Reason::NeverBeaten
        | Reason::Missing(_)
        | Reason::WrongType(..)
        | Reason::Unreadable(..)
        | Reason::Silent
        | Reason::StampInFuture
        | Reason::Finished => false,
    }
}
