//! The daemon: everything shows within one tick, nothing costs more than it must, and a forge that is down costs nothing.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run};
use crate::support::missions::body;
use crate::support::{is_thorough, soon, stories};
use chrono::TimeDelta;
use lazarus::engine::queue::Key;
use lazarus::engine::snapshot::Snapshot;
use lazarus::mission::cell::health::Health;
use lazarus::mission::status::phase::Phase;
use lazarus::sandbox::Fault;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

stories! {
    every_change_is_published_with_the_next_tick,
}

async fn every_change_is_published_with_the_next_tick(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    let first = daemon.tick(0).await;
    assert_eq!((first.passes.complete, &first.passes.errors), (1, &Vec::<String>::new()));
    let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "merlin")]).await;
    daemon.tick(30).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    let cell = host.cell();
    let labels = async |health: &str| {
        let labels = repository.labels(number).await;
        assert_eq!(labels, [&format!("health/{health}"), "kind/mission-proposal", "mission/active", "wizard/working"]);
    };
    host.beat(&cell, &[]).await;
    daemon.tick(30).await;
    labels("healthy").await;
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Active and healthy** since"), "{comment}");
    daemon.tick(600).await;
    labels("stale").await;
    std::fs::remove_dir_all(cell.join("logs")).unwrap();
    daemon.tick(30).await;
    assert!(cell.join("logs/daemon.log").is_file() && repository.comment(number).await.contains("Recreated at"));
    repository.edit("reader", number, |body| body.replace("5 minutes", "1 hour")).await;
    let last = daemon.tick(30).await;
    let manifest = std::fs::read_to_string(cell.join("meta/mission.json")).unwrap();
    assert!(manifest.contains("\"stale_after_seconds\": 3600"), "{manifest}");
    assert_eq!(last.missions.len(), 1);
    let view = &last.missions[0];
    assert_eq!((view.name.as_deref(), view.health.map(Health::word)), (Some("raise the dead"), Some("healthy")));
    assert_eq!((last.passes.incomplete, &last.passes.errors), (0, &Vec::new()));
    daemon.stop().await;
}

fn is_write(line: &str) -> bool {
    !line.starts_with("GET ")
}

#[tokio::test]
async fn many_missions_without_changes_cost_two_requests_a_tick() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let many = if is_thorough() { 1_000 } else { 300 };
    repository.file_many("reader", vec![body(&[]); many]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    let first = daemon.tick(0).await;
    assert_eq!((first.missions.len(), &first.passes.errors), (many, &Vec::new()));
    forge.engine().grow_older(Duration::from_secs(600));
    for _ in 0..2 {
        daemon.tick(30).await;
    }
    let before = forge.engine().log().len();
    let (ticks, audits) = (120, 1);
    for _ in 0..ticks {
        daemon.tick(30).await;
    }
    let asked = forge.asked(before);
    assert_eq!(asked.iter().filter(|line| is_write(line)).count(), 0, "{asked:?}");
    // An audit reads the pages of the issues, and asks for a twenty-fourth of the comments.
    let of_audit = many / 50 + 5 + many / 12;
    assert!(asked.len() <= 2 * ticks + audits * of_audit, "{} requests", asked.len());
    assert_eq!(daemon.snapshots.borrow().passes.incomplete, 0);
}

/// A wizard that beats and falls silent with each tick, for a day where there is time for it.
#[tokio::test]
async fn a_cell_that_changes_every_tick_costs_six_writes_of_a_kind_an_hour() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: restless", &[]).await;
    let more = r#"{ "daemon": { "audit_interval_seconds": 604800 } }"#;
    let mut daemon = Running::new(settings(&host, Some(&repository), more)).await;
    daemon.tick(0).await;
    let cell = host.cell();
    // The day of the test is over long before the host's own.
    let beat = |stamp| beat_at(&cell, stamp, "working");
    let mut hours: VecDeque<[usize; 2]> = VecDeque::new();
    for tick in 0..30 * if is_thorough() { 24 } else { 4 } {
        let before = forge.engine().log().len();
        let age = if tick % 2 == 0 { 0 } else { 400 };
        beat(daemon.now.plus(TimeDelta::seconds(120 - age)));
        daemon.tick(120).await;
        let asked = forge.asked(before);
        let count = |what: &str| asked.iter().filter(|line| is_write(line) && line.contains(what)).count();
        hours.push_back([count("/labels"), count("/comments")]);
        if hours.len() > 30 {
            hours.pop_front();
        }
        let [labels, edits] = [0, 1].map(|kind| hours.iter().map(|tick| tick[kind]).sum::<usize>());
        assert!(labels <= 6 && edits <= 6, "tick {tick}: {labels} label writes, {edits} edits");
    }
    let held = ["health/stale", "kind/mission-proposal", "mission/active", "wizard/working"];
    assert_eq!(repository.labels(number).await, held);
    assert!(repository.comment(number).await.contains(": flapping.**"));
    for minute in 0..=16 {
        beat(daemon.now.plus(TimeDelta::seconds(60)));
        daemon.tick(60).await;
        assert!(minute >= 14 || repository.labels(number).await == held, "minute {minute}");
    }
    assert_eq!(repository.labels(number).await[0], "health/healthy");
}

