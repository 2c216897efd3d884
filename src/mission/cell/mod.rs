//! What a Mission Cell consists of, and what can be seen of one from outside.

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

/// One of the ten parts that make a cell whole, or the token that may be missing.
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
    /// `config/heartbeat.token`; made again when missing, but its absence is no verdict.
    Token,
}

impl Part {
    /// Directories first, so that making parts in this order always finds the parent there.
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

    /// The last part of the path.
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

    /// Permission bits. What the wizard may change is group-writable and hands its group on (02000).
    #[must_use]
    pub const fn mode(self) -> u32 {
        match self {
            Self::Meta | Self::Config => 0o750,
            Self::State | Self::Logs | Self::Artifacts | Self::Worktree => 0o2770,
            Self::Mission | Self::Cell | Self::Token | Self::Log => 0o640,
            Self::Heartbeat => 0o660,
        }
    }

    /// Whether the agent may replace it, or what is in it.
    #[must_use]
    pub const fn is_for_the_agent(self) -> bool {
        match self {
            Self::State | Self::Logs | Self::Artifacts | Self::Worktree | Self::Heartbeat | Self::Log => true,
            Self::Meta | Self::Config | Self::Mission | Self::Cell | Self::Token => false,
        }
    }

    /// Whether a cell without it is incomplete.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::Token
    }
}

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A directory.
    #[strum(to_string = "a directory")]
    Directory,
    /// A regular file.
    #[strum(to_string = "a file")]
    File,
    /// A regular file that has other names too, and so could be somebody else's.
    #[strum(to_string = "a file with more than one name")]
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

/// Why we could not look, though something may well be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ReadFailure {
    /// The kernel refused us.
    Permission,
    /// Reading failed.
    Io,
    /// Reading took longer than its limit.
    Timeout,
}

/// What was seen in a part's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartObservation {
    /// What belongs there.
    Present,
    /// Nothing.
    Missing,
    /// Something of another kind.
    WrongType(FileKind),
    /// The right kind of file, with contents that cannot be used.
    Unreadable(Flaw),
    /// We could not look.
    Failed(ReadFailure),
}

/// What was seen in a cell's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellObservation {
    /// Nothing is there.
    Absent,
    /// Something is there, but no directory.
    NotADirectory(FileKind),
    /// We could not look.
    Failed(ReadFailure),
    /// A directory with these parts.
    Cell(Box<CellFacts>),
}

impl CellObservation {
    /// The cell, where there is one.
    #[must_use]
    pub fn cell(&self) -> Option<&CellFacts> {
        let Self::Cell(cell) = self else { return None };
        Some(cell)
    }
}

/// What was seen of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellFacts {
    parts: [PartObservation; Part::ALL.len()],
    /// `meta/mission.json`, where it is an object.
    pub mission: Option<Map<String, Value>>,
    /// `config/cell.json`, where it is an object.
    pub config: Option<Map<String, Value>>,
    /// `state/heartbeat.json`, where it can be read as one.
    pub heartbeat: Option<ObservedHeartbeat>,
    /// When the last heartbeat came over HTTP, if one ever did.
    pub received_at: Option<Timestamp>,
}

impl CellFacts {
    /// Whether a part is missing and nothing is in the way of making it again.
    #[must_use]
    pub fn can_be_made_again(&self, part: Part) -> bool {
        let has_room = part
            .parent()
            .is_none_or(|parent| matches!(self.part(parent), PartObservation::Present | PartObservation::Missing));
        *self.part(part) == PartObservation::Missing && has_room
    }

    /// A directory in which nothing has been seen yet.
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

    /// What was seen in this part's place.
    #[must_use]
    pub fn part(&self, part: Part) -> &PartObservation {
        &self.parts[part as usize]
    }

    /// Notes what was seen in this part's place.
    pub fn see(&mut self, part: Part, sight: PartObservation) {
        self.parts[part as usize] = sight;
    }

    /// Whether all required parts are there and usable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        Part::ALL.into_iter().filter(|part| part.is_required()).all(|part| *self.part(part) == PartObservation::Present)
    }
}
