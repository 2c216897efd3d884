//! Cells as they are seen, without a disk.

use chrono::{DateTime, TimeDelta};
use lazarus::mission::cell::heartbeat::{Heartbeat, ObservedHeartbeat};
use lazarus::mission::cell::heartbeat_fields::Notes;
use lazarus::mission::cell::{CellFacts, Part, PartObservation};
use lazarus::mission::time::Timestamp;

/// So many seconds after the moment at which the tests of the pure parts take place.
pub(crate) fn at(shift: i64) -> Timestamp {
    let moment = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    Timestamp::from(moment + seconds(shift))
}

pub(crate) fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// A whole cell with this heartbeat: its stamp, its state, and when its file was written.
pub(crate) fn beat(stamp: Option<i64>, state: &str, written: i64) -> CellFacts {
    let mut cell = CellFacts::empty();
    for part in Part::ALL {
        cell.see(part, PartObservation::Present);
    }
    let timestamp = stamp.map(at);
    let heartbeat = Heartbeat { timestamp, state: state.to_owned(), ..Heartbeat::empty() };
    cell.heartbeat =
        Some(ObservedHeartbeat { heartbeat, notes: Notes::default(), written_at: at(written), seen_at: at(0) });
    cell
}

/// A whole cell that beat once, then.
pub(crate) fn with_heartbeat(shift: i64, state: &str) -> CellFacts {
    beat(Some(shift), state, shift)
}

/// A whole cell that beat once, then, with a message.
pub(crate) fn with_heartbeat_and(shift: i64, state: &str, message: &str) -> CellFacts {
    let mut cell = with_heartbeat(shift, state);
    if let Some(beat) = &mut cell.heartbeat {
        beat.heartbeat.message = Some(message.to_owned());
    }
    cell
}

/// A whole cell as it is born.
pub(crate) fn whole() -> CellFacts {
    beat(None, "new", 0)
}
