//! What people do on the forge: about as many missions are filed as are closed.

use crate::support::missions::body;
use crate::support::repository::Repository;
use fastrand::{alphanumeric, usize};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Mutex;

/// The issues, as people know them.
pub(super) struct People {
    repository: Repository,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    open: Vec<i64>,
    /// The one that was closed last comes last.
    closed: VecDeque<i64>,
    suspended: Option<i64>,
    acts: usize,
}

impl People {
    /// The first so many issues of a repository are open.
    pub(super) fn of(repository: Repository, count: usize) -> Self {
        let open = (1..=i64::try_from(count).unwrap()).collect();
        Self { repository, known: Mutex::new(Known { open, closed: VecDeque::new(), suspended: None, acts: 0 }) }
    }

    /// An issue that is open, or was a moment ago.
    pub(super) fn any_issue(&self) -> i64 {
        let known = self.known.lock().unwrap();
        known.open[usize(..known.open.len())]
    }

    /// One more act, each kind in its turn.
    pub(super) async fn act(&self) {
        let acts = {
            let mut known = self.known.lock().unwrap();
            known.acts += 1;
            known.acts
        };
        match acts % 10 {
            0 => self.file().await,
            1 | 6 => self.close().await,
            2 => self.reopen().await,
            3 => self.edit().await,
            4 => drop(self.repository.say("stranger", self.any_issue(), &random(200)).await),
            5 => self.suspend().await,
            7 => self.retitle().await,
            8 => self.take_label().await,
            _ => self.delete_comment().await,
        }
    }

    async fn file(&self) {
        let (path, body) = (format!("{}/issues", self.repository.path()), body_of(&random(150)));
        let issue = json!({ "title": format!("Mission: {}", random(12)), "body": body });
        let (_, filed) = self.repository.forge.call("reader", Method::POST, &path, issue).await;
        self.known.lock().unwrap().open.push(filed["number"].as_i64().expect("it is filed"));
    }

    async fn close(&self) {
        let number = {
            let mut known = self.known.lock().unwrap();
            let at = usize(..known.open.len());
            let number = known.open.swap_remove(at);
            known.closed.push_back(number);
            number
        };
        self.repository.set_state(number, "closed").await;
    }

    async fn reopen(&self) {
        let Some(number) = self.known.lock().unwrap().closed.pop_back() else { return };
        self.repository.set_state(number, "open").await;
        self.known.lock().unwrap().open.push(number);
    }

    async fn edit(&self) {
        self.repository.edit("reader", self.any_issue(), |_| body_of(&random(150))).await;
    }

    /// One at a time.
    async fn suspend(&self) {
        let suspended = self.known.lock().unwrap().suspended.take();
        if let Some(number) = suspended {
            return self.repository.take_label(number, "mission/suspended").await;
        }
        let number = self.any_issue();
        self.repository.put_label(number, "mission/suspended").await;
        self.known.lock().unwrap().suspended = Some(number);
    }

    async fn retitle(&self) {
        self.repository.rename(self.any_issue(), &format!("Mission: {}", random(12))).await;
    }

    async fn take_label(&self) {
        let number = self.any_issue();
        for name in self.repository.labels(number).await.into_iter().filter(|name| name == "mission/active") {
            self.repository.take_label(number, &name).await;
        }
    }

    async fn delete_comment(&self) {
        let path = format!("{}/comments", self.repository.issue_path(self.any_issue()));
        let comments = self.repository.forge.get(&path).await;
        if let Some(id) = comments.as_array().and_then(|comments| comments.first()?["id"].as_i64()) {
            let path = format!("{}/issues/comments/{id}", self.repository.path());
            self.repository.forge.change(Method::DELETE, &path, Value::Null).await;
        }
    }
}

fn body_of(objective: &str) -> String {
    body(&[("Stale after", "1 minute"), ("Objective", &format!("```text\n{objective}\n```"))])
}

fn random(length: usize) -> String {
    std::iter::repeat_with(alphanumeric).take(length).collect()
}
