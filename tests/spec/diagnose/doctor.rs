//! `doctor` finds each fault by its name, says what to do, and finds nothing where nothing is wrong.

mod forge;
mod usefulness;

use crate::support::forge::{BOT_SCOPES, FORM_PATH, Forge};
use crate::support::host::{Host, run};
use crate::support::repository::Repository;
use crate::support::service::{self, SECRET};
use crate::support::stories;
use crate::support::stub::{self, Stub};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::diagnose::doctor::CODES;
use lazarus::mission::proposal::form::FORM;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A host and a repository with nothing wrong in either.
struct Clinic {
    host: Host,
    repository: Repository,
}

/// What came out: the exit code, and the document.
#[derive(Debug)]
struct Diagnosis {
    code: i32,
    reported: Value,
}

impl Clinic {
    async fn new(forge: Forge) -> Self {
        let (host, repository) = (Host::on_disk(), forge.repository().await);
        let clinic = Self { host, repository };
        clinic.change(Method::PATCH, "", json!({ "private": true })).await;
        clinic.host.once(&clinic.repository).await;
        std::fs::set_permissions(clinic.host.root(), Permissions::from_mode(0o711)).unwrap();
        clinic
    }

    async fn on_the_sandbox() -> Self {
        Self::new(Forge::sandbox().await).await
    }

    /// The command, with more settings. Whatever runs on this machine is not this host's daemon.
    fn command(&self, mut settings: Value) -> Command {
        for key in ["listen", "page_listen"] {
            if settings["daemon"][key].is_null() {
                settings["daemon"][key] = json!("127.0.0.1:1");
            }
        }
        let path = self.host.path().join("settings.json");
        std::fs::write(&path, settings.to_string()).unwrap();
        let mut command = self.host.reconciler(&self.repository);
        command.arg("doctor").arg("--config").arg(path);
        command
    }

    async fn with(&self, settings: Value) -> Diagnosis {
        Diagnosis::of(&mut self.command(settings)).await
    }

    async fn now(&self) -> Diagnosis {
        self.with(json!({})).await
    }

    async fn with_variable(&self, name: &str, value: &str) -> Diagnosis {
        Diagnosis::of(self.command(json!({})).env(name, value)).await
    }

    /// At another address, which the root does not know, as it says each time.
    async fn at(&self, url: &str) -> Diagnosis {
        self.at_with(url, json!({})).await
    }

    async fn at_with(&self, url: &str, settings: Value) -> Diagnosis {
        let mut found = Diagnosis::of(self.command(settings).env("LAZARUS_GITEA_URL", url)).await;
        assert!(found.faults().contains(&("root-foreign", "warning")), "{found:#?}");
        found.reported["checks"].as_array_mut().unwrap().retain(|check| check["code"] != "root-foreign");
        found
    }

    async fn with_token(&self, token: &str) -> Diagnosis {
        self.with_variable("LAZARUS_GITEA_TOKEN", token).await
    }

    async fn change(&self, method: Method, path: &str, body: Value) {
        self.repository.forge.change(method, &format!("{}{path}", self.repository.path()), body).await;
    }

    /// Puts another form in the place of ours.
    async fn replace_form(&self, contents: &str) {
        let path = format!("{}/contents/{FORM_PATH}", self.repository.path());
        let sha = self.repository.forge.get(&path).await["sha"].clone();
        let content = STANDARD.encode(contents);
        let file = json!({ "operation": "update", "path": FORM_PATH, "content": content, "sha": sha });
        self.change(Method::POST, "/contents", json!({ "files": [file], "message": "Change", "branch": "main" })).await;
    }

    fn mode(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.host.root().join(path), Permissions::from_mode(mode)).unwrap();
    }
}

impl Diagnosis {
    async fn of(command: &mut Command) -> Self {
        let run = run(command.arg("--json")).await;
        Self { code: run.code, reported: run.json() }
    }

    /// Every fault with its outcome.
    fn faults(&self) -> Vec<(&str, &str)> {
        let checks = self.reported["checks"].as_array().unwrap().iter();
        checks.filter_map(|check| Some((check["code"].as_str()?, check["outcome"].as_str()?))).collect()
    }

