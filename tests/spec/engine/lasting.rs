//! What a daemon meets in months: labels that are taken away, repositories that are gone, clocks that jump, disks that fill.

use crate::support::daemon::{Running, begin, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::soon;
use chrono::TimeDelta;
use lazarus::engine::Engine;
use lazarus::engine::queue::Key;
use lazarus::engine::snapshot::Passes;
use lazarus::mission::identity::RepositoryName;
use lazarus::mission::status::phase::Phase;
use lazarus::mission::time::Timestamp;
use lazarus::sandbox::Fault;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// A forge with so many proposals, numbered from 1, and a daemon that has begun; no tick has come yet.
async fn stage(proposals: usize, more: &str) -> (Forge, Repository, Host, Running) {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file_many("reader", vec![body(&[]); proposals]).await;
    let daemon = Running::new(settings(&host, Some(&repository), more)).await;
    (forge, repository, host, daemon)
}

#[tokio::test]
async fn a_deleted_managed_label_is_recreated_and_used() {
    let (forge, repository, host, mut daemon) = stage(1, "{}").await;
    daemon.tick(0).await;
    host.beat(&host.cell(), &[]).await;
    daemon.tick(30).await;
    let id = repository.label_ids(&["health/stale"]).await[0].clone();
    forge.change(Method::DELETE, &format!("{}/labels/{id}", repository.path()), json!({})).await;
    for seconds in [600, 30, 30] {
        daemon.tick(seconds).await;
    }
    assert_eq!(repository.labels(1).await[0], "health/stale");
    assert_eq!(daemon.tick(600).await.readiness(), Ok(()));
}

/// A name in the settings that is none costs the others nothing: neither their rest, nor the second look after a brake.
#[tokio::test]
async fn a_missing_repository_does_not_cause_a_full_check_every_tick() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file_many("reader", vec![body(&[]); 6]).await;
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    let mut settings = settings(&host, Some(&repository), "{}");
    settings.repositories.push(RepositoryName::parse("owner/not-there").unwrap());
    let mut daemon = Running::new(settings).await;
    daemon.tick(0).await;
    for cell in host.cells() {
        host.beat(&cell, &[]).await;
    }
    daemon.tick(30).await;
    daemon.tick(600).await;
    daemon.tick(30).await;
    for number in 1..=6 {
        assert_eq!(repository.labels(number).await[0], "health/stale");
    }
    forge.engine().grow_older(Duration::from_secs(600));
    daemon.tick(30).await;
    let before = forge.engine().log().len();
    for _ in 0..10 {
        daemon.tick(30).await;
    }
    let asked = forge.asked(before);
    assert!(asked.len() <= 10 + 2 * 12, "two audits at most: {asked:#?}");
}

#[tokio::test]
async fn a_mass_change_is_released_even_if_every_tick_is_an_audit() {
    let more = r#"{ "daemon": { "interval_seconds": 60, "audit_interval_seconds": 60 } }"#;
    let (_forge, repository, host, mut daemon) = stage(6, more).await;
    daemon.tick(0).await;
    for cell in host.cells() {
        host.beat(&cell, &[]).await;
    }
    daemon.tick(60).await;
    daemon.tick(600).await;
    assert_eq!(repository.labels(1).await[0], "health/healthy", "nobody is told before a second look");
    daemon.tick(60).await;
    for number in 1..=6 {
        assert_eq!(repository.labels(number).await[0], "health/stale");
    }
}

#[tokio::test]
async fn a_webhook_does_not_bypass_a_held_mass_change() {
    let (_forge, repository, host, mut daemon) = stage(6, "{}").await;
    daemon.tick(0).await;
    host.cells().into_iter().for_each(|cell| std::fs::remove_dir_all(cell).unwrap());
    daemon.tick(30).await;
    for _ in 0..2 {
        let ended = daemon.queue.ended();
        daemon.queue.add_urgent(Key::Issue { repository: repository.id, number: 3 });
        soon("looked at", async || daemon.queue.ended() > ended).await;
        assert!(host.cells().is_empty());
    }
    daemon.tick(30).await;
    assert_eq!(host.cells().len(), 6);
}

/// Webhooks tell of one issue after the other, and count together until the next tick.
#[tokio::test]
async fn missions_closed_one_by_one_by_webhooks_are_a_mass_change() {
    let (_forge, repository, host, mut daemon) = stage(8, "{}").await;
    daemon.tick(0).await;
    for number in 1..=8 {
        repository.set_state(number, "closed").await;
        let ended = daemon.queue.ended();
        daemon.queue.add_urgent(Key::Issue { repository: repository.id, number });
        soon("looked at", async || daemon.queue.ended() > ended && daemon.queue.is_idle()).await;
    }
    assert_eq!(host.archives().len(), 0, "none is believed before a pass has found it closed");
    daemon.tick(30).await;
    assert_eq!((host.cells().len(), host.archives().len()), (0, 8));
}

