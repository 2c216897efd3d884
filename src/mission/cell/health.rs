//! Assesses a cell's health with an ordered table of rules; the first rule that matches decides.

use crate::mission::cell::heartbeat::{ObservedHeartbeat, WizardState};
use crate::mission::cell::json_file::Flaw;
use crate::mission::cell::{CellObservation, FileKind, Part, PartObservation, ReadFailure};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How far in the future a heartbeat's timestamp may lie before it is clock skew.
pub const FUTURE_MAX: Duration = Duration::from_secs(120);

/// The health of a cell; also the value of the `health/` label.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Health {
    /// The last heartbeat is recent, or the agent is done.
    Healthy,
    /// The last heartbeat is too old, or the agent has failed.
    Stale,
    /// A part of the cell is missing or unreadable.
    Incomplete,
    /// Created, but without a heartbeat yet.
    Uninitialized,
    /// The cell could not be read.
    Unknown,
}

impl Health {
    /// In the order of the reference's table.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Stale, Self::Incomplete, Self::Uninitialized, Self::Unknown];

    /// The fixed word in labels and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether people should look at the cell. One that has had no heartbeat yet is only new.
    #[must_use]
    pub fn is_failing(self) -> bool {
        match self {
            Self::Stale | Self::Incomplete | Self::Unknown => true,
            Self::Healthy | Self::Uninitialized => false,
        }
    }
}

/// The reason of a health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// unknown: permission denied.
    Permission,
    /// unknown: reading failed, twice.
    Io,
    /// unknown: reading took too long.
    Timeout,
    /// uninitialized: a directory without `meta/mission.json` that belongs to no issue.
    #[serde(alias = "not-scaffolded")]
    NotInitialized,
    /// uninitialized: no heartbeat yet.
    #[serde(alias = "never-beaten")]
    NoHeartbeat,
    /// incomplete: the path does not exist.
    Missing(CellPath),
    /// incomplete: the path is of another type.
    WrongType(CellPath, FileKind),
    /// incomplete: the file is not usable, and why.
    Unreadable(CellPath, Flaw),
    /// stale: the agent reported `failed`, however long ago.
    AgentFailed,
    /// stale: no heartbeat within *stale after*.
    #[serde(alias = "silent")]
    HeartbeatTimeout,
    /// stale: the heartbeat's timestamp lies in the future.
    #[serde(alias = "stamp-in-future")]
    ClockSkew,
    /// stale or incomplete: the cell degraded repeatedly, and the worst health is held
    /// ([`crate::mission::cell::flap_damping`]).
    Flapping,
    /// healthy: the agent reported `done`.
    #[serde(alias = "finished")]
    Completed,
    /// healthy: the last heartbeat is recent.
    #[serde(alias = "beating")]
    HeartbeatOk,
}

/// The whole cell, or one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellPath {
    /// The cell's directory itself.
    Whole,
    /// One part.
    Part(Part),
}

impl CellPath {
    /// The path below the cell; `.` is the cell itself.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Whole => ".",
            Self::Part(part) => part.path(),
        }
    }
}

impl Reason {
    /// The fixed word in JSON, logs and metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.into()
    }

    /// Whether it follows from comparing times, and so from this host's clock.
    #[must_use]
    pub fn rests_on_time(&self) -> bool {
        match self {
            Self::HeartbeatTimeout | Self::ClockSkew | Self::HeartbeatOk => true,
            Self::Permission
            | Self::Io
            | Self::Timeout
            | Self::NotInitialized
            | Self::NoHeartbeat
            | Self::Missing(_)
            | Self::WrongType(..)
            | Self::Unreadable(..)
            | Self::Flapping
            | Self::AgentFailed
            | Self::Completed => false,
        }
    }

    /// The path that the reason is about, if any.
    #[must_use]
    pub fn place(&self) -> Option<CellPath> {
        let (Self::Missing(place) | Self::WrongType(place, _) | Self::Unreadable(place, _)) = self else { return None };
        Some(*place)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Some(place) => write!(f, "{} {}", self.word(), place.path()),
            None => f.write_str(self.word()),
        }
    }
}

/// A health with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The health.
    pub health: Health,
    /// Its reason.
    pub reason: Reason,
}

impl Verdict {
    /// The problem with the reason's path, where the reason's word alone is not enough.
    #[must_use]
    pub fn problem(self) -> Option<String> {
        match self.reason {
            Reason::WrongType(place, kind) => Some(format!("`{}` is {kind}", place.path())),
            Reason::Unreadable(place, flaw) => Some(format!("`{}` cannot be used: {flaw}", place.path())),
            Reason::Permission
            | Reason::Io
            | Reason::Timeout
            | Reason::NotInitialized
            | Reason::NoHeartbeat
            | Reason::Missing(_)
            | Reason::AgentFailed
            | Reason::HeartbeatTimeout
            | Reason::ClockSkew
            | Reason::Flapping
            | Reason::Completed
            | Reason::HeartbeatOk => None,
        }
    }
}

/// The facts that health depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The observation of the cell.
    pub sighting: &'a CellObservation,
    /// Whether an issue is bound to this cell.
    pub bound: bool,
    /// Whether this cell ever had a heartbeat.
    pub ever_heartbeat: bool,
    /// The age from which on a heartbeat is stale.
    pub stale_after: Duration,
    /// The time of the assessment.
    pub now: Timestamp,
}

