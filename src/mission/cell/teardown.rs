//! Teardown of cells that are not wanted here any more: the whole cell is archived once no agent works in it.

use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::health::{Reason, Verdict};
use crate::mission::observation::Observation;
use crate::mission::record::Record;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The progress of a cell's teardown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teardown {
    /// There is no cell.
    NoCell,
    /// Its agent still sends heartbeats; the cell stays until they stop, or until this time.
    GraceUntil(Timestamp),
    /// It can be archived.
    Ready,
    /// It is archived under this name.
    Archived(ArchiveName),
    /// It was archived, and its archive was deleted.
    Deleted,
}

/// The facts that teardown depends on.
#[derive(Clone, Copy, Debug)]
pub struct TeardownFacts<'a> {
    /// The mission's record.
    pub record: &'a Record,
    /// The observation of the cell.
    pub sighting: &'a CellObservation,
    /// Whether the recorded archive exists.
    pub is_archive_there: bool,
    /// The health of the cell.
    pub verdict: Option<Verdict>,
    /// The current time.
    pub now: Timestamp,
    /// `close.grace_seconds`
    pub close_grace: TimeDelta,
}

/// The progress of a mission's teardown.
#[must_use]
pub fn teardown(observation: &Observation) -> Teardown {
    let Some(record) = &observation.record else { return Teardown::NoCell };
    let (now, close_grace) = (observation.here.now, observation.here.close_grace);
    let (sighting, verdict) = (&observation.sighting, observation.verdict());
    let is_archive_there = observation.archive.kept.is_some();
    teardown_of(&TeardownFacts { record, sighting, is_archive_there, verdict, now, close_grace })
}

/// The progress of a teardown, from its facts.
#[must_use]
pub fn teardown_of(facts: &TeardownFacts<'_>) -> Teardown {
    let TeardownFacts { record, sighting, is_archive_there, verdict, now, close_grace } = facts;
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
            // No agent works in it any more, or the grace period is over.
            let may_be_moved = |verdict: &Verdict| *now >= end || !may_be_in_use(verdict.reason);
            if verdict.as_ref().is_none_or(may_be_moved) { Teardown::Ready } else { Teardown::GraceUntil(end) }
        }
    }
}

/// Whether an agent sends heartbeats, or that is unknown.
fn may_be_in_use(reason: Reason) -> bool {
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
