//! What a Mission Cell consists of, what its files say, and what can be seen of one from outside.

use crate::mission::identity::{ForgeUrl, HostName, IssueId, MissionId, RepositoryId, RepositoryName};
use crate::mission::phase::Phase;
use crate::mission::proposal::Spec;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

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
    pub fn mode(self) -> u32 {
        match self {
            Self::Meta | Self::Config => 0o750,
            Self::State | Self::Logs | Self::Artifacts | Self::Worktree => 0o2770,
            Self::Mission | Self::Cell | Self::Token | Self::Log => 0o640,
            Self::Heartbeat => 0o660,
        }
    }

    /// Whether a cell without it is incomplete.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::Token
    }
}

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A regular file that has other names too, and so could be somebody else's.
    HardLink,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::File => "a file",
            Self::HardLink => "a file with more than one name",
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// Why we could not look, though something may well be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The kernel refused us.
    Permission,
    /// Reading failed.
    Io,
    /// Reading took longer than its limit.
    Timeout,
}

/// What was seen in a part's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What belongs there.
    Present,
    /// Nothing.
    Missing,
    /// Something of another kind.
    WrongType(FileKind),
    /// The right kind of file, with contents that cannot be used.
    Unreadable(Flaw),
    /// We could not look.
    Failed(Failure),
}

/// Why a file's contents cannot be used. Never quotes the file, and never counts what may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Longer than [`FILE_BYTES_MAX`].
    TooLarge,
    /// No JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// A heartbeat whose `timestamp` is absent or neither null nor a text.
    NoTimestamp,
    /// A heartbeat whose `timestamp` is no RFC 3339 time with a zone.
    BadTimestamp,
}

/// The most that is ever read of a file in a cell. An objective of 16 KiB, escaped and written twice, fits.
pub const FILE_BYTES_MAX: usize = 128 * 1024;

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is larger than 128 KiB",
            Self::NotJson => "it is not JSON",
            Self::NotAnObject => "it is not a JSON object",
            Self::NoTimestamp => "it has no `timestamp`",
            Self::BadTimestamp => "its `timestamp` is not an RFC 3339 time with a zone",
        })
    }
}

/// What was seen in a cell's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Nothing is there.
    Absent,
    /// Something is there, but no directory.
    NotADirectory(FileKind),
    /// We could not look.
    Failed(Failure),
    /// A directory with these parts.
    Cell(Box<CellFacts>),
}

/// What was seen of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellFacts {
    parts: [Sight; Part::ALL.len()],
    /// `meta/mission.json`, where it is an object.
    pub mission: Option<Map<String, Value>>,
    /// `config/cell.json`, where it is an object.
    pub config: Option<Map<String, Value>>,
    /// `state/heartbeat.json`, where it can be read as one.
    pub heartbeat: Option<Beat>,
}

impl CellFacts {
    /// A directory in which nothing has been seen yet.
    #[must_use]
    pub fn empty() -> Self {
        Self { parts: [const { Sight::Missing }; Part::ALL.len()], mission: None, config: None, heartbeat: None }
    }

    /// What was seen in this part's place.
    #[must_use]
    pub fn part(&self, part: Part) -> &Sight {
        &self.parts[part as usize]
    }

    /// Notes what was seen in this part's place.
    pub fn see(&mut self, part: Part, sight: Sight) {
        self.parts[part as usize] = sight;
    }

    /// Whether all required parts are there and usable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        Part::ALL.into_iter().filter(|part| part.is_required()).all(|part| *self.part(part) == Sight::Present)
    }
}

/// A heartbeat as read, with the time that the file itself bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What the file says.
    pub heartbeat: Heartbeat,
    /// When it was last written; a wizard cannot make itself younger than this.
    pub written_at: Timestamp,
}

/// `state/heartbeat.json`: the wizard's word that it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When; null until the first beat.
    pub timestamp: Option<Timestamp>,
    /// `new` at birth; then `working`, `waiting`, `done` or `failed`; any other counts as working.
    #[serde(default)]
    pub state: String,
    /// Rises with every beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// At most [`MESSAGE_CHARS_MAX`] characters for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The longest message of a heartbeat.
pub const MESSAGE_CHARS_MAX: usize = 200;

impl Heartbeat {
    /// The seed of a new cell: nobody has beaten.
    #[must_use]
    pub fn unborn() -> Self {
        Self { timestamp: None, state: "new".to_owned(), sequence: None, message: None }
    }

