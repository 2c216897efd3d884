//! An hour in which everything goes wrong that people and hosts do to us, beside missions that go on.

use crate::support::daemon::{Running, settings};
use crate::support::forge::{BOT_SCOPES, Forge};
use crate::support::host::{Host, beat_at};
use crate::support::repository::Repository;
use crate::support::stories;
use lazarus::engine::snapshot::Snapshot;
use lazarus::mission::identity::RepositoryName;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

stories!(the_service_stays_ready_and_accurate_under_faults_of_users_and_hosts);

/// The stage of the hour.
struct Stage {
    forge: Forge,
    kept: Repository,
    archived: Repository,
    host: Host,
    daemon: Running,
}

/// Its missions, by their issues.
const WORKING: i64 = 1;
const BLOCKED: i64 = 2;
const LABELLED: i64 = 3;
const MEDDLED: i64 = 4;

impl Stage {
    async fn new(forge: Forge, blocker: &str) -> Self {
        let (kept, archived, host) = (forge.repository().await, forge.repository().await, Host::new());
        for (login, title) in [
            ("reader", "Mission: goes on"),
            (blocker, "Mission: in silence"),
            ("reader", "Mission: labelled"),
            ("reader", "Mission: meddled with"),
        ] {
            kept.file(login, title, &[]).await;
        }
        archived.file("reader", "Mission: archived", &[]).await;
        let daemon = Self::start(&host, [&kept, &archived]).await;
        Self { forge, kept, archived, host, daemon }
    }

    async fn start(host: &Host, repositories: [&Repository; 2]) -> Running {
        let names = repositories.map(|repository| repository.name.as_str());
        let config = json!({
            "repositories": names,
            "daemon": { "audit_interval_seconds": 600, "interval_seconds": 60 },
        });
        let mut settings = settings(host, Some(repositories[0]), &config.to_string());
        settings.repositories = names.iter().map(|name| RepositoryName::parse(name).unwrap()).collect();
        Running::new(settings).await
    }

    /// A minute, in which the agents of two missions send heartbeats.
    async fn minute(&mut self) -> std::sync::Arc<Snapshot> {
        let at = self.daemon.now;
        for cell in self.cells_that_beat() {
            beat_at(&cell, at, "working");
        }
        self.daemon.tick(60).await
    }

    /// The cells of missions in the repository that stays, but for the one whose author blocks us.
    fn cells_that_beat(&self) -> Vec<PathBuf> {
        let is_silent = |cell: &PathBuf| {
            let manifest = std::fs::read_to_string(cell.join("meta/mission.json")).unwrap_or_default();
            manifest.contains("in silence")
        };
        self.host.cells().into_iter().filter(|cell| !is_silent(cell)).collect()
    }

    /// A minute in which the service has to be ready.
    async fn good_minute(&mut self, what: &str) {
        let shown = self.minute().await;
        assert_eq!(shown.readiness(), Ok(()), "{what}: {:?}", shown.passes);
        assert!(shown.passes.last_complete, "{what}: {:?}", shown.passes);
    }

    async fn good_minutes(&mut self, count: usize, what: &str) {
        for _ in 0..count {
            self.good_minute(what).await;
        }
    }

    async fn comment_path(&self, number: i64) -> String {
        let comments = self.forge.get(&format!("{}/comments", self.kept.issue_path(number))).await;
        format!("{}/issues/comments/{}", self.kept.path(), comments[0]["id"])
    }

    /// Everything that stands on the issues is so: one comment each, and of what its labels say.
    async fn check_truth(&self) {
        for (number, health, words) in [
            (WORKING, "health/healthy", "**Active and healthy** since"),
            (BLOCKED, "health/stale", "**Active, but stale: no recent heartbeat.**"),
            (LABELLED, "health/healthy", "**Active and healthy** since"),
            (MEDDLED, "health/healthy", "**Active and healthy** since"),
        ] {
            let labels = self.kept.labels(number).await;
            assert!(labels.contains(&health.to_owned()), "{number}: {labels:?}");
            let comment = self.kept.comment(number).await;
            assert!(comment.contains(words), "{number}: {comment}");
        }
        self.archived.comment(1).await;
    }
}

