//! The sandbox does as a real Gitea does, in what no recording shows: each fact is checked on both.

use crate::support::forge::Forge;
use crate::support::repository::Repository;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

stories![
    a_due_date_is_the_end_of_its_day_and_the_timeline_lists_each_change,
    a_reader_cannot_change_a_due_date,
    closed_at_is_set_while_an_issue_is_closed,
    since_and_before_include_their_own_second_in_a_timeline,
    comments_and_timeline_entries_share_their_ids,
    actions_of_a_deleted_account_belong_to_the_ghost_account,
    an_account_is_found_by_its_login_and_by_its_former_login,
    a_transferred_repository_is_found_by_its_former_name,
    a_deleted_repository_is_not_found_under_any_of_its_names,
    a_deleted_label_disappears_from_the_timeline,
];

/// A repository with one issue of the reader's.
async fn one_issue(forge: &Forge) -> (Repository, i64) {
    let repository = forge.repository().await;
    let number = repository.file("reader", "Mission: apollo", &[]).await;
    (repository, number)
}

/// The timeline, as far as a query asks for it: kind and text of each entry.
async fn timeline(repository: &Repository, number: i64, query: &str) -> Vec<(String, String)> {
    let entries = entries(repository, number, query).await;
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries.iter().map(|entry| (text(entry, "type"), text(entry, "body"))).collect()
}

async fn entries(repository: &Repository, number: i64, query: &str) -> Vec<Value> {
    let path = format!("{}/timeline?{query}", repository.issue_path(number));
    // Where there is nothing, Gitea says null.
    repository.forge.get(&path).await.as_array().cloned().unwrap_or_default()
}

async fn a_due_date_is_the_end_of_its_day_and_the_timeline_lists_each_change(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    let path = repository.issue_path(number);
    assert_eq!(forge.get(&path).await["due_date"], Value::Null);
    let steps = [
        (json!({ "due_date": "2030-02-03T04:05:06Z" }), json!("2030-02-03T23:59:59Z")),
        (json!({ "due_date": "2030-02-03T00:00:00Z" }), json!("2030-02-03T23:59:59Z")),
        // The day is that of the zone it is written in.
        (json!({ "due_date": "2030-02-04T23:30:00-05:00" }), json!("2030-02-05T04:59:59Z")),
        (json!({ "unset_due_date": true }), Value::Null),
    ];
    for (change, due) in steps {
        assert_eq!(forge.change(Method::PATCH, &path, change.clone()).await["due_date"], due, "{change}");
        assert_eq!(forge.get(&path).await["due_date"], due, "{change}");
    }
    let (status, _) = forge.call("owner", Method::PATCH, &path, json!({ "unset_due_date": false })).await;
    assert_eq!(status, 400);
    let reported = [
        ("added_deadline", "2030-02-03"),
        ("modified_deadline", "2030-02-05|2030-02-03"),
        ("removed_deadline", "2030-02-05"),
    ];
    let reported = reported.map(|(kind, text)| (kind.to_owned(), text.to_owned()));
    assert_eq!(timeline(&repository, number, "").await, reported);
}

async fn a_reader_cannot_change_a_due_date(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    let (path, due) = (repository.issue_path(number), json!({ "due_date": "2030-02-03T04:05:06Z" }));
    let (status, issue) = forge.call("reader", Method::PATCH, &path, due).await;
    assert_eq!((status, &issue["due_date"]), (201, &Value::Null));
    assert_eq!(timeline(&repository, number, "").await, []);
}

async fn closed_at_is_set_while_an_issue_is_closed(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    let path = repository.issue_path(number);
    assert_eq!(forge.get(&path).await["closed_at"], Value::Null);
    repository.set_state(number, "closed").await;
    let closed = forge.get(&path).await["closed_at"].clone();
    assert!(closed.is_string(), "{closed}");
    repository.say("owner", number, "Well done.").await;
    repository.set_state(number, "closed").await;
    assert_eq!(forge.get(&path).await["closed_at"], closed);
    repository.set_state(number, "open").await;
    assert_eq!(forge.get(&path).await["closed_at"], Value::Null);
    let kinds: Vec<String> = timeline(&repository, number, "").await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["close", "comment", "reopen"]);
    assert_eq!(forge.call("owner", Method::PATCH, &path, json!({ "state": "ajar" })).await.0, 412);
}

