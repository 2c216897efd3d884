//! Restless missions: the worst is held until they have calmed down, an hour has so many writes, and too many at once
//! have to be seen twice.

use crate::life::scenes::suspended;
use crate::support::cells::{at, with_heartbeat};
use crate::support::missions::{active, edit, labelled, planned_cell, settled};
use lazarus::mission::cell::CellObservation;
use lazarus::mission::cell::archive::ArchiveName;
use lazarus::mission::cell::flap_damping::{Cost, FlapDamping};
use lazarus::mission::cell::health::{Health, Reason, Verdict};
use lazarus::mission::fleet::mass_change_guard::{Guarded, held, holds_deletions};
use lazarus::mission::observation::Observation;
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::record::Record;
use std::collections::VecDeque;
use std::sync::Arc;

/// The same mission, so many seconds after the beginning, with a heartbeat of this age.
fn later(mission: &Observation, seconds: i64, age: i64, state: &str) -> Observation {
    let mut later = mission.clone();
    let mut here = (*later.here).clone();
    here.now = at(seconds);
    later.here = Arc::new(here);
    if let (CellObservation::Cell(cell), CellObservation::Cell(manifest)) =
        (CellObservation::Cell(Box::new(with_heartbeat(seconds - age, state))), &mission.sighting)
    {
        let mut cell = cell;
        (cell.mission, cell.config) = (manifest.mission.clone(), manifest.config.clone());
        later.sighting = CellObservation::Cell(cell);
    }
    later
}

/// A pass: what it writes on the issue, and the mission after it.
fn pass(mission: &Observation) -> (Vec<String>, Observation) {
    let is_written = |change: &&Change| !matches!(change, Change::WriteRecord { .. } | Change::UpdateFile { .. });
    let written = preview(mission).iter().filter(is_written).map(ToString::to_string).collect();
    (written, Observation { is_held: false, ..settled(mission.clone()) })
}

fn labels(mission: &Observation) -> Vec<&str> {
    let mut names: Vec<&str> = mission.issue.labels.iter().map(|label| label.name.as_str()).collect();
    names.retain(|name| name.starts_with("health/") || name.starts_with("wizard/"));
    names.sort_unstable();
    names
}

#[test]
fn three_degradations_an_hour_hold_the_worse_until_15_healthy_minutes() {
    let mut mission = active(with_heartbeat(-10, "working"));
    let mut reported = Vec::new();
    // The first beat is longer ago than an hour, and so has no part in what this one may cost.
    for (minute, age) in [(1, 400), (2, 10), (3, 400), (4, 10), (5, 400), (6, 10), (7, 400), (8, 10), (22, 10)] {
        let (written, after) = pass(&later(&mission, (60 + minute) * 60, age, "working"));
        reported.extend(written.iter().filter(|line| line.starts_with("edit")).cloned());
        mission = after;
    }
    let edit = |what: &str| format!("edit the comment: active, {what}");
    let (stale, healthy) = (edit("stale (heartbeat-timeout)"), edit("healthy (heartbeat-ok)"));
    let held = edit("stale (flapping)");
    assert_eq!(reported, [&stale, &healthy, &stale, &healthy, &held].map(String::clone));
    assert_eq!(labels(&mission), ["health/stale", "wizard/working"]);
    let (written, after) = pass(&later(&mission, 83 * 60, 10, "working"));
    assert_eq!(written, ["add `health/healthy`".to_owned(), healthy.clone()]);
    let (written, _) = pass(&later(&after, 130 * 60, 400, "working"));
    assert_eq!(written[1], stale, "it begins anew");
}

