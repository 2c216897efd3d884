//! When this host's own clock jumps, what rests on it waits for one pass.

use crate::support::cells::{at, seconds};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run, writes};
use crate::support::site::{Setup, Site, ask, snapshot};
use chrono::TimeDelta;
use lazarus::engine::snapshot::{Passes, Snapshot};
use lazarus::mission::cell::clock_skew::forge_offset;
use lazarus::mission::fleet::host_clock::{ClockJump, ClockWatch, HostClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn reading(wall: i64, boot: u64) -> HostClock {
    HostClock { wall: at(wall), boot: Some(Duration::from_secs(boot)) }
}

#[test]
fn a_clock_that_moves_over_two_minutes_off_the_elapsed_time_jumped() {
    // The second reading is one hour after the first.
    let cases =
        [(3_600, None), (3_720, None), (3_480, None), (3_721, Some(121)), (3_479, Some(-121)), (0, Some(-3_600))];
    for (wall, by) in cases {
        let mut watch = ClockWatch::default();
        assert_eq!(watch.observe(reading(0, 100), None), None, "there is nothing to compare the first one with");
        let jump = watch.observe(reading(wall, 3_700), None);
        assert_eq!(jump, by.map(|by| ClockJump::Moved(seconds(by))), "{wall}");
        assert_eq!(watch.observe(reading(wall + 30, 3_730), None), None, "and then it runs on");
    }
    let mut watch = ClockWatch::default();
    watch.observe(HostClock::from(at(0)), None);
    assert_eq!(watch.observe(HostClock::from(at(9_999)), None), None, "without the other clock nobody knows");
}

#[test]
fn a_clock_before_the_newest_record_is_reported_once() {
    let mut watch = ClockWatch::default();
    assert_eq!(watch.observe(reading(0, 100), Some(at(120))), None);
    assert_eq!(watch.observe(reading(30, 130), Some(at(151))), Some(ClockJump::BeforeRecord(at(151))));
    assert_eq!(watch.observe(reading(60, 160), Some(at(999))), None);
    assert_eq!(watch.observe(reading(999, 190), Some(at(999))), Some(ClockJump::Moved(seconds(909))));
    assert_eq!(watch.observe(reading(1_029, 220), Some(at(9_999))), Some(ClockJump::BeforeRecord(at(9_999))));
    let reported = ClockJump::Moved(seconds(-7_200)).to_string();
    let wanted = "the clock of this host has jumped back by 2 hours; health that depends on time is published once the \
                  next pass confirms it";
    assert_eq!(reported, wanted);
}

const BOOT: Duration = Duration::from_secs(1_000);

/// So many passes after the first one.
fn boot(passes: u32) -> Duration {
    BOOT + passes * Duration::from_secs(30)
}

#[tokio::test]
async fn after_a_jump_ahead_a_daemon_waits_one_pass_and_agents_catch_up() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let alive = repository.file("reader", "Mission: alive", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick_with(boot(0), 0).await;
    let first: PathBuf = host.cell();
    let dead = repository.file("reader", "Mission: dead", &[]).await;
    daemon.tick_with(boot(1), 0).await;
    for cell in host.cells() {
        beat_at(&cell, daemon.now, "working");
    }
    daemon.tick_with(boot(2), 0).await;
    let has = async |number: i64, health: &str| repository.labels(number).await.contains(&format!("health/{health}"));
    assert!(has(alive, "healthy").await && has(dead, "healthy").await);
    let asked = forge.engine().log().len();
    daemon.tick_with(boot(3), 7_200).await;
    let written = forge.asked(asked).into_iter().filter(|line| !line.starts_with("GET ")).count();
    assert_eq!(written, 0, "also where the audit is due: {:?}", forge.asked(asked));
    beat_at(&first, daemon.now, "working");
    daemon.tick_with(boot(4), 0).await;
    assert!(has(alive, "healthy").await && has(dead, "stale").await, "and then it is believed");
    daemon.stop().await;
}

#[tokio::test]
async fn after_a_jump_back_a_stale_mission_stays_stale() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: dead", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick_with(boot(0), 0).await;
    beat_at(&host.cell(), daemon.now.plus(TimeDelta::seconds(-290)), "working");
    for pass in 1..3 {
        daemon.tick_with(boot(pass), 0).await;
    }
    let stale = async || repository.labels(number).await.contains(&"health/stale".to_owned());
    assert!(stale().await);
    daemon.tick_with(boot(3), -3_600).await;
    assert!(stale().await, "in the pass that finds out");
    daemon.tick_with(boot(4), 3_600).await;
    assert!(stale().await, "in the one in which it jumps again");
    daemon.tick_with(boot(5), 0).await;
    assert!(stale().await, "and when it is right");
    daemon.stop().await;
}

