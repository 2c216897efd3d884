//! Paths and commands, as shown to people.

use crate::mission::cell::archive::ArchiveName;
use crate::mission::identity::MissionId;
use crate::mission::text::shell_word;

/// The path of a cell.
#[must_use]
pub fn cell_path(missions_root: &str, mission_id: MissionId) -> String {
    format!("{}/{mission_id}", missions_root.trim_end_matches('/'))
}

/// The path of an archive.
#[must_use]
pub fn archive_path(missions_root: &str, name: ArchiveName) -> String {
    format!("{}/.lazarus/archive/{name}", missions_root.trim_end_matches('/'))
}

/// The shell command that sends a heartbeat for a cell.
#[must_use]
pub fn heartbeat_command(missions_root: &str, mission_id: MissionId) -> String {
    format!("lazarus-pit beat --cell {}", shell_word(&cell_path(missions_root, mission_id)))
}

/// The command that scans every cell.
#[must_use]
pub fn scan_command(missions_root: &str) -> String {
    format!("lazarus-reconcile scan --root {}", shell_word(missions_root))
}

/// The command that creates the scaffold of a cell without an issue.
#[must_use]
pub fn init_cell_command(missions_root: &str, cell: &str) -> String {
    format!("lazarus-pit --init-cell {cell} --root {}", shell_word(missions_root))
}
