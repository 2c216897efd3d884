//! Judges a cell: facts in, verdict out, by a table of rules of which the first that holds decides.

use crate::mission::cell::heartbeat::{ObservedHeartbeat, WizardState};
use crate::mission::cell::json_file::Flaw;
use crate::mission::cell::{CellObservation, FileKind, Part, PartObservation, ReadFailure};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How far ahead of our clock a heartbeat's stamp may be before it is a finding.
pub const FUTURE_MAX: Duration = Duration::from_secs(120);

/// The verdict in one word; also the value of the `health/` label.
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
    /// The wizard beats in time, or has finished.
    Healthy,
    /// The last heartbeat is too old, or the wizard has failed.
    Stale,
    /// A part of the cell is missing or unreadable.
    Incomplete,
    /// Made, but nobody has beaten yet.
    Uninitialized,
    /// Our own reading failed.
    Unknown,
}

impl Health {
    /// In the order of the reference's table.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Stale, Self::Incomplete, Self::Uninitialized, Self::Unknown];

    /// The word, as labels and JSON have it.
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

/// Why a verdict is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// unknown: the kernel refused us.
    Permission,
    /// unknown: reading failed, twice.
    Io,
    /// unknown: reading took too long.
    Timeout,
    /// uninitialized: a directory without `meta/mission.json` that belongs to no issue.
    #[serde(alias = "not-scaffolded")]
    NotInitialized,
    /// uninitialized: nobody has beaten yet.
    #[serde(alias = "never-beaten")]
    NoHeartbeat,
    /// incomplete: nothing is there.
    Missing(CellPath),
    /// incomplete: something else is there.
    WrongType(CellPath, FileKind),
    /// incomplete: what is there cannot be used, and why.
    Unreadable(CellPath, Flaw),
    /// stale: the wizard said `failed`, however long ago.
    AgentFailed,
    /// stale: no heartbeat within the limit.
    #[serde(alias = "silent")]
    HeartbeatTimeout,
    /// stale: the heartbeat claims to come from the future.
    #[serde(alias = "stamp-in-future")]
    ClockSkew,
    /// stale or incomplete: it fell from healthy again and again, and the worst of it is held
    /// ([`crate::mission::cell::flap_damping`]).
    Flapping,
    /// healthy: the wizard said `done`.
    #[serde(alias = "finished")]
    Completed,
    /// healthy: the last heartbeat is in time.
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
    /// The fixed word for JSON, logs and metrics.
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

    /// What the reason speaks of, where it speaks of a path.
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

/// A verdict with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub health: Health,
    /// And why.
    pub reason: Reason,
}

impl Verdict {
    /// What is wrong with the path that it speaks of, where the reason's word alone does not tell.
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

/// The facts that a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What was seen.
    pub sighting: &'a CellObservation,
    /// Whether an issue is bound to this cell.
    pub bound: bool,
    /// Whether we ever saw a beat of this cell.
    pub ever_heartbeat: bool,
    /// The heartbeat's limit.
    pub stale_after: Duration,
    /// When this is judged.
    pub now: Timestamp,
}

type Rule = fn(&Facts<'_>) -> Option<Verdict>;

/// The first that holds decides.
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

/// Judges a cell.
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
    let bare = !facts.bound && *cell.part(Part::Mission) == PartObservation::Missing;
    bare.then_some(Verdict { health: Health::Uninitialized, reason: Reason::NotInitialized })
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

fn incomplete_part(part: Part, sight: PartObservation) -> Option<Reason> {
    let place = CellPath::Part(part);
    match sight {
        PartObservation::Missing => Some(Reason::Missing(place)),
        PartObservation::WrongType(kind) => Some(Reason::WrongType(place, kind)),
        PartObservation::Unreadable(why) => Some(Reason::Unreadable(place, why)),
        PartObservation::Present | PartObservation::Failed(_) => None,
    }
}

fn no_heartbeat(facts: &Facts<'_>) -> Option<Verdict> {
    let beat = beat(facts)?;
    let never = beat.heartbeat.timestamp.is_none() && !facts.ever_heartbeat;
    never.then_some(Verdict { health: Health::Uninitialized, reason: Reason::NoHeartbeat })
}

/// Its own word, which no time makes less true.
fn agent_failed(facts: &Facts<'_>) -> Option<Verdict> {
    let heartbeat = &beat(facts)?.heartbeat;
    let has_failed = heartbeat.timestamp.is_some() && heartbeat.agent_state() == WizardState::Failed;
    has_failed.then_some(Verdict { health: Health::Stale, reason: Reason::AgentFailed })
}

fn heartbeat_timeout(facts: &Facts<'_>) -> Option<Verdict> {
    let beat = beat(facts)?;
    let silent = match beat.heartbeat.timestamp {
        None => true,
        Some(timestamp) => {
            let age = age(timestamp, beat, facts.now);
            beat.heartbeat.agent_state() != WizardState::Done && age > delta(facts.stale_after)
        }
    };
    silent.then_some(Verdict { health: Health::Stale, reason: Reason::HeartbeatTimeout })
}

/// A stamp ahead of time is a finding, but a wizard that has finished never goes stale.
fn clock_skew(facts: &Facts<'_>) -> Option<Verdict> {
    let ObservedHeartbeat { heartbeat, notes: _, written_at: _, seen_at } = beat(facts)?;
    let ahead = heartbeat.timestamp?.after(facts.now.max(*seen_at)) > delta(FUTURE_MAX);
    (ahead && heartbeat.agent_state() != WizardState::Done)
        .then_some(Verdict { health: Health::Stale, reason: Reason::ClockSkew })
}

fn completed(facts: &Facts<'_>) -> Option<Verdict> {
    let done = beat(facts)?.heartbeat.agent_state() == WizardState::Done;
    done.then_some(Verdict { health: Health::Healthy, reason: Reason::Completed })
}

fn heartbeat_ok(facts: &Facts<'_>) -> Option<Verdict> {
    beat(facts)?;
    Some(Verdict { health: Health::Healthy, reason: Reason::HeartbeatOk })
}

fn beat<'a>(facts: &Facts<'a>) -> Option<&'a ObservedHeartbeat> {
    facts.sighting.cell()?.heartbeat.as_ref()
}

/// How old a beat is: by its stamp or by its file, whichever is older, so that neither a wrong clock nor
/// a touched file makes a silent wizard look alive.
#[must_use]
pub fn age(timestamp: Timestamp, beat: &ObservedHeartbeat, now: Timestamp) -> TimeDelta {
    now.after(timestamp.min(beat.written_at))
}

fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
