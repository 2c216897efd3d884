//! One repository on a forge, with what people do in it and see of it.

use crate::support::forge::{FORM_PATH, Forge};
use reqwest::Method;
use serde_json::{Value, json};

/// One repository on a forge.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) forge: Forge,
    pub(crate) name: String,
    pub(crate) id: i64,
}

impl Repository {
    pub(crate) fn path(&self) -> String {
        format!("/repos/{}", self.name)
    }

    pub(crate) fn issue_path(&self, number: i64) -> String {
        format!("{}/issues/{number}", self.path())
    }

    /// Files a proposal on the web page, answering the form as a browser posts it; the issue's number. What is not
    /// answered is answered well.
    pub(crate) async fn file(&self, login: &str, title: &str, answers: &[(&str, &str)]) -> i64 {
        self.file_with(login, title, answers, None).await
    }

    /// The same, with these labels named instead of those that the page had chosen.
    pub(crate) async fn file_with(
        &self,
        login: &str,
        title: &str,
        answers: &[(&str, &str)],
        labels: Option<&[&str]>,
    ) -> i64 {
        let cookie = self.forge.log_in(login).await;
        let path = format!("/{}/issues/new", self.name);
        let page = self.forge.page(&format!("{path}?template={FORM_PATH}"), &cookie).await;
        let chosen = match labels {
            None => hidden(&page, "label_ids").expect("the page has the form's labels"),
            Some(names) => self.label_ids(names).await.join(","),
        };
        let mut fields = vec![
            ("title".to_owned(), title.to_owned()),
            ("template-file".to_owned(), FORM_PATH.to_owned()),
            ("label_ids".to_owned(), chosen),
        ];
        fields.extend(hidden(&page, "_csrf").map(|token| ("_csrf".to_owned(), token)));
        let defaults = [("stale-after", "1"), ("objective", "Raise the dead."), ("acknowledgements-0", "on")];
        let unanswered = defaults.iter().filter(|(id, _)| !answers.iter().any(|(asked, _)| asked == id));
        for (id, answer) in answers.iter().chain(unanswered) {
            fields.push((format!("form-field-{id}"), (*answer).to_owned()));
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let answer = self.forge.post(&path, &cookie, &fields).await;
        let status = answer.status().as_u16();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        let redirect = answer["redirect"].as_str().unwrap_or_else(|| panic!("filing answered {status}: {answer}"));
        redirect.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Files many issues by the API, four at a time; what comes of it quickly in benchmarks and large tests.
    pub(crate) async fn file_many(&self, login: &str, bodies: Vec<String>) {
        let token = self.forge.token(login).to_owned();
        let mut under_way = tokio::task::JoinSet::new();
        for (at, body) in bodies.into_iter().enumerate() {
            let (forge, path, token) = (self.forge.clone(), format!("{}/issues", self.path()), token.clone());
            under_way.spawn(async move {
                let issue = json!({ "title": format!("Mission: number {at}"), "body": body });
                assert_eq!(forge.call_with(&token, Method::POST, &path, issue).await.0, 201);
            });
            if under_way.len() >= 4 {
                under_way.join_next().await.unwrap().unwrap();
            }
        }
        under_way.join_all().await;
    }

    /// The ids of labels by their names.
    pub(crate) async fn label_ids(&self, names: &[&str]) -> Vec<String> {
        let labels = self.forge.get(&format!("{}/labels?limit=50", self.path())).await;
        let labels = labels.as_array().unwrap();
        let id = |name: &str| labels.iter().find(|label| label["name"] == name).map(|label| label["id"].to_string());
        names.iter().map(|name| id(name).unwrap_or_else(|| panic!("there is no label {name}"))).collect()
    }

    /// Makes a label.
    pub(crate) async fn make_label(&self, name: &str, exclusive: bool) {
        let label = json!({ "name": name, "color": "cccccc", "exclusive": exclusive });
        self.forge.change(Method::POST, &format!("{}/labels", self.path()), label).await;
    }

    /// Puts a label on an issue.
    pub(crate) async fn put_label(&self, number: i64, name: &str) {
        let path = format!("{}/labels", self.issue_path(number));
        self.forge.change(Method::POST, &path, json!({ "labels": [name] })).await;
    }

    /// The same as somebody with this token.
    pub(crate) async fn put_label_as(&self, token: &str, number: i64, name: &str) {
        let path = format!("{}/labels", self.issue_path(number));
        assert_eq!(self.forge.call_with(token, Method::POST, &path, json!({ "labels": [name] })).await.0, 200);
    }

    /// Takes a label off an issue, as the owner does.
    pub(crate) async fn take_label(&self, number: i64, name: &str) {
        let id = self.label_ids(&[name]).await.remove(0);
        self.forge.change(Method::DELETE, &format!("{}/labels/{id}", self.issue_path(number)), Value::Null).await;
    }

    /// Changes an issue's title.
    pub(crate) async fn rename(&self, number: i64, title: &str) {
        self.forge.change(Method::PATCH, &self.issue_path(number), json!({ "title": title })).await;
    }

    /// Deletes an issue, as the owner does.
    pub(crate) async fn delete(&self, number: i64) {
        self.forge.change(Method::DELETE, &self.issue_path(number), Value::Null).await;
    }

    /// Changes an issue's body, as its author does on the page.
    pub(crate) async fn edit(&self, login: &str, number: i64, change: impl Fn(&str) -> String) {
        let path = self.issue_path(number);
        let body = change(self.forge.get(&path).await["body"].as_str().unwrap());
        assert_eq!(self.forge.call(login, Method::PATCH, &path, json!({ "body": body })).await.0, 201);
    }

    /// Opens or closes an issue.
    pub(crate) async fn set_state(&self, number: i64, state: &str) {
        self.forge.change(Method::PATCH, &self.issue_path(number), json!({ "state": state })).await;
    }

    /// The names of the labels on an issue, sorted.
    pub(crate) async fn labels(&self, number: i64) -> Vec<String> {
        let issue = self.forge.get(&self.issue_path(number)).await;
        let labels = issue["labels"].as_array().unwrap();
        let mut names: Vec<String> = labels.iter().map(|label| label["name"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The comments on an issue: poster and text.
    pub(crate) async fn comments(&self, number: i64) -> Vec<(String, String)> {
        let comments = self.forge.get(&format!("{}/comments", self.issue_path(number))).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let read = |comment: &Value| (text(&comment["user"]["login"]), text(&comment["body"]));
        comments.as_array().unwrap().iter().map(read).collect()
    }

    /// The one comment on an issue, which the bot posted.
    pub(crate) async fn comment(&self, number: i64) -> String {
        match self.comments(number).await.as_slice() {
            [(poster, text)] if poster == "bot" => text.clone(),
            comments => panic!("one comment of the bot's was expected: {comments:?}"),
        }
    }

    /// How many comments of the whole repository a query would list on all its pages.
    pub(crate) async fn comments_total(&self, query: &str) -> i64 {
        self.forge.total(&format!("{}/issues/comments?{query}", self.path())).await
    }

    /// Posts a comment.
    pub(crate) async fn say(&self, login: &str, number: i64, text: &str) -> i64 {
        let path = format!("{}/comments", self.issue_path(number));
        let (status, comment) = self.forge.call(login, Method::POST, &path, json!({ "body": text })).await;
        assert_eq!(status, 201);
        comment["id"].as_i64().unwrap()
    }
}

/// The value of a hidden input, wherever its attributes stand.
fn hidden(page: &str, name: &str) -> Option<String> {
    let tag = page.split('<').find(|tag| tag.starts_with("input") && tag.contains(&format!("name=\"{name}\"")))?;
    let (_, value) = tag.split_once("value=\"")?;
    Some(value.split('"').next()?.to_owned())
}
