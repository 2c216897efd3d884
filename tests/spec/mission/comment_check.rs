//! Our comment is found to be changed or deleted without waiting for other news, within the budget of requests.

use crate::support::cells::{at, beat};
use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::active;
use crate::support::repository::Repository;
use crate::support::service::{SECRET, command, start};
use crate::support::{soon, stories};
use chrono::{TimeDelta, Utc};
use lazarus::mission::observation::CommentCheck;
use lazarus::mission::status::comment_check::{CommentEvent, SHARES, SeenComment, Share};
use lazarus::sandbox::Fault;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

stories! {
    an_edit_by_a_writer_is_undone_with_the_next_tick,
    a_deletion_is_undone_with_the_next_audit,
    a_deletion_is_undone_immediately_with_a_webhook,
}

/// A daemon with one mission in which nothing is left to do, whatever time goes by.
async fn settled(forge: &Forge) -> (Repository, Host, Running, i64) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    for _ in 0..3 {
        daemon.tick(30).await;
    }
    (repository, host, daemon, number)
}

async fn path_of_comment(repository: &Repository, number: i64) -> String {
    let comments = repository.forge.get(&format!("{}/comments", repository.issue_path(number))).await;
    format!("{}/issues/comments/{}", repository.path(), comments[0]["id"])
}

async fn delete(repository: &Repository, number: i64) {
    let path = path_of_comment(repository, number).await;
    repository.forge.change(Method::DELETE, &path, Value::Null).await;
}

async fn an_edit_by_a_writer_is_undone_with_the_next_tick(forge: Forge) {
    let (repository, _host, mut daemon, number) = settled(&forge).await;
    let comment = repository.comment(number).await;
    let (first_line, _) = comment.split_once('\n').unwrap();
    for forged in ["All is well.".to_owned(), format!("{first_line}\nNothing is checked out.")] {
        let path = path_of_comment(&repository, number).await;
        forge.change(Method::PATCH, &path, json!({ "body": forged })).await;
        daemon.tick(30).await;
        assert_eq!(repository.comment(number).await, comment, "{forged}");
    }
    let last = daemon.tick(30).await;
    assert_eq!((last.passes.incomplete, repository.comment(number).await), (0, comment));
}

async fn a_deletion_is_undone_with_the_next_audit(forge: Forge) {
    let (repository, _host, mut daemon, number) = settled(&forge).await;
    let comment = repository.comment(number).await;
    delete(&repository, number).await;
    daemon.tick(30).await;
    assert_eq!(repository.comments(number).await, [], "it shows in no listing");
    daemon.tick(3_600).await;
    assert_eq!(repository.comment(number).await, comment);
}