    /// Exactly these faults, each with something to do about it, and the exit code that goes with them.
    fn finds(&self, faults: &[(&str, &str)]) {
        assert_eq!(self.faults(), faults, "{self:#?}");
        for check in self.reported["checks"].as_array().unwrap() {
            let Some(fault) = check["code"].as_str() else { continue };
            assert!(CODES.contains(&fault), "{fault} is in the list");
            assert!(check["next"].as_str().is_some_and(|next| !next.is_empty()), "{check}");
        }
        let fails = faults.iter().any(|(_, outcome)| *outcome == "failure");
        assert_eq!((self.code, &self.reported["healthy"]), (i32::from(fails), &json!(!fails)), "{self:#?}");
    }

    fn fails_by(&self, fault: &str) {
        self.finds(&[(fault, "failure")]);
    }

    fn warns_of(&self, fault: &str) {
        self.finds(&[(fault, "warning")]);
    }

    fn found(&self, check: &str) -> String {
        let checks = self.reported["checks"].as_array().unwrap();
        checks
            .iter()
            .filter(|reported| reported["check"] == check)
            .map(|reported| reported["found"].as_str().unwrap())
            .collect()
    }
}

async fn doctor_finds_nothing_on_a_healthy_host(forge: Forge) {
    let clinic = Clinic::new(forge).await;
    let before = clinic.host.snapshot();
    let well = clinic.now().await;
    well.finds(&[]);
    let checks = well.reported["checks"].as_array().unwrap().iter();
    let passed: Vec<&str> = checks.filter(|c| c["outcome"] == "pass").map(|c| c["check"].as_str().unwrap()).collect();
    let wanted = "config root owner modes space records writing git forge version clock token scopes repository rights \
                  filing form labels";
    assert!(wanted.split(' ').all(|check| passed.contains(&check)), "{passed:?}");
    assert!(before.changed(&clinic.host.snapshot()).is_empty(), "nothing is left behind");
    let text = run(&mut clinic.command(json!({}))).await;
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert!(lines[0].starts_with("pass     config      `") && lines.last().unwrap().ends_with(" 0 failed"), "{text:?}");
}

async fn doctor_finds_each_fault_of_a_token(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    clinic.with_token("0123456789012345678901234567890123456789").await.fails_by("token-refused");
    clinic.with_token(&forge.new_token("bot", &["all"])).await.warns_of("token-scope-excess");
    let few = clinic.with_token(&forge.new_token("bot", &["write:issue", "read:repository"])).await;
    few.finds(&[("token-scope-missing", "failure")]);
    let reading = ["read:issue", "read:repository", "read:user"];
    let reader = clinic.with_token(&forge.new_token("bot", &reading)).await;
    reader.fails_by("token-scope-missing");
    assert!(reader.found("rights").contains("`write:issue`"), "{reader:?}");
    let no_repository = clinic.with_token(&forge.new_token("bot", &["write:issue", "read:user"])).await;
    no_repository.fails_by("token-scope-missing");
    assert!(no_repository.found("repository").contains("`read:repository`"), "{no_repository:?}");
    clinic.with_token(&forge.new_token("operator", &BOT_SCOPES)).await.warns_of("token-of-admin");
    let mut command = clinic.command(json!({}));
    Diagnosis::of(command.env("LAZARUS_GITEA_TOKEN_FILE", "/nowhere/token")).await.fails_by("token-missing");
    let ghost = clinic.with(json!({ "approval": { "approvers": ["nobody-of-this-name"] } })).await;
    ghost.fails_by("account-unknown");
}

