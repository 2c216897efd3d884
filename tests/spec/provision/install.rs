//! `install` makes a repository ready, does only what differs, and says what a token is too small for.

use crate::support::forge::{BOT_SCOPES, FORM_PATH, Forge};
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::service::SECRET;
use crate::support::stories;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::proposal::form::FORM;
use lazarus::mission::status::label::Label;
use lazarus::provision::install::plan::{WORKFLOW, WORKFLOW_PATHS};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

const CONFIG_PATH: &str = ".gitea/ISSUE_TEMPLATE/config.yaml";

/// A repository with nothing in it but what a forge puts there, and a host beside it.
struct Site {
    host: Host,
    repository: Repository,
}

impl Site {
    async fn new(forge: Forge) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("bare-{}-{}", COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let new = json!({ "name": name, "auto_init": true, "default_branch": "main" });
        let made = forge.change(Method::POST, "/user/repos", new).await;
        let repository = Repository { forge, name: format!("owner/{name}"), id: made["id"].as_i64().unwrap() };
        let writer = format!("{}/collaborators/bot", repository.path());
        repository.forge.change(Method::PUT, &writer, json!({ "permission": "write" })).await;
        Self { host: Host::new(), repository }
    }

    /// As this account, with these arguments, and with a webhook's settings if `has_hook`.
    async fn install(&self, token: &str, has_hook: bool, arguments: &[&str]) -> Run {
        let (secret, config) = (self.host.path().join("secret"), self.host.path().join("settings.json"));
        std::fs::write(&secret, SECRET).unwrap();
        let daemon = json!({ "webhook_secret_file": secret, "public_url": "https://missions.example.com/" });
        let settings = if has_hook { json!({ "daemon": daemon }) } else { json!({}) };
        std::fs::write(&config, settings.to_string()).unwrap();
        let mut command = self.host.reconciler(&self.repository);
        command.env("LAZARUS_GITEA_TOKEN", token).arg("install").args(arguments).arg("--config").arg(config);
        run(&mut command).await
    }

    async fn as_owner(&self, arguments: &[&str]) -> Run {
        self.install(self.repository.forge.token("owner"), false, arguments).await
    }

    async fn with_hook(&self, arguments: &[&str]) -> Run {
        self.install(self.repository.forge.token("owner"), true, arguments).await
    }

    async fn file(&self, path: &str) -> Option<String> {
        let (status, file) = self
            .repository
            .forge
            .call("owner", Method::GET, &self.path(&format!("/contents/{path}")), Value::Null)
            .await;
        let content = file["content"].as_str().filter(|_| status == 200)?;
        Some(String::from_utf8(STANDARD.decode(content.replace('\n', "")).unwrap()).unwrap())
    }

    async fn write(&self, path: &str, contents: &str) {
        let file = json!({ "content": STANDARD.encode(contents), "message": "Write", "branch": "main" });
        self.repository.forge.change(Method::POST, &self.path(&format!("/contents/{path}")), file).await;
    }

    fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.repository.path())
    }

    async fn labels(&self) -> Vec<Value> {
        self.repository.forge.get(&self.path("/labels?limit=50")).await.as_array().unwrap().clone()
    }

    async fn hooks(&self) -> Vec<Value> {
        self.repository.forge.get(&self.path("/hooks")).await.as_array().unwrap().clone()
    }
}

/// Ended well, and said nothing on standard error but which settings it used.
fn is_well(run: &Run) -> bool {
    run.code == 0 && !run.stderr.contains("error")
}

