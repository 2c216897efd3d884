//! When a mission needs a turn, by its record and its cell alone.

use crate::life::scenes::{closed, not_checked_out, suspended};
use crate::support::cells::{at, seconds, with_heartbeat};
use crate::support::missions::{active, settled};
use lazarus::mission::cell::{CellObservation, FileKind, Part, PartObservation};
use lazarus::mission::observation::Observation;
use lazarus::mission::plan::due::needs_turn;
use lazarus::mission::record::IssueState;

/// Whether it does, so many seconds after it was looked at.
fn is_due(mission: &Observation, now: i64) -> bool {
    let record = mission.record.as_ref().unwrap();
    let verdict = record.binding.as_ref().unwrap().judge(&mission.sighting, at(now));
    needs_turn(record, &mission.sighting, verdict, (at(now), seconds(900)))
}

/// The last second in which it does not.
fn check(mission: &Observation, last: i64) {
    assert_eq!([last, last + 1].map(|now| is_due(mission, now)), [false, true], "{last}");
}

#[test]
fn a_silent_agent_is_due_one_second_after_its_stale_after() {
    check(&active(with_heartbeat(-10, "working")), 290);
}

#[test]
fn a_suspended_mission_is_due_at_the_second_of_its_due_date() {
    let mut paused = suspended(with_heartbeat(-10, "working"));
    assert!(!is_due(&paused, 280));
    paused.record.as_mut().unwrap().suspension.as_mut().unwrap().until = Some(at(100));
    check(&paused, 99);
    paused.sighting = CellObservation::Absent;
    paused.record.as_mut().unwrap().suspension.as_mut().unwrap().until = None;
    let CellObservation::Cell(cell) = &mut suspended(with_heartbeat(-10, "working")).sighting else { unreachable!() };
    cell.see(Part::Artifacts, PartObservation::Missing);
    let lacking =
        Observation { sighting: CellObservation::Cell(cell.clone()), ..suspended(with_heartbeat(-10, "working")) };
    assert!(!is_due(&settled(lacking), 1), "nothing is created again meanwhile");
}

#[test]
fn a_failed_checkout_is_due_at_its_retry_time_if_still_wanted() {
    let failed = not_checked_out("no");
    check(&failed, 59);
    let mut never_tried = failed.clone();
    never_tried.record.as_mut().unwrap().worktree.failed = None;
    assert!(is_due(&never_tried, 0));
    let mut unwanted = active(with_heartbeat(-10, "working"));
    unwanted.record.as_mut().unwrap().worktree = failed.record.unwrap().worktree;
    assert!(!is_due(&unwanted, 60));
}

#[test]
fn a_closed_cell_is_due_after_its_grace_or_once_its_agent_is_silent() {
    let ended = |last: i64| {
        let mut ended = settled(closed(with_heartbeat(-10, "working")));
        let CellObservation::Cell(cell) = &mut ended.sighting else { unreachable!() };
        cell.heartbeat = with_heartbeat(last, "working").heartbeat;
        ended
    };
    check(&ended(890), 899);
    check(&ended(-10), 290);
    let gone = Observation { sighting: CellObservation::Absent, ..ended(-10) };
    assert!(!is_due(&gone, 10_000), "there is nothing to be moved away");
}

#[test]
fn a_recreation_is_due_immediately_and_an_obstacle_never() {
    let mission = active(with_heartbeat(-10, "working"));
    let with = |sighting| Observation { sighting, ..mission.clone() };
    assert!(is_due(&with(CellObservation::Absent), 0));
    let mut lacking = mission.clone();
    let CellObservation::Cell(cell) = &mut lacking.sighting else { unreachable!() };
    cell.see(Part::Token, PartObservation::Missing);
    assert!(is_due(&lacking, 0), "though it is no news of health");
    let reported = settled(with(CellObservation::NotADirectory(FileKind::File)));
    assert!(!is_due(&reported, 0));
}

#[test]
fn a_mission_that_is_not_served_is_not_due_by_health() {
    let silent = Observation { sighting: CellObservation::Absent, ..active(with_heartbeat(-10, "working")) };
    let mut elsewhere = silent.clone();
    elsewhere.record.as_mut().unwrap().state = IssueState::Closed;
    let mut unsaid = silent.clone();
    unsaid.record.as_mut().unwrap().published = None;
    assert_eq!([silent, elsewhere, unsaid].map(|mission| is_due(&mission, 0)), [true, false, false]);
}
