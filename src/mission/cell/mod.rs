//! Mission Cells: their parts, and observations of them.

pub mod archive;
pub mod checkout;
pub mod clock_skew;
pub mod flap_damping;
pub mod health;
pub mod heartbeat;
pub mod heartbeat_fields;
pub mod heartbeat_request;
pub mod json_file;
pub mod manifest;
pub mod replay;
pub mod starts;
pub mod teardown;
pub mod worktree;

use crate::mission::cell::heartbeat::ObservedHeartbeat;
use crate::mission::cell::json_file::Flaw;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One of the ten required parts of a cell, or the optional token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `meta/`
    Meta,
    /// `config/`
    Config,
    /// `state/`
    State,
    /// `logs/`
    Logs,
    /// `artifacts/`
    Artifacts,
    /// `worktree/`
    Worktree,
    /// `meta/mission.json`
    Mission,
    /// `config/cell.json`
    Cell,
    /// `state/heartbeat.json`
    Heartbeat,
    /// `logs/daemon.log`
    Log,
    /// `config/heartbeat.token`; recreated when missing, but not required for health.
    Token,
}

impl Part {
    /// Directories first, so that parents are created before their contents.
    pub const ALL: [Self; 11] = [
        Self::Meta,
        Self::Config,
        Self::State,
        Self::Logs,
        Self::Artifacts,
        Self::Worktree,
        Self::Mission,
        Self::Cell,
        Self::Heartbeat,
        Self::Log,
        Self::Token,
    ];

    /// The path below the cell; directories end in a slash.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Meta => "meta/",
            Self::Config => "config/",
            Self::State => "state/",
            Self::Logs => "logs/",
            Self::Artifacts => "artifacts/",
            Self::Worktree => "worktree/",
            Self::Mission => "meta/mission.json",
            Self::Cell => "config/cell.json",
            Self::Heartbeat => "state/heartbeat.json",
            Self::Log => "logs/daemon.log",
            Self::Token => "config/heartbeat.token",
        }
    }

    /// The file name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let path = self.path().trim_end_matches('/');
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The directory that a file lies in; none for the directories themselves.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Mission => Some(Self::Meta),
            Self::Cell | Self::Token => Some(Self::Config),
            Self::Heartbeat => Some(Self::State),
            Self::Log => Some(Self::Logs),
            Self::Meta | Self::Config | Self::State | Self::Logs | Self::Artifacts | Self::Worktree => None,
        }
    }

    /// Permission bits. Directories of the agent are group-writable and setgid (02000).
    #[must_use]
    pub const fn mode(self) -> u32 {
        match self {
            Self::Meta | Self::Config => 0o750,
            Self::State | Self::Logs | Self::Artifacts | Self::Worktree => 0o2770,
            Self::Mission | Self::Cell | Self::Token | Self::Log => 0o640,
            Self::Heartbeat => 0o660,
        }
    }

    /// Whether the agent may replace it or its contents.
    #[must_use]
    pub const fn is_for_the_agent(self) -> bool {
        match self {
            Self::State | Self::Logs | Self::Artifacts | Self::Worktree | Self::Heartbeat | Self::Log => true,
            Self::Meta | Self::Config | Self::Mission | Self::Cell | Self::Token => false,
        }
    }

    /// Whether a cell is incomplete without it.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::Token
    }
}

/// The type of a file that is not of the expected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A directory.
    #[strum(to_string = "a directory")]
    Directory,
    /// A regular file.
    #[strum(to_string = "a file")]
    File,
    /// A regular file with several hard links, which may belong to another user.
    #[strum(to_string = "a file with several hard links")]
    HardLink,
    /// A symbolic link.
    #[strum(to_string = "a symbolic link")]
    Link,
    /// A named pipe.
    #[strum(to_string = "a named pipe")]
    Fifo,
    /// A socket.
    #[strum(to_string = "a socket")]
    Socket,
    /// A device.
    #[strum(to_string = "a device")]
    Device,
}

/// Why a path could not be read, though it may exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ReadFailure {
    /// Permission denied.
    Permission,
    /// Reading failed with an I/O error.
    Io,
    /// Reading took longer than the limit.
    Timeout,
}

/// The observation of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartObservation {
    /// It is as expected.
    Present,
    /// It does not exist.
    Missing,
    /// It is of another type.
    WrongType(FileKind),
    /// It is of the right type, but its contents are unusable.
    Unreadable(Flaw),
    /// It could not be read.
    Failed(ReadFailure),
}

/// The observation of a cell's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellObservation {
    /// It does not exist.
    Absent,
    /// It is not a directory.
    NotADirectory(FileKind),
    /// It could not be read.
    Failed(ReadFailure),
    /// It is a directory with these parts.
    Cell(Box<CellFacts>),
}

impl CellObservation {
    /// The cell's facts, if it is a directory.
    #[must_use]
    pub fn cell(&self) -> Option<&CellFacts> {
        let Self::Cell(cell) = self else { return None };
        Some(cell)
    }
}

/// The facts about one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellFacts {
    parts: [PartObservation; Part::ALL.len()],
    /// `meta/mission.json`, if it is an object.
    pub mission: Option<Map<String, Value>>,
    /// `config/cell.json`, if it is an object.
    pub config: Option<Map<String, Value>>,
    /// `state/heartbeat.json`, if it is a valid heartbeat.
    pub heartbeat: Option<ObservedHeartbeat>,
    /// When the last heartbeat arrived over HTTP, if one ever did.
    pub received_at: Option<Timestamp>,
}

impl CellFacts {
    /// Whether a part is missing and nothing obstructs recreating it.
    #[must_use]
    pub fn can_be_recreated(&self, part: Part) -> bool {
        let has_parent = part
            .parent()
            .is_none_or(|parent| matches!(self.part(parent), PartObservation::Present | PartObservation::Missing));
        *self.part(part) == PartObservation::Missing && has_parent
    }

    /// A directory whose parts are all missing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            parts: [const { PartObservation::Missing }; Part::ALL.len()],
            mission: None,
            config: None,
            heartbeat: None,
            received_at: None,
        }
    }

    /// The observation of this part.
    #[must_use]
    pub fn part(&self, part: Part) -> &PartObservation {
        &self.parts[part as usize]
    }

    /// Records the observation of this part.
    pub fn see(&mut self, part: Part, observation: PartObservation) {
        self.parts[part as usize] = observation;
    }

    /// Whether all required parts exist and are usable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        Part::ALL.into_iter().filter(|part| part.is_required()).all(|part| *self.part(part) == PartObservation::Present)
    }
}