type Rule = fn(&Facts<'_>) -> Option<Verdict>;

/// The first rule that matches decides.
const RULES: [Rule; 9] = [
    unknown,
    not_initialized,
    incomplete,
    no_heartbeat,
    agent_failed,
    heartbeat_timeout,
    clock_skew,
    completed,
    heartbeat_ok,
];

/// Assesses the health of a cell.
#[must_use]
pub fn assess(facts: &Facts<'_>) -> Verdict {
    RULES.iter().find_map(|rule| rule(facts)).unwrap_or(Verdict { health: Health::Unknown, reason: Reason::Io })
}

fn unknown(facts: &Facts<'_>) -> Option<Verdict> {
    let failure = match facts.sighting {
        CellObservation::Failed(failure) => Some(*failure),
        CellObservation::Cell(cell) => Part::ALL.into_iter().find_map(|part| match cell.part(part) {
            PartObservation::Failed(failure) => Some(*failure),
            PartObservation::Present
            | PartObservation::Missing
            | PartObservation::WrongType(_)
            | PartObservation::Unreadable(_) => None,
        }),
        CellObservation::Absent | CellObservation::NotADirectory(_) => None,
    };
    let reason = match failure? {
        ReadFailure::Permission => Reason::Permission,
        ReadFailure::Io => Reason::Io,
        ReadFailure::Timeout => Reason::Timeout,
    };
    Some(Verdict { health: Health::Unknown, reason })
}

fn not_initialized(facts: &Facts<'_>) -> Option<Verdict> {
    let CellObservation::Cell(cell) = facts.sighting else { return None };
    let is_uninitialized = !facts.bound && *cell.part(Part::Mission) == PartObservation::Missing;
    is_uninitialized.then_some(Verdict { health: Health::Uninitialized, reason: Reason::NotInitialized })
}

fn incomplete(facts: &Facts<'_>) -> Option<Verdict> {
    let reason = match facts.sighting {
        CellObservation::Absent => Some(Reason::Missing(CellPath::Whole)),
        CellObservation::NotADirectory(kind) => Some(Reason::WrongType(CellPath::Whole, *kind)),
        CellObservation::Failed(_) => None,
        CellObservation::Cell(cell) => Part::ALL
            .into_iter()
            .filter(|part| part.is_required())
            .find_map(|part| incomplete_part(part, *cell.part(part))),
    };
    Some(Verdict { health: Health::Incomplete, reason: reason? })
}

fn incomplete_part(part: Part, observation: PartObservation) -> Option<Reason> {
    let place = CellPath::Part(part);
    match observation {
        PartObservation::Missing => Some(Reason::Missing(place)),
        PartObservation::WrongType(kind) => Some(Reason::WrongType(place, kind)),
        PartObservation::Unreadable(why) => Some(Reason::Unreadable(place, why)),
        PartObservation::Present | PartObservation::Failed(_) => None,
    }
}

fn no_heartbeat(facts: &Facts<'_>) -> Option<Verdict> {
    let observed = heartbeat(facts)?;
    let has_none = observed.heartbeat.timestamp.is_none() && !facts.ever_heartbeat;
    has_none.then_some(Verdict { health: Health::Uninitialized, reason: Reason::NoHeartbeat })
}

/// A reported failure does not expire.
fn agent_failed(facts: &Facts<'_>) -> Option<Verdict> {
    let heartbeat = &heartbeat(facts)?.heartbeat;
    let has_failed = heartbeat.timestamp.is_some() && heartbeat.agent_state() == WizardState::Failed;
    has_failed.then_some(Verdict { health: Health::Stale, reason: Reason::AgentFailed })
}

fn heartbeat_timeout(facts: &Facts<'_>) -> Option<Verdict> {
    let observed = heartbeat(facts)?;
    let is_overdue = match observed.heartbeat.timestamp {
        None => true,
        Some(timestamp) => {
            let age = age(timestamp, observed, facts.now);
            observed.heartbeat.agent_state() != WizardState::Done && age > delta(facts.stale_after)
        }
    };
    is_overdue.then_some(Verdict { health: Health::Stale, reason: Reason::HeartbeatTimeout })
}

/// A timestamp in the future is clock skew, but an agent that is done never becomes stale.
fn clock_skew(facts: &Facts<'_>) -> Option<Verdict> {
    let ObservedHeartbeat { heartbeat, notes: _, written_at: _, seen_at } = heartbeat(facts)?;
    let is_ahead = heartbeat.timestamp?.after(facts.now.max(*seen_at)) > delta(FUTURE_MAX);
    (is_ahead && heartbeat.agent_state() != WizardState::Done)
        .then_some(Verdict { health: Health::Stale, reason: Reason::ClockSkew })
}

fn completed(facts: &Facts<'_>) -> Option<Verdict> {
    let is_done = heartbeat(facts)?.heartbeat.agent_state() == WizardState::Done;
    is_done.then_some(Verdict { health: Health::Healthy, reason: Reason::Completed })
}

fn heartbeat_ok(facts: &Facts<'_>) -> Option<Verdict> {
    heartbeat(facts)?;
    Some(Verdict { health: Health::Healthy, reason: Reason::HeartbeatOk })
}

fn heartbeat<'a>(facts: &Facts<'a>) -> Option<&'a ObservedHeartbeat> {
    facts.sighting.cell()?.heartbeat.as_ref()
}

/// The age of a heartbeat: by its timestamp or its file's mtime, whichever is older, so that neither a wrong clock nor
/// a touched file hides a missing heartbeat.
#[must_use]
pub fn age(timestamp: Timestamp, observed: &ObservedHeartbeat, now: Timestamp) -> TimeDelta {
    now.after(timestamp.min(observed.written_at))
}

fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