async fn doctor_finds_each_fault_of_a_repository(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    let name = clinic.repository.name.clone();
    clinic.with_variable("LAZARUS_REPOSITORIES", "owner/there-is-none").await.fails_by("repository-missing");
    clinic.with_token(&forge.new_token("stranger", &BOT_SCOPES)).await.fails_by("repository-missing");
    clinic.change(Method::PATCH, "", json!({ "has_issues": false })).await;
    clinic.now().await.fails_by("repository-no-issues");
    let tracker =
        json!({ "external_tracker_url": "https://tracker.example.com/missions", "external_tracker_style": "numeric" });
    clinic.change(Method::PATCH, "", json!({ "has_issues": true, "external_tracker": tracker })).await;
    let external = clinic.now().await;
    external.fails_by("repository-external-tracker");
    let pass = run(clinic.host.reconciler(&clinic.repository).arg("--once")).await;
    assert!(pass.stderr.contains(&external.found("repository")) && pass.code == 2, "{pass:?}");
    let install = run(clinic.host.reconciler(&clinic.repository).arg("install")).await;
    assert!(install.stderr.contains(&external.found("repository")) && install.code == 2, "{install:?}");
    let built_in = json!({ "enable_time_tracker": false });
    clinic
        .change(Method::PATCH, "", json!({ "has_issues": true, "internal_tracker": built_in, "archived": true }))
        .await;
    clinic.now().await.fails_by("repository-archived");
    clinic.change(Method::PATCH, "", json!({ "archived": false, "private": false })).await;
    clinic.now().await.warns_of("strangers-may-file");
    clinic.with(json!({ "approval": { "mode": "label" } })).await.finds(&[]);
    let mode = json!({ "approval": { "mode": "label" } });
    let reader = forge.new_token("reader", &BOT_SCOPES);
    Diagnosis::of(clinic.command(mode.clone()).env("LAZARUS_GITEA_TOKEN", reader))
        .await
        .fails_by("repository-read-only");
    clinic.change(Method::PATCH, "", json!({ "name": format!("{}-moved", name.replace("owner/", "")) })).await;
    clinic.with(mode.clone()).await.warns_of("repository-moved");
    forge.repository_named(&name.replace("owner/", "")).await;
    clinic.with(mode).await.fails_by("repository-taken-over");
}

async fn doctor_finds_each_fault_of_form_and_labels(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    let differing = FORM.replace("label: Wizard", "label: Sorcerer").replace("id: host", "id: machine");
    clinic.replace_form(&differing).await;
    let differs = clinic.now().await;
    differs.fails_by("form-differs");
    let found = differs.found("form");
    assert!(found.contains("`wizard` is called `Sorcerer` instead of `Wizard`"), "{found}");
    assert!(found.contains("it lacks the field `host`"), "{found}");
    let asking_more = format!("{FORM}  - type: input\n    id: budget\n    attributes: {{ label: Budget }}\n");
    clinic.replace_form(&asking_more).await;
    clinic.now().await.finds(&[]);
    clinic.replace_form("name: [broken").await;
    clinic.now().await.fails_by("form-invalid");
    clinic.replace_form(FORM).await;
    let labels = clinic.repository.label_ids(&["health/stale", "health/healthy"]).await;
    let path = |id: &str| format!("/labels/{id}");
    clinic.change(Method::DELETE, &path(&labels[0]), Value::Null).await;
    clinic.change(Method::PATCH, &path(&labels[1]), json!({ "exclusive": false })).await;
    clinic.repository.make_label("mission/apollo", true).await;
    let warnings = ["label-missing", "label-not-exclusive", "label-scope-shared"];
    clinic.now().await.finds(&warnings.map(|fault| (fault, "warning")));
    let made = forge.change(Method::POST, "/user/repos", json!({ "name": format!("bare-{}", clinic.repository.id), "private": true, "auto_init": true, "default_branch": "main" })).await;
    let bare = made["full_name"].as_str().unwrap();
    forge.change(Method::PUT, &format!("/repos/{bare}/collaborators/bot"), json!({ "permission": "write" })).await;
    let without = clinic.with_variable("LAZARUS_REPOSITORIES", bare).await;
    without.finds(&[("form-missing", "failure"), ("label-missing", "warning")]);
}

