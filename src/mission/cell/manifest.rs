//! The manifest files that this service writes into a cell, and how existing ones are updated.

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
    /// The mission's id, which names the cell.
    pub mission_id: MissionId,
    /// When the cell was first created.
    pub created_at: Timestamp,
    /// `active`, `suspended` or `closed`.
    pub phase: Phase,
    /// The mission's title; none for a cell without an issue.
    pub name: Option<String>,
    /// The host of the cell.
    pub host: HostName,
    /// The mission's issue; none for a cell created by `--init-cell`.
    pub issue: Option<IssueManifest>,
    /// The accepted spec; none for a cell without an issue.
    pub spec: Option<Spec>,
    /// The commit that was checked out in its worktree, if any.
    pub commit: Option<CommitId>,
    /// The age from which on a heartbeat is stale.
    pub stale_after_seconds: u64,
    /// The shell command that sends a heartbeat for this cell.
    pub beat_command: String,
}

/// The location of a cell's issue.
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
    /// The id of its author's account.
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

    /// The contents of a part in a new cell; none for directories, and for the token, which only the
    /// writer can generate.
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

/// The updated contents of a manifest file: our keys as wanted, other keys as found. None if it is up to date.
#[must_use]
pub fn updated(found: &Map<String, Value>, wanted: &Map<String, Value>) -> Option<String> {
    let is_current = wanted.iter().all(|(key, value)| found.get(key) == Some(value));
    if is_current {
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
