//! Restless missions: the worst is held until they have calmed down, an hour has so many writes, and too many at once
//! have to be seen twice.

use crate::support::cells::{at, beaten};
use crate::support::missions::{active, edit, labelled, planned_cell, settled};
use lazarus::mission::cell::Sighting;
use lazarus::mission::change::Change;
use lazarus::mission::mass_change_guard::{Guarded, held};
use lazarus::mission::observation::Observation;
use lazarus::mission::step::preview;
use std::collections::VecDeque;
use std::sync::Arc;

/// The same mission, so many seconds after the beginning, with a heartbeat of this age.
fn later(mission: &Observation, seconds: i64, age: i64, state: &str) -> Observation {
    let mut later = mission.clone();
    let mut here = (*later.here).clone();
    here.now = at(seconds);
    later.here = Arc::new(here);
    if let (Sighting::Cell(cell), Sighting::Cell(papers)) =
        (Sighting::Cell(Box::new(beaten(seconds - age, state))), &mission.sighting)
    {
        let mut cell = cell;
        (cell.mission, cell.config) = (papers.mission.clone(), papers.config.clone());
        later.sighting = Sighting::Cell(cell);
    }
    later
}

/// A pass: what it writes on the issue, and the mission after it.
fn pass(mission: &Observation) -> (Vec<String>, Observation) {
    let is_written = |change: &&Change| !matches!(change, Change::Remember { .. } | Change::UpdateFile { .. });
    let written = preview(mission).iter().filter(is_written).map(ToString::to_string).collect();
    (written, Observation { is_braked: false, ..settled(mission.clone()) })
}

fn labels(mission: &Observation) -> Vec<&str> {
    let mut names: Vec<&str> = mission.issue.labels.iter().map(|label| label.name.as_str()).collect();
    names.retain(|name| name.starts_with("health/") || name.starts_with("wizard/"));
    names.sort_unstable();
    names
}

#[test]
fn the_third_fall_within_an_hour_holds_the_worse_until_the_cell_was_well_for_a_quarter_of_one() {
    let mut mission = active(beaten(-10, "working"));
    let mut told = Vec::new();
    // The first beat is longer ago than an hour, and so has no part in what this one may cost.
    for (minute, age) in [(1, 400), (2, 10), (3, 400), (4, 10), (5, 400), (6, 10), (7, 400), (8, 10), (22, 10)] {
        let (written, after) = pass(&later(&mission, (60 + minute) * 60, age, "working"));
        told.extend(written.iter().filter(|line| line.starts_with("edit")).cloned());
        mission = after;
    }
    let edit = |what: &str| format!("edit the comment: active, {what}");
    let (stale, healthy) = (edit("stale (silent)"), edit("healthy (beating)"));
    let held = edit("stale (flapping)");
    assert_eq!(told, [&stale, &healthy, &stale, &healthy, &held].map(String::clone));
    assert_eq!(labels(&mission), ["health/stale", "wizard/working"]);
    let (written, after) = pass(&later(&mission, 83 * 60, 10, "working"));
    assert_eq!(written, ["add `health/healthy`".to_owned(), healthy.clone()]);
    let (written, _) = pass(&later(&after, 130 * 60, 400, "working"));
    assert_eq!(written[1], stale, "it begins anew");
}

#[test]
fn of_stale_and_incomplete_incomplete_is_held() {
    let mut mission = active(beaten(-10, "working"));
    for (minute, age) in [(1, 400), (2, 10), (3, 400), (4, 10)] {
        mission = pass(&later(&mission, minute * 60, age, "working")).1;
    }
    let mut lost = later(&mission, 300, 10, "working");
    if let Sighting::Cell(cell) = &mut lost.sighting {
        let part = lazarus::mission::cell::Part::Heartbeat;
        cell.see(part, lazarus::mission::cell::Sight::Missing);
        cell.heartbeat = None;
    }
    let (written, after) = pass(&lost);
    assert_eq!(written[1], "edit the comment: active, incomplete (flapping)");
    let (written, after) = pass(&later(&after, 360, 400, "working"));
    assert_eq!((written.len(), labels(&after)), (0, vec!["health/incomplete", "wizard/working"]));
}

