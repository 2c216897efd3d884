//! Alerts whose issue is not there, or takes no comment, and accounts that nobody has: told, and nobody is silent.

use crate::alerts::passes::{OVER, STALE, Story, alarms, clock, file, fleet_issue, many};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{changes, run};
use crate::support::stories;
use serde_json::{Value, json};

stories![
    alerts_without_an_existing_fleet_issue_go_to_the_mission_issues,
    a_daemon_reports_unreachable_alert_targets_and_stays_ready,
    a_fleet_issue_deleted_while_a_daemon_runs_suppresses_no_alert,
];

/// A story with so many missions whose alerts go to this issue for many.
async fn story(forge: &Forge, count: usize, number: &str) -> (Story, Vec<i64>) {
    let mut story = Story::new(forge, Value::Null).await;
    let issue = format!("{}#{number}", story.repository.name);
    story.notify = json!({ "on": ["stale"], "after_seconds": 0, "issue": issue, "mention": ["nobody-here", "owner"] });
    let numbers = file(&story.repository, count).await;
    (story, numbers)
}

async fn each(story: &Story, numbers: &[i64]) -> Vec<Vec<String>> {
    let mut posted = Vec::new();
    for number in numbers {
        posted.push(story.alarms(*number).await);
    }
    posted
}

async fn alerts_without_an_existing_fleet_issue_go_to_the_mission_issues(forge: Forge) {
    let (story, numbers) = story(&forge, 5, "999").await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    let report = story.pass(10).await;
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE]; 5]);
    let errors = report["errors"].as_array().unwrap();
    let reported = |kind: &str| errors.iter().find(|error| error["kind"] == kind).unwrap_or_else(|| panic!("{report}"));
    let missing = reported("notify-issue-missing");
    assert!(missing["message"].as_str().unwrap().contains("until then each mission's alert is on its own issue"));
    assert!(reported("notify-mention-unknown")["message"].as_str().unwrap().contains("`nobody-here`"));
    assert_eq!((&report["complete"], errors.len(), &missing["permanent"]), (&json!(true), 2, &json!(true)), "{report}");
    std::fs::write(story.host.path().join("loud.json"), json!({ "notify": story.notify }).to_string()).unwrap();
    let mut once = story.host.reconciler(&story.repository);
    let once = run(once.args(["--config", "loud.json", "--once"])).await;
    assert!(once.code == 0 && once.stderr.contains("`notify.issue`"), "{once:?}");
    story.beat(clock(), 0);
    story.pass(0).await;
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE, OVER]; 5]);
    assert_eq!(changes(&story.pass(0).await), 0);
}

async fn a_daemon_reports_unreachable_alert_targets_and_stays_ready(forge: Forge) {
    let (story, numbers) = story(&forge, 5, "999").await;
    let more = json!({ "notify": story.notify, "daemon": { "interval_seconds": 10 } }).to_string();
    let mut daemon = Running::new(settings(&story.host, Some(&story.repository), &more)).await;
    let snapshot = daemon.tick(0).await;
    let reported =
        snapshot.passes.failures.first.iter().map(|failure| failure.message.as_str()).collect::<Vec<_>>().join("\n");
    assert!(reported.contains("`notify.issue`") && reported.contains("`nobody-here`"), "{reported}");
    assert!(snapshot.readiness().is_ok() && snapshot.passes.incomplete == 0, "{snapshot:?}");
    story.beat(daemon.now, 1_000);
    for _ in 0..5 {
        daemon.tick(10).await;
    }
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE]; 5]);
    let snapshot = daemon.tick(10).await;
    assert!(
        snapshot.passes.failures.first.iter().any(|failure| failure.kind == "notify-issue-missing"),
        "it stays told"
    );
    daemon.stop().await;
}

async fn a_fleet_issue_deleted_while_a_daemon_runs_suppresses_no_alert(forge: Forge) {
    let (mut story, fleet, numbers) = many(&forge).await;
    story.notify["after_seconds"] = json!(0);
    let more = json!({ "notify": story.notify, "daemon": { "interval_seconds": 10 } }).to_string();
    let mut daemon = Running::new(settings(&story.host, Some(&story.repository), &more)).await;
    daemon.tick(0).await;
    story.beat(daemon.now, 0);
    daemon.tick(1).await;
    story.repository.delete(fleet).await;
    story.beat(daemon.now, 1_000);
    for _ in 0..8 {
        daemon.tick(10).await;
    }
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE]; 5]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_fleet_issue_that_refuses_comments_suppresses_no_alert() {
    let forge = Forge::sandbox().await;
    let mut story = Story::new(&forge, Value::Null).await;
    let elsewhere = forge.repository().await;
    let fleet = fleet_issue(&elsewhere).await;
    story.notify = json!({ "on": ["stale"], "after_seconds": 0, "issue": format!("{}#{fleet}", elsewhere.name) });
    let numbers = file(&story.repository, 5).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    forge.engine().break_next(1, "POST", &format!("issues/{fleet}/comments"), lazarus::sandbox::Fault::Refuse(403));
    let refused = story.pass(10).await;
    assert_eq!(refused["errors"].as_array().unwrap().len(), 1, "{refused}");
    assert_eq!(each(&story, &numbers).await.concat(), [""; 0]);
    story.pass(10).await;
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE]; 5], "an hour long each speaks for itself");
    assert_eq!(alarms(&elsewhere, fleet).await, [""; 0]);
}

/// Whose fate is unknown because its issue was deleted meanwhile.
#[tokio::test]
async fn a_fleet_alert_that_was_lost_with_its_issue_is_dropped() {
    let forge = Forge::sandbox().await;
    let (mut story, fleet, numbers) = many(&forge).await;
    story.notify["after_seconds"] = json!(0);
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    let comments = format!("issues/{fleet}/comments");
    forge.engine().break_next(1, "POST", &comments, lazarus::sandbox::Fault::LoseAnswer);
    forge.engine().break_next(100, "GET", &comments, lazarus::sandbox::Fault::Refuse(500));
    story.pass(10).await;
    forge.engine().heal();
    story.repository.delete(fleet).await;
    story.pass(10).await;
    assert_eq!(each(&story, &numbers).await, vec![vec![STALE]; 5]);
}
