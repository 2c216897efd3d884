//! Repositories that want something, as worktrees of missions: a plain checkout is made of them, or none, and the mission
//! goes on.

use crate::life::hostile::canary::Canary;
use crate::life::hostile::trace::traced;
use crate::support::forge::Forge;
use crate::support::git_forge::{GitForge, Manner};
use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::worktree::files;
use crate::world::git_bounds::nested;
use crate::world::git_hostile::{Plant, REFUSED, TAKEN};
use lazarus::mission::status::marker::Marker;
use reqwest::Method;
use serde_json::json;
use std::path::Path;

/// Small to fetch, and far too much.
const BOMBS: [(&str, Plant); 3] = [
    ("a million files", |bare, _| nested(bare, &bare.blob("x"), "100644", 6)),
    ("a million directories", |bare, _| nested(bare, &bare.tree(&[]), "40000", 6)),
    ("four gigabytes", |bare, _| nested(bare, &bare.blob(vec![0; 4 << 20]), "100644", 3)),
];

/// A repository of the owner's that holds what a test planted.
async fn planted(forge: &Forge, keeper: &GitForge, name: &str, (plant, canary): (Plant, &Path)) {
    let new = json!({ "name": name, "private": false });
    let made = forge.change(Method::POST, "/user/repos", new).await;
    let bare = keeper.repository(name);
    bare.publish(&plant(&bare, canary));
    forge.engine().serve_git(made["id"].as_i64().unwrap(), bare.path());
}

/// The cell of a mission, and how its worktree is told.
async fn reported(host: &Host, repository: &Repository, number: i64) -> (std::path::PathBuf, String) {
    let comment = repository.comment(number).await;
    let cell = host.root().join(Marker::parse(&comment).unwrap().mission.unwrap().to_string());
    let line = comment.lines().find(|line| line.starts_with("- Worktree: ")).unwrap();
    (cell, line.to_owned())
}

#[tokio::test]
async fn hostile_repositories_become_plain_worktrees_or_none() {
    let (forge, keeper) = (Forge::sandbox().await, GitForge::new(Manner::Open));
    let (repository, host) = (forge.repository().await, Host::new());
    let canary = Canary::beside(&host);
    let all = TAKEN.iter().chain(&REFUSED).chain(&BOMBS);
    let mut filed = Vec::new();
    for (at, (what, plant)) in all.enumerate() {
        let name = format!("trap-{at}");
        planted(&forge, &keeper, &name, (*plant, canary.path())).await;
        let asked = format!("owner/{name}");
        filed.push((*what, repository.file("reader", "Mission: read", &[("repository", &asked)]).await));
    }
    std::fs::write(host.path().join("more.json"), r#"{ "worktrees": { "repositories": ["owner/*"] } }"#).unwrap();
    let mut command = host.reconciler(&repository);
    let command = command.args(["--once", "--config", "more.json"]);
    let (run, trace) = traced(&host, "checkouts of hostile repositories", command).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    canary.check();
    if let Some(trace) = trace {
        trace.check(&host, forge.token("bot"), &canary);
        assert!(trace.programs().len() >= filed.len() * 4, "{:?}", trace.programs());
    }
    for (at, (what, number)) in filed.iter().enumerate() {
        let (cell, reported) = reported(&host, &repository, *number).await;
        let worktree = cell.join("worktree");
        if at < TAKEN.len() {
            assert!(reported.contains(", commit `"), "{what}: {reported}");
            assert!(files(&worktree).iter().all(|path| !worktree.join(path).is_symlink()), "{what}");
        } else {
            let is_bomb = at >= TAKEN.len() + REFUSED.len();
            let why = if is_bomb { "the repository " } else { "cannot be checked out safely: object " };
            assert!(reported.contains("could not be checked out") && reported.contains(why), "{what}: {reported}");
            assert_eq!(files(&worktree).len(), 0, "{what}");
        }
    }
    assert_eq!(std::fs::read_dir(host.root().join(".lazarus/staging")).unwrap().count(), 0);
}
