//! The health report: that of a scan, with the daemon's passes and gateways.

use crate::http::endpoints::pages::view;
use crate::http::endpoints::{CELL, NOWHERE};
use crate::support::cells::at;
use crate::support::host::run;
use crate::support::site::{Setup, Site, snapshot};
use lazarus::engine::snapshot::{
    FailureCounts, FailureView, GatewayState, GatewayView, IssueView, MissionView, Passes, Snapshot,
};
use lazarus::mission::cell::health::Health;
use lazarus::mission::cell::heartbeat::WizardState;
use lazarus::mission::failure::FailureScope;
use lazarus::mission::identity::{GatewayName, MissionId, WizardName};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

fn healthy() -> MissionView {
    let issue = IssueView { name: "owner/missions#12".to_owned(), url: "https://git.example.com".to_owned() };
    MissionView {
        health: Some(Health::Healthy),
        reason: Some("heartbeat-ok".to_owned()),
        since: Some(at(-600)),
        last_heartbeat_at: Some(at(-10_000)),
        agent_state: Some(WizardState::Waiting),
        wizard: Some(WizardName::parse("merlin").unwrap()),
        issue: Some(issue),
        ..view()
    }
}

#[tokio::test]
async fn the_report_shows_the_snapshot() {
    let site = Site::new(Setup::default()).await;
    let waiting = MissionView { mission_id: MissionId::parse(NOWHERE).unwrap(), has_cell: false, ..view() };
    let gateway = GatewayView {
        name: GatewayName::parse("front").unwrap(),
        state: GatewayState::Down,
        asked_at: Some(at(-5)),
        answer: "502".to_owned(),
    };
    let blocked = FailureView {
        scope: FailureScope::Mission,
        about: "owner/missions#12".to_owned(),
        kind: "forbidden",
        is_permanent: true,
        message: "user is blocked".to_owned(),
    };
    let failures = FailureCounts { mission: 1, first: vec![blocked], ..FailureCounts::default() };
    let passes = Passes { errors: vec!["no space left".to_owned()], incomplete: 1, failures, ..snapshot().passes };
    let missions = vec![Arc::new(healthy()), Arc::new(waiting)];
    site.snapshot.send_replace(Arc::new(Snapshot { missions, passes, gateways: vec![gateway], ..snapshot() }));
    let mut report: Value = serde_json::from_str(&site.look("/health").await.body).unwrap();
    // The clock goes on while the test runs.
    let age = report["cells"][0]["heartbeat_age_seconds"].take();
    assert!(age.as_i64().is_some_and(|age| (10_000..10_100).contains(&age)), "{age}");
    assert!(report["generated_at"].take().as_str().is_some_and(|at| at.ends_with('Z')));
    let expected = json!({
        "schema_version": 1,
        "generated_at": null,
        "missions_root": "/var/missions",
        "host": "alpha",
        "summary": { "healthy": 1, "stale": 0, "incomplete": 0, "uninitialized": 0, "unknown": 0 },
        "cells": [{
            "mission_id": CELL, "health": "healthy", "reason": "heartbeat-ok", "problem": null, "path": format!("/var/missions/{CELL}"),
            "heartbeat_age_seconds": null, "agent_state": "waiting", "notes": [], "phase": "active", "wizard": "merlin",
            "since": at(-600), "issue": "owner/missions#12",
        }],
        "ready": true,
        "not_ready": null,
        "passes": {
            "started_at": at(-60), "finished_at": at(0), "complete_at": at(0), "complete": 2, "incomplete": 1,
            "last_complete": true, "errors": ["no space left"], "forge_error": null, "service_error": null,
            "failures": {
                "service": 0, "repository": 0, "mission": 1,
                "first": [{
                    "scope": "mission", "about": "owner/missions#12", "kind": "forbidden", "permanent": true,
                    "message": "user is blocked",
                }],
            },
        },
        "gateways": [{ "name": "front", "state": "down", "asked_at": at(-5), "answer": "502" }],
    });
    assert_eq!(report, expected);
    site.snapshot.send_replace(Arc::new(Snapshot { passes: Passes::default(), ..snapshot() }));
    let report: Value = serde_json::from_str(&site.look("/health").await.body).unwrap();
    let not_ready = "no pass has ended for 3 intervals: none yet";
    assert_eq!((&report["ready"], &report["not_ready"]), (&json!(false), &json!(not_ready)));
}

#[tokio::test]
async fn the_health_report_has_every_key_of_a_scan() {
    let site = Site::new(Setup::default()).await;
    site.cell(CELL);
    site.snapshot.send_replace(Arc::new(Snapshot { missions: vec![Arc::new(healthy())], ..snapshot() }));
    let scanned = run(site.host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
    let report: Value = serde_json::from_str(&site.look("/health").await.body).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let only_daemons = ["ready", "not_ready", "passes", "gateways"].map(str::to_owned);
    assert_eq!(keys(&report), &keys(&scanned) | &only_daemons.into());
    for part in ["summary", "cells"] {
        let first = |value: &Value| keys(if part == "cells" { &value[part][0] } else { &value[part] });
        assert_eq!(first(&report), first(&scanned), "{part}");
    }
}
