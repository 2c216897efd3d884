//! Describes the files of one mission's cell.

use crate::mission::cell::heartbeat::ObservedHeartbeat;
use crate::mission::cell::{CellObservation, Part, PartObservation};
use crate::mission::identity::MissionId;
use crate::mission::paths::{archive_path, cell_path};
use crate::mission::record::Record;
use crate::mission::text::{MESSAGE_SHOWN_MAX, one_line, shown};
use crate::mission::time::Timestamp;
use serde::Serialize;

/// The files of a cell.
#[derive(Clone, Debug, Serialize, Default)]
pub struct OnDisk {
    /// The cell's path.
    pub path: String,
    /// What is in its place, in one sentence.
    pub seen: String,
    /// Parts that are missing, of a wrong type, or unusable.
    pub problems: Vec<String>,
    /// Whether there ever was a heartbeat, even if none can be read now.
    pub ever_heartbeat: bool,
    /// The time of the last heartbeat.
    pub last_heartbeat_at: Option<Timestamp>,
    /// The state that the agent reported last.
    pub agent_state: Option<String>,
    /// The message of the last heartbeat.
    pub message: Option<String>,
    /// Small mistakes in the last heartbeat, which was accepted.
    pub notes: Vec<String>,
    /// The path of the archive that the cell was moved to.
    pub archive: Option<String>,
}

/// Describes the files in the place of a mission's cell.
pub(super) fn on_disk(
    missions_root: &str,
    mission_id: MissionId,
    sighting: &CellObservation,
    record: Option<&Record>,
) -> OnDisk {
    let archive = record.filter(|record| record.archive_deleted_at.is_none()).and_then(|record| record.archive);
    let archive = archive.map(|name| archive_path(missions_root, name));
    let path = cell_path(missions_root, mission_id);
    let ever_heartbeat =
        record.and_then(|record| record.binding.as_ref()).is_some_and(|binding| binding.ever_heartbeat);
    let nothing = |seen: String| OnDisk {
        path: path.clone(),
        seen,
        archive: archive.clone(),
        ever_heartbeat,
        ..OnDisk::default()
    };
    let cell = match sighting {
        CellObservation::Absent => return nothing("no cell".to_owned()),
        CellObservation::NotADirectory(kind) => return nothing(format!("{kind} is in its place")),
        CellObservation::Failed(failure) => return nothing(format!("it cannot be read: {failure}")),
        CellObservation::Cell(cell) => cell,
    };
    let problems: Vec<String> = Part::ALL.into_iter().filter_map(|part| problem(part, *cell.part(part))).collect();
    let seen =
        if problems.is_empty() { "all parts exist".to_owned() } else { format!("problems: {}", problems.join(", ")) };
    let heartbeat = cell.heartbeat.as_ref().map(|observed| &observed.heartbeat).filter(|it| it.timestamp.is_some());
    OnDisk {
        last_heartbeat_at: heartbeat.and_then(|heartbeat| heartbeat.timestamp),
        agent_state: heartbeat.map(|heartbeat| shown(&heartbeat.state)),
        message: heartbeat
            .and_then(|heartbeat| heartbeat.message.as_deref())
            .map(|message| one_line(message, MESSAGE_SHOWN_MAX)),
        notes: cell.heartbeat.as_ref().map_or_else(Vec::new, ObservedHeartbeat::remarks),
        problems,
        ..nothing(seen)
    }
}

fn problem(part: Part, observed: PartObservation) -> Option<String> {
    let path = part.path();
    match observed {
        PartObservation::Present => None,
        PartObservation::Missing => Some(format!("`{path}` is missing")),
        PartObservation::WrongType(kind) => Some(format!("{kind} is in the place of `{path}`")),
        PartObservation::Unreadable(flaw) => Some(format!("`{path}` cannot be used: {flaw}")),
        PartObservation::Failed(failure) => Some(format!("`{path}` cannot be read: {failure}")),
    }
}
