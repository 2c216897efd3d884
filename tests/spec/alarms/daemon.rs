//! The same alarms, raised by a daemon, whose ticks are all the time there is.

use crate::alarms::passes::{MANY, MANY_OVER, OVER, STALE, Story, check_many, clock, file, many, told};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::stories;
use serde_json::json;

stories![
    a_daemon_raises_an_alarm_by_the_mere_passing_of_time_and_ends_it,
    a_daemon_that_starts_again_says_nothing_twice,
    many_that_fail_together_are_spoken_for_by_one_comment_of_a_daemon,
    alerts_of_a_daemon_are_resolved_when_their_issues_are_closed,
];

async fn running(story: &Story) -> Running {
    let more = json!({ "notify": story.notify }).to_string();
    Running::new(settings(&story.host, Some(&story.repository), &more)).await
}

async fn a_daemon_raises_an_alarm_by_the_mere_passing_of_time_and_ends_it(forge: Forge) {
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

async fn a_daemon_that_starts_again_says_nothing_twice(forge: Forge) {
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
    assert_eq!(told(&story.pass(0).await), [""; 0], "nor does a pass");
}

async fn many_that_fail_together_are_spoken_for_by_one_comment_of_a_daemon(forge: Forge) {
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
async fn a_daemon_keeps_to_the_hour_across_a_restart() {
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
async fn a_daemon_in_which_an_alarm_stands_or_waits_costs_two_requests_a_tick() {
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
