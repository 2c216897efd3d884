//! The webhook: recorded deliveries, and modified ones.

use crate::support::service::sign;
use crate::support::site::{Answer, Setup, Site, ask};
use lazarus::engine::queue::{KEYS_MAX, Key};
use lazarus::mission::text::sha256;
use serde_json::{Value, json};

const SECRET: &str = "s3cret-for-tests-32-bytes-long!!";

/// Recorded from a real Gitea: the body, its signature, and the issue that it is about.
fn deliveries() -> Vec<(String, String, i64)> {
    let recorded: Value = serde_json::from_str(include_str!("../../../fixtures/gitea/webhooks.json")).unwrap();
    assert_eq!(recorded["secret"], SECRET);
    let deliveries = recorded["deliveries"].as_array().unwrap().iter().map(|delivery| {
        let body = delivery["raw_body"].as_str().unwrap().to_owned();
        let signature = delivery["headers"]["X-Gitea-Signature"].as_str().unwrap().to_owned();
        let payload: Value = serde_json::from_str(&body).unwrap();
        (body, signature, payload["issue"]["number"].as_i64().unwrap())
    });
    deliveries.collect()
}

async fn site() -> Site {
    Site::new(Setup { webhook_secret: Some(SECRET), ..Setup::default() }).await
}

fn signed(body: &[u8]) -> String {
    sign(SECRET, body)
}

async fn deliver(site: &Site, body: &[u8], signature: &str) -> Answer {
    let headers = [("Content-Type", "application/json"), ("X-Gitea-Signature", signature)];
    ask(site.doors, "POST", "/webhook", &headers, body).await
}

/// Drains the queue.
async fn queued(site: &Site) -> Vec<Key> {
    let mut keys = Vec::new();
    while site.queue.depth() > 0 {
        let key = site.queue.next().await;
        site.queue.done(key);
        keys.push(key);
    }
    keys
}

#[tokio::test]
async fn every_delivery_about_an_issue_queues_that_issue_only() {
    let mut deliveries = deliveries();
    deliveries.retain(|(body, _, _)| !is_about_a_comment(body));
    assert_eq!(deliveries.len(), 6);
    for (body, signature, number) in deliveries {
        // The queue delays an issue that was checked a moment ago.
        let (site, other) = (site().await, site().await);
        let key = [Key::Issue { repository: 1, number }];
        let answer = deliver(&site, body.as_bytes(), &signature).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, "accepted\n"));
        assert_eq!(queued(&site).await, key);
        let github = [("Content-Type", "application/json"), ("X-Hub-Signature-256", &*format!("sha256={signature}"))];
        assert_eq!(ask(other.doors, "POST", "/webhook", &github, body.as_bytes()).await.status, 202);
        assert_eq!(queued(&other).await, key, "the other header serves as well");

        let mut changed = body.clone().into_bytes();
        changed[body.len() / 2] ^= 1;
        assert_eq!(deliver(&site, &changed, &signature).await.status, 401, "a byte of the body");
        let digit = if signature.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{digit}", &signature[..63]);
        assert_eq!(deliver(&site, body.as_bytes(), &changed).await.status, 401, "a digit of the signature");
        assert_eq!(site.queue.depth(), 0);
    }
}

fn is_about_a_comment(body: &str) -> bool {
    !serde_json::from_str::<Value>(body).unwrap()["comment"].is_null()
}

/// A listing finds new comments; for an edit the engine checks whose comment it is.
#[tokio::test]
async fn a_delivery_about_a_comment_queues_no_issue() {
    let site = site().await;
    let mut deliveries = deliveries();
    deliveries.retain(|(body, _, _)| is_about_a_comment(body));
    let mut answers = Vec::new();
    for (body, signature, _) in &deliveries {
        answers.push(deliver(&site, body.as_bytes(), signature).await.body);
    }
    assert_eq!((answers, site.queue.depth()), (vec!["ignored\n".to_owned(), "accepted\n".to_owned()], 0));
    let event = site.commented.lock().unwrap().try_recv().unwrap();
    let seen = (event.repository_id, event.comment.id, event.comment.number, event.sender, event.is_deleted);
    assert_eq!(seen, (1, 16, Some(1), 3, false));
    assert_eq!(event.comment.body_sha256, sha256("<!-- lazarus:status -->\nhello two"));
    let mut deleted: Value = serde_json::from_str(&deliveries[1].0).unwrap();
    deleted["action"] = json!("deleted");
    let body = deleted.to_string();
    assert_eq!(deliver(&site, body.as_bytes(), &signed(body.as_bytes())).await.status, 202);
    assert!(site.commented.lock().unwrap().try_recv().unwrap().is_deleted);
    // More events than fit into the channel are dropped; a listing or a resync finds the changes.
    for _ in 0..20 {
        assert_eq!(deliver(&site, body.as_bytes(), &signed(body.as_bytes())).await.status, 202);
    }
    let metrics = ask(site.page, "GET", "/metrics", &[], b"").await.body;
    assert!(metrics.contains("lazarus_comment_webhooks_total 23\n"), "{metrics}");
}

