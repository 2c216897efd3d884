//! What alarms say, whole, in `tests/fixtures/alerts.md`.

use crate::alerts::many::{due, musters};
use crate::alerts::{later, loud, on, pass};
use crate::life::scenes::here;
use crate::mission::comment::{QUESTION, without_code};
use crate::support::cells::{at, beat, seconds, whole, with_heartbeat, with_heartbeat_and};
use crate::support::golden;
use crate::support::missions::{active, retitle};
use lazarus::mission::alert::config::{AlertCause, Login, Notify};
use lazarus::mission::alert::state::FleetAlertRecord;
use lazarus::mission::cell::{CellFacts, CellObservation, FileKind, Part, PartObservation, ReadFailure};
use lazarus::mission::observation::{AlertPermit, Observation};
use lazarus::mission::plan::change::Change;
use std::fmt::Write;

/// Everything raises an alarm, at once.
fn all() -> Notify {
    Notify { on: AlertCause::ALL.to_vec(), after: seconds(0), repeat: Some(seconds(3_600)), ..Notify::default() }
}

fn seen(sighting: CellObservation) -> Observation {
    let mut mission = loud(active(with_heartbeat(-10, "working")), &all());
    mission.sighting = sighting;
    mission
}

fn with(cell: CellFacts) -> Observation {
    later(&loud(active(with_heartbeat(-10, "working")), &all()), 0, cell)
}

fn without_heartbeat() -> Observation {
    let mut mission = with(with_heartbeat(-10, "working"));
    if let CellObservation::Cell(cell) = &mut mission.sighting {
        cell.see(Part::Heartbeat, PartObservation::WrongType(FileKind::Link));
        cell.heartbeat = None;
    }
    mission
}

fn said(mission: &Observation) -> String {
    match pass(mission).0.as_slice() {
        [alert_message] => alert_message.render(),
        notices => panic!("one alarm was expected: {notices:?}"),
    }
}

fn after(mission: &Observation, now: i64, cell: CellFacts) -> Observation {
    later(&pass(mission).1, now, cell)
}

#[test]
fn every_alert_names_cause_time_place_and_next_step() {
    let stale = with(with_heartbeat(-400, "working"));
    let calling = Notify { mention: vec![Login::parse("merlin").unwrap(), Login::parse("circe").unwrap()], ..all() };
    let crowded = Observation { alert_permit: AlertPermit::Granted { others: 7 }, ..stale.clone() };
    let situations = vec![
        ("stale", stale.clone()),
        ("stale, with mentions", here(stale.clone(), |here| here.notify = calling)),
        ("stale, with others pending", crowded),
        ("still stale", after(&stale, 3_600, with_heartbeat(-400, "working"))),
        ("resolved", after(&stale, 600, with_heartbeat(590, "working"))),
        ("clock skew", with(beat(Some(400), "working", 0))),
        ("a link for a heartbeat", without_heartbeat()),
        ("a file at the cell's path", seen(CellObservation::NotADirectory(FileKind::File))),
        ("unreadable", seen(CellObservation::Failed(ReadFailure::Permission))),
        ("no heartbeat", loud(active(whole()), &all())),
        ("the agent waits", with(with_heartbeat(-10, "waiting"))),
        ("the agent waits for an answer", with(with_heartbeat_and(-10, "waiting", QUESTION))),
        (
            "the agent still waits",
            after(
                &with(with_heartbeat_and(-10, "waiting", QUESTION)),
                3_600,
                with_heartbeat_and(3_590, "waiting", QUESTION),
            ),
        ),
        ("the agent has failed", with(with_heartbeat(-10, "failed"))),
        ("the agent has failed, with a message", with(with_heartbeat_and(-10, "failed", "the crypt is empty"))),
        ("failed, where only `stale` is listed", {
            let failed = with(with_heartbeat_and(-10, "failed", "the crypt is empty"));
            here(failed, |here| here.notify = Notify { after: seconds(0), ..on(&["stale"]) })
        }),
        ("incomplete, and then only stale", {
            let broken =
                here(without_heartbeat(), |here| here.notify = Notify { after: seconds(0), ..on(&["incomplete"]) });
            later(&pass(&broken).1, 600, with_heartbeat(0, "working"))
        }),
    ];
    let mut reported = String::new();
    for (name, mission) in &situations {
        writeln!(reported, "=== {name}\n{}", said(mission)).unwrap();
    }
    for (name, missions, alert_record) in [
        ("many", 25, FleetAlertRecord::default()),
        ("one, at the hourly limit", 1, FleetAlertRecord { posted: vec![at(990); 9], ..FleetAlertRecord::default() }),
    ] {
        writeln!(reported, "=== {name}\n{}", fleet(missions, &alert_record)).unwrap();
    }
    let before = FleetAlertRecord { members: (1..=5).map(|number| (7, number)).collect(), ..speaking() };
    writeln!(reported, "=== many more\n{}", fleet(25, &before)).unwrap();
    writeln!(reported, "=== many resolved\n{}", fleet(0, &speaking())).unwrap();
    golden::check("alerts.md", &reported);
}

/// One comment speaks for one of them, since long ago.
fn speaking() -> FleetAlertRecord {
    FleetAlertRecord {
        members: [(7, 1)].into(),
        firing_since: Some(at(0)),
        published_at: Some(at(0)),
        ..FleetAlertRecord::default()
    }
}

/// What is said for so many of thirty.
fn fleet(bad: usize, alert_record: &FleetAlertRecord) -> String {
    let (fleet_alerts, here) = musters(&due(bad), 30);
    match fleet_alerts.schedule(alert_record, &here).change {
        Some(Change::PostFleetAlert { issue: _, alert_message, memory: _ }) => alert_message.render(),
        change => panic!("one comment for many was expected: {change:?}"),
    }
}

fn check_dead(text: &str, alarm: &str) {
    let dead = without_code(alarm);
    for live in ["@", "#", "http", "<script", "![", "](", "\u{1b}", "\u{202e}", "**x**"] {
        assert!(!dead.contains(live), "{text} left {live} alive:\n{alarm}");
    }
}

#[test]
fn user_text_never_becomes_live_markup_in_an_alert() {
    let hostile = [
        "@owner",
        "owner/missions#1",
        "![x](http://evil.test/p.gif)",
        "<script>alert(1)</script>",
        "`` ` `` @a `#1`",
        "`",
        "--> @owner",
        "\u{1b}[31mred",
        "x\u{202e}y",
        "**x**",
        "x\n\n# y @owner",
        "https://evil.test",
        "cc @owner",
    ];
    for text in hostile {
        let mut mission = with(with_heartbeat(-400, "working"));
        retitle(&mut mission, &format!("Mission: {text}"));
        let alarm = said(&mission);
        let (first, rest) = alarm.split_once('\n').unwrap();
        assert_eq!(first, "<!-- lazarus:alarm v1 -->");
        check_dead(text, rest);
        for state in ["waiting", "failed"] {
            check_dead(text, said(&with(with_heartbeat_and(-10, state, text))).split_once('\n').unwrap().1);
        }
    }
    let mut long = with(with_heartbeat(-400, "working"));
    retitle(&mut long, &"x".repeat(200));
    assert!(said(&long).contains(&format!("`{}…`", "x".repeat(79))));
}
