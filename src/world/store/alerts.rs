//! Reads the stored state of the fleet's alerts.

use crate::mission::alert::state::FleetAlertRecord;
use crate::world::cells::safe_open::{self, FileRead};
use crate::world::store::root::{OWN, Root};
use rustix::io::Errno;

/// The file in the service's own directory.
pub(super) const FLEET_ALERTS: &str = "alarms.json";

/// The most bytes that are read: each mission is named three times at most, and a root holds a million.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads the state; an error says why it is unreadable.
pub fn read(root: &Root) -> Result<FleetAlertRecord, String> {
    let path = format!("{OWN}/{FLEET_ALERTS}");
    let read = match safe_open::read(root, &path, BYTES_MAX, root.resolver()) {
        Ok(FileRead::Whole(bytes, _)) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        Ok(FileRead::TooLarge) => Err("it is far too large".to_owned()),
        Ok(FileRead::WrongType(kind)) => Err(format!("it is {kind}")),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(FleetAlertRecord::default()),
        Err(error) => Err(error.to_string()),
    };
    let shown = root.path().join(path);
    read.map_err(|cause| {
        format!("`{}` is unusable: {cause}; move it away: no alert is sent until then", shown.display())
    })
}
