//! The same alarms, raised by a daemon, whose ticks are all the time there is.

use crate::alerts::passes::{
    MANY, MANY_OVER, OVER, STALE, Story, check_many, clock, file, fleet_issue, many, reported,
};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::beat_at;
use crate::support::stories;
use chrono::TimeDelta;
use serde_json::json;

stories![
    a_daemon_fires_an_alert_as_time_passes_and_resolves_it,
    a_restarted_daemon_sends_no_alert_twice,
    a_daemon_posts_one_fleet_alert_for_a_mass_failure,
    twelve_failures_within_45_seconds_cost_one_alert_and_its_resolution,
    alerts_of_a_daemon_are_resolved_when_their_issues_are_closed,
];

async fn running(story: &Story) -> Running {
    let more = json!({ "notify": story.notify, "daemon": { "interval_seconds": 10 } }).to_string();
    Running::new(settings(&story.host, Some(&story.repository), &more)).await
}

async fn a_daemon_fires_an_alert_as_time_passes_and_resolves_it(forge: Forge) {
    let story = Story::new(&forge, json!({ "on": ["stale"] })).await;
    let number = file(&story.repository, 1).await[0];
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..2 {
        daemon.tick(120).await;
    }
    assert_eq!(story.alarms(number).await, [""; 0]);
    for _ in 0..3 {
        daemon.tick(120).await;
    }
    assert_eq!(story.alarms(number).await, [STALE]);
    story.beat(daemon.now, 0);
    for _ in 0..3 {
        daemon.tick(60).await;
    }
    assert_eq!(story.alarms(number).await, [STALE, OVER]);
    let snapshot = daemon.tick(60).await;
    assert_eq!((snapshot.passes.incomplete, &snapshot.passes.errors), (0, &Vec::new()));
    daemon.stop().await;
}

async fn a_restarted_daemon_sends_no_alert_twice(forge: Forge) {
    let story = Story::new(&forge, json!({ "on": ["stale"], "after_seconds": 0 })).await;
    let number = file(&story.repository, 1).await[0];
    story.pass(0).await;
    story.beat(clock(), 1_000);
    for _ in 0..3 {
        let mut daemon = running(&story).await;
        for _ in 0..4 {
            daemon.tick(30).await;
        }
        daemon.stop().await;
    }
    assert_eq!(story.alarms(number).await, [STALE]);
    assert_eq!(reported(&story.pass(0).await), [""; 0], "nor does a pass");
}

async fn a_daemon_posts_one_fleet_alert_for_a_mass_failure(forge: Forge) {
    let (story, fleet, numbers) = many(&forge).await;
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..6 {
        daemon.tick(30).await;
    }
    check_many(&story, fleet, &numbers, &[MANY]).await;
    daemon.stop().await;
    let mut daemon = running(&story).await;
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    story.beat(daemon.now, 0);
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    check_many(&story, fleet, &numbers, &[MANY, MANY_OVER]).await;
    let snapshot = daemon.tick(30).await;
    assert_eq!((snapshot.passes.incomplete, &snapshot.passes.errors), (0, &Vec::new()));
    daemon.stop().await;
}

/// A daemon with so many agents that beat, and the issue on which one comment speaks for many.
async fn agents(forge: &Forge, count: usize, after_seconds: u64) -> (Story, i64, Vec<i64>, Running) {
    let mut story = Story::new(forge, json!({})).await;
    let fleet = fleet_issue(&story.repository).await;
    let issue = format!("{}#{fleet}", story.repository.name);
    story.notify = json!({ "on": ["stale"], "after_seconds": after_seconds, "issue": issue });
    let mut numbers = Vec::new();
    for at in 0..count {
        let minute = [("stale-after", "0")];
        numbers.push(story.repository.file("reader", &format!("Mission: number {at}"), &minute).await);
    }
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 0);
    daemon.tick(1).await;
    (story, fleet, numbers, daemon)
}

/// One heartbeat of each agent, four seconds after each other, the last one so many seconds ago.
fn last_heartbeats(story: &Story, daemon: &Running, ago: i64) {
    for (at, cell) in (0..).zip(story.host.cells()) {
        beat_at(&cell, daemon.now.plus(TimeDelta::seconds(4 * at - 44 - ago)), "working");
    }
}

