//! What `doctor` finds of settings that are right and come to nothing: approvers, worktrees, alerts and webhooks.

use crate::diagnose::doctor::{Clinic, Diagnosis};
use crate::support::forge::Forge;
use crate::support::service::SECRET;
use crate::support::stories;
use crate::support::stub::{self, Stub};
use reqwest::Method;
use serde_json::{Value, json};

stories![
    doctor_finds_unusable_approvers_and_worktrees,
    doctor_finds_alerts_without_a_recipient,
    doctor_finds_a_webhook_without_comment_events,
];

async fn doctor_finds_unusable_approvers_and_worktrees(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    let approvers = |mode: &str, approvers: Value| json!({ "approval": { "mode": mode, "approvers": approvers } });
    let bot = forge.call("bot", Method::GET, "/user", Value::Null).await.1["id"].clone();
    clinic.with(approvers("label", json!(["bot"]))).await.fails_by("approver-is-bot");
    clinic.with(approvers("label", json!(["Bot", bot]))).await.fails_by("approver-is-bot");
    clinic.with(approvers("open", json!([bot]))).await.warns_of("approver-is-bot");
    clinic.with(approvers("label", json!(["bot", "owner"]))).await.finds(&[]);
    let other = forge.call("stranger", Method::GET, "/user", Value::Null).await.1["id"].clone();
    let approval = json!({ "mode": "label", "approvers": ["bot", other] });
    let bots = json!({ "forge": { "trusted_posters": [other] }, "approval": approval });
    clinic.with(bots).await.fails_by("approver-is-bot");
    let made = json!({ "name": format!("blank-{}", clinic.repository.id), "auto_init": false });
    let empty = forge.change(Method::POST, "/user/repos", made).await["full_name"].clone();
    let good = &clinic.repository.name;
    let named = clinic.with(json!({ "worktrees": { "repositories": [good, "owner/*"] } })).await;
    named.finds(&[]);
    assert_eq!(named.found("worktrees"), "2 of `worktrees.repositories` are available");
    for wrong in [json!("owner/there-is-none"), json!("nobody-of-this-name/*"), empty] {
        let reported = clinic.with(json!({ "worktrees": { "repositories": [wrong, good] } })).await;
        reported.warns_of("worktree-unavailable");
        let name = wrong.as_str().unwrap().trim_end_matches("/*");
        assert!(reported.found("worktrees").contains(&format!("`{name}`")), "{reported:#?}");
    }
}

async fn doctor_finds_alerts_without_a_recipient(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    let name = clinic.repository.name.clone();
    let number = clinic.repository.file("owner", "Mission: the place for alerts", &[]).await;
    let notify =
        |issue: String, mention: Value| json!({ "notify": { "on": ["stale"], "issue": issue, "mention": mention } });
    clinic.with(notify(format!("{name}#{number}"), json!(["owner"]))).await.finds(&[]);
    let missing = clinic.with(notify(format!("{name}#{}", number + 900), json!(["owner"]))).await;
    missing.fails_by("notify-issue-missing");
    clinic.with(notify("owner/there-is-none#1".to_owned(), json!([]))).await.fails_by("notify-issue-missing");
    let nobody = clinic.with(notify(format!("{name}#{number}"), json!(["owner", "nobody-of-this-name"]))).await;
    nobody.warns_of("notify-mention-unknown");
    assert!(nobody.found("alerts").contains("`nobody-of-this-name`"), "{nobody:#?}");
    let off = json!({ "notify": { "issue": "owner/there-is-none#1", "mention": ["nobody-of-this-name"] } });
    clinic.with(off).await.finds(&[]);
    let other = forge.repository().await;
    let there = other.file("owner", "Mission: another place", &[]).await;
    forge.change(Method::PATCH, &other.path(), json!({ "archived": true })).await;
    clinic.with(notify(format!("{}#{there}", other.name), json!([]))).await.fails_by("notify-issue-archived");
}

/// By what has come in, which any token will do for; and by the webhook itself, where the token may see it.
async fn doctor_finds_a_webhook_without_comment_events(forge: Forge) {
    let clinic = Clinic::new(forge.clone()).await;
    let secret = clinic.host.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let (edits, comments) =
        ("lazarus_requests_total{method=\"patch\",class=\"2xx\"}", "lazarus_comment_webhooks_total");
    for (counted, faults) in [((2, 0), &[("webhook-events-missing", "warning")][..]), ((2, 1), &[]), ((0, 0), &[])] {
        let metrics = format!(
            "lazarus_webhooks_total{{result=\"accepted\"}} 3\n{edits} {}\n{comments} {}\n",
            counted.0, counted.1
        );
        let daemon = Stub::telling(stub::json("", &metrics));
        let listen = json!({ "webhook_secret_file": secret, "public_url": "https://missions.example.com",
            "page_listen": format!("127.0.0.1:{}", daemon.port) });
        clinic.with(json!({ "daemon": listen })).await.finds(faults);
    }
    let config = json!({ "url": "https://missions.example.com/webhook", "content_type": "json", "secret": SECRET });
    let hook = json!({ "type": "gitea", "active": true, "events": ["issues_only", "issue_label"], "config": config });
    let hooks = format!("{}/hooks", clinic.repository.path());
    let id = forge.change(Method::POST, &hooks, hook.clone()).await["id"].clone();
    let settings = json!({ "daemon": { "public_url": "https://missions.example.com" } });
    let faults = async || {
        let mut command = clinic.command(settings.clone());
        let reported = Diagnosis::of(command.env("LAZARUS_GITEA_TOKEN", forge.token("owner"))).await;
        reported.faults().iter().filter(|(fault, _)| fault.starts_with("webhook")).count()
    };
    assert_eq!(faults().await, 1);
    let mut right = hook;
    right["events"] = json!(["issues_only", "issue_label", "issue_comment"]);
    forge.change(Method::PATCH, &format!("{hooks}/{id}"), right).await;
    assert_eq!(faults().await, 0);
}