/// Its hour is used up when the verdict is held; as soon as there is room, the worst of it is told.
#[tokio::test]
async fn a_held_health_is_published_once_the_write_budget_allows() {
    let more = r#"{ "daemon": { "audit_interval_seconds": 604800 } }"#;
    let (_forge, repository, host, mut daemon) = stage(1, more).await;
    daemon.tick(0).await;
    let cell = host.cell();
    for tick in 0..9 {
        beat_at(&cell, daemon.now.plus(TimeDelta::seconds(30)), ["working", "waiting"][tick % 2]);
        daemon.tick(30).await;
    }
    let reported = repository.labels(1).await;
    let says = reported.iter().find_map(|label| label.strip_prefix("wizard/")).unwrap();
    for fall in 0..5 {
        let age = if fall % 2 == 0 { 400 } else { 0 };
        beat_at(&cell, daemon.now.plus(TimeDelta::seconds(60 - age)), says);
        daemon.tick(60).await;
    }
    assert_eq!(repository.labels(1).await[0], "health/healthy", "the hour is used up");
    for _ in 0..7 {
        daemon.tick(600).await;
    }
    assert_eq!(repository.labels(1).await[0], "health/stale");
    assert!(repository.comment(1).await.contains(": flapping.**"));
}

#[tokio::test]
async fn labels_are_correct_soon_after_the_forge_accepts_writes_again() {
    let (forge, repository, host, mut daemon) = stage(1, "{}").await;
    daemon.tick(0).await;
    host.beat(&host.cell(), &[]).await;
    forge.engine().break_next(usize::MAX, "POST", "labels", Fault::Refuse(500));
    for _ in 0..4 {
        assert_ne!(daemon.tick(30).await.passes.errors, Vec::<String>::new());
    }
    forge.engine().heal();
    // Each failure has doubled the pause.
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    assert_eq!(repository.labels(1).await[0], "health/healthy");
}

#[tokio::test]
async fn a_blocked_part_costs_no_additional_requests_a_tick() {
    let (forge, _, host, mut daemon) = stage(1, "{}").await;
    daemon.tick(0).await;
    let cell = host.cell();
    std::fs::remove_dir_all(cell.join("logs")).unwrap();
    std::fs::write(cell.join("logs"), "x").unwrap();
    forge.engine().grow_older(Duration::from_secs(600));
    for _ in 0..5 {
        daemon.tick(30).await;
    }
    let before = forge.engine().log().len();
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    assert_eq!(forge.asked(before).len(), 6, "{:?}", forge.asked(before));
}

#[tokio::test]
async fn an_obstacle_at_a_cell_path_is_reported_until_it_is_removed() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: y", &[]).await;
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    let dry = run(host.reconciler(&repository).args(["--dry-run", "--json"])).await.json();
    let place = host.root().join(dry["missions"][0]["mission_id"].as_str().unwrap());
    std::fs::write(&place, "in the way").unwrap();
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    for _ in 0..2 {
        let shown = daemon.tick(30).await;
        let Passes { incomplete, failures, .. } = &shown.passes;
        assert_eq!((*incomplete, failures.mission, failures.first[0].is_permanent), (0, 1, true), "{:?}", shown.passes);
    }
    assert!(daemon.tick(600).await.passes.errors[0].contains("is at this path"));
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Waiting for the operator of `alpha`.** No cell was created: a file is in its place."));
    std::fs::remove_file(&place).unwrap();
    let well = daemon.tick(600).await;
    assert_eq!((well.passes.failures.mission, &well.passes.errors), (0, &Vec::new()));
    assert_eq!(repository.labels(number).await[0], "health/uninitialized");
}

#[tokio::test]
async fn without_its_labels_a_repository_is_left_alone() {
    let (forge, repository, host, mut daemon) = stage(1, "{}").await;
    forge.engine().break_next(usize::MAX, "POST", "labels", Fault::Refuse(403));
    for _ in 0..3 {
        let shown = daemon.tick(30).await;
        let Passes { incomplete, failures, .. } = &shown.passes;
        assert_eq!((*incomplete, failures.repository), (0, 1), "also where no audit is due: {:?}", shown.passes);
    }
    assert_eq!((host.cells().len(), repository.comments(1).await.len()), (0, 0));
    forge.engine().heal();
    daemon.tick(600).await;
    repository.comment(1).await;
}

