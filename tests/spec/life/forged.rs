//! Nobody approves what they were not shown: writers who edit our comment or the issue, and approvers who take their time.

use crate::life::pass;
use crate::support::forge::{BOT_SCOPES, Forge};
use crate::support::host::{Host, changes, run};
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};

stories![
    a_forged_comment_carries_no_approval_and_the_issue_reports_it,
    an_edit_of_a_trusted_authors_issue_waits_until_the_author_confirms_it,
    a_late_approval_is_not_refused_because_of_own_edits,
    an_edit_by_a_writer_is_found_with_the_next_read_of_the_comment,
    after_a_change_of_account_the_same_comment_is_edited,
];

const LABEL_MODE: &str = r#"{ "approval": { "mode": "label" } }"#;

/// One more account that may write; its token.
async fn writer(repository: &Repository, login: &str) -> String {
    let token = repository.forge.new_account(login);
    let path = format!("{}/collaborators/{login}", repository.path());
    repository.forge.change(Method::PUT, &path, json!({ "permission": "write" })).await;
    token
}

/// The one comment on an issue as the API tells it.
async fn comment(repository: &Repository, number: i64) -> Value {
    let comments = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    match comments.as_array().unwrap().as_slice() {
        [comment] => comment.clone(),
        comments => panic!("one comment was expected: {comments:?}"),
    }
}

/// The owner writes another text under the first line of our comment.
async fn forge_comment(repository: &Repository, number: i64) {
    let comment = comment(repository, number).await;
    let first = comment["body"].as_str().unwrap().lines().next().unwrap().to_owned();
    let path = format!("{}/issues/comments/{}", repository.path(), comment["id"]);
    let forged = json!({ "body": format!("{first}\n**Waiting for approval.** Nothing is checked out.\n") });
    let edited = repository.forge.change(Method::PATCH, &path, forged).await;
    assert_eq!(edited["user"]["login"], "bot", "it is still said to be the bot's");
}

async fn is_pending(repository: &Repository, number: i64) -> bool {
    repository.labels(number).await.contains(&"mission/pending".to_owned())
}

async fn a_forged_comment_carries_no_approval_and_the_issue_reports_it(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    pass(&host, &repository, LABEL_MODE).await;
    let before = repository.comment(number).await;
    forge.next_second().await;
    forge_comment(&repository, number).await;
    forge.next_second().await;
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, LABEL_MODE).await;
    assert!(is_pending(&repository, number).await && host.cells().is_empty());
    let after = repository.comment(number).await;
    let why = "Requested again: another account had changed this comment, so what an approver saw is unknown; the \
               approval by `owner` does not count.";
    assert!(after.contains(why), "{after}");
    for line in before.lines().skip(1) {
        assert!(after.contains(line), "{line}: {after}");
    }
    assert_eq!(changes(&pass(&host, &repository, LABEL_MODE).await), 0);
    forge.next_second().await;
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, LABEL_MODE).await;
    assert_eq!(host.cells().len(), 1, "whoever has seen it may approve it");
}

async fn an_edit_of_a_trusted_authors_issue_waits_until_the_author_confirms_it(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let author = format!("author-{}", repository.id);
    let token = writer(&repository, &author).await;
    let more = format!(
        r#"{{ "approval": {{ "mode": "label", "authors": ["{author}"], "approvers": ["stranger", "{author}"] }} }}"#
    );
    let number = repository.file(&author, "Mission: raise the dead", &[("wizard", "merlin")]).await;
    pass(&host, &repository, &more).await;
    let spec = || {
        let file = std::fs::read(host.cell().join("meta/mission.json")).unwrap();
        serde_json::from_slice::<Value>(&file).unwrap()["spec"]["wizard"].clone()
    };
    assert_eq!(spec(), "merlin");
    repository.edit("owner", number, |_| body(&[("Wizard", "circe")])).await;
    pass(&host, &repository, &more).await;
    assert_eq!(spec(), "merlin", "the editor is neither author nor approver");
    assert!(repository.labels(number).await.contains(&"approval/needed".to_owned()));
    let reported = repository.comment(number).await;
    assert!(
        reported.contains("Gitea does not report who edited it: the author confirms it, or another person approves it"),
        "{reported}"
    );
    forge.next_second().await;
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, &more).await;
    assert_eq!(spec(), "merlin");
    assert!(repository.comment(number).await.contains("`owner` is not in `approval.approvers`"));
    forge.next_second().await;
    repository.put_label_as(&token, number, "approval/granted").await;
    pass(&host, &repository, &more).await;
    assert_eq!(spec(), "circe");
    assert!(repository.comment(number).await.contains(&format!("- Approved by `{author}` at ")));
}

