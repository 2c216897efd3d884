//! What `doctor` finds of settings that are right and come to nothing: approvers, worktrees and alerts.

use crate::doctor::Clinic;
use crate::support::forge::Forge;
use crate::support::stories;
use reqwest::Method;
use serde_json::{Value, json};

stories![what_nobody_could_use_is_told, alerts_that_reach_nobody_are_told];

async fn what_nobody_could_use_is_told(forge: Forge) {
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
        let told = clinic.with(json!({ "worktrees": { "repositories": [wrong, good] } })).await;
        told.warns_of("worktree-unavailable");
        let name = wrong.as_str().unwrap().trim_end_matches("/*");
        assert!(told.found("worktrees").contains(&format!("`{name}`")), "{told:#?}");
    }
}

async fn alerts_that_reach_nobody_are_told(forge: Forge) {
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
