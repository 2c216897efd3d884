//! What becomes of a cell that is not wanted here any more: it is moved away whole, once nobody works in it.

use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::health::{Reason, Verdict};
use crate::mission::observation::Observation;
use crate::mission::record::Record;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How far the ending of a cell has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teardown {
    /// There is no cell.
    NoCell,
    /// Its wizard still beats; it stays where it is until that ends, or until this moment.
    GraceUntil(Timestamp),
    /// It can be moved.
    Ready,
    /// It lies there.
    Archived(ArchiveName),
    /// It was archived, and its archive was deleted.
    Deleted,
}

/// What decides how far it is.
#[derive(Clone, Copy, Debug)]
pub struct TeardownFacts<'a> {
    /// What is remembered of the mission.
    pub record: &'a Record,
    /// The cell's place.
    pub sighting: &'a CellObservation,
    /// Whether the archive that is remembered is there.
    pub is_archive_there: bool,
    /// The verdict on the cell.
    pub verdict: Option<Verdict>,
    /// The time.
    pub now: Timestamp,
    /// `close.grace_seconds`
    pub close_grace: TimeDelta,
}

/// How far it is, and what is to be done.
#[must_use]
pub fn teardown(observation: &Observation) -> Teardown {
    let Some(record) = &observation.record else { return Teardown::NoCell };
    let (now, close_grace) = (observation.here.now, observation.here.close_grace);
    let (sighting, verdict) = (&observation.sighting, observation.verdict());
    let is_archive_there = observation.archive.kept.is_some();
    teardown_of(&TeardownFacts { record, sighting, is_archive_there, verdict, now, close_grace })
}

/// The same, by what decides it.
#[must_use]
pub fn teardown_of(progress: &TeardownFacts<'_>) -> Teardown {
    let TeardownFacts { record, sighting, is_archive_there, verdict, now, close_grace } = progress;
    if record.binding.is_none() {
        return Teardown::NoCell;
    }
    match sighting {
        CellObservation::Absent => match record.archive {
            Some(name) if *is_archive_there => Teardown::Archived(name),
            Some(_) => Teardown::Deleted,
            None => record.archive_deleted_at.map_or(Teardown::NoCell, |_| Teardown::Deleted),
        },
        CellObservation::NotADirectory(_) => Teardown::NoCell,
        CellObservation::Cell(_) | CellObservation::Failed(_) => {
            let end = record.ended_at.unwrap_or(*now).plus(*close_grace);
            // Nobody works in it any more, or its grace is over.
            let may_be_moved = |verdict: &Verdict| *now >= end || !may_be_at_work(verdict.reason);
            if verdict.as_ref().is_none_or(may_be_moved) { Teardown::Ready } else { Teardown::GraceUntil(end) }
        }
    }
}

/// Whether a wizard beats, or we cannot tell.
fn may_be_at_work(reason: Reason) -> bool {
    match reason {
        Reason::HeartbeatOk | Reason::Flapping | Reason::Permission | Reason::Io | Reason::Timeout => true,
        Reason::NotInitialized
        | Reason::NoHeartbeat
        | Reason::Missing(_)
        | Reason::WrongType(..)
        | Reason::Unreadable(..)
        | Reason::AgentFailed
        | Reason::HeartbeatTimeout
        | Reason::ClockSkew
        | Reason::Completed => false,
    }
}