/// The disk has no room for a while, which only a start afterwards mends here: what was removed from under it stays so.
async fn full_disk(stage: Stage) -> Stage {
    let staging = stage.host.root().join(".lazarus/staging");
    std::fs::remove_dir_all(&staging).unwrap();
    let Stage { forge, kept, archived, host, mut daemon } = stage;
    let comment = kept.comment(MEDDLED).await;
    for _ in 0..5 {
        daemon.tick(60).await;
    }
    assert_eq!(kept.comment(MEDDLED).await, comment, "nothing is said that could not be remembered");
    daemon.stop().await;
    std::fs::create_dir(&staging).unwrap();
    let daemon = Stage::start(&host, [&kept, &archived]).await;
    Stage { forge, kept, archived, host, daemon }
}

async fn the_service_stays_ready_and_accurate_under_faults_of_users_and_hosts(forge: Forge) {
    let blocker = format!("guest-{:x}", fastrand::u32(..));
    let token = forge.new_account(&blocker);
    let mut stage = Stage::new(forge, &blocker).await;
    stage.good_minute("all is well").await;
    for cell in stage.host.cells() {
        beat_at(&cell, stage.daemon.now, "working");
    }
    stage.good_minutes(2, "all is well").await;
    let blocks = |method| stage_call(&stage.forge, &token, method);
    assert_eq!(blocks(Method::PUT).await, 204);
    stage.good_minutes(9, "an author blocks the bot").await;
    let labels = stage.kept.labels(BLOCKED).await;
    assert!(labels.contains(&"health/stale".to_owned()), "labels go on: {labels:?}");
    assert!(stage.kept.comment(BLOCKED).await.contains("**Active and healthy** since"));
    let failures = stage.daemon.snapshots.borrow().passes.failures.clone();
    assert_eq!((failures.mission, failures.repository, failures.service), (1, 0, 0), "{failures:?}");
    stage.kept.make_label("health/at-risk", true).await;
    stage.kept.put_label(LABELLED, "health/at-risk").await;
    stage.good_minutes(2, "a team puts its own label on").await;
    let archive = |is_archived: bool| json!({ "archived": is_archived });
    stage.forge.change(Method::PATCH, &stage.archived.path(), archive(true)).await;
    stage.good_minutes(10, "a repository is archived").await;
    let path = stage.comment_path(MEDDLED).await;
    stage.forge.change(Method::PATCH, &path, json!({ "body": "All is well, nothing to see." })).await;
    stage.good_minute("a writer edits a comment").await;
    assert!(stage.kept.comment(MEDDLED).await.contains("**Active and healthy** since"), "it is mended within a minute");
    stage.forge.change(Method::DELETE, &path, Value::Null).await;
    stage.good_minutes(11, "a writer deletes a comment").await;
    assert!(stage.kept.comment(MEDDLED).await.contains("**Active and healthy** since"), "it is there after an audit");
    let herald = format!("herald-{}", stage.kept.id);
    stage.forge.new_account(&herald);
    for repository in [&stage.kept, &stage.archived] {
        let path = format!("{}/collaborators/{herald}", repository.path());
        let unarchived = repository.name == stage.archived.name;
        if unarchived {
            stage.forge.change(Method::PATCH, &repository.path(), archive(false)).await;
        }
        stage.forge.change(Method::PUT, &path, json!({ "permission": "write" })).await;
    }
    std::fs::write(stage.host.path().join("token"), stage.forge.new_token(&herald, &BOT_SCOPES)).unwrap();
    stage.good_minutes(12, "the bot has another account").await;
    let mut stage = full_disk(stage).await;
    stage.good_minutes(2, "the disk has room again").await;
    assert_eq!(stage_call(&stage.forge, &token, Method::DELETE).await, 204);
    stage.good_minutes(12, "the author blocks nobody any more").await;
    stage.check_truth().await;
    let before = stage.daemon.snapshots.borrow().traffic.writes();
    let last = stage.minute().await;
    assert_eq!((last.traffic.writes() - before, &last.passes.errors), (0, &Vec::new()), "the last pass writes nothing");
    stage.daemon.stop().await;
}

/// The author blocks the bot, or does so no more.
async fn stage_call(forge: &Forge, token: &str, method: Method) -> u16 {
    forge.call_with(token, method, "/user/blocks/bot", Value::Null).await.0
}
