//! `status` shows the fleet, and tells of each mission why it is as it is, also while something is wrong.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::stories;
use lazarus::sandbox::Fault;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

async fn status(host: &Host, repository: &Repository, arguments: &[&str]) -> Run {
    run(host.reconciler(repository).arg("status").args(arguments)).await
}

/// The story of an issue, for people.
async fn story(host: &Host, repository: &Repository, number: i64) -> String {
    let run = status(host, repository, &[&number.to_string()]).await;
    assert_eq!(run.code, 0, "{run:?}");
    run.stdout
}

fn holds(story: &str, lines: &[&str]) {
    for line in lines {
        assert!(story.contains(line), "{line} is not in\n{story}");
    }
}

async fn the_status_of_a_mission_covers_issue_to_heartbeat(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let answers = [("wizard", "merlin"), ("repository", "")];
    let number = repository.file("reader", "Mission: guard the gate", &answers).await;
    let before = host.snapshot();
    host.once(&repository).await;
    let after = host.snapshot();
    assert!(!before.changed(&after).is_empty());
    let reported = story(&host, &repository, number).await;
    let cell = host.cell();
    let id = cell.file_name().unwrap().to_str().unwrap().to_owned();
    holds(
        &reported,
        &[
            &format!("{}#{number}\n  spec       `Mission: guard the gate`, by account ", repository.name),
            "stale after 5 minutes, wizard `merlin`",
            "  decided    active, uninitialized (no-heartbeat)\n",
            &format!("  on disk    {}\n             all parts exist\n             no heartbeat yet\n", cell.display()),
            "  published  health/uninitialized kind/mission-proposal mission/active\n             status comment ",
            "  next       nothing until something changes\n",
            "  history    20",
        ],
    );
    host.beat(&cell, &["--state", "waiting", "--message", "which gate?"]).await;
    let reported = story(&host, &repository, number).await;
    holds(
        &reported,
        &[
            "active, healthy (heartbeat-ok)",
            "`waiting`: `which gate?`",
            "  next       add `health/healthy`, `wizard/waiting`",
        ],
    );
    let by_id = status(&host, &repository, &[&id, "--json"]).await.json();
    assert_eq!(by_id["mission_id"], id);
    assert_eq!(by_id["spec"]["answers"]["wizard"], "merlin");
    assert_eq!((&by_id["on_disk"]["agent_state"], &by_id["errors"]), (&json!("waiting"), &json!([])));
    assert!(by_id["on_disk"]["last_heartbeat_at"].is_string() && by_id["published"]["comment_id"].is_i64(), "{by_id}");
    let why = by_id["decided"]["why"].to_string();
    assert!(why.contains("“which gate?”") && !why.contains(['*', '`']), "plain sentences: {why}");
    assert_eq!(by_id["next"].as_array().unwrap().len(), 3, "labels, comment, record");
    let whole = status(&host, &repository, &[&format!("{}#{number}", repository.name), "--json"]).await.json();
    assert_eq!(whole["on_disk"], by_id["on_disk"]);
    let with_heartbeat = host.snapshot().changed(&after);
    assert!(
        with_heartbeat.iter().all(|path| path.starts_with(cell.join("state"))),
        "status writes nothing: {with_heartbeat:?}"
    );
}

async fn status_explains_each_reason_for_having_no_cell(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let invalid = repository.file("reader", "Mission: wrong", &[("wizard", "the grey one")]).await;
    let elsewhere = repository.file("reader", "Mission: there", &[("host", "beta")]).await;
    let blocked = repository.file("reader", "Mission: blocked", &[]).await;
    let other = json!({ "title": "A question", "body": "How?" });
    let other = forge.change(reqwest::Method::POST, &format!("{}/issues", repository.path()), other).await;
    std::fs::write(host.path().join("full.json"), json!({ "limits": { "cells": 1 } }).to_string()).unwrap();
    run(host.reconciler(&repository).args(["--once", "--config", "full.json"])).await;
    let waiting = repository.file("reader", "Mission: no room", &[]).await;
    holds(
        &story(&host, &repository, invalid).await,
        &[
            "  decided    invalid\n             Not started: 1 answer needs correcting. No cell was created.\n",
            "Wizard: “the grey one”",
        ],
    );
    holds(&story(&host, &repository, elsewhere).await, &["  decided    pending\n", "“beta”", "no cell"]);
    let full = run(host.reconciler(&repository).args(["status", &waiting.to_string(), "--config", "full.json"])).await;
    holds(&full.stdout, &["  decided    pending\n", "limits.cells"]);
    let reported = story(&host, &repository, other["number"].as_i64().unwrap()).await;
    holds(
        &reported,
        &[
            "  decided    no proposal\n",
            "it is no Mission proposal: its first line is not “<!-- lazarus:mission-proposal v1 -->”",
        ],
    );
    let cell = host.cell();
    std::fs::remove_dir_all(&cell).unwrap();
    std::fs::write(&cell, "").unwrap();
    let reported = story(&host, &repository, blocked).await;
    holds(&reported, &["active, incomplete (wrong-type .)", "a file is in its place"]);
    repository.set_state(invalid, "closed").await;
    holds(&story(&host, &repository, invalid).await, &["  decided    closed\n"]);
}