async fn a_deletion_is_undone_immediately_with_a_webhook(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    let service = start(command(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    let config = json!({ "url": format!("{}/webhook", service.doors), "content_type": "json", "secret": SECRET });
    let hook = json!({ "type": "gitea", "active": true, "events": ["issue_comment"], "config": config });
    forge.change(Method::POST, &format!("{}/hooks", repository.path()), hook).await;
    let comment = repository.comment(number).await;
    delete(&repository, number).await;
    soon("it is posted again", async || !repository.comments(number).await.is_empty()).await;
    assert_eq!(repository.comment(number).await, comment);
    let path = path_of_comment(&repository, number).await;
    forge.change(Method::PATCH, &path, json!({ "body": "All is well." })).await;
    soon("it is edited back", async || repository.comment(number).await == comment).await;
    // Ours of both are told to us as well, and lead to nothing.
    let reported = async || service.get("/metrics").await.1.contains("lazarus_comment_webhooks_total 4\n");
    soon("four deliveries", reported).await;
    service.end(Signal::TERM).await;
}

#[tokio::test]
async fn an_idle_tick_costs_two_requests_even_after_an_own_write() {
    let forge = Forge::sandbox().await;
    let (repository, host, mut daemon, _) = settled(&forge).await;
    for _ in 0..3 {
        let before = forge.engine().log().len();
        daemon.tick(30).await;
        let asked = forge.asked(before);
        let [comments, issues] = &asked[..] else { panic!("two requests were expected: {asked:?}") };
        assert!(
            comments.starts_with(&format!("GET /api/v1{}/issues/comments?since=", repository.path())),
            "{comments}"
        );
        assert!(issues.starts_with(&format!("GET /api/v1{}/issues?state=all", repository.path())), "{issues}");
    }
    host.beat(&host.cell(), &["--state", "waiting"]).await;
    daemon.tick(30).await;
    let before = forge.engine().log().len();
    daemon.tick(30).await;
    assert_eq!(forge.asked(before).len(), 2, "{:?}", forge.asked(before));
}

#[tokio::test]
async fn a_thousand_comments_of_others_cost_only_their_pages() {
    let forge = Forge::sandbox().await;
    let (repository, _host, mut daemon, _) = settled(&forge).await;
    let issue = json!({ "title": "A chat", "body": "Hello." });
    let path = format!("{}/issues", repository.path());
    let chat = forge.change(Method::POST, &path, issue).await["number"].as_i64().unwrap();
    for at in 0..1_000 {
        repository.say(if at % 2 == 0 { "reader" } else { "stranger" }, chat, &format!("Hello {at}.")).await;
    }
    let before = forge.engine().log().len();
    daemon.tick(30).await;
    let asked = forge.asked(before);
    let is_page = |line: &&String| line.contains("/issues/comments?since=");
    assert_eq!((asked.iter().filter(is_page).count(), asked.len()), (21, 22), "{asked:?}");
    forge.engine().grow_older(Duration::from_secs(600));
    daemon.tick(30).await;
    let before = forge.engine().log().len();
    daemon.tick(30).await;
    assert_eq!(forge.asked(before).len(), 2);
}

/// As when something goes while a list is read. The first one reaches back a day.
#[tokio::test]
async fn an_incomplete_listing_is_read_again_from_the_same_time() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    repository.file("reader", "Mission: x", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    let an_hour_ago = (Utc::now() - TimeDelta::hours(1)).format("%Y-%m-%dT%H%%3A%M").to_string();
    let mut reaches_back = Vec::new();
    for faults in [1, 0, 0] {
        forge.engine().break_next(faults, "GET", "/issues/comments?", Fault::Overcount);
        let before = forge.engine().log().len();
        daemon.tick(30).await;
        let asked = forge.asked(before).remove(0);
        reaches_back.push(*asked.split("since=").nth(1).unwrap() < *an_hour_ago);
    }
    assert_eq!(reaches_back, [true, true, false]);
}

#[tokio::test]
async fn a_comment_that_is_too_large_hides_no_other() {
    let forge = Forge::sandbox().await;
    let (repository, _host, mut daemon, number) = settled(&forge).await;
    let comment = repository.comment(number).await;
    let issue = json!({ "title": "A chat", "body": "Hello." });
    let path = format!("{}/issues", repository.path());
    let chat = forge.change(Method::POST, &path, issue).await["number"].as_i64().unwrap();
    repository.say("reader", chat, &"x".repeat(17 * 1024 * 1024)).await;
    let path = path_of_comment(&repository, number).await;
    forge.change(Method::PATCH, &path, json!({ "body": "All is well." })).await;
    let snapshot = daemon.tick(30).await;
    assert_eq!((repository.comment(number).await, &snapshot.passes.errors), (comment, &Vec::new()));
}

#[tokio::test]
async fn if_comments_cannot_be_listed_their_changes_are_found_later() {
    let forge = Forge::sandbox().await;
    let (repository, host, mut daemon, number) = settled(&forge).await;
    let comment = repository.comment(number).await;
    let path = path_of_comment(&repository, number).await;
    forge.change(Method::PATCH, &path, json!({ "body": "All is well." })).await;
    repository.file("reader", "Mission: another", &[]).await;
    forge.engine().break_next(usize::MAX, "GET", "/issues/comments?", Fault::Refuse(500));
    let snapshot = daemon.tick(30).await;
    let [error] = &snapshot.passes.errors[..] else { panic!("one error was expected: {:?}", snapshot.passes) };
    assert!(error.contains("/issues/comments`: Gitea answered 500"), "{error}");
    assert_eq!(host.cells().len(), 2);
    forge.engine().heal();
    let snapshot = daemon.tick(600).await;
    assert_eq!((repository.comment(number).await, &snapshot.passes.errors), (comment, &Vec::new()));
}

/// An event as a webhook tells it, of the comment of a mission.
async fn event(repository: &Repository, number: i64, sender: i64, is_deleted: bool) -> CommentEvent {
    let path = path_of_comment(repository, number).await;
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    let comment = SeenComment {
        id,
        poster: 3,
        number: Some(number),
        marker: None,
        body_sha256: String::new(),
        updated_at: at(0),
    };
    CommentEvent { repository_id: repository.id, comment, sender, is_deleted }
}

#[tokio::test]
async fn an_own_comment_event_costs_nothing_and_another_costs_two_reads() {
    let forge = Forge::sandbox().await;
    let (repository, _host, daemon, number) = settled(&forge).await;
    let me = forge.call("bot", Method::GET, "/user", Value::Null).await.1["id"].as_i64().unwrap();
    let other = event(&repository, number, 99, false).await;
    let mut unknown = other.clone();
    unknown.comment.id += 1_000;
    let before = forge.engine().log().len();
    for event in [CommentEvent { sender: me, ..other.clone() }, unknown, other] {
        daemon.comments.send(event).await.unwrap();
    }
    let issue = format!("GET /api/v1{}", repository.issue_path(number));
    let comments = format!("{issue}/comments");
    soon("its comments are read", async || forge.asked(before).contains(&comments)).await;
    soon("the queue is empty", async || daemon.queue.is_idle()).await;
    assert_eq!(forge.asked(before), [issue, comments], "it is as we left it, so nothing is written");
}

#[tokio::test]
async fn a_changed_comment_count_costs_one_read_and_is_recorded() {
    let forge = Forge::sandbox().await;
    let (repository, _host, mut daemon, number) = settled(&forge).await;
    repository.say("reader", number, "How is it going?").await;
    daemon.tick(30).await;
    forge.engine().grow_older(Duration::from_secs(600));
    let comment = path_of_comment(&repository, number).await;
    let mut reads = Vec::new();
    // Of 24 audits one asks for it anyway.
    for _ in 0..25 {
        let before = forge.engine().log().len();
        daemon.tick(3_600).await;
        let asked = forge.asked(before);
        reads.push(asked.iter().filter(|line| line.ends_with(&comment)).count());
        assert!(asked.iter().all(|line| line.starts_with("GET ")), "{asked:?}");
    }
    assert_eq!((reads[0], reads[1..].iter().sum::<usize>()), (1, 1), "{reads:?}");
}

#[tokio::test]
async fn a_deleted_and_replaced_comment_is_found_within_24_audits() {
    let forge = Forge::sandbox().await;
    let (repository, _host, mut daemon, number) = settled(&forge).await;
    delete(&repository, number).await;
    repository.say("reader", number, "It was too long.").await;
    let is_back = async || repository.comments(number).await.iter().any(|(poster, _)| poster == "bot");
    let mut audits = 0;
    while !is_back().await {
        assert!(audits < SHARES, "not within {SHARES} audits");
        daemon.tick(3_600).await;
        audits += 1;
    }
}

#[test]
fn each_comment_is_in_one_audit_share_and_the_shares_are_even() {
    let mut seen = active(beat(Some(-10), "working", -10));
    let mut sizes = Vec::new();
    let ids: Vec<i64> = (1..2_400).map(|at| at * 4).collect();
    let comments = seen.record.as_ref().unwrap().comments.unwrap();
    seen.issue.comments = comments;
    for share in 0..SHARES {
        let is_in = |id: &&i64| {
            let mut seen = seen.clone();
            seen.record.as_mut().unwrap().comment.as_mut().unwrap().id = **id;
            seen.audit_comment(Share::Of(share));
            seen.comment_check == CommentCheck::Due
        };
        sizes.push(ids.iter().filter(is_in).count());
    }
    assert_eq!(sizes.iter().sum::<usize>(), ids.len());
    assert!(sizes.iter().all(|size| (50..150).contains(size)), "{sizes:?}");
}
