//! After a start, agents that could not deliver their heartbeats meanwhile get their time, once.

use crate::support::cells::{at, seconds};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run};
use crate::support::repository::Repository;
use chrono::DateTime;
use lazarus::mission::cell::starts::{STARTS_MAX, Starts};
use lazarus::mission::identity::MissionId;
use lazarus::mission::time::Timestamp;
use lazarus::world::cells::heartbeats::HeartbeatReceiver;
use lazarus::world::store::root::Root;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

#[test]
fn the_first_start_after_a_heartbeat_is_found_if_it_is_recorded() {
    let starts = Starts::default().with(at(100)).with(at(300)).with(at(200));
    let first = |seconds| starts.first_since(at(seconds));
    assert_eq!([first(0), first(100), first(250), first(300)], [Some(at(100)), Some(at(200)), Some(at(300)), None]);
    let kept: Starts = serde_json::from_value(serde_json::to_value(&starts).unwrap()).unwrap();
    assert_eq!(kept, starts);
    // Restarts in a row push the first one out.
    let mut many = starts.clone();
    for start in 0..STARTS_MAX {
        many = many.with(at(1_000 + i64::try_from(start).unwrap()));
    }
    assert_eq!((many.first_since(at(250)), many.first_since(at(300))), (None, Some(at(1_000))));
    let week = starts.with(at(300 + 7 * 86_400 + 1));
    assert_eq!(week.first_since(at(0)), None, "what is so long ago is forgotten");
    assert_eq!(Starts::forgotten(at(500)).with(at(600)).first_since(at(400)), None);
}

/// A heartbeat over HTTP at some moment.
fn beat_over_http(host: &Host, cell: &Path, when: Timestamp, body: &str) {
    let beats = HeartbeatReceiver::new(Arc::new(Root::open(&host.root()).unwrap()));
    let id = MissionId::parse(cell.file_name().unwrap().to_str().unwrap()).unwrap();
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    beats.beat(id, token.trim().as_bytes(), Some(body.as_bytes()), when).unwrap();
    let path = cell.join("state/heartbeat.json");
    let written = DateTime::parse_from_rfc3339(&when.to_string()).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written.into()).unwrap();
}

/// A mission that was published as healthy by a daemon that has stopped.
async fn stopped(repository: &Repository, host: &Host) -> (i64, Timestamp) {
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    let mut daemon = Running::new(settings(host, Some(repository), "{}")).await;
    daemon.tick(0).await;
    beat_over_http(host, &host.cell(), daemon.now, "");
    daemon.tick(10).await;
    let last = daemon.now;
    assert!(is(repository, number, "healthy").await);
    daemon.stop().await;
    forget_starts(host);
    (number, last)
}

/// As if the daemon had started last before all of this.
fn forget_starts(host: &Host) {
    // The first daemon may have made the root, and then there is none.
    let _ = std::fs::remove_file(host.root().join(".lazarus/starts.json"));
}

async fn is(repository: &Repository, number: i64, health: &str) -> bool {
    repository.labels(number).await.contains(&format!("health/{health}"))
}

#[tokio::test]
async fn a_healthy_agent_gets_one_grace_period_after_the_first_start() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let (number, _) = stopped(&repository, &host).await;
    let now = Timestamp::from(chrono::Utc::now());
    beat_over_http(&host, &host.cell(), now.plus(seconds(-7_200)), r#"{"state":"working","sequence":7}"#);
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    for tick in [0, 150, 140] {
        let shown = daemon.tick(tick).await;
        assert!(is(&repository, number, "healthy").await, "after {tick} s more");
        assert_eq!(shown.missions[0].health.map(lazarus::mission::cell::health::Health::word), Some("healthy"));
    }
    daemon.tick(60).await;
    assert!(is(&repository, number, "stale").await, "one stale-after after the start");
    beat_over_http(&host, &host.cell(), daemon.now, "");
    daemon.tick(10).await;
    assert!(is(&repository, number, "healthy").await);
    daemon.stop().await;
}

#[tokio::test]
async fn restarts_do_not_extend_the_grace_period() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let (number, _) = stopped(&repository, &host).await;
    let now = Timestamp::from(chrono::Utc::now());
    beat_over_http(&host, &host.cell(), now.plus(seconds(-7_200)), "");
    // It started for the first time since then four minutes ago.
    let starts = Starts::default().with(now.plus(seconds(-9_000))).with(now.plus(seconds(-240)));
    std::fs::write(host.root().join(".lazarus/starts.json"), serde_json::to_vec(&starts).unwrap()).unwrap();
    for (tick, health) in [(0, "healthy"), (30, "healthy"), (90, "stale")] {
        let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
        daemon.tick(tick).await;
        assert!(is(&repository, number, health).await, "{health} {tick} s after another start");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn heartbeat_files_single_passes_and_scans_grant_no_grace_period() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let (number, _) = stopped(&repository, &host).await;
    let long_ago = Timestamp::from(chrono::Utc::now()).plus(seconds(-7_200));
    // The last one came by file, though others came over HTTP before.
    beat_over_http(&host, &host.cell(), long_ago, "");
    beat_at(&host.cell(), long_ago.plus(seconds(60)), "working");
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    assert!(is(&repository, number, "stale").await);
    beat_over_http(&host, &host.cell(), daemon.now, "");
    daemon.tick(10).await;
    daemon.stop().await;
    forget_starts(&host);
    beat_over_http(&host, &host.cell(), long_ago.plus(seconds(120)), "");
    let scan = run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
    assert_eq!(scan["cells"][0]["health"], json!("stale"));
    assert!(is(&repository, number, "healthy").await);
    host.once(&repository).await;
    assert!(is(&repository, number, "stale").await);
}

#[tokio::test]
async fn an_unhealthy_agent_gets_no_grace_period() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let (number, _) = stopped(&repository, &host).await;
    let long_ago = Timestamp::from(chrono::Utc::now()).plus(seconds(-7_200));
    beat_over_http(&host, &host.cell(), long_ago, "");
    host.once(&repository).await;
    assert!(is(&repository, number, "stale").await);
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    assert!(is(&repository, number, "stale").await);
    daemon.stop().await;
}

/// Also of a heartbeat that bears nothing to know it by.
#[tokio::test]
async fn every_heartbeat_over_http_is_recorded_with_its_arrival_time() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let came = Timestamp::from(chrono::Utc::now());
    beat_over_http(&host, &host.cell(), came, "");
    let accepted = std::fs::read(host.cell().join("config/heartbeat.accepted.json")).unwrap();
    let accepted: Value = serde_json::from_slice(&accepted).unwrap();
    assert_eq!(accepted["received_at"], json!(came.to_string()));
}
