//! What others put on an issue stays as it is; what is wrong of ours is put right, and nothing else is touched.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run, writes};
use crate::support::repository::Repository;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};

stories![
    labels_set_at_filing_are_corrected,
    comments_of_others_stay_and_a_planted_marker_is_ignored,
    repository_labels_are_repaired_before_any_issue_is_touched,
    a_deleted_status_comment_is_reposted_by_the_next_pass,
    an_edited_status_comment_is_restored_by_the_next_pass,
    an_issue_that_another_root_serves_is_left_alone,
    proposals_over_a_quota_wait_smallest_number_first,
    proposals_wait_while_the_disk_is_full,
    a_proposal_for_another_host_waits,
];

const HEALTH: [&str; 5] =
    ["health/healthy", "health/stale", "health/incomplete", "health/uninitialized", "health/unknown"];

/// Files three proposals with labels that a reader may set, but that are not true; their numbers.
async fn file_with_false_labels(repository: &Repository) -> [i64; 3] {
    repository.make_label("bug", false).await;
    repository.make_label("kind/epic", true).await;
    repository.make_label("mission/closed", true).await;
    repository.make_label("wizard/done", true).await;
    let two = ["health/healthy", "health/stale", "bug"];
    let all: Vec<&str> = HEALTH.into_iter().chain(["kind/epic", "mission/active", "mission/invalid"]).collect();
    let closed = ["mission/closed", "wizard/done", "bug", "kind/mission-proposal"];
    [
        repository.file_with("reader", "Mission: two", &[], Some(&two)).await,
        repository.file_with("reader", "Mission: all", &[], Some(&all)).await,
        repository.file_with("reader", "Mission: closed", &[], Some(&closed)).await,
    ]
}

async fn check_true_labels(repository: &Repository, [two, all, closed]: [i64; 3]) {
    let ours = ["health/uninitialized", "kind/mission-proposal", "mission/active"];
    assert_eq!(repository.labels(two).await, ["bug", ours[0], ours[1], ours[2]]);
    assert_eq!(repository.labels(all).await, [ours[0], "kind/epic", ours[1], ours[2]]);
    assert_eq!(repository.labels(closed).await, ["bug", ours[0], ours[1], ours[2]]);
}

async fn labels_set_at_filing_are_corrected(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let issues = file_with_false_labels(&repository).await;
    let report = host.once(&repository).await;
    assert_eq!(report["requests"]["put"], 0, "a bot never replaces the list");
    check_true_labels(&repository, issues).await;
    assert_eq!(changes(&host.once(&repository).await), 0);
}

#[tokio::test]
async fn a_job_token_also_corrects_labels_set_at_filing() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let issues = file_with_false_labels(&repository).await;
    let in_job = || async {
        let mut command = host.command("lazarus-reconcile");
        command.env("LAZARUS_GITEA_TOKEN", forge.engine().job_token(repository.id));
        command.env("LAZARUS_GITEA_URL", &forge.url).env("LAZARUS_REPOSITORIES", &repository.name);
        run(command.args(["--once", "--json"])).await
    };
    let Run { code, stdout, stderr } = in_job().await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["requests"]["put"], &report["requests"]["delete"]), (&json!(2), &json!(0)), "{stdout}");
    check_true_labels(&repository, issues).await;
    assert_eq!(changes(&in_job().await.json()), 0);
}

async fn comments_of_others_stay_and_a_planted_marker_is_ignored(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: popular", &[]).await;
    let planted = "<!-- lazarus:status v1 mission=123e4567-e89b-12d3-a456-426614174000 \
                   root=22222222-2222-4222-8222-222222222222 host=beta digest=abc -->\nIt runs elsewhere, honestly.";
    repository.say("reader", number, planted).await;
    repository.say("stranger", number, "When will it be done?").await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    host.once(&repository).await;
    let comments = repository.comments(number).await;
    assert_eq!(comments.len(), 3, "{comments:?}");
    assert_eq!(comments[0], ("reader".to_owned(), planted.to_owned()));
    assert_eq!(comments[1], ("stranger".to_owned(), "When will it be done?".to_owned()));
    assert!(comments[2].0 == "bot" && comments[2].1.contains("**Active and healthy**"), "{comments:?}");
}

