//! The real binary as a service, with its real doors.

use crate::support::forge::client;
use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::soon;
use hmac::{Hmac, KeyInit, Mac};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::Sha256;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The webhook's.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A running service and where its doors are.
pub(crate) struct Service {
    child: Child,
    pub(crate) doors: String,
    pub(crate) pages: String,
}

/// The command of a service that ticks every hour unless told otherwise, so that only the first tick and what comes through its doors move it.
pub(crate) fn command(host: &Host, repository: Option<&Repository>, more: Value) -> Command {
    let secret = host.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let mut settings = more;
    let mut daemon = json!({
        "interval_seconds": 3_600, "listen": "127.0.0.1:0", "page_listen": "127.0.0.1:0",
        "webhook_secret_file": secret, "heartbeat_directory": host.path(),
    });
    let given = settings["daemon"].as_object().cloned().unwrap_or_default();
    daemon.as_object_mut().unwrap().extend(given);
    settings["daemon"] = daemon;
    let config = host.path().join("service.json");
    std::fs::write(&config, settings.to_string()).unwrap();
    let mut command = match repository {
        Some(repository) => host.reconciler(repository),
        None => host.command("lazarus-reconcile"),
    };
    command.arg("--config").arg(config);
    command
}

/// Starts it, and waits until it has said where its doors are.
pub(crate) async fn start(mut command: Command) -> Service {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let mut lines = stderr.lines().map(|line| line.unwrap());
        let mut address = |key: &str| {
            let line = lines.find(|line| line.contains(key)).unwrap();
            format!("http://{}", line.rsplit(' ').next().unwrap())
        };
        let doors = (address("daemon.listen"), address("daemon.page_listen"));
        // Whoever reads no further would make it wait.
        std::thread::spawn(move || lines.for_each(drop));
        doors
    });
    let (doors, pages) = read.await.unwrap();
    Service { child, doors, pages }
}

/// As a forge signs what it sends.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digits: Vec<String> = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// The body of a delivery and its signature.
pub(crate) fn delivery(repository: i64, number: i64) -> (String, String) {
    let body = json!({ "repository": { "id": repository }, "issue": { "number": number } }).to_string();
    let signature = sign(SECRET, body.as_bytes());
    (body, signature)
}

impl Service {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.pages)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Until so many passes have ended.
    pub(crate) async fn passed(&self, count: u64) -> Value {
        let mut health = Value::Null;
        soon("passed", async || {
            health = serde_json::from_str(&self.get("/health").await.1).unwrap();
            let ended = |key: &str| health["passes"][key].as_u64().unwrap();
            ended("complete") + ended("incomplete") >= count
        })
        .await;
        health
    }

    /// What a forge sends when something happened to an issue.
    pub(crate) async fn hook(&self, repository: i64, number: i64) -> u16 {
        let (body, signature) = delivery(repository, number);
        self.deliver(body, &signature).await
    }

    /// What a forge sends when a stranger deletes a comment: all comments of the issue are read then.
    pub(crate) async fn hook_deletion(&self, repository: i64, number: i64, comment: i64) -> u16 {
        let body = json!({
            "repository": { "id": repository }, "issue": { "number": number }, "comment": { "id": comment },
            "action": "deleted", "sender": { "id": 1_000_000 },
        });
        let body = body.to_string();
        let signature = sign(SECRET, body.as_bytes());
        self.deliver(body, &signature).await
    }

    /// Sends this with this signature.
    pub(crate) async fn deliver(&self, body: String, signature: &str) -> u16 {
        let request = client().post(format!("{}/webhook", self.doors));
        let request = request.header("content-type", "application/json").header("x-gitea-signature", signature);
        request.body(body).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn end(mut self, signal: Signal) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = tokio::task::spawn_blocking(move || self.child.wait()).await.unwrap().unwrap();
        (status, asked.elapsed())
    }
}

/// A test that stops in the middle leaves no service behind.
impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
