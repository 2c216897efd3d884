//! The pages that people see. A placeholder: the real one is written elsewhere and takes its place.

use crate::mission::identity::MissionId;
use crate::snapshot::Snapshot;

/// The style sheet of all pages.
pub const STYLE: &str = "body { font-family: sans-serif; }\n";

/// The page of all missions; `query` is what stands after the `?`.
#[must_use]
pub fn fleet(snapshot: &Snapshot, _query: &str) -> String {
    format!("<!DOCTYPE html><title>Missions</title><p>{} missions", snapshot.missions.len())
}

/// The page of one mission, if there is such a one.
#[must_use]
pub fn mission(snapshot: &Snapshot, mission_id: MissionId) -> Option<String> {
    let view = snapshot.missions.iter().find(|view| view.mission_id == mission_id)?;
    Some(format!("<!DOCTYPE html><title>Mission</title><p>{}", view.mission_id))
}