async fn twelve_failures_within_45_seconds_cost_one_alert_and_its_resolution(forge: Forge) {
    for after in [0, 60, 300] {
        let (story, fleet, numbers, mut daemon) = agents(&forge, 12, after).await;
        last_heartbeats(&story, &daemon, 0);
        for _ in 0..16 + after / 10 {
            daemon.tick(10).await;
        }
        let said = story.alarms(fleet).await;
        assert!(said.len() == 1 && said[0].contains(" of 12 missions on `alpha`.** This comment covers"), "{said:?}");
        // They come back one after the other.
        for cells in story.host.cells().chunks(3) {
            for cell in cells {
                beat_at(cell, daemon.now, "working");
            }
            daemon.tick(10).await;
        }
        daemon.tick(10).await;
        story.beat(daemon.now, 0);
        daemon.tick(10).await;
        let said = story.alarms(fleet).await;
        assert!(said.len() == 2 && said[1].starts_with(MANY_OVER), "after {after}: {said:?}");
        for number in numbers {
            assert_eq!(story.repository.comments(number).await.len(), 1, "only the status of {number}, after {after}");
        }
        let snapshot = daemon.tick(10).await;
        assert_eq!((snapshot.passes.incomplete, &snapshot.passes.errors), (0, &Vec::new()));
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_late_failure_joins_silently_and_after_ten_minutes_with_a_comment() {
    let (story, fleet, numbers, mut daemon) = agents(&Forge::sandbox().await, 12, 60).await;
    // All but two die now, one of those after four minutes, and the other after fourteen.
    let cells = story.host.cells();
    let mut reported = Vec::new();
    for at in 0..60 {
        for (cell, dies_at) in [(&cells[10], 12), (&cells[11], 42)] {
            if at < dies_at {
                beat_at(cell, daemon.now, "working");
            }
        }
        daemon.tick(20).await;
        reported.push(story.alarms(fleet).await.len());
    }
    assert_eq!((reported[11], reported[41], reported[59]), (1, 1, 2), "{reported:?}");
    let last = story.repository.comments(fleet).await.pop().unwrap().1;
    assert!(
        last.contains("**Firing for 12 of 12 missions on `alpha`.**") && last.contains("2 of them are new"),
        "{last}"
    );
    for number in numbers {
        assert_eq!(story.repository.comments(number).await.len(), 1, "only the status of {number}");
    }
    daemon.stop().await;
}

async fn alerts_of_a_daemon_are_resolved_when_their_issues_are_closed(forge: Forge) {
    let story = Story::new(&forge, json!({ "on": ["stale"], "after_seconds": 0 })).await;
    let number = file(&story.repository, 1).await[0];
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..4 {
        daemon.tick(30).await;
    }
    assert_eq!(story.alarms(number).await, [STALE]);
    story.repository.set_state(number, "closed").await;
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    assert_eq!(story.alarms(number).await, [STALE, "**Resolved: the issue was closed**, after `stale`"]);
    daemon.stop().await;
    let (story, fleet, numbers) = many(&forge).await;
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..6 {
        daemon.tick(30).await;
    }
    check_many(&story, fleet, &numbers, &[MANY]).await;
    for number in &numbers {
        story.repository.set_state(*number, "closed").await;
    }
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    check_many(&story, fleet, &numbers, &[MANY, MANY_OVER]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_hourly_alert_limit_survives_a_restart() {
    let forge = Forge::sandbox().await;
    let notify = json!({ "on": ["stale"], "after_seconds": 0, "per_hour": 2, "many": 100 });
    let story = Story::new(&forge, notify).await;
    file(&story.repository, 5).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    let before = forge.engine().log().len();
    for _ in 0..2 {
        let mut daemon = running(&story).await;
        for _ in 0..6 {
            daemon.tick(30).await;
        }
        daemon.stop().await;
    }
    let posted = |from: usize| {
        forge.asked(from).iter().filter(|line| line.starts_with("POST") && line.contains("/comments")).count()
    };
    assert_eq!(posted(before), 2);
}

#[tokio::test]
async fn a_daemon_with_a_firing_or_pending_alert_costs_two_requests_a_tick() {
    let forge = Forge::sandbox().await;
    let notify = json!({ "on": ["stale"], "after_seconds": 0, "per_hour": 1, "many": 100 });
    let story = Story::new(&forge, notify).await;
    file(&story.repository, 3).await;
    let mut daemon = running(&story).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..6 {
        daemon.tick(30).await;
    }
    forge.engine().grow_older(std::time::Duration::from_secs(600));
    for _ in 0..2 {
        daemon.tick(30).await;
    }
    let before = forge.engine().log().len();
    for _ in 0..20 {
        daemon.tick(30).await;
    }
    assert_eq!(forge.asked(before).len(), 40, "{:?}", forge.asked(before));
    daemon.stop().await;
}