async fn since_and_before_include_their_own_second_in_a_timeline(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    repository.say("owner", number, "Hello.").await;
    let updated = entries(&repository, number, "").await[0]["updated_at"].as_str().unwrap().to_owned();
    let within_the_second = updated.replace('Z', ".9Z");
    for query in [format!("since={updated}"), format!("since={within_the_second}"), format!("before={updated}")] {
        assert_eq!(entries(&repository, number, &query).await.len(), 1, "{query}");
    }
    for query in ["since=2199-01-01T00:00:00Z", "before=2001-01-01T00:00:00Z", "page=2"] {
        assert_eq!(entries(&repository, number, query).await.len(), 0, "{query}");
    }
    let path = repository.issue_path(number);
    let status = async |path: String| forge.call("owner", Method::GET, &path, Value::Null).await.0;
    assert_eq!(status(format!("{path}/timeline?since=yesterday")).await, 422);
    assert_eq!(status(format!("{path}99/timeline")).await, 500, "a missing issue is internal here");
}

async fn comments_and_timeline_entries_share_their_ids(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    repository.make_label("mission/suspended", true).await;
    let first = repository.say("owner", number, "Pause.").await;
    repository.put_label(number, "mission/suspended").await;
    let second = repository.say("owner", number, "Paused.").await;
    let ids: Vec<i64> =
        entries(&repository, number, "").await.iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
    let [a, b, c] = ids[..] else { panic!("three entries were expected: {ids:?}") };
    assert!((a, c) == (first, second) && a < b && b < c, "{ids:?}");
}

async fn actions_of_a_deleted_account_belong_to_the_ghost_account(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    let login = format!("leaver-{}", repository.id);
    let token = forge.new_account(&login);
    let path = format!("{}/comments", repository.issue_path(number));
    let (status, answer) = forge.call_with(&token, Method::POST, &path, json!({ "body": "Farewell." })).await;
    assert_eq!(status, 201, "{answer}");
    forge.remove_account(&login).await;
    let of = |entry: &Value| (entry["user"]["id"].clone(), entry["user"]["login"].clone(), entry["body"].clone());
    let ghost = (json!(-1), json!("Ghost"), json!("Farewell."));
    assert_eq!(of(&entries(&repository, number, "").await[0]), ghost);
    assert_eq!(of(&forge.get(&path).await[0]), ghost);
    assert_eq!(forge.call("owner", Method::GET, &format!("/users/{login}"), Value::Null).await.0, 404);
    assert_eq!(forge.call_with(&token, Method::GET, &path, Value::Null).await.0, 401);
}

async fn an_account_is_found_by_its_login_and_by_its_former_login(forge: Forge) {
    let repository = forge.repository().await;
    let (before, after) = (format!("morgan-{}", repository.id), format!("morgana-{}", repository.id));
    let token = forge.new_account(&before);
    let new = json!({ "name": "quests", "auto_init": true, "default_branch": "main" });
    let made = forge.call_with(&token, Method::POST, "/user/repos", new).await.1;
    let found = forge.get(&format!("/users/{}", before.to_uppercase())).await;
    assert_eq!((&found["login"], &found["id"]), (&json!(before), &made["owner"]["id"]));
    let status = async |token: &str, path: &str| forge.call_with(token, Method::GET, path, Value::Null).await.0;
    assert_eq!(status(forge.token("owner"), "/users/nobody").await, 404);
    let token = forge.new_token("bot", &["write:issue"]);
    assert_eq!(status(&token, "/users/owner").await, 403);

    forge.rename_account(&before, &after).await;
    assert_eq!(forge.get(&format!("/users/{after}")).await["id"], found["id"]);
    let moved = forge.moved(&format!("/users/{before}")).await;
    assert_eq!(moved, (307, format!("/api/v1/users/{after}")));
    let moved = forge.moved(&format!("/repos/{before}/quests/issues?page=1&limit=3")).await;
    assert_eq!(moved, (307, format!("/api/v1/repos/{after}/quests/issues?page=1&limit=3")));
    let named = forge.get(&format!("/repositories/{}", made["id"])).await["full_name"].clone();
    assert_eq!(named, json!(format!("{after}/quests")));

    // Whoever takes the former login ends the redirect.
    forge.new_account(&before);
    assert_ne!(forge.get(&format!("/users/{before}")).await["id"], found["id"]);
    assert_eq!(status(forge.token("owner"), &format!("/repos/{before}/quests")).await, 404);
}

