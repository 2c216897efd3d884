//! What cannot be found is gone only when nothing else explains it, and then its cell is archived, never deleted.

use crate::life::{pass, try_pass};
use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::repository::Repository;
use crate::support::stories;
use lazarus::sandbox::Fault;
use reqwest::Method;
use serde_json::{Value, json};

stories![
    a_deleted_issue_is_requested_twice_before_its_cell_is_archived,
    four_or_more_deleted_issues_require_manual_action,
    a_renamed_repository_loses_no_cell,
    a_transferred_repository_loses_no_cell,
    an_archived_repository_loses_no_cell,
    a_hidden_repository_loses_no_cell,
    a_repository_without_issues_loses_no_cell,
    a_deleted_repository_loses_no_cell,
    another_repository_by_the_same_name_loses_no_cell,
];

async fn a_deleted_issue_is_requested_twice_before_its_cell_is_archived(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    std::fs::write(host.cell().join("artifacts/mine"), "kept").unwrap();
    repository.delete(number).await;
    host.once(&repository).await;
    assert_eq!(host.cells().len(), 1, "once is not enough");
    host.once(&repository).await;
    let [archive] = host.archives().try_into().unwrap();
    assert_eq!(
        (host.cells().len(), std::fs::read_to_string(archive.join("artifacts/mine")).unwrap().as_str()),
        (0, "kept")
    );
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn file_and_delete(repository: &Repository, host: &Host, count: usize) {
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(repository.file("reader", "Mission: x", &[]).await);
    }
    host.once(repository).await;
    for number in numbers {
        repository.delete(number).await;
    }
    host.once(repository).await;
}

async fn four_or_more_deleted_issues_require_manual_action(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    file_and_delete(&repository, &host, 4).await;
    for _ in 0..2 {
        let braked = try_pass(&host, &repository, "{}").await;
        assert_eq!((braked.code, host.cells().len()), (1, 4), "{braked:?}");
        let reported = "4 issues were not found in one pass (";
        assert!(
            braked.stderr.contains(reported)
                && braked.stderr.contains("`lazarus-reconcile --once --allow-archive 4 --config ")
        );
    }
    let once = async |most: &str| run(host.reconciler(&repository).args(["--once", "--allow-archive", most])).await;
    assert_eq!((once("3").await.code, host.cells().len()), (1, 4), "three are not four");
    assert_eq!((once("4").await.code, host.cells().len(), host.archives().len()), (0, 0, 4));
    file_and_delete(&repository, &host, 3).await;
    pass(&host, &repository, "{}").await;
    assert_eq!((host.cells().len(), host.archives().len()), (0, 7), "three need nobody's word");
}

/// Passes with the world like this archive nothing, and say why.
async fn check_no_cell_is_lost(host: &Host, repository: &Repository, reported: &str) {
    for _ in 0..3 {
        let run = try_pass(host, repository, "{}").await;
        assert_eq!((host.cells().len(), host.archives().len()), (1, 0), "{run:?}");
        assert!(run.stderr.contains(reported), "{reported}: {run:?}");
    }
}

async fn with_one_cell(forge: &Forge) -> (Repository, Host, i64) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    (repository, host, number)
}

async fn a_renamed_repository_loses_no_cell(forge: Forge) {
    let (repository, host, _) = with_one_cell(&forge).await;
    let new = format!("{}-renamed", repository.name.split_once('/').unwrap().1);
    forge.change(Method::PATCH, &repository.path(), json!({ "name": new })).await;
    check_no_cell_is_lost(&host, &repository, &format!("was renamed to `owner/{new}`")).await;
}

async fn a_transferred_repository_loses_no_cell(forge: Forge) {
    let (repository, host, number) = with_one_cell(&forge).await;
    let heir = format!("successor-{}", repository.id);
    forge.new_account(&heir);
    let transfer = format!("{}/transfer", repository.path());
    assert_eq!(forge.call("operator", Method::POST, &transfer, json!({ "new_owner": heir })).await.0, 202);
    check_no_cell_is_lost(&host, &repository, &format!("was renamed to `{heir}/")).await;
    let (_, name) = repository.name.split_once('/').unwrap();
    let issue = format!("/repos/{heir}/{name}/issues/{number}");
    forge.call("operator", Method::DELETE, &issue, Value::Null).await;
    for _ in 0..2 {
        try_pass(&host, &repository, "{}").await;
    }
    assert_eq!(host.archives().len(), 1, "a deleted one is found to be so there, too");
}

