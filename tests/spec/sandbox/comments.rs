//! The sandbox does with a repository's comments as a real Gitea does: each fact is checked on both.

use crate::support::forge::Forge;
use crate::support::listener::Listener;
use crate::support::repository::Repository;
use crate::support::{soon, stories};
use reqwest::Method;
use serde_json::{Value, json};

stories![
    repository_comments_are_paged_with_a_total_count,
    a_comment_is_found_by_its_id_and_a_timeline_event_is_not,
    a_writer_changes_comments_of_others_and_the_webhook_names_the_sender,
];

async fn listed(repository: &Repository, query: &str) -> Vec<i64> {
    let comments = repository.forge.get(&format!("{}/issues/comments?{query}", repository.path())).await;
    comments.as_array().unwrap().iter().map(|comment| comment["id"].as_i64().unwrap()).collect()
}

async fn repository_comments_are_paged_with_a_total_count(forge: Forge) {
    let repository = forge.repository().await;
    let (one, other) =
        (repository.file("reader", "Mission: a", &[]).await, repository.file("reader", "Mission: b", &[]).await);
    assert_eq!(listed(&repository, "page=1").await, [0; 0]);
    let mut ids = Vec::new();
    for number in [one, other, one] {
        ids.push(repository.say("reader", number, "Hello.").await);
    }
    assert_eq!(listed(&repository, "").await, ids, "of all issues, the oldest first");
    assert_eq!(listed(&repository, "page=1&limit=2").await, ids[..2]);
    assert_eq!(listed(&repository, "page=2&limit=2").await, ids[2..]);
    assert_eq!(listed(&repository, "page=3&limit=2").await, [0; 0]);
    assert_eq!(repository.comments_total("page=2&limit=2").await, 3);
    let path = format!("{}/issues/comments", repository.path());
    let comment = forge.get(&path).await[1].clone();
    let page = format!("{}/{}/issues/{other}", forge.url, repository.name);
    assert_eq!((&comment["issue_url"], &comment["pull_request_url"]), (&json!(page), &json!("")));
    let updated = comment["updated_at"].as_str().unwrap().to_owned();
    assert_eq!(listed(&repository, &format!("since={updated}")).await.last(), ids.last(), "the second is included");
    assert_eq!(listed(&repository, "since=2199-01-01T00:00:00Z").await, [0; 0]);
    assert_eq!(repository.comments_total("since=2199-01-01T00:00:00Z&page=1").await, 0);
    let status = forge.call("owner", Method::GET, &format!("{path}?since=yesterday"), Value::Null).await.0;
    assert_eq!(status, 422);
}

async fn a_comment_is_found_by_its_id_and_a_timeline_event_is_not(forge: Forge) {
    let repository = forge.repository().await;
    let number = repository.file("reader", "Mission: a", &[]).await;
    let id = repository.say("reader", number, "Hello.").await;
    repository.set_state(number, "closed").await;
    let timeline = forge.get(&format!("{}/timeline", repository.issue_path(number))).await;
    let line = timeline.as_array().unwrap().iter().find(|entry| entry["type"] == "close").unwrap();
    let path = |id: &Value| format!("{}/issues/comments/{id}", repository.path());
    let ask = async |method: Method, id: &Value| {
        let body = if method == Method::PATCH { json!({ "body": "x" }) } else { Value::Null };
        forge.call("owner", method, &path(id), body).await
    };
    let (status, comment) = ask(Method::GET, &json!(id)).await;
    assert_eq!((status, &comment["body"], &comment["user"]["login"]), (200, &json!("Hello."), &json!("reader")));
    for (method, status) in [(Method::GET, 204), (Method::PATCH, 204), (Method::DELETE, 400)] {
        assert_eq!(ask(method.clone(), &line["id"]).await.0, status, "{method}");
        assert_eq!(ask(method.clone(), &json!(999_999)).await.0, 404, "{method}");
    }
    let before = forge.get(&repository.issue_path(number)).await;
    assert_eq!(forge.call("stranger", Method::DELETE, &path(&json!(id)), Value::Null).await.0, 403);
    assert_eq!(ask(Method::DELETE, &json!(id)).await.0, 204);
    assert_eq!(ask(Method::GET, &json!(id)).await.0, 404);
    let after = forge.get(&repository.issue_path(number)).await;
    assert_eq!((&before["comments"], &after["comments"]), (&json!(1), &json!(0)));
    assert_eq!(before["updated_at"], after["updated_at"], "a deletion does not move it");
}

async fn a_writer_changes_comments_of_others_and_the_webhook_names_the_sender(forge: Forge) {
    let (repository, receiver) = (forge.repository().await, Listener::answering(&[204]));
    let number = repository.file("reader", "Mission: a", &[]).await;
    let config = json!({ "url": format!("{}/hook", receiver.url), "content_type": "json", "secret": "s" });
    let hook = json!({ "type": "gitea", "active": true, "events": ["issues_only", "issue_comment"], "config": config });
    let made = forge.change(Method::POST, &format!("{}/hooks", repository.path()), hook).await;
    let events: Vec<&str> = made["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap()).collect();
    assert!(events.contains(&"issue_comment") && events.contains(&"issues"), "{events:?}");
    let id = repository.say("bot", number, "Hello.").await;
    let path = format!("{}/issues/comments/{id}", repository.path());
    let edited = forge.change(Method::PATCH, &path, json!({ "body": "Goodbye." })).await;
    assert_eq!((&edited["user"]["login"], &edited["body"]), (&json!("bot"), &json!("Goodbye.")));
    // By text and time as they are answered a comment is recognised later.
    let stands = forge.get(&path).await;
    assert_eq!((&edited["body"], &edited["updated_at"]), (&stands["body"], &stands["updated_at"]));
    // What changes nothing is not told.
    forge.change(Method::PATCH, &path, json!({ "body": "Goodbye." })).await;
    forge.change(Method::DELETE, &path, Value::Null).await;
    let sent = || {
        let heard = receiver.heard().into_iter().map(|heard| heard.body);
        heard.filter(|body| !body["comment"].is_null()).collect::<Vec<Value>>()
    };
    soon("three deliveries", async || sent().len() >= 3).await;
    let mut reported: Vec<Vec<Value>> = sent().iter().map(|body| shape(body, repository.id, number, id)).collect();
    reported.sort_by_key(|reported| reported[0].to_string());
    let expected = [
        json!(["created", "bot", "bot", "Hello.", null, 1]),
        json!(["deleted", "owner", "bot", "Goodbye.", null, 0]),
        json!(["edited", "owner", "bot", "Goodbye.", "Hello.", 1]),
    ];
    assert_eq!(json!(reported), json!(expected));
}

/// What the service believes of a delivery, and what it might: action, sender, poster, text, the text before, and how many
/// comments there are.
fn shape(body: &Value, repository: i64, number: i64, id: i64) -> Vec<Value> {
    assert_eq!((&body["repository"]["id"], &body["issue"]["number"]), (&json!(repository), &json!(number)));
    assert_eq!((&body["comment"]["id"], &body["is_pull"]), (&json!(id), &json!(false)));
    let found = [
        &body["action"],
        &body["sender"]["login"],
        &body["comment"]["user"]["login"],
        &body["comment"]["body"],
        &body["changes"]["body"]["from"],
        &body["issue"]["comments"],
    ];
    found.map(Clone::clone).to_vec()
}
