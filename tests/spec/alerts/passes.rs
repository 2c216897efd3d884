//! Alarms on a forge, raised by single passes and by a daemon.

use crate::support::daemon::settings;
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run};
use crate::support::repository::Repository;
use crate::support::stories;
use chrono::{SubsecRound, TimeDelta, Utc};
use lazarus::engine::pass;
use lazarus::engine::survey::Scope;
use lazarus::mission::time::Timestamp;
use serde_json::{Value, json};
use std::cell::Cell;

stories![
    passes_fire_an_alert_as_time_passes_and_resolve_it,
    a_pass_posts_one_fleet_alert_for_a_mass_failure,
    a_suspended_or_closed_mission_fires_no_alert,
    an_alert_whose_issue_was_closed_is_resolved,
    only_configured_accounts_are_mentioned,
];

thread_local! {
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

/// The host's clock, as far ahead as a test has come.
pub(crate) fn clock() -> Timestamp {
    Timestamp::from(Utc::now().trunc_subsecs(0)).plus(TimeDelta::seconds(AHEAD.get()))
}

/// A host with one mission or more, and passes over it at times that a test chooses.
pub(crate) struct Story {
    pub(crate) repository: Repository,
    pub(crate) host: Host,
    pub(crate) notify: Value,
}

impl Story {
    pub(crate) async fn new(forge: &Forge, notify: Value) -> Self {
        AHEAD.set(0);
        Self { repository: forge.repository().await, host: Host::new(), notify }
    }

    /// One pass, so many seconds after the last one.
    pub(crate) async fn pass(&self, seconds: i64) -> Value {
        AHEAD.set(AHEAD.get() + seconds);
        let settings = settings(&self.host, Some(&self.repository), &json!({ "notify": self.notify }).to_string());
        let report = pass::once(&settings, &Scope::Everything, clock, &|_, _| ()).await.unwrap();
        serde_json::to_value(&report).unwrap()
    }

    /// Beats in every cell, so many seconds before a moment.
    pub(crate) fn beat(&self, now: Timestamp, age: i64) {
        for cell in self.host.cells() {
            beat_at(&cell, now.plus(TimeDelta::seconds(-age)), "working");
        }
    }

    /// What was said on an issue besides the status.
    pub(crate) async fn alarms(&self, number: i64) -> Vec<String> {
        alarms(&self.repository, number).await
    }
}

/// The third line of each alarm, without its time.
pub(crate) async fn alarms(repository: &Repository, number: i64) -> Vec<String> {
    let comments = repository.comments(number).await;
    let ours = comments.iter().filter(|(_, text)| text.starts_with("<!-- lazarus:alarm v1 -->\n"));
    let posted = |text: &str| text.lines().nth(2).unwrap().split(" since").next().unwrap().to_owned();
    ours.map(|(_, text)| posted(text)).collect()
}

/// The changes of a report that have to do with alarms.
pub(crate) fn reported(report: &Value) -> Vec<String> {
    let missions = report["missions"].as_array().unwrap().iter().flat_map(|m| m["changes"].as_array().unwrap());
    let all = missions.chain(report["changes"].as_array().unwrap());
    all.filter(|change| change["kind"].as_str().unwrap().contains("alert"))
        .map(|change| change["text"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) const STALE: &str = "**Firing: stale, no recent heartbeat**,";
pub(crate) const OVER: &str = "**Resolved: healthy**, after `stale`";

pub(crate) async fn file(repository: &Repository, count: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    for at in 0..count {
        numbers.push(repository.file("reader", &format!("Mission: number {at}"), &[]).await);
    }
    numbers
}

async fn passes_fire_an_alert_as_time_passes_and_resolve_it(forge: Forge) {
    let story = Story::new(&forge, json!({ "on": ["stale", "incomplete"] })).await;
    let number = file(&story.repository, 1).await[0];
    story.pass(0).await;
    story.beat(clock(), 1_000);
    assert_eq!(reported(&story.pass(10).await), [""; 0]);
    assert_eq!(reported(&story.pass(200).await), [""; 0]);
    AHEAD.set(AHEAD.get() + 200);
    let preview = settings(&story.host, Some(&story.repository), &json!({ "notify": story.notify }).to_string());
    let preview = pass::preview(&preview, &Scope::Everything, clock()).await.unwrap();
    assert_eq!(story.alarms(number).await, [""; 0]);
    let done = story.pass(0).await;
    assert_eq!(reported(&done), ["post an alert: stale (heartbeat-timeout)"]);
    assert_eq!(reported(&serde_json::to_value(&preview).unwrap()), reported(&done), "a preview tells it");
    let quiet = story.pass(50_000).await;
    assert_eq!((crate::support::host::changes(&quiet), crate::support::host::writes(&quiet)), (0, 0), "{quiet}");
    story.beat(clock(), 10);
    assert_eq!(reported(&story.pass(0).await), ["resolve the alert: healthy (heartbeat-ok)"]);
    assert_eq!(crate::support::host::changes(&story.pass(0).await), 0);
    assert_eq!(story.alarms(number).await, [STALE, OVER]);
    assert_eq!(story.repository.comments(number).await.len(), 3, "and one status comment");
}

/// An issue on which one comment speaks for many.
pub(crate) async fn fleet_issue(repository: &Repository) -> i64 {
    let issue = json!({ "title": "The fleet", "body": "Alarms for many." });
    let path = format!("{}/issues", repository.path());
    repository.forge.change(reqwest::Method::POST, &path, issue).await["number"].as_i64().unwrap()
}

pub(crate) async fn many(forge: &Forge) -> (Story, i64, Vec<i64>) {
    let mut story = Story::new(forge, Value::Null).await;
    let fleet = fleet_issue(&story.repository).await;
    let issue = format!("{}#{fleet}", story.repository.name);
    story.notify = json!({ "on": ["stale"], "after_seconds": 60, "issue": issue });
    let numbers = file(&story.repository, 5).await;
    (story, fleet, numbers)
}

pub(crate) const MANY: &str = "**Firing for 5 of 5 missions on `alpha`.** This comment covers all of them; ";
pub(crate) const MANY_OVER: &str = "**Resolved: no mission of this alert on `alpha` is failing any more**; each is healthy, \
                         suspended or closed. The alert fired at ";

pub(crate) async fn check_many(story: &Story, fleet: i64, numbers: &[i64], wanted: &[&str]) {
    for number in numbers {
        assert_eq!(story.repository.comments(*number).await.len(), 1, "only the status");
    }
    let posted = story.alarms(fleet).await;
    assert!(
        posted.len() == wanted.len() && posted.iter().zip(wanted).all(|(is, should)| is.starts_with(should)),
        "{posted:?}"
    );
}

async fn a_pass_posts_one_fleet_alert_for_a_mass_failure(forge: Forge) {
    let (story, fleet, numbers) = many(&forge).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    // The brake wants to see it twice.
    for seconds in [0, 10] {
        assert_eq!(reported(&story.pass(seconds).await), [""; 0]);
    }
    let done = story.pass(100).await;
    assert_eq!(reported(&done).len(), 1, "{done}");
    check_many(&story, fleet, &numbers, &[MANY]).await;
    let text = &story.repository.comments(fleet).await[0].1;
    assert!(
        numbers.iter().all(|number| text.contains(&format!("- `{}#{number}`: `stale` since ", story.repository.name))),
        "{text}"
    );
    assert_eq!(crate::support::host::writes(&story.pass(100).await), 0);
    story.beat(clock(), 10);
    story.pass(0).await;
    check_many(&story, fleet, &numbers, &[MANY, MANY_OVER]).await;
    assert_eq!(crate::support::host::writes(&story.pass(100).await), 0);
    check_many(&story, fleet, &numbers, &[MANY, MANY_OVER]).await;
}

async fn a_suspended_or_closed_mission_fires_no_alert(forge: Forge) {
    let story = Story::new(&forge, json!({ "on": ["stale", "wizard/failed"], "after_seconds": 0 })).await;
    let [paused, ended]: [i64; 2] = file(&story.repository, 2).await.try_into().unwrap();
    story.pass(0).await;
    story.beat(clock(), 10);
    story.pass(0).await;
    story.repository.put_label(paused, "mission/suspended").await;
    story.repository.set_state(ended, "closed").await;
    story.pass(1_000).await;
    assert_eq!(reported(&story.pass(50_000).await), [""; 0]);
    story.repository.take_label(paused, "mission/suspended").await;
    assert_eq!(reported(&story.pass(10).await), ["post an alert: stale (heartbeat-timeout)"], "and then it does");
    story.repository.put_label(paused, "mission/suspended").await;
    story.pass(10).await;
    story.beat(clock(), 10);
    assert_eq!(reported(&story.pass(0).await), [""; 0], "nobody waits for its end");
    assert_eq!((story.alarms(paused).await.len(), story.alarms(ended).await.len()), (1, 0));
}

async fn an_alert_whose_issue_was_closed_is_resolved(forge: Forge) {
    let notify = json!({ "on": ["stale"], "after_seconds": 0, "per_hour": 3, "many": 100 });
    let mut story = Story::new(&forge, notify.clone()).await;
    let [first, second]: [i64; 2] = file(&story.repository, 2).await.try_into().unwrap();
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    story.repository.set_state(first, "closed").await;
    assert_eq!(reported(&story.pass(10).await), ["resolve the alert: closed"]);
    story.repository.set_state(second, "closed").await;
    assert_eq!(reported(&story.pass(10).await), [""; 0], "the hour has no room for more");
    assert_eq!(reported(&story.pass(7_200).await), ["resolve the alert: closed"]);
    for number in [first, second] {
        assert_eq!(story.alarms(number).await, [STALE, "**Resolved: the issue was closed**, after `stale`"]);
    }
    assert_eq!(crate::support::host::changes(&story.pass(10).await), 0);
    // What nobody wants to hear of any more ends without a word.
    story.notify = notify;
    story.repository.set_state(first, "open").await;
    story.pass(10).await;
    story.pass(10).await;
    story.notify = json!({});
    story.repository.set_state(first, "closed").await;
    story.pass(10).await;
    assert_eq!(crate::support::host::changes(&story.pass(10).await), 0);
}

async fn only_configured_accounts_are_mentioned(forge: Forge) {
    let mut story = Story::new(&forge, json!({ "on": ["stale"], "after_seconds": 0 })).await;
    let first = story.repository.file("reader", "Mission: @stranger wants cc @owner #1", &[("wizard", "merlin")]).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    story.notify = json!({ "on": ["stale"], "after_seconds": 0, "mention": ["owner"] });
    let second = story.repository.file("reader", "Mission: @stranger", &[]).await;
    story.pass(0).await;
    story.beat(clock(), 1_000);
    story.pass(0).await;
    for (number, called) in [(first, 0), (second, 1)] {
        assert_eq!(story.alarms(number).await, [STALE]);
        let text = story.repository.comments(number).await.pop().unwrap().1;
        assert_eq!(text.trim_end().ends_with("\ncc @owner"), called == 1, "{text}");
        if let Some(html) = forge.rendered(&story.repository.name, &text).await {
            assert_eq!(html.matches("<a ").count(), called, "{html}");
        }
    }
}

/// The two programs as people run them, not only the library.
#[tokio::test]
async fn the_program_sends_an_alert_and_a_job_does_with_its_own_token() {
    let forge = Forge::sandbox().await;
    let story = Story::new(&forge, json!({ "on": ["stale"], "after_seconds": 0 })).await;
    std::fs::write(story.host.path().join("loud.json"), json!({ "notify": story.notify }).to_string()).unwrap();
    let number = file(&story.repository, 1).await[0];
    let token = forge.engine().job_token(story.repository.id);
    let once = async |arguments: &[&str]| {
        let mut command = story.host.reconciler(&story.repository);
        command.env_remove("LAZARUS_GITEA_TOKEN_FILE").env("LAZARUS_GITEA_TOKEN", &token);
        run(command.args(["--config", "loud.json"]).args(arguments)).await
    };
    assert_eq!(once(&["--once"]).await.code, 0);
    story.beat(clock(), 1_000);
    let preview = once(&["--dry-run"]).await;
    assert!(preview.stdout.contains("\n  post an alert: stale (heartbeat-timeout)\n"), "{preview:?}");
    let done = once(&["--once"]).await;
    assert!(done.code == 0 && done.stdout.contains("\n  post an alert: stale (heartbeat-timeout)\n"), "{done:?}");
    assert_eq!(story.alarms(number).await, [STALE]);
    let poster = story.repository.comments(number).await.pop().unwrap().0;
    assert_eq!(poster, "gitea-actions");
    story.beat(clock(), 10);
    assert_eq!(once(&["--once"]).await.code, 0);
    assert_eq!(story.alarms(number).await, [STALE, OVER]);
    assert!(once(&["--dry-run", "--exit-code"]).await.code == 0, "and nothing is left to do");
}
