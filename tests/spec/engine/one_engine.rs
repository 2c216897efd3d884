//! `--once` and the daemon are one engine: the same story leads to the same end, whichever of them tells it.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at};
use crate::support::missions::{body, proposal};
use crate::support::repository::Repository;
use chrono::{SubsecRound, TimeDelta, Utc};
use lazarus::engine::pass;
use lazarus::engine::survey::Scope;
use lazarus::mission::fleet::ownership::Claims;
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::phase::Phase;
use lazarus::mission::time::Timestamp;
use lazarus::sandbox::Fault;
use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;

thread_local! {
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

fn clock() -> Timestamp {
    Timestamp::from(Utc::now().trunc_subsecs(0)).plus(TimeDelta::seconds(AHEAD.get()))
}

/// A repository, a host, and one of the two ways to reconcile them.
struct Stage {
    repository: Repository,
    host: Host,
    more: &'static str,
    daemon: Option<Running>,
    forge: Forge,
}

impl Stage {
    async fn new(is_daemon: bool, proposals: usize, more: &'static str) -> Self {
        AHEAD.set(0);
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository().await, Host::new());
        repository.file_many("reader", vec![body(&[]); proposals]).await;
        let mut daemon = None;
        if is_daemon {
            daemon = Some(Running::new(settings(&host, Some(&repository), more)).await);
        }
        let mut stage = Self { repository, host, more, daemon, forge };
        stage.pass(0).await;
        stage
    }

    /// One pass, so many seconds after the last one.
    async fn pass(&mut self, seconds: i64) {
        AHEAD.set(AHEAD.get() + seconds);
        if let Some(daemon) = &mut self.daemon {
            daemon.tick(seconds).await;
            return;
        }
        let settings = settings(&self.host, Some(&self.repository), self.more);
        pass::once(&settings, &Scope::Everything, clock, &|_, _| ()).await.unwrap();
    }

    async fn set_states(&self, numbers: std::ops::RangeInclusive<i64>, state: &str) {
        for number in numbers {
            self.repository.set_state(number, state).await;
        }
    }

    /// How many cells there are, and how many archives.
    fn places(&self) -> String {
        format!("{} + {}", self.host.cells().len(), self.host.archives().len())
    }

    fn now(&self) -> Timestamp {
        self.daemon.as_ref().map_or_else(clock, |daemon| daemon.now)
    }

    fn beat(&self, cells: &[PathBuf], age: i64) {
        for cell in cells {
            beat_at(cell, self.now().plus(TimeDelta::seconds(-age)), "working");
        }
    }

    /// The labels of an issue that are about the mission and its health.
    async fn labels(&self, number: i64) -> Vec<String> {
        let labels = self.repository.labels(number).await;
        labels.into_iter().filter(|label| label.starts_with("mission/") || label.starts_with("health/")).collect()
    }
}

/// Tells a story twice, and compares what it says at each step.
async fn both<S: Future<Output = Vec<String>>>(story: impl Fn(bool) -> S) -> Vec<String> {
    let (once, daemon) = (story(false).await, story(true).await);
    assert_eq!(once, daemon, "`--once` and the daemon");
    once
}

/// Of 20 open missions 15 are suspended, and of the 5 live cells 4 vanish.
#[tokio::test]
async fn suspended_missions_do_not_count_against_a_mass_change() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 20, "{}").await;
        stage.pass(1).await;
        for number in 6..=20 {
            stage.repository.put_label(number, &Label::Phase(Phase::Suspended).name()).await;
        }
        stage.pass(1).await;
        stage.pass(1).await;
        let mut steps = vec![stage.labels(20).await.join(" ")];
        let live = stage.host.cells();
        let is_live = |cell: &&PathBuf| {
            let file = std::fs::read_to_string(cell.join("meta/mission.json")).unwrap();
            file.contains("\"active\"")
        };
        let live: Vec<PathBuf> = live.iter().filter(is_live).cloned().collect();
        assert_eq!(live.len(), 5);
        for cell in &live[..4] {
            std::fs::remove_dir_all(cell).unwrap();
        }
        for _ in 0..2 {
            stage.pass(1).await;
            steps.push(stage.host.cells().len().to_string());
        }
        steps
    };
    assert_eq!(both(story).await, ["health/uninitialized mission/suspended", "16", "20"], "held, then recreated");
}

