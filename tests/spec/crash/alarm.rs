//! A pass that is killed while it raises an alarm: the next one says nothing twice, and nothing is lost.

use crate::crash::{Point, SIDE_BY_SIDE, killing, points, traced, tracing};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, changes, run};
use crate::support::is_thorough;
use crate::support::repository::Repository;
use chrono::{TimeDelta, Utc};
use lazarus::mission::time::Timestamp;
use std::process::Command;
use tokio::task::JoinSet;

/// So many points, where there is no time for all.
const POINTS: usize = 4;

const LOUD: &str = r#"{
    "limits": { "concurrent_missions": 1 },
    "notify": { "on": ["stale"], "after_seconds": 0, "per_hour": 2, "issue": "owner/missions#1" }
}"#;

/// An issue for many, and two missions that are due: the hour has room for one of its own, and one for many.
struct Scene {
    repository: Repository,
    host: Host,
    numbers: Vec<i64>,
}

#[tokio::test]
async fn a_pass_killed_while_it_sends_alerts_is_completed_without_duplicates() {
    let scene = Scene::new().await;
    let log = scene.host.path().join("strace.log");
    let Some(points) = points(traced(&scene.once(), &log, &tracing()), &log).await else { return };
    let stride = if is_thorough() { 1 } else { points.len().div_ceil(POINTS) };
    // What is meant and what was said is remembered by a rename each time.
    let is_taken = |(at, point): &(usize, Point)| at % stride == 0 || point.call == "renameat2";
    let points: Vec<Point> = points.into_iter().enumerate().filter(is_taken).map(|(_, point)| point).collect();
    let mut under_way = JoinSet::new();
    for point in points {
        under_way.spawn(async move {
            let scene = Scene::new().await;
            let log = scene.host.path().join("strace.log");
            run(&mut traced(&scene.once(), &log, &killing(&point))).await;
            scene.check(&point).await;
        });
        if under_way.len() >= SIDE_BY_SIDE {
            under_way.join_next().await.unwrap().unwrap();
        }
    }
    under_way.join_all().await;
}

impl Scene {
    async fn new() -> Self {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository_named("missions").await, Host::on_disk());
        std::fs::write(host.path().join("loud.json"), LOUD).unwrap();
        host.once(&repository).await;
        let mut numbers = vec![];
        for title in ["x: for many", "Mission: one", "Mission: two"] {
            let number = if numbers.is_empty() {
                plain(&repository, title).await
            } else {
                repository.file("reader", title, &[]).await
            };
            numbers.push(number);
        }
        host.once(&repository).await;
        for cell in host.cells() {
            beat_at(&cell, Timestamp::from(Utc::now()).plus(TimeDelta::seconds(-1_000)), "working");
        }
        Self { repository, host, numbers }
    }

    fn once(&self) -> Command {
        let mut once = self.host.reconciler(&self.repository);
        once.args(["--once", "--config", "loud.json"]);
        once
    }

    async fn check(&self, point: &Point) {
        for _ in 0..3 {
            let next = run(&mut self.once()).await;
            assert_eq!(next.code, 0, "{point:?}: {next:?}");
        }
        let mut posted = Vec::new();
        for number in &self.numbers {
            let comments = self.repository.comments(*number).await;
            posted.push(comments.iter().filter(|(_, text)| text.starts_with("<!-- lazarus:alarm v1 -->")).count());
        }
        assert_eq!(posted, [1, 1, 0], "{point:?}");
        let quiet = run(self.once().arg("--json")).await.json();
        assert_eq!(changes(&quiet), 0, "{point:?}: {quiet}");
    }
}

/// An issue that is no proposal.
async fn plain(repository: &Repository, title: &str) -> i64 {
    let path = format!("{}/issues", repository.path());
    let issue = serde_json::json!({ "title": title, "body": "" });
    repository.forge.change(reqwest::Method::POST, &path, issue).await["number"].as_i64().unwrap()
}
