//! Alarms on a forge that breaks, and in an hour that is full.

use crate::alerts::passes::{Story, alarms, clock, file, reported};
use crate::support::forge::Forge;
use crate::support::host::{changes, writes};
use lazarus::sandbox::Fault;
use serde_json::json;

/// A mission that has been silent for long, and on whose issue nothing was said of that yet.
async fn silent(forge: &Forge, notify: serde_json::Value) -> (Story, i64) {
    let story = Story::new(forge, notify).await;
    let number = file(&story.repository, 1).await[0];
    story.pass(0).await;
    story.beat(clock(), 1_000);
    (story, number)
}

fn at_once() -> serde_json::Value {
    json!({ "on": ["stale"], "after_seconds": 0 })
}

#[tokio::test]
async fn an_alert_whose_response_was_lost_exists_once() {
    for fault in [Fault::LoseAnswer, Fault::Truncate, Fault::Refuse(500), Fault::HangUp] {
        let forge = Forge::sandbox().await;
        let (story, number) = silent(&forge, at_once()).await;
        forge.engine().break_next(1, "POST", &format!("issues/{number}/comments"), fault);
        let report = story.pass(0).await;
        assert_eq!(report["complete"], true, "{report}");
        assert_eq!(story.alarms(number).await.len(), 1, "{fault:?}");
        assert_eq!(changes(&story.pass(0).await), 0);
    }
}

/// As a process that is killed right after it has posted leaves it.
#[tokio::test]
async fn the_next_pass_settles_an_alert_of_unknown_outcome() {
    for (fault, is_there) in [(Fault::LoseAnswer, true), (Fault::HangUp, false)] {
        let forge = Forge::sandbox().await;
        let (story, number) = silent(&forge, at_once()).await;
        let comments = format!("issues/{number}/comments");
        forge.engine().break_next(1, "POST", &comments, fault);
        forge.engine().break_next(100, "GET", &comments, Fault::Refuse(500));
        let report = story.pass(0).await;
        assert_eq!(report["errors"][0]["permanent"], false, "{report}");
        forge.engine().heal();
        assert_eq!(story.alarms(number).await.len(), usize::from(is_there));
        let next = story.pass(0).await;
        let said = if is_there { "record the alert: stale" } else { "post an alert: stale (heartbeat-timeout)" };
        assert_eq!(reported(&next), [said]);
        assert_eq!(story.alarms(number).await.len(), 1);
        assert_eq!(changes(&story.pass(0).await), 0);
    }
}

#[tokio::test]
async fn a_fleet_alert_whose_response_was_lost_exists_once() {
    for (fault, is_there) in [(Fault::LoseAnswer, true), (Fault::HangUp, false)] {
        let forge = Forge::sandbox().await;
        let (mut story, number) = silent(&forge, at_once()).await;
        let issue = json!({ "title": "The fleet", "body": "" });
        let path = format!("{}/issues", story.repository.path());
        let fleet = forge.change(reqwest::Method::POST, &path, issue).await["number"].as_i64().unwrap();
        let issue = format!("{}#{fleet}", story.repository.name);
        story.notify = json!({ "on": ["stale"], "after_seconds": 0, "per_hour": 2, "issue": issue });
        // The hour has room for one of its own and one for many.
        file(&story.repository, 1).await;
        story.pass(0).await;
        story.beat(clock(), 1_000);
        let comments = format!("issues/{fleet}/comments");
        forge.engine().break_next(1, "POST", &comments, fault);
        forge.engine().break_next(100, "GET", &comments, Fault::Refuse(500));
        let report = story.pass(0).await;
        assert!(report["errors"].to_string().contains(&issue), "{report}");
        forge.engine().heal();
        assert_eq!(alarms(&story.repository, fleet).await.len(), usize::from(is_there));
        assert_eq!(story.alarms(number).await.len(), 1);
        story.pass(0).await;
        assert_eq!(alarms(&story.repository, fleet).await.len(), 1, "{fault:?}");
        let quiet = story.pass(0).await;
        assert_eq!((changes(&quiet), writes(&quiet)), (0, 0), "{quiet}");
    }
}

#[tokio::test]
async fn a_reached_hourly_limit_is_reported_and_the_rest_follows_later() {
    let forge = Forge::sandbox().await;
    let notify = json!({ "on": ["stale"], "after_seconds": 60, "per_hour": 2, "many": 100 });
    let story = Story::new(&forge, notify).await;
    let numbers = file(&story.repository, 5).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    for seconds in [0, 10, 100, 10, 10] {
        story.pass(seconds).await;
    }
    let count = async || {
        let mut count = Vec::new();
        for number in &numbers {
            count.push(story.alarms(*number).await.len());
        }
        count
    };
    assert_eq!(count().await, [1, 1, 0, 0, 0]);
    let last = story.repository.comments(numbers[1]).await.pop().unwrap().1;
    assert!(last.contains("\n3 more alerts are pending: `notify.per_hour` allows 2 per hour. "), "{last}");
    for _ in 0..3 {
        story.pass(3_600).await;
    }
    assert_eq!(count().await, [1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn an_unusable_fleet_alert_record_stops_alerts_until_it_is_removed() {
    let forge = Forge::sandbox().await;
    let (story, number) = silent(&forge, at_once()).await;
    let file = story.host.root().join(".lazarus/alarms.json");
    std::fs::write(&file, "{ not json").unwrap();
    let report = story.pass(0).await;
    let message = report["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("alarms.json` is unusable") && message.contains("move it away"), "{report}");
    assert!(
        story.alarms(number).await.is_empty()
            && story.repository.labels(number).await.contains(&"health/stale".to_owned())
    );
    std::fs::remove_file(&file).unwrap();
    story.pass(0).await;
    assert_eq!(story.alarms(number).await.len(), 1);
}

/// A record as it was written before there were alarms.
#[tokio::test]
async fn records_from_before_alerts_existed_are_read() {
    let forge = Forge::sandbox().await;
    let (story, number) = silent(&forge, json!({})).await;
    story.pass(0).await;
    let records = story.host.root().join(".lazarus/missions");
    for entry in std::fs::read_dir(&records).unwrap() {
        let path = entry.unwrap().path();
        let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let fields = record.as_object_mut().unwrap();
        assert!(fields.remove("alert").is_some() && fields.remove("failing_since").is_some());
        std::fs::write(&path, record.to_string()).unwrap();
    }
    let quiet = story.pass(0).await;
    assert_eq!((changes(&quiet), &quiet["complete"]), (0, &json!(true)), "{quiet}");
    let loud = Story { notify: at_once(), ..story };
    assert_eq!(reported(&loud.pass(10).await), ["post an alert: stale (heartbeat-timeout)"]);
    assert_eq!(loud.alarms(number).await.len(), 1);
}
