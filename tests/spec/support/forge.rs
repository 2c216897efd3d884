//! A forge to try things on: the built-in sandbox, or a real Gitea where `LAZARUS_TEST_GITEA` names its binary.
//! Stories talk to both over HTTP alone, with a client of their own.

use crate::support::gitea::RealGitea;
use crate::support::repository::Repository;
use crate::support::soon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::proposal::form::FORM;
use lazarus::sandbox::Sandbox;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The scopes that docs/install.md asks for.
pub(crate) const BOT_SCOPES: [&str; 3] = ["write:issue", "read:repository", "read:user"];

/// Where the form is in a repository.
pub(crate) const FORM_PATH: &str = ".gitea/ISSUE_TEMPLATE/mission-proposal.yaml";

/// The accounts that every forge has, and what their tokens may do.
pub(crate) const ACCOUNTS: [(&str, &[&str]); 4] =
    [("owner", &["all"]), ("bot", &BOT_SCOPES), ("reader", &["all"]), ("stranger", &["all"])];

/// A running forge with an owner, a bot, a reader and a stranger. Stops when the last copy is dropped.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) url: String,
    engine: Engine,
    client: Client,
    tokens: Arc<BTreeMap<&'static str, String>>,
}

#[derive(Clone)]
enum Engine {
    Sandbox(Arc<Sandbox>),
    Gitea(Arc<RealGitea>),
}