stories![
    doctor_finds_nothing_on_a_healthy_host,
    doctor_finds_each_fault_of_a_token,
    doctor_finds_each_fault_of_a_repository,
    doctor_finds_each_fault_of_form_and_labels,
];

#[tokio::test]
async fn doctor_finds_each_fault_of_the_root() {
    let clinic = Clinic::on_the_sandbox().await;
    let root = clinic.host.root();
    let at = async |path: &Path| clinic.with_variable("LAZARUS_MISSIONS_ROOT", &path.display().to_string()).await;
    at(&clinic.host.path().join("nowhere")).await.fails_by("root-missing");
    at(&clinic.host.path().join("token")).await.fails_by("root-unusable");
    at(clinic.host.path()).await.fails_by("root-occupied");
    let empty = clinic.host.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    at(&empty).await.warns_of("root-not-initialised");
    clinic.mode("", 0o777);
    clinic.now().await.fails_by("root-open");
    for readable in [0o755, 0o751, 0o715, 0o744] {
        clinic.mode("", readable);
        clinic.now().await.warns_of("root-readable");
    }
    clinic.mode("", 0o711);
    clinic.mode(".lazarus", 0o755);
    clinic.now().await.fails_by("root-open");
    clinic.mode(".lazarus", 0o700);
    clinic.with(json!({ "limits": { "free_bytes": 1_u64 << 60 } })).await.fails_by("root-full");
    clinic.with(json!({ "limits": { "free_inodes": 1_u64 << 60 } })).await.fails_by("root-full");
    let file = root.join(".lazarus/root.json");
    let manifest = std::fs::read_to_string(&file).unwrap();
    let moved = manifest.replace(&clinic.repository.forge.url, "http://git.example.com");
    std::fs::write(&file, moved).unwrap();
    clinic.now().await.warns_of("root-foreign");
    std::fs::write(&file, "{").unwrap();
    clinic.now().await.fails_by("root-damaged");
    std::fs::write(&file, manifest).unwrap();
    std::fs::write(root.join(".lazarus/missions/7-8.json"), "{").unwrap();
    clinic.now().await.fails_by("record-damaged");
    std::fs::remove_file(root.join(".lazarus/missions/7-8.json")).unwrap();
    std::fs::remove_dir(root.join(".lazarus/staging")).unwrap();
    clinic.now().await.fails_by("root-unwritable");
    std::fs::create_dir(root.join(".lazarus/staging")).unwrap();
    let unwell = run(&mut clinic.host.unprivileged(clinic.command(json!({})).arg("--json"))).await;
    assert!(
        unwell.code == 1 && (unwell.stdout.contains("root-owner") || unwell.stdout.contains("root-unusable")),
        "{unwell:?}"
    );
}

#[tokio::test]
async fn doctor_finds_each_fault_of_the_host() {
    let clinic = Clinic::on_the_sandbox().await;
    let broken = clinic.with(json!({ "no_such_key": 1 })).await;
    assert_eq!((broken.faults(), broken.code), (vec![("configuration-unusable", "failure")], 2));
    clinic.with(json!({ "cells": { "group": "no-such-group-here" } })).await.fails_by("group-missing");
    let heartbeats = json!({ "daemon": { "heartbeat_directory": "/nowhere" } });
    clinic.with(heartbeats).await.fails_by("heartbeat-directory");
    clinic.with_variable("PATH", "/nowhere").await.fails_by("git-missing");
    for (program, says, fault) in [
        ("git", "git version 2.30.2", "git-missing"),
        ("systemctl", "LoadState=loaded\nActiveState=failed\nResult=exit-code\nNRestarts=5", "service-failed"),
        ("systemctl", "LoadState=loaded\nActiveState=activating\nResult=exit-code\nNRestarts=9", "service-failed"),
    ] {
        let path = clinic.host.path().join("bin");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(program), format!("#!/bin/sh\ncat <<'END'\n{says}\nEND\n")).unwrap();
        std::fs::set_permissions(path.join(program), Permissions::from_mode(0o755)).unwrap();
        let found =
            clinic.with_variable("PATH", &format!("{}:{}", path.display(), std::env::var("PATH").unwrap())).await;
        found.fails_by(fault);
        std::fs::remove_file(path.join(program)).unwrap();
    }
}