/// The wizard's words and its health change with every minute, for a day.
#[test]
fn an_hour_of_health_costs_six_label_writes_and_six_edits_at_most() {
    let mut mission = active(beaten(-10, "working"));
    let mut writes: [VecDeque<i64>; 2] = Default::default();
    for minute in 1..=24 * 60 {
        let state = ["working", "waiting", "failed"][usize::try_from(minute % 3).unwrap()];
        let age = if minute % 2 == 0 { 10 } else { 400 };
        let (written, after) = pass(&later(&mission, minute * 60, age, state));
        for line in written {
            let kind = usize::from(line.starts_with("edit"));
            writes[kind].push_back(minute);
        }
        for kind in &mut writes {
            kind.retain(|at| minute - at < 60);
            assert!(kind.len() <= 6, "minute {minute}: {writes:?}");
        }
        mission = after;
    }
    assert!(labels(&mission).contains(&"health/stale"), "{:?}", labels(&mission));
    for minute in [1_441, 1_457, 1_520] {
        mission = pass(&later(&mission, minute * 60, 10, "working")).1;
    }
    assert_eq!(labels(&mission), ["health/healthy", "wizard/working"]);
}

#[test]
fn answers_are_told_though_health_has_to_wait() {
    let mut mission = active(beaten(-10, "working"));
    for minute in 1..=8 {
        let state = ["working", "waiting"][usize::try_from(minute % 2).unwrap()];
        mission = pass(&later(&mission, minute * 60, 10, state)).1;
    }
    let mut edited = later(&mission, 540, 400, "failed");
    let slower = edited.issue.body.replace("5 minutes", "1 hour");
    edit(&mut edited, &slower);
    edited.issue.labels.extend(labelled(&["mission/closed"]));
    let (written, after) = pass(&edited);
    let word = labels(&mission)[1].to_owned();
    assert_eq!(written, ["remove `mission/closed`", "edit the comment: active, healthy (beating)"]);
    assert_eq!(labels(&after), ["health/healthy", word.as_str()]);
}

fn fleet(turning: usize, all: usize, spoil: impl Fn(&Observation) -> Observation) -> Vec<Observation> {
    let quiet = active(beaten(-10, "working"));
    (0..all).map(|at| if at < turning { spoil(&quiet) } else { quiet.clone() }).collect()
}

fn vanished(mission: &Observation) -> Observation {
    Observation { sighting: Sighting::Absent, ..mission.clone() }
}

fn silent(mission: &Observation) -> Observation {
    later(mission, 10, 400, "working")
}

/// Holds those back that degrade, where they are too many.
fn guard(fleet: &mut [Observation]) {
    let guarded = fleet.iter().enumerate().filter_map(|(at, mission)| Some((at, Guarded::of(mission)?)));
    for at in held(guarded) {
        fleet[at].is_braked = true;
    }
}

#[test]
fn more_than_three_and_a_fifth_that_turn_at_once_are_told_when_seen_twice() {
    for spoil in [vanished, silent] {
        for (turning, all, is_held) in [(3, 3, false), (4, 20, false), (4, 19, true), (50, 100, true)] {
            let mut seen = fleet(turning, all, spoil);
            guard(&mut seen);
            let held = seen.iter().filter(|mission| mission.is_braked).count();
            assert_eq!(held, if is_held { turning } else { 0 }, "{turning} of {all}");
            if !is_held {
                continue;
            }
            assert!(planned_cell(&seen[0]).is_empty(), "nothing is made again");
            let (written, after) = pass(&seen[0]);
            assert!(written.is_empty(), "{written:?}");
            let mut confirmed: Vec<Observation> = seen.iter().map(|mission| pass(mission).1).collect();
            guard(&mut confirmed);
            assert!(confirmed.iter().all(|mission| !mission.is_braked));
            let (written, _) = pass(&confirmed[0]);
            assert!(written.contains(&"edit the comment: active, stale (silent)".to_owned()), "{written:?}");
            let back = Observation { sighting: fleet(0, 1, spoil)[0].sighting.clone(), ..after.clone() };
            let well = later(&back, 20, 10, "working");
            assert!(pass(&well).0.is_empty() && pass(&well).1.record.unwrap().said == after.record.unwrap().said);
        }
    }
}

/// Labels that have to go anyway are not written for the sake of health.
#[test]
fn labels_that_somebody_has_scattered_hold_no_news_back() {
    let mission = active(beaten(-10, "working"));
    let mut scattered = later(&mission, 400, 400, "working");
    let all: Vec<String> = lazarus::mission::label::Label::ALL.iter().map(|label| label.name().into_owned()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).filter(|name| *name != "health/stale").collect();
    scattered.issue.labels = labelled(&all);
    let (written, after) = pass(&scattered);
    assert!(written.contains(&"edit the comment: active, stale (silent)".to_owned()), "{written:?}");
    assert_eq!((labels(&after), pass(&after).0), (vec!["health/stale", "wizard/working"], Vec::new()));
}
