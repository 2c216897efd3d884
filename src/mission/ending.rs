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
    let end = grace_end(record.ended_at.unwrap_or(here.now), observation);
    let verdict = observation.verdict();
    let may_be_at_work = verdict.is_some_and(|verdict| may_be_at_work(verdict.reason));
    if may_be_at_work && here.now < end { Ending::StaysUntil(end) } else { Ending::Due }
}

fn grace_end(ended_at: Timestamp, observation: &Observation) -> Timestamp {
    ended_at.plus(observation.here.close_grace)
}

/// Whether a wizard beats, or we cannot tell.
#[must_use]
pub fn may_be_at_work(reason: Reason) -> bool {
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