#[tokio::test]
async fn doctor_finds_each_fault_of_the_daemon_and_its_webhook() {
    let clinic = Clinic::on_the_sandbox().await;
    let short = clinic.host.path().join("short");
    std::fs::write(&short, "too short").unwrap();
    let with_secret =
        |secret: &Path, url: Option<&str>| json!({ "daemon": { "webhook_secret_file": secret, "public_url": url } });
    clinic.with(with_secret(&short, None)).await.fails_by("webhook-not-set-up");
    let secret = clinic.host.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    clinic.with(with_secret(&secret, None)).await.warns_of("webhook-not-set-up");
    let running = service::start(service::command(&clinic.host, Some(&clinic.repository), json!({}))).await;
    let mut settings = with_secret(&secret, Some("https://missions.example.com"));
    settings["daemon"]["listen"] = json!(running.doors.replace("http://", ""));
    settings["daemon"]["page_listen"] = json!(running.pages.replace("http://", ""));
    let silent = clinic.with(settings.clone()).await;
    silent.warns_of("webhook-silent");
    assert!(silent.found("daemon").starts_with("the daemon is ready (pid "), "{silent:#?}");
    let (body, signature) = service::delivery(clinic.repository.id, 1);
    let deliver = async |signature: &str| running.deliver(body.clone(), signature).await;
    deliver(&service::sign("another secret, which is as long as it must be", body.as_bytes())).await;
    clinic.with(settings.clone()).await.fails_by("webhook-unsigned");
    deliver(&signature).await;
    let well = clinic.with(settings.clone()).await;
    well.finds(&[]);
    assert!(
        well.found("webhook").starts_with("1 deliveries have arrived since the daemon started, the last at 20"),
        "{well:#?}"
    );
    running.end(rustix::process::Signal::TERM).await;
    let answer = "HTTP/1.1 503 No\r\ncontent-length: 14\r\nconnection: close\r\n\r\nno pass so far";
    let stuck = Stub::telling(answer.to_owned());
    settings["daemon"] = json!({ "listen": format!("127.0.0.1:{}", stuck.port) });
    clinic.with(settings.clone()).await.fails_by("daemon-not-ready");
    let other = Stub::telling(stub::json("", "{}").replace("200 OK", "404 Not Found"));
    settings["daemon"] = json!({ "listen": format!("127.0.0.1:{}", other.port) });
    let reported = clinic.with(settings).await.found("daemon");
    assert_eq!(reported, format!("the server at `127.0.0.1:{}` answers 404, and is not this daemon", other.port));
}

#[tokio::test]
async fn doctor_finds_a_monitor_that_rejects_pings() {
    let clinic = Clinic::on_the_sandbox().await;
    let ping = async |port: u16| {
        clinic.with(json!({ "daemon": { "ping_url": format!("http://127.0.0.1:{port}/secret") } })).await
    };
    let watcher = |status: &str| Stub::telling(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"));
    for status in ["301", "302", "307", "308"] {
        ping(watcher(status).port).await.fails_by("ping-redirects");
    }
    for status in ["404", "410", "500"] {
        ping(watcher(status).port).await.fails_by("ping-fails");
    }
    ping(1).await.fails_by("ping-fails");
    for status in ["200", "204"] {
        let found = ping(watcher(status).port).await.found("ping");
        assert!(found.ends_with(" accepts pings") && !found.contains("secret"), "{found}");
    }
}

#[test]
fn each_doctor_code_has_a_test() {
    let produced = concat!(
        include_str!("doctor.rs"),
        include_str!("doctor/forge.rs"),
        include_str!("doctor/usefulness.rs"),
        include_str!("diagnosis.rs")
    );
    let missing: Vec<&str> = CODES.into_iter().filter(|fault| !produced.contains(&format!("\"{fault}\""))).collect();
    assert_eq!(missing, [""; 0]);
    assert!(CODES.len() >= 25);
}
