//! Health: the table of rules, row by row.

use crate::support::cells::{at, beat, whole, with_heartbeat};
use lazarus::mission::cell::health::{Facts, assess};
use lazarus::mission::cell::heartbeat::Heartbeat;
use lazarus::mission::cell::json_file::{Flaw, FoundValue, JsonKind};
use lazarus::mission::cell::{CellFacts, CellObservation, FileKind, Part, PartObservation, ReadFailure};
use std::time::Duration;

fn verdict(sighting: &CellObservation, bound: bool, ever_beat: bool) -> String {
    let facts = Facts { sighting, bound, ever_heartbeat: ever_beat, stale_after: Duration::from_secs(300), now: at(0) };
    let verdict = assess(&facts);
    format!("{}: {}", verdict.health, verdict.reason)
}

/// A bound cell that has beaten before.
fn check(cell: CellFacts, expected: &str) {
    assert_eq!(verdict(&CellObservation::Cell(Box::new(cell)), true, true), expected);
}

fn with(part: Part, sight: PartObservation) -> CellFacts {
    let mut cell = with_heartbeat(0, "working");
    cell.see(part, sight);
    cell
}

#[test]
fn a_cell_without_a_heartbeat_is_uninitialized() {
    assert_eq!(verdict(&CellObservation::Cell(Box::new(whole())), true, false), "uninitialized: no-heartbeat");
}

#[test]
fn a_known_heartbeat_that_becomes_null_is_stale() {
    check(whole(), "stale: heartbeat-timeout");
}

#[test]
fn a_heartbeat_is_healthy_up_to_stale_after_and_not_a_second_longer() {
    check(with_heartbeat(-300, "working"), "healthy: heartbeat-ok");
    check(with_heartbeat(-301, "working"), "stale: heartbeat-timeout");
}

#[test]
fn the_older_of_timestamp_and_file_time_decides_the_heartbeat_age() {
    check(beat(Some(-301), "working", 0), "stale: heartbeat-timeout");
    check(beat(Some(0), "working", -301), "stale: heartbeat-timeout");
}

#[test]
fn a_timestamp_in_the_future_is_clock_skew_and_never_healthy() {
    check(beat(Some(120), "working", 0), "healthy: heartbeat-ok");
    check(beat(Some(121), "working", 0), "stale: clock-skew");
    check(beat(Some(86_400 * 365), "working", -301), "stale: heartbeat-timeout");
}

#[test]
fn a_heartbeat_that_arrives_during_a_pass_is_not_in_the_future() {
    let mut cell = with_heartbeat(600, "working");
    if let Some(beat) = &mut cell.heartbeat {
        beat.seen_at = at(600);
    }
    check(cell.clone(), "healthy: heartbeat-ok");
    if let Some(beat) = &mut cell.heartbeat {
        beat.seen_at = at(479);
    }
    check(cell, "stale: clock-skew");
}

#[test]
fn a_timestamp_that_cannot_be_formatted_again_is_rejected() {
    for stamp in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"] {
        let bytes = format!(r#"{{"timestamp":"{stamp}","state":"working"}}"#);
        assert_eq!(Heartbeat::parse(bytes.as_bytes()), Err(Flaw::Timestamp(FoundValue::NoTime)), "{stamp}");
    }
}

#[test]
fn a_completed_agent_never_goes_stale_and_unknown_states_are_working() {
    check(with_heartbeat(-86_400, "done"), "healthy: completed");
    check(beat(Some(999), "done", 0), "healthy: completed");
    for state in ["", "waiting", "running", "DONE"] {
        check(with_heartbeat(-301, state), "stale: heartbeat-timeout");
        check(with_heartbeat(-1, state), "healthy: heartbeat-ok");
    }
}

#[test]
fn a_failed_agent_is_stale_immediately_and_stays_stale() {
    for age in [0, -299, -301, -86_400 * 365] {
        check(with_heartbeat(age, "failed"), "stale: agent-failed");
    }
    check(beat(Some(999), "failed", 0), "stale: agent-failed");
    check(with(Part::Heartbeat, PartObservation::Missing), "incomplete: missing state/heartbeat.json");
    let mut broken = with_heartbeat(0, "failed");
    broken.see(Part::Logs, PartObservation::Missing);
    check(broken, "incomplete: missing logs/");
}

#[test]
fn each_required_part_that_is_missing_or_of_the_wrong_kind_is_named() {
    for part in Part::ALL.into_iter().filter(|part| part.is_required()) {
        check(with(part, PartObservation::Missing), &format!("incomplete: missing {}", part.path()));
        let link = PartObservation::WrongType(FileKind::Link);
        check(with(part, link), &format!("incomplete: wrong-type {}", part.path()));
    }
    check(with(Part::Token, PartObservation::Missing), "healthy: heartbeat-ok");
}

#[test]
fn garbage_is_unreadable_wherever_it_is() {
    for flaw in [Flaw::TooLarge, Flaw::NotJson, Flaw::OtherJson(JsonKind::List), Flaw::Timestamp(FoundValue::Missing)] {
        check(with(Part::Heartbeat, PartObservation::Unreadable(flaw)), "incomplete: unreadable state/heartbeat.json");
    }
    check(with(Part::Mission, PartObservation::Unreadable(Flaw::NotJson)), "incomplete: unreadable meta/mission.json");
}

#[test]
fn a_read_failure_of_the_host_is_unknown_health() {
    for (failure, word) in
        [(ReadFailure::Permission, "permission"), (ReadFailure::Io, "io"), (ReadFailure::Timeout, "timeout")]
    {
        let expected = format!("unknown: {word}");
        let mut cell = with(Part::Logs, PartObservation::Missing);
        cell.see(Part::Heartbeat, PartObservation::Failed(failure));
        check(cell, &expected);
        assert_eq!(verdict(&CellObservation::Failed(failure), true, true), expected);
    }
}

#[test]
fn a_cell_that_is_missing_or_not_a_directory_is_incomplete() {
    assert_eq!(verdict(&CellObservation::Absent, true, true), "incomplete: missing .");
    let file = CellObservation::NotADirectory(FileKind::File);
    assert_eq!(verdict(&file, true, true), "incomplete: wrong-type .");
}

#[test]
fn a_directory_without_manifest_or_issue_is_not_initialized() {
    let bare = CellObservation::Cell(Box::new(with(Part::Mission, PartObservation::Missing)));
    assert_eq!(verdict(&bare, false, false), "uninitialized: not-initialized");
    assert_eq!(verdict(&bare, true, false), "incomplete: missing meta/mission.json");
}