async fn a_mission_of_another_host_is_shown_with_its_owner(forge: Forge) {
    let (repository, host, other) = (forge.repository().await, Host::new(), Host::new());
    let number = repository.file("reader", "Mission: mine", &[]).await;
    run(other.reconciler(&repository).env("LAZARUS_HOST", "beta").arg("--once")).await;
    host.once(&repository).await;
    holds(
        &story(&host, &repository, number).await,
        &["  decided    other-host\n             host “beta” owns it, on root "],
    );
    let fleet = status(&host, &repository, &[]).await;
    holds(&fleet.stdout, &["other-host on beta", "1 mission of host alpha in ", ": 1 other-host"]);
}

async fn a_deleted_issue_is_shown_from_the_record(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: short", &[]).await;
    host.once(&repository).await;
    repository.delete(number).await;
    holds(
        &story(&host, &repository, number).await,
        &[
            "cached: the last published state, since 20",
            &format!("  errors     `{}` has no issue {number}", repository.name),
            "  next       unknown until Gitea answers\n",
        ],
    );
}

stories![
    the_status_of_a_mission_covers_issue_to_heartbeat,
    status_explains_each_reason_for_having_no_cell,
    a_mission_of_another_host_is_shown_with_its_owner,
    a_deleted_issue_is_shown_from_the_record,
];

/// A mission that was seen healthy once, before anything goes wrong.
async fn settled() -> (Repository, Host, i64) {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::on_disk());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    host.once(&repository).await;
    (repository, host, number)
}

#[tokio::test]
async fn without_the_forge_status_shows_cached_state_and_the_reason() {
    let (repository, host, number) = settled().await;
    let number = number.to_string();
    let engine = || repository.forge.engine();
    let narrow = repository.forge.new_token("bot", &["write:issue", "read:repository"]);
    let reported = async |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = host.reconciler(&repository);
        change(command.args(["status", &number]));
        let run = run(&mut command).await;
        assert_eq!(run.code, 0, "{run:?}");
        holds(&run.stdout, &["active, healthy (heartbeat-ok)", "cached: ", "all parts exist", "last heartbeat 20"]);
        run.stdout
    };
    let variable = |name: &'static str, value: String| {
        move |command: &mut std::process::Command| {
            command.env(name, &value);
        }
    };
    holds(&reported(&variable("LAZARUS_GITEA_TOKEN", "wrong".to_owned())).await, &["Gitea rejects the token"]);
    holds(&reported(&variable("LAZARUS_GITEA_TOKEN", narrow)).await, &["the token lacks the scope `read:user`"]);
    holds(&reported(&variable("LAZARUS_GITEA_URL", "http://127.0.0.1:1".to_owned())).await, &["is unreachable"]);
    holds(&reported(&variable("LAZARUS_GITEA_URL", String::new())).await, &["`forge.url` is not set"]);
    holds(&reported(&variable("LAZARUS_GITEA_TOKEN_FILE", "/nowhere".to_owned())).await, &["`forge.token_file`"]);
    engine().break_next(1, "GET", "/user", Fault::Html);
    holds(&reported(&|_| ()).await, &["the response is not from Gitea"]);
    engine().break_next(9, "GET", "", Fault::Refuse(500));
    holds(&reported(&|_| ()).await, &["Gitea answered 500"]);
    engine().heal();
    let renamed = json!({ "name": format!("{}-moved", repository.name.replace("owner/", "")) });
    repository.forge.change(reqwest::Method::PATCH, &repository.path(), renamed).await;
    let followed = status(&host, &repository, &[&number]).await;
    holds(&followed.stdout, &["active, healthy (heartbeat-ok)", "-moved#1\n", "  next       "]);
    repository.forge.repository_named(&repository.name.replace("owner/", "")).await;
    holds(&reported(&|_| ()).await, &["is another repository now"]);
}

