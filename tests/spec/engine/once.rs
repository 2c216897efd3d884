//! One pass, end to end: from a filed form to labels, a comment and a whole cell.

use crate::support::forge::{BOT_SCOPES, Forge};
use crate::support::host::{Host, changes, run, writes};
use crate::support::missions::body;
use crate::support::stories;
use lazarus::mission::cell::Part;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

stories![
    a_filed_form_becomes_a_cell_with_two_writes_and_then_none,
    a_form_filed_before_the_labels_exist_is_found_by_its_first_line,
    three_mistakes_create_no_cell_and_their_correction_does,
    a_dry_run_prints_the_changes_of_the_next_pass,
    a_later_edit_reaches_the_cell,
    one_issue_can_be_reconciled_alone,
    the_headline_counts_the_writes_that_the_forge_accepted,
];

async fn the_headline_counts_the_writes_that_the_forge_accepted(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let pass = async |login: &str| {
        let token = forge.new_token(login, &BOT_SCOPES);
        run(host.reconciler(&repository).env("LAZARUS_GITEA_TOKEN", token).arg("--once")).await
    };
    let refused = pass("reader").await;
    assert!(refused.stdout.contains(" read, 0 wrote, 17 failed; "), "{refused:?}");
    let written = pass("bot").await;
    assert!(written.stdout.contains(" read, 17 wrote; "), "{written:?}");
}

async fn a_filed_form_becomes_a_cell_with_two_writes_and_then_none(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let first = host.once(&repository).await;
    assert_eq!(first["changes"][0]["kind"], "initialise-root");
    assert_eq!((writes(&first), first["changes"].as_array().unwrap().len()), (17, 18), "the labels and the root");

    let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "merlin")]).await;
    let report = host.once(&repository).await;
    let mission = &report["missions"][0];
    assert_eq!(
        (&mission["phase"], &mission["health"], &mission["reason"]),
        (&json!("active"), &json!("uninitialized"), &json!("no-heartbeat"))
    );
    assert_eq!(writes(&report), 2, "one for the labels, one for the comment");
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    let cell = host.cell();
    assert_eq!(cell.file_name().unwrap().to_str(), mission["mission_id"].as_str());
    let comment = repository.comment(number).await;
    assert!(comment.contains("**Active, waiting for the first heartbeat.**"), "{comment}");
    assert!(comment.contains(&format!("lazarus-pit beat --cell {}", cell.display())), "{comment}");
    check_whole(&cell);
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(cell.join("meta/mission.json")).unwrap()).unwrap();
    assert_eq!((&manifest["name"], &manifest["status"]), (&json!("raise the dead"), &json!("active")));
    assert_eq!((&manifest["spec"]["wizard"], &manifest["issue"]["number"]), (&json!("merlin"), &json!(number)));

    let quiet = host.once(&repository).await;
    assert_eq!((writes(&quiet), changes(&quiet)), (0, 0), "{quiet}");
    assert!(quiet["requests"]["get"].as_u64().unwrap() <= 1 + 4 + 1, "{quiet}");
}

fn check_whole(cell: &Path) {
    for part in Part::ALL {
        let metadata = std::fs::symlink_metadata(cell.join(part.path())).unwrap();
        assert_eq!(metadata.is_dir(), part.path().ends_with('/'), "{}", part.path());
        assert_eq!(metadata.permissions().mode() & 0o7777, part.mode(), "{}", part.path());
    }
}

async fn a_form_filed_before_the_labels_exist_is_found_by_its_first_line(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: early", &[]).await;
    assert_eq!(repository.labels(number).await, [""; 0]);
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
}

async fn three_mistakes_create_no_cell_and_their_correction_does(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let wrong = [("repository", "a repo"), ("stale-after", ""), ("wizard", "the grey one")];
    let number = repository.file("reader", "Mission: wrong", &wrong).await;
    let report = host.once(&repository).await;
    assert_eq!(report["missions"][0]["phase"], "invalid");
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/invalid"]);
    let comment = repository.comment(number).await;
    for reported in
        ["3 answers need correcting", "**Repository**: `a repo`", "**Stale after**", "**Wizard**: `the grey one`"]
    {
        assert!(comment.contains(reported), "{reported} is missing in\n{comment}");
    }
    assert_eq!(host.cells(), Vec::<std::path::PathBuf>::new());
    assert_eq!(changes(&host.once(&repository).await), 0);

    repository.edit("reader", number, |_| body(&[("Wizard", "gandalf")])).await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    assert!(repository.comment(number).await.contains("**Active, waiting for the first heartbeat.**"));
    check_whole(&host.cell());
}

async fn a_dry_run_prints_the_changes_of_the_next_pass(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: good", &[]).await;
    repository.file("reader", "Mission: bad", &[("host", "a b")]).await;
    repository.file("reader", "Mission: elsewhere", &[("host", "beta")]).await;
    for round in 0..3 {
        let before = (host.snapshot(), forge.get(&format!("{}/issues?state=all", repository.path())).await);
        let preview = run(host.reconciler(&repository).args(["--dry-run", "--json"])).await;
        assert_eq!(preview.code, 0, "{preview:?}");
        let after = (host.snapshot(), forge.get(&format!("{}/issues?state=all", repository.path())).await);
        assert!(before == after, "a dry run changes nothing");
        let exit = run(host.reconciler(&repository).args(["--dry-run", "--exit-code"])).await;
        assert_eq!(exit.code, if round == 1 { 0 } else { 4 }, "{exit:?}");
        let (preview, done) = (preview.json(), host.once(&repository).await);
        assert_eq!((&preview["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
        assert_eq!(preview["requests"]["post"], 0);
        for key in ["changes", "missions", "summary", "complete"] {
            assert_eq!(preview[key], done[key], "{key} in round {round}");
        }
        if round == 1 {
            std::fs::remove_dir_all(host.cell().join("logs")).unwrap();
            host.beat(&host.cell(), &[]).await;
        }
    }
}

async fn a_later_edit_reaches_the_cell(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: change", &[]).await;
    host.once(&repository).await;
    repository.edit("reader", number, |_| body(&[("Stale after", "1 day")])).await;
    host.once(&repository).await;
    let read =
        |path: &str| -> Value { serde_json::from_slice(&std::fs::read(host.cell().join(path)).unwrap()).unwrap() };
    assert_eq!(read("config/cell.json")["stale_after_seconds"], 86_400);
    assert_eq!(read("meta/mission.json")["spec"]["stale_after_seconds"], 86_400);
    repository.edit("reader", number, |_| body(&[("Wizard", "the grey one")])).await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    assert!(repository.comment(number).await.contains("Edit not applied"));
    assert_eq!(read("meta/mission.json")["spec"]["stale_after_seconds"], 86_400);
}

async fn one_issue_can_be_reconciled_alone(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let one = repository.file("reader", "Mission: one", &[]).await;
    let two = repository.file("reader", "Mission: two", &[]).await;
    let issue = format!("{}#{two}", repository.name);
    let run = run(host.reconciler(&repository).args(["--once", "--json", "--issue", &issue])).await;
    assert_eq!((run.code, run.json()["missions"].as_array().unwrap().len()), (0, 1), "{run:?}");
    assert_eq!(repository.labels(one).await, ["kind/mission-proposal"]);
    assert_eq!(repository.labels(two).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
}