#[tokio::test]
async fn many_missions_that_close_together_wait_for_a_second_pass() {
    // So many of eight, and what is there after each pass; more than three and a fifth are too many.
    let cases =
        [(1, ["7 + 1"; 3]), (3, ["5 + 3"; 3]), (4, ["8 + 0", "4 + 4", "4 + 4"]), (8, ["8 + 0", "0 + 8", "0 + 8"])];
    for (count, expected) in cases {
        let story = |is_daemon| async move {
            let mut stage = Stage::new(is_daemon, 8, "{}").await;
            stage.pass(1).await;
            stage.set_states(1..=count, "closed").await;
            let mut steps = Vec::new();
            for _ in 0..3 {
                stage.pass(30).await;
                steps.push(stage.places());
            }
            steps
        };
        assert_eq!(both(story).await, expected, "{count} of 8");
    }
}

/// A share of a fifth is no mass change: of 20 missions four may be closed.
#[tokio::test]
async fn a_fifth_of_all_missions_may_close_in_one_pass() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 20, "{}").await;
        stage.pass(1).await;
        stage.set_states(1..=4, "closed").await;
        stage.pass(30).await;
        vec![stage.places()]
    };
    assert_eq!(both(story).await, ["16 + 4"]);
}

#[tokio::test]
async fn missions_that_are_open_again_in_the_second_pass_lose_nothing() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 8, "{}").await;
        stage.pass(1).await;
        let mut steps = Vec::new();
        for _ in 0..2 {
            for state in ["closed", "open"] {
                stage.set_states(1..=8, state).await;
                stage.pass(30).await;
                steps.push(format!("{} {}", stage.places(), stage.labels(8).await.join(" ")));
            }
        }
        steps
    };
    assert_eq!(both(story).await, ["8 + 0 health/uninitialized mission/active"; 4]);
}

/// What is closed after the second pass has begun waits for the third.
#[tokio::test]
async fn a_second_wave_of_closed_missions_is_confirmed_for_itself() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 12, "{}").await;
        stage.pass(1).await;
        let mut steps = Vec::new();
        for closed in [Some(1..=6), Some(7..=12), None, None] {
            if let Some(closed) = closed {
                stage.set_states(closed, "closed").await;
            }
            stage.pass(30).await;
            steps.push(stage.places());
        }
        steps
    };
    assert_eq!(both(story).await, ["12 + 0", "6 + 6", "0 + 12", "0 + 12"]);
}

/// The state of an issue, whatever a proxy makes of it, is `open` or `closed`, or nothing is concluded from the answer.
#[tokio::test]
async fn a_state_that_is_neither_open_nor_closed_ends_no_mission() {
    let open = r#""state":"open""#;
    let states = [
        r#""state":null"#,
        r#""status":"open""#,
        r#""state":"""#,
        r#""state":"Open""#,
        r#""state":"locked""#,
        r#""state":"all""#,
        r#""state":"closed ""#,
        r#""state":0"#,
        r#""state":false"#,
        r#""state":["closed"]"#,
    ];
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 8, "{}").await;
        stage.pass(1).await;
        let mut steps = Vec::new();
        for state in states {
            stage.forge.engine().break_next(usize::MAX, "GET", "/issues", Fault::Rewrite(open, state));
            for _ in 0..2 {
                stage.repository.say("reader", 3, "hello").await;
                stage.pass(600).await;
            }
            steps.push(stage.places());
            stage.forge.engine().heal();
        }
        stage.pass(1_200).await;
        steps.push(stage.labels(3).await.join(" "));
        steps
    };
    let mut expected = vec!["8 + 0"; states.len()];
    expected.push("health/uninitialized mission/active");
    assert_eq!(both(story).await, expected);
}

#[tokio::test]
async fn capacity_goes_to_the_smallest_number_and_to_the_next_when_freed() {
    let story = |is_daemon| async move {
        let mut stage =
            Stage::new(is_daemon, 4, r#"{ "limits": { "cells": 2 }, "close": { "grace_seconds": 0 } }"#).await;
        let mut steps = Vec::new();
        for closed in [None, Some(1)] {
            if let Some(number) = closed {
                stage.repository.set_state(number, "closed").await;
                for _ in 0..3 {
                    stage.pass(30).await;
                }
            }
            for number in 1..=4 {
                steps.push(stage.labels(number).await.join(" "));
            }
        }
        steps
    };
    let (active, pending) = ("health/uninitialized mission/active", "mission/pending");
    assert_eq!(both(story).await, [active, active, pending, pending, "mission/closed", active, active, pending]);
}

/// A heartbeat file that once had a heartbeat is not created again, all else is.
#[tokio::test]
async fn the_daemon_and_single_passes_recreate_the_same_parts() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 1, "{}").await;
        let cell = stage.host.cell();
        stage.beat(std::slice::from_ref(&cell), 0);
        stage.pass(1).await;
        for part in ["state/heartbeat.json", "logs/daemon.log", "config/heartbeat.token", "meta/mission.json"] {
            std::fs::remove_file(cell.join(part)).unwrap();
        }
        std::fs::remove_dir_all(cell.join("worktree")).unwrap();
        stage.pass(1).await;
        let parts = ["state/heartbeat.json", "logs", "config/heartbeat.token", "meta/mission.json", "worktree"];
        let is_there = parts.map(|part| cell.join(part).exists());
        vec![format!("{is_there:?}"), stage.labels(1).await.join(" ")]
    };
    let there = "[false, true, true, true, true]".to_owned();
    assert_eq!(both(story).await, [there, "health/incomplete mission/active".to_owned()]);
}