impl Forge {
    /// The built-in one.
    pub(crate) async fn sandbox() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let token = |(login, scopes): (&'static str, &[&str])| {
            sandbox.user(login);
            (login, sandbox.token(login, scopes))
        };
        let mut tokens: BTreeMap<&'static str, String> = ACCOUNTS.map(token).into_iter().collect();
        sandbox.admin("operator");
        tokens.insert("operator", sandbox.token("operator", &["all"]));
        let tokens = Arc::new(tokens);
        Self { url: sandbox.url(), engine: Engine::Sandbox(Arc::new(sandbox)), client: client(), tokens }
    }

    /// A real one, if the environment names a binary.
    pub(crate) async fn real() -> Option<Self> {
        let gitea = RealGitea::running().await?;
        let tokens = Arc::new(gitea.tokens.clone());
        Some(Self { url: gitea.url.clone(), engine: Engine::Gitea(gitea), client: client(), tokens })
    }

    /// The sandbox behind it, for faults and for its log.
    pub(crate) fn engine(&self) -> &Sandbox {
        match &self.engine {
            Engine::Sandbox(sandbox) => sandbox,
            Engine::Gitea(_) => panic!("a real Gitea does not break on request"),
        }
    }

    /// What has come in at the sandbox since so many requests ago.
    pub(crate) fn asked(&self, before: usize) -> Vec<String> {
        self.engine().log()[before..].iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }

    pub(crate) fn token(&self, login: &str) -> &str {
        &self.tokens[login]
    }

    /// A token with other scopes than the usual ones.
    pub(crate) fn new_token(&self, login: &str, scopes: &[&str]) -> String {
        match &self.engine {
            Engine::Sandbox(sandbox) => sandbox.token(login, scopes),
            Engine::Gitea(gitea) => gitea.token(login, scopes),
        }
    }

    /// Makes one more account; its token.
    pub(crate) fn new_account(&self, login: &str) -> String {
        match &self.engine {
            Engine::Sandbox(sandbox) => {
                sandbox.user(login);
                sandbox.token(login, &["all"])
            }
            Engine::Gitea(gitea) => gitea.account(login, &["all"]),
        }
    }

    /// What happens from now on does not happen in the second of what has happened so far; the forge tells whole seconds.
    pub(crate) async fn next_second(&self) {
        match &self.engine {
            Engine::Sandbox(sandbox) => sandbox.advance(Duration::from_secs(2)),
            Engine::Gitea(_) => {
                let now = || chrono::Utc::now().timestamp();
                let before = now();
                soon("a second is over", async || now() > before).await;
            }
        }
    }

    /// Renames an account, as an operator does.
    pub(crate) async fn rename_account(&self, login: &str, new: &str) {
        match &self.engine {
            Engine::Sandbox(sandbox) => sandbox.rename_user(login, new),
            Engine::Gitea(_) => {
                let (path, new) = (format!("/admin/users/{login}/rename"), json!({ "new_username": new }));
                assert_eq!(self.call("operator", Method::POST, &path, new).await.0, 204);
            }
        }
    }

    /// Changes an account, as an operator does.
    pub(crate) async fn edit_account(&self, login: &str, mut edit: Value) {
        (edit["login_name"], edit["source_id"]) = (json!(login), json!(0));
        let (status, reported) = self.call("operator", Method::PATCH, &format!("/admin/users/{login}"), edit).await;
        assert_eq!(status, 200, "{reported}");
    }

    /// Removes an account, as an operator does.
    pub(crate) async fn remove_account(&self, login: &str) {
        match &self.engine {
            Engine::Sandbox(sandbox) => sandbox.remove_user(login),
            Engine::Gitea(_) => {
                let path = format!("/admin/users/{login}");
                assert_eq!(self.call("operator", Method::DELETE, &path, Value::Null).await.0, 204);
            }
        }
    }

    pub(crate) fn password(&self, login: &str) -> String {
        match &self.engine {
            Engine::Sandbox(_) => login.to_owned(),
            Engine::Gitea(_) => RealGitea::password(login),
        }
    }

    /// Calls the API as somebody; the status and the JSON, null where there is none.
    pub(crate) async fn call(&self, login: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.call_with(self.token(login), method, path, body).await
    }

    /// Calls the API with a token; none where it is empty.
    pub(crate) async fn call_with(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("token {token}"));
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// What a comment looks like on the page, by a forge that renders it.
    pub(crate) async fn rendered(&self, repository: &str, comment: &str) -> Option<String> {
        let Engine::Gitea(_) = &self.engine else { return None };
        let asked = json!({ "Text": comment, "Mode": "comment", "Context": format!("/{repository}") });
        let request = self.client.post(format!("{}/api/v1/markdown", self.url)).json(&asked);
        let answer = request.header(AUTHORIZATION, format!("token {}", self.token("reader"))).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        Some(answer.text().await.unwrap())
    }

    /// Where something has moved to, as the owner is told: the status and the `Location`.
    pub(crate) async fn moved(&self, path: &str) -> (u16, String) {
        let request = self.client.get(format!("{}/api/v1{path}", self.url));
        let answer = request.header(AUTHORIZATION, format!("token {}", self.token("owner"))).send().await.unwrap();
        let location = answer.headers().get(LOCATION).map(|location| location.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location.unwrap_or_default())
    }

    /// Reads as the owner.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.call("owner", Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {value}");
        value
    }

    /// How many there are on all pages of a listing.
    pub(crate) async fn total(&self, path: &str) -> i64 {
        let request = self.client.get(format!("{}/api/v1{path}", self.url));
        let answer = request.header(AUTHORIZATION, format!("token {}", self.token("owner"))).send().await.unwrap();
        answer.headers()["x-total-count"].to_str().unwrap().parse().unwrap()
    }

    /// Changes something as the owner.
    pub(crate) async fn change(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, value) = self.call("owner", method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {value}");
        value
    }

    /// A new repository of the owner's, with the form installed, the bot as a writer, and no labels yet.
    pub(crate) async fn repository(&self) -> Repository {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("missions-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.repository_named(&name).await
    }

    /// The same, with this name.
    pub(crate) async fn repository_named(&self, name: &str) -> Repository {
        let new = json!({ "name": name, "auto_init": true, "default_branch": "main" });
        let made = self.change(Method::POST, "/user/repos", new).await;
        let name = format!("owner/{name}");
        let repository = Repository { forge: self.clone(), name, id: made["id"].as_i64().unwrap() };
        let writer = format!("{}/collaborators/bot", repository.path());
        self.change(Method::PUT, &writer, json!({ "permission": "write" })).await;
        let form = json!({ "content": STANDARD.encode(FORM), "message": "Ask for missions", "branch": "main" });
        self.change(Method::POST, &format!("{}/contents/{FORM_PATH}", repository.path()), form).await;
        repository
    }

    /// Logs in on the page, as a browser does; the cookies.
    pub(crate) async fn log_in(&self, login: &str) -> String {
        let form = [("user_name", login), ("password", &self.password(login))];
        let answer = self.post("/user/login", "", &form).await;
        assert_eq!(answer.status().as_u16(), 303, "log in as {login}");
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        // One may be set twice; the last counts.
        let jar: BTreeMap<&str, &str> =
            cookies.filter_map(|c| c.to_str().ok()?.split(';').next()?.split_once('=')).collect();
        jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Opens a page.
    pub(crate) async fn page(&self, path: &str, cookie: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.url)).header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// Posts a form on a page.
    pub(crate) async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", self.url)).header(COOKIE, cookie);
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send().await.unwrap()
    }
}

/// A client that follows no redirect and asks no proxy.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}