async fn a_transferred_repository_is_found_by_its_former_name(forge: Forge) {
    let repository = forge.repository().await;
    let (_, name) = repository.name.split_once('/').unwrap();
    let login = format!("heir-{}", repository.id);
    let heir = forge.new_account(&login);
    let path = format!("{}/transfer", repository.path());
    let offer = json!({ "new_owner": login });
    let status =
        async |whose: &str, path: &str, body: &Value| forge.call_with(whose, Method::POST, path, body.clone()).await.0;
    assert_eq!(status(forge.token("bot"), &path, &offer).await, 403);
    assert_eq!(status(forge.token("owner"), &path, &json!({ "new_owner": "nobody" })).await, 404);
    // An owner's offer waits until it is accepted.
    assert_eq!(status(forge.token("owner"), &path, &offer).await, 201);
    assert_eq!(status(forge.token("owner"), &path, &offer).await, 409);
    assert_eq!(forge.moved(&repository.path()).await.0, 200);
    assert_eq!(status(forge.token("reader"), &format!("{path}/accept"), &Value::Null).await, 403);
    assert_eq!(status(&heir, &format!("{path}/accept"), &Value::Null).await, 202);
    let moved = forge.moved(&format!("{}/issues?page=1", repository.path())).await;
    assert_eq!(moved, (301, format!("/api/v1/repos/{login}/{name}/issues?page=1")));
    // An administrator's happens at once; and back where it was, nothing is moved.
    let back = format!("/repos/{login}/{name}/transfer");
    let (status, answer) = forge.call("operator", Method::POST, &back, json!({ "new_owner": "owner" })).await;
    assert_eq!((status, &answer["full_name"], &answer["id"]), (202, &json!(repository.name), &json!(repository.id)));
    assert_eq!(forge.moved(&repository.path()).await.0, 200);
    assert_eq!(forge.moved(&format!("/repos/{login}/{name}")).await.0, 301);
}

async fn a_deleted_repository_is_not_found_under_any_of_its_names(forge: Forge) {
    let repository = forge.repository().await;
    let renamed = format!("{}-renamed", repository.name);
    let new = json!({ "name": renamed.split_once('/').unwrap().1 });
    forge.change(Method::PATCH, &repository.path(), new).await;
    assert_eq!(forge.moved(&repository.path()).await, (301, format!("/api/v1/repos/{renamed}")));
    let path = format!("/repos/{renamed}");
    assert_eq!(forge.call("bot", Method::DELETE, &path, Value::Null).await.0, 403);
    assert_eq!(forge.call("owner", Method::DELETE, &path, Value::Null).await.0, 204);
    for path in [path, repository.path(), format!("/repositories/{}", repository.id)] {
        assert_eq!(forge.moved(&path).await.0, 404, "{path}");
    }
}

async fn a_deleted_label_disappears_from_the_timeline(forge: Forge) {
    let (repository, number) = one_issue(&forge).await;
    repository.make_label("mission/suspended", true).await;
    repository.put_label(number, "mission/suspended").await;
    assert_eq!(timeline(&repository, number, "").await, [("label".to_owned(), "1".to_owned())]);
    let id = repository.label_ids(&["mission/suspended"]).await.remove(0);
    forge.change(Method::DELETE, &format!("{}/labels/{id}", repository.path()), Value::Null).await;
    assert_eq!(timeline(&repository, number, "").await, []);
}

#[tokio::test]
async fn an_edit_changes_updated_at_and_since_filters_by_it() {
    let forge = Forge::sandbox().await;
    let (repository, number) = one_issue(&forge).await;
    let edited = repository.say("owner", number, "Hello.").await;
    repository.say("owner", number, "Is anybody there?").await;
    repository.set_state(number, "closed").await;
    forge.engine().grow_older(Duration::from_secs(3_600));
    let path = format!("{}/issues/comments/{edited}", repository.path());
    let edit = forge.change(Method::PATCH, &path, json!({ "body": "Hello!" })).await;
    let (created, updated) = (edit["created_at"].as_str().unwrap(), edit["updated_at"].as_str().unwrap());
    assert!(created < updated, "{created} {updated}");
    let since = timeline(&repository, number, &format!("since={updated}")).await;
    assert_eq!(since, [("comment".to_owned(), "Hello!".to_owned())]);
    assert_eq!(timeline(&repository, number, &format!("before={created}")).await.len(), 2);
    // Neither the edit nor anything later moves the time of closing.
    repository.say("owner", number, "Goodbye.").await;
    let issue = forge.get(&repository.issue_path(number)).await;
    assert!(issue["closed_at"].as_str().unwrap() < updated, "{issue}");
}