#[tokio::test]
async fn status_reports_each_fault_of_the_root() {
    let (repository, host, number) = settled().await;
    let number = number.to_string();
    let with_root = async |root: &std::path::Path| {
        run(host.reconciler(&repository).env("LAZARUS_MISSIONS_ROOT", root).args(["status", &number])).await
    };
    let missing = with_root(&host.path().join("nowhere")).await;
    assert!(missing.code == 2 && missing.stderr.contains("does not exist; create it with"), "{missing:?}");
    let empty = host.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let unmounted = with_root(&empty).await;
    assert!(unmounted.code == 2 && unmounted.stderr.contains("is not initialised"), "{unmounted:?}");
    let unknown = status(&host, &repository, &["123e4567-e89b-12d3-a456-426614174000"]).await;
    assert!(
        unknown.code == 2 && unknown.stderr.contains("`lazarus-reconcile status` lists all missions"),
        "{unknown:?}"
    );
    let no_issue = status(&host, &repository, &["99"]).await;
    assert!(no_issue.code == 2 && no_issue.stderr.contains("has no issue 99"), "{no_issue:?}");
    assert!(!no_issue.stderr.contains("--issue"), "{no_issue:?}");
    let nonsense = status(&host, &repository, &["merlin"]).await;
    assert!(nonsense.code == 2 && nonsense.stderr.contains("or the id of a mission"), "{nonsense:?}");
    std::fs::set_permissions(host.root(), Permissions::from_mode(0o555)).unwrap();
    holds(&story(&host, &repository, 1).await, &["active, healthy (heartbeat-ok)"]);
    std::fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(host.cell().join("state/heartbeat.json")).unwrap();
    holds(
        &story(&host, &repository, 1).await,
        &[
            "active, incomplete (missing state/heartbeat.json)",
            "problems: `state/heartbeat.json` is missing",
            "  next       ",
        ],
    );
}

#[tokio::test]
async fn the_fleet_table_includes_missions_that_may_be_forgotten() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let number = repository.file("reader", "Mission: paused", &[("wizard", "merlin")]).await;
    repository.file("reader", "Mission: wrong", &[("wizard", "the grey one")]).await;
    host.once(&repository).await;
    run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"])).await;
    repository.forge.next_second().await;
    repository.put_label(number, "mission/suspended").await;
    host.once(&repository).await;
    let records = std::fs::read_dir(host.root().join(".lazarus/missions")).unwrap().map(|entry| entry.unwrap().path());
    let is_paused = |path: &std::path::PathBuf| {
        let record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        !record["suspension"].is_null()
    };
    let path = records.into_iter().find(is_paused).unwrap();
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["suspension"]["since"] = json!("2026-01-02T03:04:05Z");
    std::fs::write(&path, record.to_string()).unwrap();
    let fleet = status(&host, &repository, &[]).await;
    assert_eq!(fleet.code, 0, "{fleet:?}");
    let lines: Vec<&str> = fleet.stdout.lines().collect();
    assert!(lines[0].starts_with("HEALTH         PHASE"), "{fleet:?}");
    holds(
        &fleet.stdout,
        &[
            "uninitialized  suspended  no-heartbeat  -          merlin  20",
            "-              invalid    -             -          -       20",
            "  paused\n",
            "  wrong\n",
            "uninitialized  none       no-heartbeat  -          -       -",
            "  123e4567-e89b-12d3-a456-426614174000  -\n",
            "3 missions of host alpha in ",
            ": 1 invalid, 1 none, 1 suspended\n",
            "#1 has been suspended since 2026-01-02 03:04:05 UTC by owner, for more than a week\n",
        ],
    );
    let document = status(&host, &repository, &["--json"]).await.json();
    assert_eq!(
        document["summary"],
        json!({ "active": 0, "closed": 0, "deleted": 0, "invalid": 1, "none": 1, "other-host": 0, "pending": 0, "suspended": 1 })
    );
    assert_eq!(
        (document["missions"].as_array().unwrap().len(), document["suspended_long"].as_array().unwrap().len()),
        (3, 1)
    );
}