/// The cell of a closed mission stays where it is, too.
#[tokio::test]
async fn after_a_jump_no_cell_is_archived_in_the_same_pass() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: merged", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick_with(boot(0), 0).await;
    beat_at(&host.cell(), daemon.now, "working");
    repository.set_state(number, "closed").await;
    daemon.tick_with(boot(1), 0).await;
    daemon.tick_with(boot(2), 7_200).await;
    assert_eq!((host.cells().len(), host.archives().len()), (1, 0));
    daemon.tick_with(boot(3), 0).await;
    assert_eq!((host.cells().len(), host.archives().len()), (0, 1));
    daemon.stop().await;
}

/// A single pass knows only that it is earlier than what it remembers.
#[tokio::test]
async fn a_pass_whose_clock_is_earlier_than_its_records_waits_for_another_one() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let number = repository.file("reader", "Mission: alive", &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    host.once(&repository).await;
    let records = host.root().join(".lazarus/missions");
    let path = std::fs::read_dir(&records).unwrap().next().unwrap().unwrap().path();
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["changes"][0]["at"] = "2199-01-01T00:00:00Z".into();
    std::fs::write(&path, record.to_string()).unwrap();
    let heartbeat = host.cell().join("state/heartbeat.json");
    std::fs::write(heartbeat, r#"{"timestamp":"2026-01-01T00:00:00Z","state":"working"}"#).unwrap();
    let waiting = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    assert!(waiting.stderr.contains("the newest record was written at 2199-01-01 00:00:00 UTC"), "{waiting:?}");
    assert_eq!((waiting.code, writes(&waiting.json())), (0, 0));
    assert!(repository.labels(number).await.contains(&"health/healthy".to_owned()));
    assert_eq!(writes(&host.once(&repository).await), 2);
    assert!(repository.labels(number).await.contains(&"health/stale".to_owned()));
}

/// That the clocks of this host and of the forge differ is told, and no reason not to be ready.
#[tokio::test]
async fn a_clock_offset_to_the_forge_is_only_a_warning() {
    let site = Site::new(Setup::default()).await;
    let reported = "The clock of this host is 5 minutes ahead of Gitea";
    for (offset, is_told) in [(None, false), (Some(29), false), (Some(300), true)] {
        let passes = Passes { started_at: Some(at(-60)), finished_at: Some(at(0)), ..snapshot().passes };
        site.snapshot.send_replace(Arc::new(Snapshot { clock_offset: offset, passes, ..snapshot() }));
        assert_eq!(site.look("/").await.body.contains(reported), is_told, "{offset:?}");
        let line = format!("lazarus_forge_clock_offset_seconds {}", offset.unwrap_or_default());
        assert!(site.look("/metrics").await.body.lines().any(|found| found == line), "{offset:?}");
        assert_eq!(ask(site.doors, "GET", "/readyz", &[], b"").await.status, 200, "{offset:?}");
    }
    let words = [-45, 29, 30].map(forge_offset);
    assert_eq!(words[0].as_deref(), Some("The clock of this host is 45 seconds behind Gitea's"));
    assert_eq!((&words[1], words[2].is_some()), (&None, true));
}

#[tokio::test]
async fn a_daemon_reads_the_forges_clock_in_its_answers() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    let offset = daemon.tick(0).await.clock_offset;
    assert!(offset.is_some_and(|offset| (-5..30).contains(&offset)), "{offset:?}");
    daemon.stop().await;
}