async fn an_empty_repository_is_prepared_once(forge: Forge) {
    let site = Site::new(forge).await;
    let shown = site.as_owner(&["--dry-run"]).await;
    assert!(is_well(&shown), "{shown:?}");
    for line in [
        format!("{}: to do: 18\n  create the label `kind/mission-proposal`\n", site.repository.name),
        format!("  commit: add `{FORM_PATH}`, add `{CONFIG_PATH}`\n"),
        "  note: no workflow: `--only workflow` adds one".to_owned(),
        "  note: no webhook: set `daemon.public_url` to the address at which Gitea reaches the daemon".to_owned(),
    ] {
        assert!(shown.stdout.contains(&line), "{line} is not in\n{}", shown.stdout);
    }
    assert!(site.labels().await.is_empty() && site.file(FORM_PATH).await.is_none(), "a dry run changes nothing");
    let done = site.as_owner(&[]).await;
    assert!(is_well(&done) && done.stdout.contains(": done: 18\n"), "{done:?}");
    let labels = site.labels().await;
    for label in Label::ALL {
        let appearance = label.appearance();
        let made = labels.iter().find(|made| made["name"] == *appearance.name).unwrap();
        let (meaning, colour) = (json!(appearance.meaning), json!(appearance.colour));
        assert_eq!((&made["description"], &made["color"]), (&meaning, &colour));
        assert_eq!(made["exclusive"], label.is_exclusive());
    }
    assert_eq!(site.file(FORM_PATH).await.as_deref(), Some(FORM));
    assert_eq!(site.file(WORKFLOW_PATHS[0]).await, None);
    let again = site.as_owner(&[]).await;
    assert!(is_well(&again) && again.stdout.contains(": nothing to do\n"), "{again:?}");
    for (dry, arguments) in [(false, &["--json"][..]), (true, &["--json", "--dry-run"])] {
        let report = site.as_owner(arguments).await.json();
        assert_eq!(
            (&report["repositories"][0]["dry_run"], &report["repositories"][0]["steps"]),
            (&json!(dry), &json!([])),
            "{report}"
        );
    }
    let number = site.repository.file("reader", "Mission: the first", &[]).await;
    site.host.once(&site.repository).await;
    assert!(site.repository.labels(number).await.contains(&"mission/active".to_owned()));
}

async fn install_repairs_only_faults_and_keeps_what_a_team_added(forge: Forge) {
    let site = Site::new(forge.clone()).await;
    let with_more = format!("{FORM}  - type: input\n    id: budget\n    attributes:\n      label: Budget\n");
    site.write(FORM_PATH, &with_more).await;
    site.write(CONFIG_PATH, "blank_issues_enabled: false\n").await;
    site.write(WORKFLOW_PATHS[0], "name: ours\n").await;
    let label = json!({ "name": "health/stale", "color": "123456", "exclusive": false, "description": "our words" });
    forge.change(Method::POST, &site.path("/labels"), label).await;
    let label = json!({ "name": "health/healthy", "color": "123456", "exclusive": true });
    forge.change(Method::POST, &site.path("/labels"), label).await;
    let done = site.as_owner(&["--json"]).await;
    let report = done.json();
    let texts: Vec<&str> =
        report["repositories"][0]["steps"].as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert_eq!((done.code, texts.len()), (0, 17), "{done:?}");
    assert!(texts.contains(&"correct the label `health/stale`: its exclusivity"), "{texts:?}");
    assert!(texts.contains(&"correct the label `health/healthy`: its description"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.starts_with("commit")), "{texts:?}");
    let labels = site.labels().await;
    let stale = labels.iter().find(|label| label["name"] == "health/stale").unwrap();
    let look = (&stale["color"], &stale["description"], &stale["exclusive"]);
    assert_eq!(look, (&json!("123456"), &json!("our words"), &json!(true)));
    assert_eq!(site.file(FORM_PATH).await, Some(with_more));
    assert_eq!(site.file(CONFIG_PATH).await.as_deref(), Some("blank_issues_enabled: false\n"));
    assert_eq!(site.file(WORKFLOW_PATHS[0]).await.as_deref(), Some("name: ours\n"));
    let again = site.as_owner(&["--only", "labels,form"]).await;
    assert!(is_well(&again) && again.stdout.contains(": nothing to do\n"), "{again:?}");
}

async fn a_form_with_other_fields_is_replaced(forge: Forge) {
    let site = Site::new(forge).await;
    site.write(FORM_PATH, &FORM.replace("label: Wizard", "label: Sorcerer")).await;
    let done = site.as_owner(&["--only", "form"]).await;
    assert!(is_well(&done), "{done:?}");
    assert!(done.stdout.contains(&format!("commit: replace `{FORM_PATH}`, add `{CONFIG_PATH}`")), "{done:?}");
    assert_eq!(site.file(FORM_PATH).await.as_deref(), Some(FORM));
}

