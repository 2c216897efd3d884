//! The sandbox answers as a real Gitea did: recorded exchanges are replayed in their order, and status and the fields
//! that our client uses agree.

use crate::support::forge::{ACCOUNTS, FORM_PATH, Forge, client};
use crate::support::repository::Repository;
use lazarus::sandbox::Sandbox;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};

const EXCHANGES: &str = include_str!("../../fixtures/gitea/exchanges.json");
const BODIES: &str = include_str!("../../fixtures/gitea/form-bodies.json");

/// What the client never asks, or what depends on the moment of recording, with the reason.
const NOT_REPLAYED: [(&str, &str); 12] = [
    ("contents-missing", "the client does not read files"),
    ("hook-create", "the client makes no hooks"),
    ("hooks-list-by-writer", "the client reads no hooks"),
    ("reaction-add", "the client does not react"),
    ("reaction-add-again", "the client does not react"),
    ("permission-reader-asked-by-writer", "the client asks nobody's permission"),
    ("permission-bot-asked-by-writer", "the client asks nobody's permission"),
    ("permission-asked-by-owner", "the client asks nobody's permission"),
    ("issues-list-unknown-creator", "the client does not filter by author"),
    ("issues-list-since", "its times are those of the recording; `since` has a test of its own"),
    ("malformed-json", "the client sends no malformed JSON"),
    ("issue-filed-in-chromium", "its form is one of the rendered bodies below"),
];

/// The fields that our client or its tests use.
const USED: [&str; 35] = [
    "about",
    "archived",
    "assignees",
    "attributes",
    "body",
    "color",
    "comments",
    "default_paging_num",
    "description",
    "exclusive",
    "file_name",
    "full_name",
    "has_issues",
    "id",
    "is_archived",
    "is_locked",
    "label",
    "labels",
    "login",
    "max_response_items",
    "message",
    "name",
    "number",
    "path",
    "private",
    "pull_request",
    "ref",
    "repository",
    "state",
    "title",
    "type",
    "user",
    "valid",
    "validations",
    "visible",
];

/// A sandbox in the state that the recording found.
struct Replay {
    sandbox: Sandbox,
    client: Client,
    tokens: Vec<(String, String)>,
}

#[tokio::test]
async fn the_sandbox_answers_as_the_recorded_gitea_did() {
    let recorded: Value = serde_json::from_str(EXCHANGES).unwrap();
    let replay = Replay::start().await;
    let mut replayed = 0;
    for exchange in recorded["exchanges"].as_array().unwrap() {
        let name = exchange["name"].as_str().unwrap();
        if NOT_REPLAYED.iter().any(|(skipped, _)| *skipped == name) {
            continue;
        }
        replay.prepare(name, &exchange["response"]["body"]).await;
        replay.check(name, exchange).await;
        replayed += 1;
    }
    assert_eq!(replayed, recorded["exchanges"].as_array().unwrap().len() - NOT_REPLAYED.len());
}