#[tokio::test]
async fn an_outage_of_the_forge_loses_nothing_and_needs_no_restart() {
    tokio::join!(
        away(Fault::Refuse(500)),
        away(Fault::HangUp),
        away(Fault::Html),
        away(Fault::LoseAnswer),
        away(Fault::Truncate),
        away(Fault::Refuse(401)),
    );
}

/// Somebody files, and a wizard gives up, while the daemon cannot reach the forge.
async fn away(fault: Fault) {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    host.beat(&host.cell(), &["--state", "failed"]).await;
    let newer = repository.file("reader", "Mission: newer", &[]).await;
    forge.engine().break_next(usize::MAX, "", "", fault);
    for _ in 0..2 {
        let away = daemon.tick(30).await;
        assert!(away.passes.forge_error.is_some() && away.readiness().is_err(), "{fault:?}: {:?}", away.passes);
        let view = away.missions.iter().find(|view| view.name.as_deref() == Some("x")).unwrap();
        let says = view.agent_state.map(|says| says.to_string());
        assert_eq!(says.as_deref(), Some("failed"), "the root is looked at all the same");
    }
    forge.engine().heal();
    let back = daemon.tick(30).await;
    assert_eq!((&back.passes.errors, back.readiness()), (&Vec::new(), Ok(())), "{fault:?}");
    let labels = ["health/stale", "kind/mission-proposal", "mission/active", "wizard/failed"];
    assert_eq!(repository.labels(number).await, labels, "{fault:?}");
    assert_eq!(repository.labels(newer).await[2], "mission/active", "{fault:?}");
    // There is one each.
    repository.comment(number).await;
    repository.comment(newer).await;
}

/// As a webhook does, whose word is believed only in so far as the forge is asked.
#[tokio::test]
async fn an_event_takes_effect_between_ticks_unless_its_repository_is_unknown() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    let id = repository.id;
    let before = forge.engine().log().len();
    daemon.queue.add_urgent(Key::Issue { repository: id + 1, number: 1 });
    let number = repository.file("reader", "Mission: x", &[]).await;
    daemon.queue.add_urgent(Key::Issue { repository: id, number });
    daemon.shows(|snapshot| snapshot.missions.len() == 1).await;
    assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
    repository.comment(number).await;
    let strange = format!("/{}/", id + 1);
    assert!(!forge.asked(before).iter().any(|line| line.contains(&strange)));
    repository.edit("reader", number, |_| body(&[("Wizard", "the grey one")])).await;
    daemon.queue.add_urgent(Key::Issue { repository: id, number });
    let is_told = |snapshot: &Arc<Snapshot>| snapshot.missions[0].changes.len() > 1;
    soon("told", async || repository.comment(number).await.contains("Edit not applied")).await;
    assert!(!is_told(&daemon.snapshots.borrow()), "health is as it was");
}

#[tokio::test]
async fn a_closed_or_deleted_issue_has_its_cell_moved_to_the_archive() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let mut numbers = Vec::new();
    for title in ["closed", "deleted"] {
        numbers.push(repository.file("reader", &format!("Mission: {title}"), &[]).await);
    }
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    repository.set_state(numbers[0], "closed").await;
    forge.change(reqwest::Method::DELETE, &repository.issue_path(numbers[1]), json!({})).await;
    // That one is deleted shows in no listing of news, but in an audit, and has to be found in another one.
    for (seconds, cells) in [(30, 1), (3_600, 1), (30, 0)] {
        let snapshot = daemon.tick(seconds).await;
        assert_eq!(snapshot.passes.errors, Vec::<String>::new());
        assert_eq!(host.cells().len(), cells, "after {seconds} s");
    }
    assert_eq!(repository.labels(numbers[0]).await, ["kind/mission-proposal", "mission/closed"]);
    let before = (forge.engine().log().len(), host.snapshot());
    daemon.tick(600).await;
    assert!(!forge.asked(before.0).iter().any(|line| is_write(line)) && before.1.changed(&host.snapshot()).is_empty());
    assert_eq!(host.archives().len(), 2);
}