#[test]
fn of_stale_and_incomplete_incomplete_is_held() {
    let mut mission = active(with_heartbeat(-10, "working"));
    for (minute, age) in [(1, 400), (2, 10), (3, 400), (4, 10)] {
        mission = pass(&later(&mission, minute * 60, age, "working")).1;
    }
    let mut lost = later(&mission, 300, 10, "working");
    if let CellObservation::Cell(cell) = &mut lost.sighting {
        let part = lazarus::mission::cell::Part::Heartbeat;
        cell.see(part, lazarus::mission::cell::PartObservation::Missing);
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
    let mut mission = active(with_heartbeat(-10, "working"));
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
fn edits_are_published_though_health_has_to_wait() {
    let mut mission = active(with_heartbeat(-10, "working"));
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
    assert_eq!(written, ["remove `mission/closed`", "edit the comment: active, healthy (heartbeat-ok)"]);
    assert_eq!(labels(&after), ["health/healthy", word.as_str()]);
}

/// Falls of a cell at these seconds; whether the last one is held.
fn is_held_after(falls: &[i64]) -> bool {
    let verdict = |health| Verdict { health, reason: Reason::HeartbeatTimeout };
    let mut flapping = FlapDamping::default();
    for fall in falls {
        flapping.observe(verdict(Health::Healthy), at(*fall - 1));
        flapping.observe(verdict(Health::Stale), at(*fall));
    }
    flapping.held.is_some()
}

#[test]
fn three_degradations_count_together_up_to_the_end_of_their_hour() {
    assert!(is_held_after(&[0, 1_800, 3_600]));
    assert!(!is_held_after(&[0, 1_800, 3_601]));
    assert!(!is_held_after(&[0, 1_800]));
    assert!(is_held_after(&[0, 1_800, 3_601, 3_700]), "the first is forgotten");
    assert!(!is_held_after(&[5_000, 0, 100]), "noted by a clock that was ahead");
}

/// A verdict that is held since the cell fell ill, and a cell that has been well since then.
fn held_and_well_since(well_since: i64) -> FlapDamping {
    FlapDamping {
        seen: Some(Health::Healthy),
        held: Some(Health::Stale),
        stable_since: Some(at(well_since)),
        ..FlapDamping::default()
    }
}

#[test]
fn a_held_health_is_released_after_exactly_15_minutes() {
    let well = Verdict { health: Health::Healthy, reason: Reason::HeartbeatOk };
    let reported = |well_since: i64, moments: &[i64]| {
        let mut flapping = held_and_well_since(well_since);
        let reported: Vec<Health> = moments.iter().map(|moment| flapping.observe(well, at(*moment)).health).collect();
        reported[moments.len() - 1]
    };
    assert_eq!([reported(0, &[899]), reported(0, &[900])], [Health::Stale, Health::Healthy]);
    assert_eq!(
        [reported(5_000, &[0, 899]), reported(5_000, &[0, 900])],
        [Health::Stale, Health::Healthy],
        "a clock that was ahead"
    );
}

/// The sixth write is the last, and one that is an hour old does not count.
#[test]
fn an_hour_allows_six_writes_of_each_kind_and_has_sixty_minutes() {
    let cost = |label_writes, comment_edits| Cost { label_writes, comment_edits };
    let mut flapping = FlapDamping::default();
    flapping.spend(cost(5, 4), at(0));
    for (wanted, now, is_allowed) in [
        (cost(1, 2), 10, true),
        (cost(2, 0), 10, false),
        (cost(0, 3), 10, false),
        (cost(2, 0), 3_599, false),
        (cost(2, 0), 3_600, true),
        (cost(6, 6), 3_600, true),
        (cost(7, 0), 3_600, false),
        (cost(6, 6), -1, true),
    ] {
        assert_eq!(flapping.allows(wanted, at(now)), is_allowed, "{wanted:?} at {now}");
    }
}

#[test]
fn four_or_more_deleted_issues_need_confirmation_of_their_number() {
    for (deleted, agreed, is_held) in [
        (3, None, false),
        (4, None, true),
        (3, Some(0), false),
        (4, Some(3), true),
        (4, Some(4), false),
        (5, Some(4), true),
    ] {
        assert_eq!(holds_deletions(deleted, agreed), is_held, "{deleted} {agreed:?}");
    }
}

fn fleet(turning: usize, all: usize, spoil: impl Fn(&Observation) -> Observation) -> Vec<Observation> {
    let quiet = active(with_heartbeat(-10, "working"));
    (0..all).map(|at| if at < turning { spoil(&quiet) } else { quiet.clone() }).collect()
}

fn vanished(mission: &Observation) -> Observation {
    Observation { sighting: CellObservation::Absent, ..mission.clone() }
}

fn silent(mission: &Observation) -> Observation {
    later(mission, 10, 400, "working")
}

/// Holds those back that degrade, where they are too many.
fn guard(fleet: &mut [Observation]) {
    let guarded = fleet.iter().enumerate().filter_map(|(at, mission)| Some((at, Guarded::of(mission)?)));
    for at in held(guarded) {
        fleet[at].is_held = true;
    }
}

#[test]
fn a_mass_change_is_published_only_after_a_second_pass_sees_it() {
    for spoil in [vanished, silent] {
        for (turning, all, is_held) in [(3, 3, false), (4, 20, false), (4, 19, true), (50, 100, true)] {
            let mut seen = fleet(turning, all, spoil);
            guard(&mut seen);
            let held = seen.iter().filter(|mission| mission.is_held).count();
            assert_eq!(held, if is_held { turning } else { 0 }, "{turning} of {all}");
            if !is_held {
                continue;
            }
            assert!(planned_cell(&seen[0]).is_empty(), "nothing is made again");
            let (written, after) = pass(&seen[0]);
            assert!(written.is_empty(), "{written:?}");
            let mut confirmed: Vec<Observation> = seen.iter().map(|mission| pass(mission).1).collect();
            guard(&mut confirmed);
            assert!(confirmed.iter().all(|mission| !mission.is_held));
            let (written, _) = pass(&confirmed[0]);
            assert!(written.contains(&"edit the comment: active, stale (heartbeat-timeout)".to_owned()), "{written:?}");
            let back = Observation { sighting: fleet(0, 1, spoil)[0].sighting.clone(), ..after.clone() };
            let well = later(&back, 20, 10, "working");
            assert!(
                pass(&well).0.is_empty() && pass(&well).1.record.unwrap().published == after.record.unwrap().published
            );
        }
    }
}

/// Nobody waits for the cell of such a mission, so that it makes no share of all smaller or larger.
#[test]
fn a_mission_without_a_cell_to_lose_does_not_count_for_mass_changes() {
    let changes: [fn(&mut Record); 4] = [
        |record| record.archive = Some(ArchiveName::first(record.binding.as_ref().unwrap().mission_id)),
        |record| record.suspension = suspended(with_heartbeat(-10, "working")).record.unwrap().suspension,
        |record| record.binding.as_mut().unwrap().was_complete = false,
        |record| record.binding = None,
    ];
    for (at, change) in changes.iter().enumerate() {
        let uncounted = |mission: &Observation| {
            let mut mission = mission.clone();
            change(mission.record.as_mut().unwrap());
            mission
        };
        let mut quiet = fleet(4, 4, vanished);
        quiet.extend(fleet(16, 16, uncounted));
        guard(&mut quiet);
        assert_eq!(quiet.iter().filter(|mission| mission.is_held).count(), 4, "{at}: 4 of 4 are too many");
        let mut lost = fleet(50, 50, |mission| uncounted(&vanished(mission)));
        guard(&mut lost);
        assert!(!lost.iter().any(|mission| mission.is_held), "{at}: none of them has a cell to lose");
    }
}

/// Labels that have to go anyway are not written for the sake of health.
#[test]
fn surplus_labels_do_not_delay_a_change_of_health() {
    let mission = active(with_heartbeat(-10, "working"));
    let mut scattered = later(&mission, 400, 400, "working");
    let all: Vec<String> =
        lazarus::mission::status::label::Label::ALL.iter().map(|label| label.name().into_owned()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).filter(|name| *name != "health/stale").collect();
    scattered.issue.labels = labelled(&all);
    let (written, after) = pass(&scattered);
    assert!(written.contains(&"edit the comment: active, stale (heartbeat-timeout)".to_owned()), "{written:?}");
    assert_eq!((labels(&after), pass(&after).0), (vec!["health/stale", "wizard/working"], Vec::new()));
}