/// It waits in line with what a listing told of it; the webhook's word is newer.
#[tokio::test]
async fn a_webhook_supersedes_an_older_listing() {
    let more = r#"{ "limits": { "concurrent_missions": 1 } }"#;
    let (forge, repository, host, mut daemon) = stage(3, more).await;
    forge.engine().break_next(2, "POST", "comments", Fault::Delay(Duration::from_millis(500)));
    let queue = daemon.queue.clone();
    let closing = async {
        soon("two are under way", async || host.cells().len() == 2).await;
        repository.set_state(3, "closed").await;
        queue.add_urgent(Key::Issue { repository: repository.id, number: 3 });
    };
    tokio::join!(daemon.tick(0), closing);
    assert_eq!((host.cells().len(), repository.comments(3).await.len()), (2, 0));
}

#[tokio::test]
async fn closed_and_deleted_missions_are_not_shown_as_active() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let closed = repository.file("reader", "Mission: x", &[]).await;
    let deleted = repository.file("reader", "Mission: y", &[("wizard", "the grey one")]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    assert_eq!(daemon.tick(0).await.missions.len(), 2);
    daemon.stop().await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    assert_eq!(daemon.tick(0).await.missions.len(), 2, "also after a restart");
    repository.set_state(closed, "closed").await;
    forge.change(Method::DELETE, &repository.issue_path(deleted), json!({})).await;
    daemon.tick(30).await;
    let shown = daemon.tick(3_600).await;
    let [view] = shown.missions.as_slice() else { panic!("{:?}", shown.missions) };
    assert_eq!((view.phase, view.health, view.has_cell), (Some(Phase::Closed), None, false));
    assert_eq!(host.archives().len(), 1, "its cell lies in the archive");
}

#[tokio::test]
async fn a_clock_that_was_ahead_delays_nothing_once_corrected() {
    let (forge, repository, host, mut daemon) = stage(1, "{}").await;
    let right = daemon.now;
    daemon.tick(30 * 86_400).await;
    let cell = host.cell();
    for tick in 0..8 {
        beat_at(&cell, daemon.now.plus(TimeDelta::seconds(30)), ["working", "waiting"][tick % 2]);
        daemon.tick(30).await;
    }
    daemon.now = right;
    for _ in 0..2 {
        beat_at(&cell, daemon.now.plus(TimeDelta::seconds(30)), "failed");
        daemon.tick(30).await;
    }
    let labels = ["health/stale", "kind/mission-proposal", "mission/active", "wizard/failed"];
    assert_eq!(repository.labels(1).await, labels);
    let before = forge.engine().log().len();
    daemon.tick(3_600).await;
    daemon.tick(30).await;
    let asked = forge.asked(before);
    assert!(
        asked.iter().any(|line| line.ends_with("/labels") && line.starts_with("GET")),
        "there is an audit: {asked:?}"
    );
}

#[tokio::test]
async fn one_daemon_runs_per_root_and_without_a_forge_it_allows_init_cell() {
    let host = Host::new();
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    let alone = || settings(&host, None, "{}");
    let now = Timestamp::parse("2026-11-23T14:00:00Z").unwrap();
    let first = begin(alone(), now).await;
    let refused = Engine::start(alone(), now).await.unwrap_err().to_string();
    assert!(refused.contains("another process writes in the missions root"), "{refused}");
    let id = "123e4567-e89b-12d3-a456-426614174000";
    assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", id])).await.code, 0);
    drop(first);
    begin(alone(), now).await;
}

/// Of which each costs several tries, with every tick at first.
#[tokio::test]
async fn unreadable_issues_do_not_delay_new_ones() {
    let (forge, repository, _host, mut daemon) = stage(24, "{}").await;
    daemon.tick(0).await;
    forge.engine().break_next(usize::MAX, "GET", &format!("{}/issues/1", repository.name), Fault::Refuse(500));
    // More than there are workers.
    for number in 10..=15 {
        daemon.queue.add_urgent(Key::Issue { repository: repository.id, number });
    }
    soon("all failed", async || daemon.queue.is_idle() && daemon.queue.delayed() == 6).await;
    let fresh = repository.file("reader", "Mission: fresh", &[]).await;
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    repository.comment(fresh).await;
}

/// The watchdog is fed by passes that end; a slow forge is no reason for it to fire, and a hang is one.
#[tokio::test]
async fn a_daemon_whose_checks_hang_becomes_unready() {
    let (forge, _repository, _host, mut daemon) = stage(0, "{}").await;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Delay(Duration::from_secs(3_600)));
    for _ in 0..90 {
        daemon.send_tick(30).await;
    }
    let now = daemon.now;
    let shown = daemon.shows(|snapshot| snapshot.tick.at() == now).await;
    // Those of a quarter of an hour, counted from the last request.
    assert!((28..=60).contains(&shown.passes.incomplete), "{:?}", shown.passes);
    let unready = shown.readiness().unwrap_err();
    assert!(unready.starts_with("no pass has ended for 3 intervals"), "{unready}");
}