#[tokio::test]
async fn proposals_over_a_quota_wait_until_capacity_is_free() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let more = r#"{ "limits": { "cells": 3, "new_cells_per_pass": 2 } }"#;
    repository.file_many("reader", vec![body(&[]); 4]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), more)).await;
    let active = async |daemon: &mut Running| {
        let snapshot = daemon.tick(30).await;
        assert_eq!(snapshot.passes.errors, Vec::<String>::new());
        let active = snapshot.missions.iter().filter(|view| view.phase == Some(Phase::Active));
        let mut numbers: Vec<String> = active.map(|view| view.issue.as_ref().unwrap().name.clone()).collect();
        numbers.sort_unstable();
        numbers.iter().map(|name| name.rsplit('#').next().unwrap().parse().unwrap()).collect::<Vec<i64>>()
    };
    assert_eq!(active(&mut daemon).await, [1, 2]);
    assert_eq!(active(&mut daemon).await, [1, 2, 3]);
    assert_eq!(active(&mut daemon).await, [1, 2, 3]);
    assert!(repository.labels(4).await.contains(&"mission/pending".to_owned()));
    repository.set_state(1, "closed").await;
    active(&mut daemon).await;
    assert_eq!(active(&mut daemon).await, [2, 3, 4]);
}

/// Nobody is told anything before the next tick has seen the same.
#[tokio::test]
async fn a_mass_change_of_vanished_cells_needs_a_second_tick() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file_many("reader", vec![body(&[]); 6]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    let cells = host.cells();
    for cell in &cells {
        std::fs::remove_dir_all(cell).unwrap();
    }
    let before = forge.engine().log().len();
    daemon.tick(30).await;
    assert!(host.cells().is_empty() && !forge.asked(before).iter().any(|line| is_write(line)));
    daemon.tick(30).await;
    assert_eq!(host.cells(), cells);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_used_with_the_next_tick() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    forge.engine().revoke_tokens("bot");
    let number = repository.file("reader", "Mission: x", &[]).await;
    let refused = daemon.tick(30).await;
    assert!(refused.passes.forge_error.as_ref().unwrap().contains("401"), "{:?}", refused.passes);
    let token = forge.engine().token("bot", &["write:issue", "read:repository", "read:user"]);
    std::fs::write(host.path().join("token"), token).unwrap();
    assert_eq!(daemon.tick(30).await.readiness(), Ok(()));
    assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
}

/// An address that answers every request with these statuses, one after the other.
async fn gateway(statuses: Vec<u16>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/health")
}

/// Without any forge; the third gateway has nobody behind it.
#[tokio::test]
async fn without_a_forge_the_daemon_scans_and_probes_its_gateways() {
    let host = Host::new();
    run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"])).await;
    let (well, ill) = (gateway(vec![200]).await, gateway(vec![503]).await);
    let gateways = json!({ "gateways": [
        { "name": "well", "url": well, "interval_seconds": 3600 },
        { "name": "ill", "url": ill, "interval_seconds": 3600 },
        { "name": "gone", "url": "http://127.0.0.1:1/", "interval_seconds": 3600 },
    ]});
    let mut daemon = Running::new(settings(&host, None, &gateways.to_string())).await;
    let first = daemon.tick(0).await;
    assert_eq!((first.readiness(), first.missions.len()), (Ok(()), 1));
    assert_eq!(first.missions[0].health, Some(Health::Uninitialized));
    let is_asked = |snapshot: &Snapshot| snapshot.gateways.iter().all(|view| view.asked_at.is_some());
    let asked = daemon.shows(is_asked).await;
    let reported: Vec<String> =
        asked.gateways.iter().map(|view| format!("{} {}", view.state.word(), view.answer)).collect();
    assert_eq!(reported[..2], ["up it answered 200", "down it answered 503"]);
    assert!(reported[2].starts_with("down it cannot be reached: "), "{reported:?}");
}
