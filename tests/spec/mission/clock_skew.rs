//! Clocks of agents that are off: a heartbeat over HTTP counts from when it came, and the difference is only noted.

use crate::support::cells::{at, beat, with_heartbeat};
use crate::support::forge::client;
use crate::support::host::{Host, run};
use crate::support::service::{command, start};
use crate::support::soon;
use chrono::{TimeDelta, Utc};
use lazarus::mission::cell::clock_skew::ClockOffset;
use lazarus::mission::cell::health::{Facts, assess};
use lazarus::mission::cell::heartbeat_request::{Before, HeartbeatRequest};
use lazarus::mission::cell::{CellFacts, CellObservation};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

#[test]
fn a_clock_offset_over_two_minutes_is_formatted_in_one_unit() {
    let reported = |shift: i64| ClockOffset::of(at(shift), at(0)).map(|offset| offset.to_string()).unwrap_or_default();
    for (shift, wanted) in [
        (0, ""),
        (120, ""),
        (-120, ""),
        (121, "agent clock 2 min ahead"),
        (-121, "agent clock 2 min behind"),
        (-5_400, "agent clock 90 min behind"),
        (-7_200, "agent clock 2 h behind"),
        (7_199, "agent clock 2 h ahead"),
        (-7_201, "agent clock 2 h behind"),
        (100 * 3_600, "agent clock 4 d ahead"),
        (-86_400, "agent clock 24 h behind"),
    ] {
        assert_eq!(reported(shift), wanted, "{shift}");
    }
    let year_9999 = HeartbeatRequest::parse(br#"{"timestamp": "9999-12-31T23:59:59Z"}"#).unwrap();
    let heartbeat = year_9999.following(Before::default(), at(0)).unwrap().heartbeat;
    assert!(heartbeat.clock_offset().unwrap().to_string().ends_with(" d ahead"));
}

#[test]
fn a_heartbeat_over_http_counts_from_its_arrival() {
    for shift in [-86_400, -121, -90, 0, 90, 121, 86_400] {
        let body = json!({ "timestamp": at(shift) }).to_string();
        let sent = HeartbeatRequest::parse(body.as_bytes()).unwrap();
        let heartbeat = sent.following(Before::default(), at(0)).unwrap().heartbeat;
        assert_eq!(heartbeat.timestamp, Some(at(0)), "{shift}");
        assert_eq!(heartbeat.sender_timestamp, (shift.abs() > 120).then(|| at(shift)));
    }
}

#[test]
fn the_timestamp_of_the_sender_does_not_affect_health() {
    let verdict = |cell: CellFacts| {
        let sighting = CellObservation::Cell(Box::new(cell));
        let stale_after = Duration::from_secs(300);
        assess(&Facts { sighting: &sighting, bound: true, ever_heartbeat: true, stale_after, now: at(0) })
    };
    for cell in [
        with_heartbeat(-10, "working"),
        with_heartbeat(-301, "working"),
        with_heartbeat(-301, "done"),
        beat(Some(121), "waiting", 0),
    ] {
        for shift in [-86_400, 0, 86_400] {
            let mut other = cell.clone();
            if let Some(beat) = &mut other.heartbeat {
                beat.heartbeat.sender_timestamp = Some(at(shift));
            }
            assert_eq!(verdict(other), verdict(cell.clone()), "{shift}");
        }
    }
}

#[tokio::test]
async fn an_agent_with_a_wrong_clock_is_healthy_and_noted_everywhere() {
    let host = Host::new();
    run(host.command("lazarus-pit").args(["--init-cell", ID])).await;
    let cell = host.root().join(ID);
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    let service = start(command(&host, None, json!({ "daemon": { "interval_seconds": 1 } }))).await;
    let send = async |shift: TimeDelta| {
        let body = json!({ "timestamp": (Utc::now() + shift).to_rfc3339(), "session": shift.to_string() }).to_string();
        let request = client().post(format!("{}/missions/{ID}/heartbeat", service.doors));
        request.bearer_auth(token.trim()).body(body).send().await.unwrap().status().as_u16()
    };
    for (shift, note) in [
        (TimeDelta::hours(-2), "agent clock 2 h behind"),
        (TimeDelta::days(30), "agent clock 30 d ahead"),
        (TimeDelta::minutes(-10), "agent clock 10 min behind"),
    ] {
        assert_eq!(send(shift).await, 204, "{note}");
        let scan = run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
        let seen = &scan["cells"][0];
        assert_eq!((&seen["health"], &seen["reason"]), (&json!("healthy"), &json!("heartbeat-ok")), "{note}");
        assert_eq!(seen["notes"], json!([note]));
        assert!(seen["heartbeat_age_seconds"].as_i64().unwrap() < 60, "{seen}");
        for arguments in [&["scan"][..], &["status"], &["status", ID]] {
            let reported = run(host.command("lazarus-reconcile").args(arguments)).await.stdout;
            assert!(reported.contains(note), "{arguments:?}: {reported}");
        }
        let fleet = run(host.command("lazarus-reconcile").args(["status", "--json"])).await.json();
        assert_eq!(fleet["missions"][0]["notes"], json!([note]));
        soon(note, async || service.get(&format!("/missions/{ID}")).await.1.contains(note)).await;
        let health: Value = serde_json::from_str(&service.get("/health").await.1).unwrap();
        assert_eq!((&health["cells"][0]["health"], &health["cells"][0]["notes"]), (&json!("healthy"), &json!([note])));
    }
    assert_eq!(send(TimeDelta::zero()).await, 204);
    let scan = run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
    assert_eq!(scan["cells"][0]["notes"], json!([]), "set right");
    assert_eq!(service.end(Signal::TERM).await.0.code(), Some(0));
}