async fn a_protected_branch_gets_a_pull_request(forge: Forge) {
    let site = Site::new(forge.clone()).await;
    let rule = json!({ "rule_name": "main", "branch_name": "main", "enable_push": false });
    forge.change(Method::POST, &site.path("/branch_protections"), rule).await;
    let done = site.as_owner(&["--only", "form,workflow"]).await;
    assert!(is_well(&done) && done.stdout.contains("open a pull request from `lazarus-install-"), "{done:?}");
    assert!(done.stdout.contains(&format!("/{}/pulls/1)", site.repository.name)), "{done:?}");
    assert_eq!(site.file(FORM_PATH).await, None);
    let again = site.as_owner(&["--only", "form,workflow"]).await;
    assert!(is_well(&again) && again.stdout.contains("/pulls/1)"), "the same one: {again:?}");
}

async fn only_install_updates_a_label_description_of_an_earlier_version(forge: Forge) {
    let site = Site::new(forge.clone()).await;
    assert!(is_well(&site.as_owner(&["--only", "labels"]).await));
    let id = &site.repository.label_ids(&["health/stale"]).await[0];
    let path = site.path(&format!("/labels/{id}"));
    let described = async || {
        let labels = site.labels().await;
        labels.into_iter().find(|label| label["name"] == "health/stale").unwrap()["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let current = described().await;
    for (text, wanted) in [("the last heartbeat is too old", current.as_str()), ("our own words", "our own words")] {
        forge.change(Method::PATCH, &path, json!({ "description": text })).await;
        site.host.once(&site.repository).await;
        assert_eq!(described().await, text, "a pass leaves it");
        let done = site.as_owner(&["--only", "labels"]).await;
        assert!(is_well(&done), "{done:?}");
        assert_eq!(done.stdout.contains("correct the label `health/stale`: its description"), text != wanted);
        assert_eq!(described().await, wanted);
    }
    assert!(current.contains("failed"), "{current}");
}

async fn a_limited_token_does_what_it_can_and_the_rest_is_reported(forge: Forge) {
    let site = Site::new(forge.clone()).await;
    let bot = forge.token("bot").to_owned();
    let done = site.install(&bot, true, &[]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stdout.contains(": done: 17 of 18\n"), "{done:?}");
    assert!(
        done.stderr.contains("the token lacks `write:repository`; this needs the scope `write:repository`, of"),
        "{done:?}"
    );
    assert!(done.stdout.contains("note: no webhook: only an administrator of the repository"), "{done:?}");
    assert_eq!(site.labels().await.len(), 17);
    let reader = forge.new_token("reader", &BOT_SCOPES);
    let label = site.repository.label_ids(&["health/stale"]).await;
    forge.change(Method::DELETE, &site.path(&format!("/labels/{}", label[0])), Value::Null).await;
    let refused = site.install(&reader, false, &["--only", "labels"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let needs = "the account lacks access; this needs the scope `write:issue`, of an account with write access";
    assert!(refused.stderr.contains(needs), "{refused:?}");
}

async fn a_webhook_is_created_once_and_repaired(forge: Forge) {
    let site = Site::new(forge.clone()).await;
    let done = site.with_hook(&["--only", "webhook"]).await;
    assert!(is_well(&done) && done.stdout.contains("`[webhook] ALLOWED_HOST_LIST`"), "{done:?}");
    let hooks = site.hooks().await;
    let (id, config) = (hooks[0]["id"].as_i64().unwrap(), &hooks[0]["config"]);
    assert_eq!((hooks.len(), &hooks[0]["active"]), (1, &json!(true)));
    assert_eq!(config["url"], "https://missions.example.com/webhook");
    assert_eq!(config["content_type"], "json");
    let events: Vec<&str> =
        hooks[0]["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap()).collect();
    assert!(events.contains(&"issues") && events.contains(&"issue_label"), "{events:?}");
    assert!(events.contains(&"issue_comment"), "{events:?}");
    let former = json!({ "active": true, "events": ["issues_only", "issue_label"], "config": config });
    forge.change(Method::PATCH, &site.path(&format!("/hooks/{id}")), former).await;
    let reported = site.with_hook(&["--only", "webhook"]).await;
    assert!(is_well(&reported) && reported.stdout.contains("it lacks needed events"), "{reported:?}");
    let events = site.hooks().await[0]["events"].to_string();
    assert!(events.contains("\"issue_comment\""), "an existing one is sent it, too: {events}");
    let again = site.with_hook(&["--only", "webhook"]).await;
    assert!(is_well(&again) && again.stdout.contains(": nothing to do\n"), "{again:?}");
    let edit = json!({ "active": false, "events": ["push"], "config": { "url": "https://missions.example.com/webhook", "content_type": "json" } });
    forge.change(Method::PATCH, &site.path(&format!("/hooks/{id}")), edit).await;
    let mended = site.with_hook(&["--only", "webhook"]).await;
    assert!(is_well(&mended) && mended.stdout.contains("it is disabled"), "{mended:?}");
    let reset = site.with_hook(&["--only", "webhook", "--reset-secret"]).await;
    assert!(is_well(&reset) && reset.stdout.contains("its secret is set again"), "{reset:?}");
    let hooks = site.hooks().await;
    assert_eq!((hooks.len(), hooks[0]["id"].as_i64(), &hooks[0]["active"]), (1, Some(id), &json!(true)));
    let text = format!("{done:?}{again:?}{mended:?}{reset:?}");
    assert!(!text.contains(SECRET), "the secret is shown nowhere");
}

async fn a_workflow_does_not_hide_those_of_a_team(forge: Forge) {
    let site = Site::new(forge).await;
    site.write(".github/workflows/build.yaml", "on: push\njobs: {}\n").await;
    let done = site.as_owner(&["--only", "workflow"]).await;
    assert!(is_well(&done), "{done:?}");
    assert_eq!(site.file(WORKFLOW_PATHS[1]).await.as_deref(), Some(WORKFLOW));
    assert_eq!(site.file(WORKFLOW_PATHS[0]).await, None);
}

stories![
    an_empty_repository_is_prepared_once,
    install_repairs_only_faults_and_keeps_what_a_team_added,
    a_form_with_other_fields_is_replaced,
    a_protected_branch_gets_a_pull_request,
    only_install_updates_a_label_description_of_an_earlier_version,
    a_limited_token_does_what_it_can_and_the_rest_is_reported,
    a_webhook_is_created_once_and_repaired,
    a_workflow_does_not_hide_those_of_a_team,
];

#[tokio::test]
async fn the_webhook_secret_is_the_configured_one() {
    let site = Site::new(Forge::sandbox().await).await;
    site.with_hook(&[]).await;
    assert_eq!(site.repository.forge.engine().hook_secrets(site.repository.id), [SECRET]);
}

#[tokio::test]
async fn install_refuses_a_wrong_token_and_an_inaccessible_repository() {
    let site = Site::new(Forge::sandbox().await).await;
    let wrong = site.install("wrong", false, &[]).await;
    assert!(wrong.code == 2 && wrong.stderr.contains("Gitea rejects the token"), "{wrong:?}");
    let nowhere = site.as_owner(&["--repo", "owner/there-is-none"]).await;
    let reported = "there is no repository `owner/there-is-none`, or the token may not see it; check the name";
    assert!(nowhere.code == 2 && nowhere.stderr.contains(reported), "{nowhere:?}");
    let archived = json!({ "archived": true });
    site.repository.forge.change(Method::PATCH, &site.repository.path(), archived).await;
    let refused = site.as_owner(&[]).await;
    assert!(refused.code == 2 && refused.stderr.contains("is archived; un-archive it first"), "{refused:?}");
    let unknown = site.as_owner(&["--only", "lables"]).await;
    assert!(unknown.code == 2 && unknown.stderr.contains("a similar value exists: 'labels'"), "{unknown:?}");
}