/// A last heartbeat that is another one than was published is published, also where the verdict stays.
#[tokio::test]
async fn the_daemon_and_single_passes_publish_the_same_health() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 1, "{}").await;
        let cells = stage.host.cells();
        let mut steps = Vec::new();
        let last = stage.now();
        for (age, state) in [(0, "working"), (600, "working"), (400, "working"), (0, "waiting"), (0, "done")] {
            stage.pass(1).await;
            let beat = stage.now().plus(TimeDelta::seconds(-age));
            beat_at(&cells[0], beat, state);
            stage.pass(1).await;
            let comment = stage.repository.comment(1).await;
            let reported = beat.to_string().replace('T', " ").replace('Z', " UTC");
            let is_told = comment.contains(&format!("Last heartbeat {reported}"));
            steps.push(format!("{} {is_told}", stage.labels(1).await.join(" ")));
        }
        assert!(last < stage.now());
        steps
    };
    let [healthy, stale] = ["health/healthy", "health/stale"].map(|health| format!("{health} mission/active"));
    let expected = [(&healthy, false), (&stale, true), (&stale, true), (&healthy, false), (&healthy, false)];
    assert_eq!(both(story).await, expected.map(|(labels, is_told)| format!("{labels} {is_told}")));
}

#[tokio::test]
async fn the_daemon_and_single_passes_send_the_same_alerts() {
    let story = |is_daemon| async move {
        let more = r#"{ "notify": { "on": ["stale"], "after_seconds": 60, "many": 9 } }"#;
        let mut stage = Stage::new(is_daemon, 3, more).await;
        let cells = stage.host.cells();
        stage.beat(&cells, 0);
        stage.pass(1).await;
        // One is paused, and one is closed.
        stage.repository.put_label(2, "mission/suspended").await;
        stage.repository.set_state(3, "closed").await;
        for seconds in [1, 600, 61, 1] {
            stage.pass(seconds).await;
        }
        let mut steps = Vec::new();
        for number in 1..=3 {
            let comments = stage.repository.comments(number).await;
            let alerts = comments.iter().filter(|(_, text)| text.starts_with("<!-- lazarus:alarm v1 -->")).count();
            steps.push(format!("{number}: {alerts}"));
        }
        steps
    };
    assert_eq!(both(story).await, ["1: 1", "2: 0", "3: 0"]);
}

/// Another root's comment on a new issue is read before anything is done, by both.
#[tokio::test]
async fn an_issue_that_another_root_serves_is_left_alone() {
    let story = |is_daemon| async move {
        let mut stage = Stage::new(is_daemon, 0, "{}").await;
        let number = stage.repository.file("reader", "Mission: elsewhere", &[]).await;
        let line = "<!-- lazarus:status v1 mission=123e4567-e89b-12d3-a456-426614174000 \
                    root=22222222-2222-4222-8222-222222222222 host=beta digest=abc -->\nActive.";
        stage.repository.say("bot", number, line).await;
        stage.pass(30).await;
        stage.pass(30).await;
        let comments = stage.repository.comments(number).await.len();
        vec![stage.labels(number).await.join(" "), stage.host.cells().len().to_string(), comments.to_string()]
    };
    assert_eq!(both(story).await, ["", "0", "1"]);
}

#[test]
fn only_a_mission_that_is_about_to_have_a_cell_claims_it() {
    let cell = "123e4567-e89b-12d3-a456-426614174000";
    // An adoption waits for approval first.
    let waits = proposal(&[("Existing cell", cell)]);
    let mut other = waits.clone();
    other.issue.key.issue_id = 43;
    let mut claims = Claims::default();
    let active = Lifecycle::alone(&proposal(&[]));
    assert_eq!(claims.owner(&waits, &Lifecycle::alone(&waits), None), None);
    assert_eq!(claims.owner(&other, &active, None), None, "nobody else has it");
    assert_eq!(claims.owner(&waits, &active, None), Some(other.issue.key.clone()));
    claims.release((other.issue.key.repository_id, other.issue.key.number));
    assert_eq!(claims.owner(&waits, &active, Some(&other.issue.key)), Some(other.issue.key), "a bound one goes first");
}