async fn an_archived_repository_loses_no_cell(forge: Forge) {
    let (repository, host, number) = with_one_cell(&forge).await;
    repository.delete(number).await;
    forge.change(Method::PATCH, &repository.path(), json!({ "archived": true })).await;
    check_no_cell_is_lost(&host, &repository, "is archived; nothing is written to it, and its cells stay").await;
}

async fn a_hidden_repository_loses_no_cell(forge: Forge) {
    let (repository, host, _) = with_one_cell(&forge).await;
    forge.change(Method::PATCH, &repository.path(), json!({ "private": true })).await;
    let bot = format!("{}/collaborators/bot", repository.path());
    forge.change(Method::DELETE, &bot, Value::Null).await;
    check_no_cell_is_lost(&host, &repository, "does not exist, or the token may not see it").await;
}

async fn a_repository_without_issues_loses_no_cell(forge: Forge) {
    let (repository, host, _) = with_one_cell(&forge).await;
    forge.change(Method::PATCH, &repository.path(), json!({ "has_issues": false })).await;
    check_no_cell_is_lost(&host, &repository, "issues are disabled in the repository").await;
}

async fn a_deleted_repository_loses_no_cell(forge: Forge) {
    let (repository, host, _) = with_one_cell(&forge).await;
    forge.change(Method::DELETE, &repository.path(), Value::Null).await;
    check_no_cell_is_lost(&host, &repository, "does not exist, or the token may not see it").await;
}

async fn another_repository_by_the_same_name_loses_no_cell(forge: Forge) {
    let (repository, host, _) = with_one_cell(&forge).await;
    forge.change(Method::DELETE, &repository.path(), Value::Null).await;
    forge.repository_named(repository.name.split_once('/').unwrap().1).await;
    check_no_cell_is_lost(&host, &repository, "is another repository now").await;
}

#[tokio::test]
async fn a_revoked_token_loses_no_cell() {
    let forge = Forge::sandbox().await;
    let (repository, host, number) = with_one_cell(&forge).await;
    repository.delete(number).await;
    forge.engine().revoke_tokens("bot");
    check_no_cell_is_lost(&host, &repository, "token").await;
}

/// A forge whose list is empty, though its issues are there.
#[tokio::test]
async fn an_empty_response_loses_no_cell() {
    let forge = Forge::sandbox().await;
    let (repository, host, _) = with_one_cell(&forge).await;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Empty);
    for _ in 0..3 {
        assert_eq!(host.once(&repository).await["summary"]["phase"]["active"], 1);
    }
}

/// A list that lacks something says nothing about what it lacks.
#[tokio::test]
async fn an_incomplete_listing_marks_nothing_as_deleted() {
    let forge = Forge::sandbox().await;
    let (repository, host, number) = with_one_cell(&forge).await;
    repository.delete(number).await;
    forge.engine().break_next(usize::MAX, "GET", "issues?", Fault::Overcount);
    check_no_cell_is_lost(&host, &repository, "the list of issues kept changing while it was read").await;
    forge.engine().heal();
    for _ in 0..2 {
        host.once(&repository).await;
    }
    assert_eq!(host.archives().len(), 1);
}

/// What is wrong with one repository holds up nothing in the others.
#[tokio::test]
async fn an_unreadable_repository_delays_no_teardown_in_another() {
    let forge = Forge::sandbox().await;
    let (repository, host, number) = with_one_cell(&forge).await;
    let other = forge.repository().await;
    repository.delete(number).await;
    let both = format!("{},{}", repository.name, other.name);
    let once =
        async || run(host.reconciler(&repository).env("LAZARUS_REPOSITORIES", &both).args(["--once", "--json"])).await;
    forge.engine().break_next(usize::MAX, "GET", &format!("{}/issues?", other.name), Fault::Refuse(500));
    assert_eq!((once().await.code, host.cells().len()), (1, 1), "it has to be told twice");
    assert_eq!((once().await.code, host.archives().len()), (1, 1));
}