async fn a_late_approval_is_not_refused_because_of_own_edits(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    pass(&host, &repository, LABEL_MODE).await;
    forge.next_second().await;
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, LABEL_MODE).await;
    repository.rename(number, "Mission: raise them all").await;
    pass(&host, &repository, LABEL_MODE).await;
    let shown = comment(&repository, number).await;
    for state in ["working", "waiting", "working"] {
        forge.next_second().await;
        host.beat(&host.cell(), &["--state", state]).await;
        pass(&host, &repository, LABEL_MODE).await;
    }
    let edited = comment(&repository, number).await;
    assert_ne!(edited["updated_at"], shown["updated_at"], "it was edited for health");
    repository.put_label(number, "approval/granted").await;
    pass(&host, &repository, LABEL_MODE).await;
    let reported = repository.comment(number).await;
    assert!(reported.contains("- Approved by `owner` at ") && !reported.contains("waits for approval"), "{reported}");
}

async fn an_edit_by_a_writer_is_found_with_the_next_read_of_the_comment(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    pass(&host, &repository, LABEL_MODE).await;
    let ours = repository.comment(number).await;
    // An edit moves its time, whoever makes it, and is told of the bot.
    let before = comment(&repository, number).await;
    forge.next_second().await;
    forge_comment(&repository, number).await;
    let after = comment(&repository, number).await;
    assert_ne!(before["updated_at"], after["updated_at"]);
    assert_eq!((&before["id"], &before["created_at"]), (&after["id"], &after["created_at"]));
    // The author changes the request, and so the comment is read before it is written.
    repository.edit("reader", number, |text| text.replace("Raise the dead.", "Raise them.")).await;
    pass(&host, &repository, LABEL_MODE).await;
    let reported = repository.comment(number).await;
    assert!(reported != ours && reported.contains("- Digest: `"), "{reported}");
    assert_eq!(changes(&pass(&host, &repository, LABEL_MODE).await), 0);
    // Without its first line it is known by its id.
    let path = format!("{}/issues/comments/{}", repository.path(), before["id"]);
    forge.change(Method::PATCH, &path, json!({ "body": "Gone." })).await;
    repository.edit("reader", number, |text| text.replace("Raise them.", "Raise all.")).await;
    pass(&host, &repository, LABEL_MODE).await;
    assert!(repository.comment(number).await.starts_with("<!-- lazarus:status v1 "));
}

async fn after_a_change_of_account_the_same_comment_is_edited(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    host.once(&repository).await;
    host.once(&repository).await;
    let herald = format!("herald-{}", repository.id);
    writer(&repository, &herald).await;
    std::fs::write(host.path().join("token"), forge.new_token(&herald, &BOT_SCOPES)).unwrap();
    host.beat(&host.cell(), &["--state", "working"]).await;
    host.once(&repository).await;
    let reported = repository.comment(number).await;
    assert!(reported.contains("reports `working`"), "{reported}");
    assert_eq!(changes(&host.once(&repository).await), 0);
    // One that may not edit it says so, and posts no second one.
    std::fs::write(host.path().join("token"), forge.new_token("stranger", &BOT_SCOPES)).unwrap();
    host.beat(&host.cell(), &["--state", "waiting"]).await;
    let refused = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    let errors = refused.json()["errors"].to_string();
    assert!(errors.contains("comment-of-another") && errors.contains("`forge.trusted_posters`"), "{errors}");
    assert_eq!(repository.comment(number).await, reported);
}