impl Replay {
    async fn start() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        sandbox.user("root");
        let mut tokens = vec![("anonymous".to_owned(), String::new())];
        for (login, scopes) in ACCOUNTS {
            sandbox.user(login);
            tokens.push((login.to_owned(), sandbox.token(login, scopes)));
        }
        tokens.push((
            "bot (write:issue, read:repository)".to_owned(),
            sandbox.token("bot", &["write:issue", "read:repository"]),
        ));
        Self { sandbox, client: client(), tokens }
    }

    fn token(&self, name: &str, whose: &str) -> String {
        match name {
            "bad-token" => "0123456789abcdef".to_owned(),
            "user-missing-scope" | "repo-get-missing-scope" => self.sandbox.token("bot", &["write:issue"]),
            "scope-missing" => self.sandbox.token("bot", &["read:issue"]),
            _ => self.tokens.iter().find(|(known, _)| known == whose).unwrap().1.clone(),
        }
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Option<String>, Value) {
        let url = format!("{}{path}", self.sandbox.url());
        let mut request = self.client.request(method.parse::<Method>().unwrap(), url);
        if !token.is_empty() {
            request = request.header("authorization", format!("token {token}"));
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let total = answer.headers().get("x-total-count").map(|total| total.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, total, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(json!("")))
    }

    async fn as_owner(&self, method: &str, path: &str, body: Value) {
        let (status, _, answer) = self.send(&self.token("", "owner"), method, &format!("/api/v1{path}"), &body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
    }

    /// What was done between the recorded exchanges.
    async fn prepare(&self, name: &str, recorded: &Value) {
        let repository = "/repos/owner/missions";
        match name {
            "repo-get" => {
                let permission = json!({ "permission": "write" });
                self.as_owner("PUT", &format!("{repository}/collaborators/bot"), permission).await;
            }
            "issue-web-1" => {
                let forged = "Line one\r\nLine two\r\n### Repository\r\n\r\nevil/repo";
                let ticked = ("acknowledgements-0", "on");
                let asked = [("repository", "owner/missions"), ("stale-after", "1"), ("objective", forged), ticked];
                self.file("Mission: apollo", "1", &asked).await;
                self.file("Mission: hermes", "3,5,6", &[("objective", "```\r\nfence\r\n````\r\n ~~~"), ticked]).await;
                self.file("Mission: empty", "1", &[("repository", "not a repo")]).await;
            }
            "issue-labels-all-values-attached" => self.file("Mission: greedy", "5,6,7", &[]).await,
            "issues-list-clamped" => {
                for filler in 0..60 {
                    let issue = json!({ "title": format!("filler {filler}"), "body": "x" });
                    let path = format!("/api/v1{repository}/issues");
                    assert_eq!(self.send(&self.token("", "reader"), "POST", &path, &issue).await.0, 201);
                }
            }
            "issue-delete" => self.file("Mission: deleted", "", &[]).await,
            "issue-that-is-a-pull" => {
                let (author, body) = (recorded["user"]["login"].as_str().unwrap(), recorded["body"].as_str().unwrap());
                assert_eq!(self.sandbox.pull_request(1, author, "Mission: pr", body), 67);
            }
            "renamed-get" => self.as_owner("PATCH", repository, json!({ "name": "quests" })).await,
            "archived-comment" => {
                let back = json!({ "name": "missions", "archived": true });
                self.as_owner("PATCH", "/repos/owner/quests", back).await;
            }
            "private-stranger" => {
                self.as_owner("PATCH", repository, json!({ "archived": false, "private": true })).await;
            }
            "issues-off-list" => {
                self.as_owner("PATCH", repository, json!({ "private": false, "has_issues": false })).await;
            }
            "issue-labels-heal-by-moving" => self.as_owner("PATCH", repository, json!({ "has_issues": true })).await,
            _ => {}
        }
    }

    async fn file(&self, title: &str, labels: &str, answers: &[(&str, &str)]) {
        let url = self.sandbox.url();
        let encode = |fields: &[(String, String)]| {
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
        };
        let login = [("user_name".to_owned(), "reader".to_owned()), ("password".to_owned(), "reader".to_owned())];
        let page = self.client.post(format!("{url}/user/login")).body(encode(&login)).send().await.unwrap();
        let cookie = page.headers()["set-cookie"].to_str().unwrap().to_owned();
        let mut fields = vec![
            ("title".to_owned(), title.to_owned()),
            ("template-file".to_owned(), FORM_PATH.to_owned()),
            ("label_ids".to_owned(), labels.to_owned()),
        ];
        fields.extend(answers.iter().map(|(id, answer)| (format!("form-field-{id}"), (*answer).to_owned())));
        let request = self.client.post(format!("{url}/owner/missions/issues/new")).header("cookie", cookie);
        assert_eq!(request.body(encode(&fields)).send().await.unwrap().status().as_u16(), 200);
    }

    async fn check(&self, name: &str, exchange: &Value) {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        let token = self.token(name, exchange["as"].as_str().unwrap());
        let text = |key: &str| request[key].as_str().unwrap();
        let (status, total, body) = self.send(&token, text("method"), text("path"), &request["body"]).await;
        assert_eq!(json!(status), recorded["status"], "{name}: {body}");
        let recorded_total = recorded["headers"]["X-Total-Count"].as_str();
        assert_eq!(recorded_total.and(total.as_deref()), recorded_total, "{name}");
        if name == "issues-list-clamped" {
            let numbers: Vec<i64> = body.as_array().unwrap().iter().map(|i| i["number"].as_i64().unwrap()).collect();
            assert_eq!((numbers.len(), numbers[0], numbers[49]), (50, 65, 16));
        } else if !recorded["body"].is_string() {
            let mut body = body;
            // The recording keeps the first few of a list.
            if let (Value::Array(items), Value::Array(kept)) = (&mut body, &recorded["body"]) {
                items.truncate(kept.len().max(1));
            }
            if name == "templates" {
                let kept = recorded["body"][0]["body"].as_array().unwrap().len();
                body[0]["body"].as_array_mut().unwrap().truncate(kept);
            }
            assert_eq!(used(&body), used(&recorded["body"]), "{name}");
        }
    }
}

/// What is left of an answer when all is dropped that nobody here uses.
fn used(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(used).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| USED.contains(&key.as_str()));
            let kept = kept.map(|(key, value)| match key.as_str() {
                // Whether there is one tells a pull request; what is in it does not matter.
                "pull_request" => (key.clone(), json!(!value.is_null())),
                _ => (key.clone(), used(value)),
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[tokio::test]
async fn the_sandbox_renders_every_form_as_the_recorded_gitea_did() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    repository.make_label("kind/mission-proposal", false).await;
    let cases: Value = serde_json::from_str(BODIES).unwrap();
    for case in cases["cases"].as_array().unwrap() {
        let (name, title) = (case["name"].as_str().unwrap(), case["title"].as_str().unwrap());
        let answers = case["answers"].as_object().unwrap();
        let mut fields: Vec<(&str, &str)> = answers.iter().map(|(id, a)| (id.as_str(), a.as_str().unwrap())).collect();
        if !answers.contains_key("acknowledgements-0") {
            fields.push(("acknowledgements-0", ""));
        }
        let number = repository.file("reader", title, &fields).await;
        let issue = forge.get(&repository.issue_path(number)).await;
        assert_eq!((&issue["body"], &issue["title"]), (&case["body"], &case["title"]), "{name}");
        assert_eq!(json!(repository.labels(number).await), case["labels"], "{name}");
    }
}

#[tokio::test]
async fn since_includes_its_own_second_and_a_page_past_the_end_is_empty() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    let number = repository.file("reader", "Mission: now", &[]).await;
    let updated = forge.get(&repository.issue_path(number)).await["updated_at"].as_str().unwrap().to_owned();
    let count = async |query: &str| listed(&forge, &repository, query).await;
    assert_eq!(count(&format!("since={updated}")).await, 1);
    assert_eq!(count("since=2199-01-01T00:00:00Z").await, 0);
    assert_eq!((count("page=2").await, count("labels=unknown").await), (0, 1));
}

async fn listed(forge: &Forge, repository: &Repository, query: &str) -> usize {
    forge.get(&format!("{}/issues?{query}", repository.path())).await.as_array().unwrap().len()
}