#[tokio::test]
async fn only_a_correct_signature_of_64_hex_digits_is_accepted() {
    let site = site().await;
    let (body, signature, _) = deliveries().remove(0);
    let wrong_secret = sign("another secret", body.as_bytes());
    let cases = [
        (signature.to_uppercase(), 202),
        (String::new(), 401),
        (signature[..62].to_owned(), 401),
        (signature[..63].to_owned(), 401),
        (format!("{signature}00"), 401),
        (format!("sha256={signature}"), 401),
        (format!("{}zz", &signature[..62]), 401),
        (format!("+{}", &signature[1..]), 401),
        ("é".repeat(32), 401),
        (wrong_secret, 401),
    ];
    for (given, status) in cases {
        let answer = deliver(&site, body.as_bytes(), &given).await;
        assert_eq!(answer.status, status, "{given}");
        assert!(status != 401 || answer.body == "unauthorized\n");
    }
    for headers in [&[][..], &[("X-Hub-Signature", "sha1=feaec2880d11fb90ebe1d0082535f3f56e9b473d")]] {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        assert_eq!(ask(site.doors, "POST", "/webhook", &headers, body.as_bytes()).await.status, 401, "{headers:?}");
    }
    assert_eq!(queued(&site).await.len(), 1);
}

#[tokio::test]
async fn deliveries_about_no_issue_are_accepted_and_ignored() {
    let site = site().await;
    let repository = json!({ "id": 7 });
    let cases = [
        (json!({ "ref": "refs/heads/main", "repository": repository }), None),
        (json!({ "number": 3, "pull_request": { "id": 1 }, "repository": repository }), None),
        (json!({ "issue": { "number": 3, "pull_request": { "merged": false } }, "repository": repository }), None),
        (json!({ "issue": { "number": "3" }, "repository": repository }), None),
        (json!({ "issue": { "number": 3 } }), None),
        (json!({ "issue": { "number": 0 }, "repository": repository }), None),
        (json!({ "issue": { "number": 3 }, "repository": { "id": -7 } }), None),
        (json!([{ "issue": { "number": 3 }, "repository": repository }]), None),
        (json!({ "issue": { "number": 3, "pull_request": null }, "repository": repository }), Some(3)),
        (json!({ "action": "opened", "number": 4, "repository": repository }), Some(4)),
        (json!({ "issue": {}, "number": 5, "repository": repository }), Some(5)),
    ];
    for (payload, number) in cases {
        let body = payload.to_string();
        let answer = deliver(&site, body.as_bytes(), &signed(body.as_bytes())).await;
        assert_eq!(answer.status, 202, "{payload}");
        let keys: Vec<Key> = number.into_iter().map(|number| Key::Issue { repository: 7, number }).collect();
        assert_eq!(queued(&site).await, keys, "{payload}");
    }
}

#[tokio::test]
async fn malformed_and_oversized_deliveries_are_rejected() {
    let site = site().await;
    let nested = "[".repeat(100_000);
    for body in ["", "{", "{}{}", "\u{feff}{}", &nested, "{\"issue\":{\"number\":1e400}}"] {
        let answer = deliver(&site, body.as_bytes(), &signed(body.as_bytes())).await;
        assert_eq!(answer.status, 400, "{}", &body[..body.len().min(40)]);
    }
    let (body, signature, _) = deliveries().remove(0);
    for kind in ["application/x-www-form-urlencoded", "text/json", ""] {
        let headers = [("Content-Type", kind), ("X-Gitea-Signature", &*signature)];
        assert_eq!(ask(site.doors, "POST", "/webhook", &headers, body.as_bytes()).await.status, 415, "{kind}");
    }
    let headers = [("Content-Type", "Application/JSON; charset=utf-8"), ("X-Gitea-Signature", &*signature)];
    assert_eq!(ask(site.doors, "POST", "/webhook", &headers, body.as_bytes()).await.status, 202);
    queued(&site).await;
    let declared = [headers[0], headers[1], ("Content-Length", "1048577")];
    assert_eq!(ask(site.doors, "POST", "/webhook", &declared, b"").await.status, 413, "it is not even waited for");
    let largest = format!("{{}}{}", " ".repeat(1_048_574));
    assert_eq!(deliver(&site, largest.as_bytes(), &signed(largest.as_bytes())).await.status, 202);
    assert_eq!(site.queue.depth(), 0);
}

#[tokio::test]
async fn replays_queue_one_key_and_a_flood_queues_one_resync() {
    let site = site().await;
    let (body, signature, number) = deliveries().remove(0);
    for _ in 0..20 {
        deliver(&site, body.as_bytes(), &signature).await;
    }
    assert_eq!(queued(&site).await, [Key::Issue { repository: 1, number }]);
    for number in 1..=KEYS_MAX {
        site.queue.add_urgent(Key::Issue { repository: 2, number: i64::try_from(number).unwrap() });
    }
    let other = br#"{"repository":{"id":3},"issue":{"number":1}}"#;
    assert_eq!(deliver(&site, other, &signed(other)).await.status, 202);
    assert_eq!(queued(&site).await, [Key::Resync]);
}
