//! The files of ours in a cell: what they say of the mission, and what an old one becomes.

use crate::mission::cell::Part;
use crate::mission::cell::heartbeat::Heartbeat;
use crate::mission::cell::json_file::pretty;
use crate::mission::identity::{CommitId, ForgeUrl, HostName, IssueId, MissionId, RepositoryId, RepositoryName};
use crate::mission::proposal::Spec;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Everything that `meta/mission.json` and `config/cell.json` are rendered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellManifest {
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
    pub issue: Option<IssueManifest>,
    /// What was asked for; none for a cell without an issue.
    pub spec: Option<Spec>,
    /// What was checked out in its worktree, if anything was.
    pub commit: Option<CommitId>,
    /// The heartbeat's limit.
    pub stale_after_seconds: u64,
    /// The shell command that beats for this cell.
    pub beat_command: String,
}

/// Where the issue of a cell is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueManifest {
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

impl CellManifest {
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
            "worktree": { "repository": spec.map(|s| &s.repository), "ref": spec.map(|s| &s.git_ref), "commit": self.commit },
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
            Part::Heartbeat => Some(pretty(&Heartbeat::empty())),
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
    let Value::Object(map) = value else { return Map::new() };
    map
}
