//! One diagnosis: of a forge that cannot be used, passes, the daemon and `doctor` say the same, with the forge's own reason.

use crate::support::forge::{BOT_SCOPES, Forge};
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::service;
use crate::support::stories;
use crate::support::stub::{self, Certificate, Stub};
use lazarus::sandbox::Sandbox;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

/// What was said of a forge.
#[derive(Debug)]
struct Said {
    fault: String,
    /// What was found and what to do, as `doctor` says it of its own question.
    doctor: String,
    /// What a pass says.
    pass: String,
}

/// A command on a host that knows nothing yet.
fn command(host: &Host, url: &str, settings: &Value, arguments: &[&str]) -> Command {
    let file = host.path().join("settings.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let mut command = host.command("lazarus-reconcile");
    command.env("LAZARUS_GITEA_URL", url).env("LAZARUS_GITEA_TOKEN", "0123456789abcdef0123456789abcdef01234567");
    command.env("LAZARUS_REPOSITORIES", "owner/missions").args(arguments).arg("--config").arg(file);
    command
}

/// The first failure that is about the forge.
async fn failure(command: &mut Command) -> Value {
    let reported = run(command).await.json();
    let checks = reported["checks"].as_array().unwrap().iter();
    let mut failures = checks.filter(|check| {
        check["outcome"] == "failure" && matches!(check["check"].as_str(), Some("forge" | "tls" | "token"))
    });
    failures.next().unwrap_or_else(|| panic!("{reported:#}")).clone()
}

async fn said_at(url: impl AsRef<str>, settings: Value) -> Said {
    let (host, url) = (Host::new(), url.as_ref());
    let failure = failure(&mut command(&host, url, &settings, &["doctor", "--json"])).await;
    let pass = run(&mut command(&host, url, &settings, &["--once"])).await;
    assert_eq!(pass.code, 1, "{pass:?}");
    // A pass asks for the account first, `doctor` for the version.
    let found = failure["found"].as_str().unwrap().replacen("/api/v1/version`: ", "/api/v1/user`: ", 1);
    let doctor = format!("{found}; {}", failure["next"].as_str().unwrap());
    Said { fault: failure["code"].as_str().unwrap().to_owned(), doctor, pass: pass.stderr }
}

impl Said {
    /// Both say the same, and this.
    fn is(&self, fault: &str, parts: &[&str]) {
        assert_eq!(self.fault, fault, "{self:#?}");
        assert!(self.pass.contains(&self.doctor), "{self:#?}");
        for part in parts {
            assert!(self.doctor.contains(part), "`{part}`: {self:#?}");
        }
    }
}

/// An answer with this status line and body, of no Gitea.
fn answer(status: &str, headers: &str, body: &str) -> Stub {
    let length = body.len();
    Stub::telling(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
}

fn local_url(stub: &Stub) -> String {
    format!("http://localhost:{}", stub.port)
}

/// Where a certificate can be trusted or not.
async fn said_behind(certificate: Certificate, is_trusted: bool) -> Said {
    let (host, stub) = (Host::new(), Stub::behind(certificate, stub::json("", "{\"version\":\"1.26.0\"}")));
    let ca_file = host.path().join("ca.pem");
    std::fs::write(&ca_file, &stub.ca).unwrap();
    let settings = if is_trusted { json!({ "forge": { "ca_file": ca_file } }) } else { json!({}) };
    said_at(format!("https://localhost:{}", stub.port), settings).await
}

#[tokio::test]
async fn passes_and_doctor_report_the_same_about_tls() {
    let sandbox = Sandbox::start().await.unwrap();
    let plain = sandbox.url().replace("http:", "https:");
    let behind = Stub::behind(Certificate::Good, String::new());
    let wants_tls = "Client sent an HTTP request to an HTTPS server.\n";
    let of_go = answer("400 Bad Request", "content-type: text/plain\r\n", wants_tls);
    let (unknown, expired, other_name, own_ca, not_spoken, only_tls, of_go_said) = tokio::join!(
        said_behind(Certificate::Good, false),
        said_behind(Certificate::Expired, true),
        said_behind(Certificate::OfAnotherName, true),
        said_behind(Certificate::OwnCa, true),
        said_at(plain, json!({})),
        said_at(local_url(&behind), json!({})),
        said_at(local_url(&of_go), json!({})),
    );
    unknown.is("tls-ca-unknown", &["UnknownIssuer", "`forge.ca_file`"]);
    expired.is("tls-expired", &["its certificate has expired at 2021-01-01 00:00:00 UTC", "renew it"]);
    other_name.is("tls-wrong-name", &["use one of them in `forge.url`"]);
    own_ca.is("tls-failed", &["CaUsedAsEndEntity"]);
    not_spoken.is("tls-not-spoken", &["set `forge.url` to `http:`"]);
    only_tls.is("http-not-spoken", &["if port ", "set `forge.url` to `https:`"]);
    let port = format!("port {} expects TLS; set `forge.url` to `https:`", of_go.port);
    of_go_said.is("http-not-spoken", &["the answer is 400 and asks for `https:`", &port]);
}

#[tokio::test]
async fn passes_and_doctor_report_the_same_about_a_server_that_is_no_gitea() {
    let sandbox = Sandbox::start().await.unwrap();
    let page = "<html><h1>Sign in</h1></html>";
    let html = "content-type: text/html\r\n";
    let elsewhere = format!("{html}location: https://git.example.com/api/v1/VERSION\r\n");
    let moved = answer("307 Temporary Redirect", &elsewhere.replace("VERSION", "user"), page);
    let to_login = answer("302 Found", &format!("{html}location: https://sso.example.com/login?next=x\r\n"), page);
    let (no_entry, no_pass) = (answer("401 Unauthorized", html, page), answer("403 Forbidden", html, page));
    let portal = answer("200 OK", html, page);
    let wrong_path = format!("{}/no/such/path", sandbox.url());
    let (unresolved, refused, path, login, entry, pass, portal) = tokio::join!(
        said_at("http://no-such-host.invalid", json!({})),
        said_at("http://127.0.0.1:1", json!({})),
        said_at(wrong_path, json!({})),
        said_at(local_url(&to_login), json!({})),
        said_at(local_url(&no_entry), json!({})),
        said_at(local_url(&no_pass), json!({})),
        said_at(local_url(&portal), json!({})),
    );
    unresolved.is("forge-unresolved", &["`getent hosts no-such-host.invalid`"]);
    refused.is("forge-refused", &["`curl -sS http://127.0.0.1:1/api/v1/version` shows whether its port is open"]);
    let begins = "should print a version where Gitea begins";
    path.is("forge-not-gitea", &["`GET /no/such/path/api/v1/user`", "it is 404, and not JSON", begins]);
    login.is("forge-not-gitea", &["it leads to `https://sso.example.com/login?next=x` (302)", begins]);
    entry.is("forge-not-gitea", &["it is 401, and not JSON", begins]);
    pass.is("forge-not-gitea", &["it is 403, and not JSON", begins]);
    portal.is("forge-not-gitea", &["it is not JSON", begins]);
    let pass = run(&mut command(&Host::new(), &local_url(&moved), &json!({}), &["--once"])).await;
    assert!(pass.stderr.contains("(307); set `forge.url` to `https://git.example.com`"), "{pass:?}");
}

#[tokio::test]
async fn the_daemon_and_doctor_report_the_same_error() {
    let (host, sandbox) = (Host::new(), Sandbox::start().await.unwrap());
    let url = format!("{}/no/such/path", sandbox.url());
    let failure = failure(&mut command(&host, &url, &json!({}), &["doctor", "--json"])).await;
    let mut daemon = service::command(&host, None, json!({}));
    daemon.env("LAZARUS_GITEA_URL", &url).env("LAZARUS_GITEA_TOKEN", "0123456789abcdef0123456789abcdef01234567");
    let running = service::start({
        daemon.env("LAZARUS_REPOSITORIES", "owner/missions");
        daemon
    })
    .await;
    let health = running.passed(1).await;
    let next = failure["next"].as_str().unwrap();
    for reported in [&health["not_ready"], &health["passes"]["errors"][0]] {
        let reported = reported.as_str().unwrap();
        assert!(reported.contains("it is 404, and not JSON") && reported.ends_with(next), "{reported}: {failure:#}");
    }
    running.end(rustix::process::Signal::TERM).await;
}

stories![
    an_account_barred_from_the_forge_is_reported_with_the_reason,
    an_author_who_blocks_the_bot_is_not_missing_write_access,
    an_approver_with_a_private_profile_is_found_where_they_work,
];

/// An account of its own, since all stories share the others.
fn own_account(forge: &Forge) -> (String, String) {
    let login = format!("guest-{:x}", fastrand::u32(..));
    let token = forge.new_account(&login);
    (login, token)
}

async fn an_account_barred_from_the_forge_is_reported_with_the_reason(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let (login, _) = own_account(&forge);
    let token = forge.new_token(&login, &BOT_SCOPES);
    let change_it = "You must change your password. Change it at: ";
    let prohibited = "This account is prohibited from signing in, please contact your site administrator.";
    for (edit, reason) in [
        (json!({ "must_change_password": true }), change_it),
        (json!({ "must_change_password": false, "prohibit_login": true }), prohibited),
    ] {
        forge.edit_account(&login, edit).await;
        let mut doctor = host.reconciler(&repository);
        let failure = failure(doctor.args(["doctor", "--json"]).env("LAZARUS_GITEA_TOKEN", &token)).await;
        let reported = |key: &str| failure[key].as_str().unwrap();
        assert_eq!((reported("check"), reported("code")), ("token", "account-barred"));
        assert!(reported("found").contains(reason), "{failure:#}");
        let pass = run(host.reconciler(&repository).env("LAZARUS_GITEA_TOKEN", &token).arg("--once")).await;
        assert!(
            pass.stderr.contains(&format!("{}; {}\n", reported("found"), reported("next"))),
            "{failure:#} {pass:?}"
        );
    }
}

async fn an_author_who_blocks_the_bot_is_not_missing_write_access(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let (author, token) = own_account(&forge);
    assert_eq!(forge.call_with(&token, Method::PUT, "/user/blocks/bot", Value::Null).await.0, 204);
    repository.file(&author, "Mission: in silence", &[]).await;
    let pass = run(host.reconciler(&repository).args(["--once", "--json"])).await;
    let reported = pass.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    let posted = format!("`POST /api/v1/repos/{}/issues/1/comments`", repository.name);
    assert_eq!(
        reported,
        format!("{posted}: Gitea denies the request (403: user is blocked); resolve the reason in Gitea")
    );
    assert!(!pass.stderr.contains("write access"), "{pass:?}");
    assert!(repository.labels(1).await.contains(&"mission/active".to_owned()), "the labels go on");
}

/// What `doctor` says of the accounts, if anything, and what a pass comes to.
async fn with_approver(host: &Host, repository: &Repository, approver: &str) -> (Vec<String>, Run) {
    let file = host.path().join("approvers.json");
    let settings = json!({ "approval": { "mode": "label", "approvers": [approver] } });
    std::fs::write(&file, settings.to_string()).unwrap();
    let with = |arguments: &[&str]| {
        let mut command = host.reconciler(repository);
        command.args(arguments).arg("--config").arg(&file);
        command
    };
    let doctor = run(&mut with(&["doctor", "--json"])).await.json();
    let checks = doctor["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "accounts");
    let reported = |check: &Value| {
        assert_eq!((&check["code"], &check["outcome"]), (&json!("account-unknown"), &json!("failure")));
        format!("{}; {}", check["found"].as_str().unwrap(), check["next"].as_str().unwrap())
    };
    (checks.map(reported).collect(), run(&mut with(&["--once"])).await)
}

async fn an_approver_with_a_private_profile_is_found_where_they_work(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let (approver, _) = own_account(&forge);
    forge.edit_account(&approver, json!({ "visibility": "private" })).await;
    let (reported, pass) = with_approver(&host, &repository, &approver).await;
    assert_eq!((reported.len(), pass.code), (1, 2), "{reported:?} {pass:?}");
    assert!(
        reported[0].contains("its profile is private") && pass.stderr.contains(&reported[0]),
        "{reported:?} {pass:?}"
    );
    let works = format!("{}/collaborators/{approver}", repository.path());
    for permission in ["read", "write"] {
        forge.change(Method::PUT, &works, json!({ "permission": permission })).await;
        let (reported, pass) = with_approver(&Host::new(), &repository, &approver).await;
        assert_eq!((reported, pass.code), (vec![], 0), "{permission}: {pass:?}");
    }
    let renamed = format!("{approver}-again");
    forge.rename_account(&approver, &renamed).await;
    let (reported, pass) = with_approver(&Host::new(), &repository, &approver).await;
    assert_eq!((reported.len(), pass.code), (1, 2), "{reported:?} {pass:?}");
    let wanted =
        format!("`approval.approvers`: the account `{approver}` was renamed to `{renamed}`; set its new login, or");
    assert!(reported[0].starts_with(&wanted) && pass.stderr.contains(&reported[0]), "{reported:?} {pass:?}");
}
