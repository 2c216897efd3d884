//! A person pauses a mission by a label; the mission's own labels and a reader's filing never do.

use crate::life::pass;
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::stories;
use reqwest::Method;
use serde_json::json;

stories![
    a_person_suspends_and_resumes_a_mission,
    a_suspension_at_filing_or_without_a_cell_is_ignored,
    a_suspension_counts_even_if_the_comment_was_deleted,
    a_suspension_does_not_survive_closing,
    a_suspension_ends_when_the_due_date_has_passed,
];

const PAUSED: [&str; 3] = ["health/incomplete", "kind/mission-proposal", "mission/suspended"];

async fn a_person_suspends_and_resumes_a_mission(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    repository.put_label(number, "mission/suspended").await;
    std::fs::remove_dir(host.cell().join("artifacts")).unwrap();
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, PAUSED);
    assert!(!host.cell().join("artifacts").exists(), "nothing is repaired");
    let comment = repository.comment(number).await;
    assert!(
        comment.contains("**Suspended by `owner`** since ") && comment.contains("no repair, no alert"),
        "{comment}"
    );
    let file = std::fs::read_to_string(host.cell().join("meta/mission.json")).unwrap();
    assert!(file.contains("\"status\": \"suspended\""));
    let alarm = run(host.reconciler(&repository).args(["--once", "--exit-code"])).await;
    assert_eq!(alarm.code, 0, "no alarm: {alarm:?}");
    assert_eq!(changes(&host.once(&repository).await), 0);
    repository.take_label(number, "mission/suspended").await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    assert!(host.cell().join("artifacts").exists(), "and then it is");
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn a_suspension_at_filing_or_without_a_cell_is_ignored(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    let labels = ["kind/mission-proposal", "mission/suspended"];
    let filed = repository.file_with("reader", "Mission: x", &[], Some(&labels)).await;
    let away = repository.file("reader", "Mission: y", &[("host", "beta")]).await;
    host.once(&repository).await;
    repository.put_label(away, "mission/suspended").await;
    host.once(&repository).await;
    assert_eq!(repository.labels(filed).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
    assert_eq!(repository.labels(away).await, ["kind/mission-proposal", "mission/pending"]);
    for number in [filed, away] {
        let comment = repository.comment(number).await;
        assert!(
            comment.contains("- `mission/suspended` was removed: a mission can be paused once it is active"),
            "{comment}"
        );
    }
    assert_eq!(changes(&host.once(&repository).await), 0);
    repository.put_label(filed, "mission/suspended").await;
    host.once(&repository).await;
    assert!(!repository.comment(filed).await.contains("was removed"), "it counts now");
}

async fn a_suspension_counts_even_if_the_comment_was_deleted(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let ours = forge.get(&format!("{}/comments", repository.issue_path(number))).await[0]["id"].clone();
    forge.change(Method::DELETE, &format!("{}/issues/comments/{ours}", repository.path()), json!({})).await;
    repository.put_label(number, "mission/suspended").await;
    host.once(&repository).await;
    assert!(repository.labels(number).await.contains(&"mission/suspended".to_owned()));
    assert!(repository.comment(number).await.contains("**Suspended by `owner`**"), "it is posted again with that");
    assert_eq!(changes(&host.once(&repository).await), 0);
}

async fn a_suspension_does_not_survive_closing(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    repository.put_label(number, "mission/suspended").await;
    host.once(&repository).await;
    repository.set_state(number, "closed").await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["kind/mission-proposal", "mission/closed"]);
    repository.set_state(number, "open").await;
    host.once(&repository).await;
    assert_eq!(repository.labels(number).await, ["health/uninitialized", "kind/mission-proposal", "mission/active"]);
}

async fn a_suspension_ends_when_the_due_date_has_passed(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    // One that has passed before the pause began says nothing about its end.
    let due = |date: &str| json!({ "due_date": date });
    forge.change(Method::PATCH, &repository.issue_path(number), due("2020-01-01T00:00:00Z")).await;
    repository.put_label(number, "mission/suspended").await;
    daemon.tick(30).await;
    assert!(repository.labels(number).await.contains(&"mission/suspended".to_owned()));
    assert!(repository.comment(number).await.contains("or set a due date: the pause ends when it has passed"));
    let tomorrow = daemon.now.plus(chrono::TimeDelta::days(1)).to_string();
    forge.change(Method::PATCH, &repository.issue_path(number), due(&tomorrow)).await;
    daemon.tick(30).await;
    assert!(repository.comment(number).await.contains(", the due date"), "{}", repository.comment(number).await);
    daemon.tick(2 * 86_400).await;
    daemon.tick(30).await;
    let labels = repository.labels(number).await;
    assert!(
        labels.contains(&"mission/active".to_owned()) && !labels.contains(&"mission/suspended".to_owned()),
        "{labels:?}"
    );
}

/// Whoever has the bot's token may set the label too, and is no person.
#[tokio::test]
async fn a_suspension_by_an_own_account_does_not_count() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    repository.put_label_as(forge.token("bot"), number, "mission/suspended").await;
    pass(&host, &repository, "{}").await;
    assert!(repository.labels(number).await.contains(&"mission/active".to_owned()));
    let comment = repository.comment(number).await;
    assert!(comment.contains("was removed: this service's own account had set it; only a person can"), "{comment}");
}