    /// Reads a heartbeat. Everything but the time is optional, and what is of no use is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let object = parse_object(bytes)?;
        let timestamp = match object.get("timestamp") {
            Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Timestamp::parse(text).ok_or(Flaw::BadTimestamp)?),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
                return Err(Flaw::NoTimestamp);
            }
        };
        let text = |key| object.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            timestamp,
            state: text("state").unwrap_or_default(),
            sequence: object.get("sequence").and_then(Value::as_u64),
            message: text("message"),
        })
    }

    /// What the wizard says of itself.
    #[must_use]
    pub fn says(&self) -> WizardState {
        match self.state.as_str() {
            "waiting" => WizardState::Waiting,
            "done" => WizardState::Done,
            "failed" => WizardState::Failed,
            _ => WizardState::Working,
        }
    }
}

/// What a wizard says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WizardState {
    /// At work.
    Working,
    /// Waits for a person.
    Waiting,
    /// Has finished.
    Done,
    /// Has given up.
    Failed,
}

impl WizardState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Done, Self::Failed];
}

impl fmt::Display for WizardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
        })
    }
}

/// Everything that `meta/mission.json` and `config/cell.json` are rendered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellPapers {
    /// The cell's name.
    pub mission_id: MissionId,
    /// When the cell was first made.
    pub created_at: Timestamp,
    /// `active`, `suspended` or `closed`.
    pub phase: Phase,
    /// The mission's title; none for a cell without an issue.
    pub name: Option<String>,
    /// Where the cell lies.
    pub host: HostName,
    /// The issue that it serves; none for a cell made by `--init-cell`.
    pub issue: Option<IssuePapers>,
    /// What was asked for; none for a cell without an issue.
    pub spec: Option<Spec>,
    /// The heartbeat's limit.
    pub stale_after_seconds: u64,
    /// The shell command that beats for this cell.
    pub beat_command: String,
}

/// Where the issue of a cell is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuePapers {
    /// The forge's address.
    pub forge: ForgeUrl,
    /// The repository's id.
    pub repository_id: RepositoryId,
    /// The repository's name when this was written.
    pub repository: RepositoryName,
    /// The issue's number in its repository.
    pub number: i64,
    /// The issue's id.
    pub id: IssueId,
    /// The issue's page.
    pub url: String,
    /// Who filed it.
    pub author_id: i64,
}

impl CellPapers {
    /// The keys of `meta/mission.json`.
    #[must_use]
    pub fn mission_file(&self) -> Map<String, Value> {
        let spec = self.spec.as_ref();
        object(json!({
            "mission_id": self.mission_id,
            "created_at": self.created_at,
            "status": self.phase,
            "name": self.name,
            "objective": spec.map(|spec| &spec.objective),
            "host": self.host,
            "issue": self.issue,
            "spec": spec,
            "spec_digest": spec.map(Spec::digest),
            "worktree": { "repository": spec.map(|s| &s.repository), "ref": spec.map(|s| &s.git_ref), "commit": null },
        }))
    }

    /// The keys of `config/cell.json`; its paths are relative to the cell.
    #[must_use]
    pub fn cell_file(&self) -> Map<String, Value> {
        object(json!({
            "mission_id": self.mission_id,
            "worktree": "worktree",
            "artifacts": "artifacts",
            "heartbeat": "state/heartbeat.json",
            "log": "logs/daemon.log",
            "heartbeat_token": "config/heartbeat.token",
            "stale_after_seconds": self.stale_after_seconds,
            "beat_command": self.beat_command,
        }))
    }

    /// What a file of ours says in a new cell; none for directories, and for the token, which only
    /// the writer can make.
    #[must_use]
    pub fn contents(&self, part: Part) -> Option<String> {
        match part {
            Part::Mission => Some(pretty(&self.mission_file())),
            Part::Cell => Some(pretty(&self.cell_file())),
            Part::Heartbeat => Some(pretty(&Heartbeat::unborn())),
            Part::Log => Some(String::new()),
            Part::Meta | Part::Config | Part::State | Part::Logs | Part::Artifacts | Part::Worktree | Part::Token => {
                None
            }
        }
    }
}

/// What a file of ours becomes: our keys as wanted, everybody else's as found. None when it is right already.
#[must_use]
pub fn updated(found: &Map<String, Value>, wanted: &Map<String, Value>) -> Option<String> {
    let is_right = wanted.iter().all(|(key, value)| found.get(key) == Some(value));
    if is_right {
        return None;
    }
    let mut merged = found.clone();
    merged.extend(wanted.clone());
    Some(pretty(&merged))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Reads a file of a cell as a JSON object.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Flaw> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Flaw::TooLarge);
    }
    let value = serde_json::from_slice(bytes).map_err(|_| Flaw::NotJson)?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(Flaw::NotAnObject),
    }
}

/// JSON as people like to read it in a file.
#[must_use]
pub fn pretty<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data is always JSON");
    text.push('\n');
    text
}