async fn repository_labels_are_repaired_before_any_issue_is_touched(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let labels = format!("{}/labels", repository.path());
    repository.make_label("kind/mission-proposal", true).await;
    repository.make_label("health/stale", false).await;
    let archived = json!({ "name": "health/healthy", "color": "123456", "exclusive": false, "is_archived": true });
    forge.change(Method::POST, &labels, archived).await;
    repository.make_label("health/mine", false).await;
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let found = forge.get(&format!("{labels}?limit=50")).await;
    let flags = |name: &str| {
        let label = found.as_array().unwrap().iter().find(|label| label["name"] == name).unwrap();
        (label["exclusive"].as_bool().unwrap(), label["is_archived"].as_bool().unwrap(), label["color"].clone())
    };
    assert_eq!(flags("kind/mission-proposal"), (false, false, json!("cccccc")));
    assert_eq!(flags("health/stale"), (true, false, json!("cccccc")));
    assert_eq!(flags("health/healthy"), (true, true, json!("123456")));
    assert_eq!(flags("health/mine"), (false, false, json!("cccccc")), "not one of ours");
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
}

async fn a_deleted_status_comment_is_reposted_by_the_next_pass(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: forgotten", &[]).await;
    host.once(&repository).await;
    let before = repository.comment(number).await;
    let comments = forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let id = comments[0]["id"].as_i64().unwrap();
    forge.change(Method::DELETE, &format!("{}/issues/comments/{id}", repository.path()), Value::Null).await;
    assert_eq!(writes(&host.once(&repository).await), 1, "though there is nothing new to say");
    assert_eq!(repository.comment(number).await, before);
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn an_edited_status_comment_is_restored_by_the_next_pass(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: edited", &[]).await;
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    let comments = forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    let path = format!("{}/issues/comments/{}", repository.path(), comments[0]["id"]);
    let forged = format!("{}\nAll is well.", comment.lines().next().unwrap());
    for text in ["All is well.", &forged] {
        forge.change(Method::PATCH, &path, json!({ "body": text })).await;
        assert_eq!(writes(&host.once(&repository).await), 1, "{text}");
        assert_eq!(repository.comment(number).await, comment, "{text}");
    }
    assert_eq!(changes(&host.once(&repository).await), 0);
    // Of a closed mission, too.
    repository.set_state(number, "closed").await;
    host.once(&repository).await;
    let closed = repository.comment(number).await;
    host.once(&repository).await;
    forge.change(Method::PATCH, &path, json!({ "body": "All is well." })).await;
    host.once(&repository).await;
    assert_eq!(repository.comment(number).await, closed);
}

async fn an_issue_that_another_root_serves_is_left_alone(forge: Forge) {
    let (repository, alpha, beta) = (forge.repository().await, Host::new(), Host::new());
    let number = repository.file("reader", "Mission: shared", &[]).await;
    alpha.once(&repository).await;
    let comment = repository.comment(number).await;
    let on_beta = || async {
        let run = run(beta.reconciler(&repository).env("LAZARUS_HOST", "beta").args(["--once", "--json"])).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    };
    let report = on_beta().await;
    let mission = &report["missions"][0];
    assert_eq!((&mission["phase"], &mission["host"]), (&json!("other-host"), &json!("alpha")));
    assert_eq!((writes(&report), &report["summary"]["phase"]["other-host"]), (0, &json!(1)));
    assert_eq!(beta.cells().len(), 0);
    assert_eq!(repository.comment(number).await, comment);
    let quiet = on_beta().await;
    assert_eq!((changes(&quiet), &quiet["requests"]["get"]), (0, &json!(4)), "remembered, and not read again: {quiet}");
}

async fn proposals_over_a_quota_wait_smallest_number_first(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let mut numbers = Vec::new();
    for (at, author) in ["reader", "reader", "reader", "stranger", "stranger"].into_iter().enumerate() {
        numbers.push(repository.file(author, &format!("Mission: {at}"), &[]).await);
    }
    let limits = r#"{ "limits": { "cells": 3, "cells_per_author": 2, "new_cells_per_pass": 2 } }"#;
    std::fs::write(host.path().join("limits.json"), limits).unwrap();
    for expected in
        [["active", "active", "pending", "pending", "pending"], ["active", "active", "pending", "active", "pending"]]
    {
        let run = run(host.reconciler(&repository).args(["--once", "--json", "--config", "limits.json"])).await;
        assert_eq!(run.code, 0, "{run:?}");
        let report = run.json();
        let phases: Vec<&Value> = report["missions"].as_array().unwrap().iter().map(|m| &m["phase"]).collect();
        assert_eq!(phases, expected);
    }
    assert!(repository.comment(numbers[2]).await.contains("`limits.cells_per_author` limits each author to 2."));
    assert!(repository.comment(numbers[4]).await.contains("`limits.cells` limits `alpha` to 3 in all."));
    assert_eq!(repository.labels(numbers[2]).await, ["kind/mission-proposal", "mission/pending"]);
    assert_eq!(host.cells().len(), 3);
    host.once(&repository).await;
    assert_eq!(
        repository.labels(numbers[2]).await,
        ["health/uninitialized", "kind/mission-proposal", "mission/active"]
    );
}

async fn proposals_wait_while_the_disk_is_full(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let exbibyte: u64 = 1 << 60;
    let once = async |limits: Value| {
        std::fs::write(host.path().join("disk.json"), json!({ "limits": limits }).to_string()).unwrap();
        let run = run(host.reconciler(&repository).args(["--once", "--json", "--config", "disk.json"])).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    };
    for (limits, reported) in [
        (json!({ "free_bytes": exbibyte }), "has less than 1 EiB free, which `limits.free_bytes` reserves"),
        (json!({ "free_inodes": exbibyte }), "inodes free, which `limits.free_inodes` reserves"),
    ] {
        once(limits.clone()).await;
        assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/pending"]);
        assert!(repository.comment(number).await.contains(reported), "{}", repository.comment(number).await);
        assert_eq!((host.cells().len(), changes(&once(limits).await)), (0, 0));
    }
    once(json!({ "free_bytes": 0, "free_inodes": 0 })).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
}

#[tokio::test]
async fn cells_without_an_issue_count_against_the_quota() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let made = run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"])).await;
    assert_eq!(made.code, 0, "{made:?}");
    std::fs::write(host.path().join("one.json"), r#"{ "limits": { "cells": 1 } }"#).unwrap();
    let pass = run(host.reconciler(&repository).args(["--once", "--config", "one.json"])).await;
    assert_eq!((pass.code, host.cells().len()), (0, 1), "{pass:?}");
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/pending"]);
}

#[tokio::test]
async fn a_closed_mission_counts_against_the_quota_while_its_cell_exists() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let closed = repository.file("reader", "Mission: x", &[]).await;
    let waiting = repository.file("reader", "Mission: y", &[]).await;
    std::fs::write(host.path().join("one.json"), r#"{ "limits": { "cells": 1 } }"#).unwrap();
    let once = async || run(host.reconciler(&repository).args(["--once", "--config", "one.json"])).await;
    assert_eq!(once().await.code, 0);
    let cell = host.cell();
    host.beat(&cell, &[]).await;
    repository.set_state(closed, "closed").await;
    for _ in 0..2 {
        assert_eq!((once().await.code, host.cell()), (0, cell.clone()), "its wizard still beats");
    }
    host.beat(&cell, &["--state", "done"]).await;
    for _ in 0..2 {
        assert_eq!(once().await.code, 0);
    }
    assert_ne!(host.cell(), cell);
    let labels = ["health/uninitialized", "kind/mission-proposal", "mission/active"];
    assert_eq!(repository.labels(waiting).await, labels);
}

#[tokio::test]
async fn a_renamed_host_reports_no_refused_edit() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[("host", "alpha")]).await;
    host.once(&repository).await;
    let renamed = run(host.reconciler(&repository).env("LAZARUS_HOST", "omega").arg("--once")).await;
    let comment = repository.comment(number).await;
    assert!(renamed.code == 0 && comment.contains("on `omega`") && !comment.contains("Edit not applied"), "{comment}");
}

async fn a_proposal_for_another_host_waits(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let away = repository.file("reader", "Mission: away", &[("host", "beta")]).await;
    host.once(&repository).await;
    assert_eq!(repository.labels(away).await, ["kind/mission-proposal", "mission/pending"]);
    let comment = repository.comment(away).await;
    assert!(comment.contains("names `beta`, and this is `alpha`"), "{comment}");
    assert!(comment.starts_with("<!-- lazarus:status v1 mission=none root=none host=none digest="), "{comment}");
    assert_eq!(host.cells().len(), 0);
}
