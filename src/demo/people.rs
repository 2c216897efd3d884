//! The actions of people in the demo: they share a repository, install the form, and file and correct proposals.

use crate::demo::DemoError;
use crate::mission::proposal::form::FORM;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// The path of the form in a repository.
const FORM_PATH: &str = ".gitea/ISSUE_TEMPLATE/mission-proposal.yaml";

/// The repository of the demo.
pub(super) const REPOSITORY: &str = "owner/missions";

/// The people of the demo, reached over the same HTTP as on any Gitea.
#[derive(Debug)]
pub(super) struct People {
    client: Client,
    url: String,
    /// The owner's access token.
    token: String,
}

impl People {
    pub(super) fn new(url: String, token: String) -> Result<Self, DemoError> {
        // The sandbox speaks plain HTTP, so no CA is needed; but every client needs a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().tls_certs_only([]).build()?;
        Ok(Self { client, url, token })
    }

    /// The owner creates the repository, installs the form, and gives the bot write access.
    pub(super) async fn open_repository(&self) -> Result<(), DemoError> {
        self.api(Method::POST, "/user/repos", json!({ "name": "missions", "auto_init": true })).await?;
        let file = json!({ "content": STANDARD.encode(FORM), "message": "Add the form" });
        self.api(Method::POST, &format!("/repos/{REPOSITORY}/contents/{FORM_PATH}"), file).await?;
        let writer = json!({ "permission": "write" });
        self.api(Method::PUT, &format!("/repos/{REPOSITORY}/collaborators/bot"), writer).await?;
        Ok(())
    }

    /// A reader without other rights files a proposal with the form; returns the issue's number.
    pub(super) async fn file(&self, title: &str, answers: &[(&str, &str)]) -> Result<i64, DemoError> {
        let login = [("user_name", "reader"), ("password", "reader")];
        let signed_in = self.post("/user/login", "", &login).await?;
        let cookie = signed_in.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
        let path = format!("/{REPOSITORY}/issues/new");
        let page = self.client.get(format!("{}{path}?template={FORM_PATH}", self.url)).header(COOKIE, cookie);
        let page = page.send().await?.text().await?;
        let labels = input(&page, "label_ids").unwrap_or_default();
        let mut fields = vec![("title", title), ("template-file", FORM_PATH), ("label_ids", labels)];
        let named: Vec<(String, &str)> =
            answers.iter().map(|(id, answer)| (format!("form-field-{id}"), *answer)).collect();
        fields.extend(named.iter().map(|(name, answer)| (name.as_str(), *answer)));
        let filed: Value = self.post(&path, cookie, &fields).await?.json().await?;
        let number = filed["redirect"].as_str().and_then(|path| path.rsplit('/').next()?.parse().ok());
        number.ok_or_else(|| DemoError::Forge(format!("filing a proposal answered {filed}")))
    }

    /// The author corrects answers in the issue's text.
    pub(super) async fn correct(&self, number: i64, changes: &[(&str, &str)]) -> Result<(), DemoError> {
        let mut body = self.issue(number).await?["body"].as_str().unwrap_or_default().to_owned();
        for (wrong, right) in changes {
            body = body.replacen(wrong, right, 1);
        }
        let path = format!("/repos/{REPOSITORY}/issues/{number}");
        self.api(Method::PATCH, &path, json!({ "body": body })).await.map(|_| ())
    }

    /// The owner closes or reopens an issue.
    pub(super) async fn set_state(&self, number: i64, state: &str) -> Result<(), DemoError> {
        let path = format!("/repos/{REPOSITORY}/issues/{number}");
        self.api(Method::PATCH, &path, json!({ "state": state })).await.map(|_| ())
    }

    /// An issue, as the API returns it.
    pub(super) async fn issue(&self, number: i64) -> Result<Value, DemoError> {
        self.api(Method::GET, &format!("/repos/{REPOSITORY}/issues/{number}"), Value::Null).await
    }

    /// The comments of an issue.
    pub(super) async fn comments(&self, number: i64) -> Result<Value, DemoError> {
        self.api(Method::GET, &format!("/repos/{REPOSITORY}/issues/{number}/comments"), Value::Null).await
    }

    async fn api(&self, method: Method, path: &str, body: Value) -> Result<Value, DemoError> {
        let request: RequestBuilder = self.client.request(method, format!("{}/api/v1{path}", self.url));
        let request = request.header(AUTHORIZATION, format!("token {}", self.token));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await?.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }

    async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Result<Response, DemoError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", self.url)).header(COOKIE, cookie);
        Ok(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send().await?)
    }
}

/// The value of an input on a page.
fn input<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, tag) = page.split_once(&format!("name=\"{name}\""))?;
    let (_, value) = tag.split_once("value=\"")?;
    value.split('"').next()
}
