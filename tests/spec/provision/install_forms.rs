//! Forms and choosers of a team's own, wherever Gitea finds them: `install` neither doubles nor hides them.

use crate::support::forge::{FORM_PATH, Forge};
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::stories;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::proposal::form::FORM;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

stories![
    a_form_of_a_team_is_not_duplicated_at_any_path,
    a_chooser_of_a_team_is_not_hidden_at_any_path,
    an_unusable_form_is_replaced_at_its_path,
    other_forms_of_a_team_are_kept,
    a_form_keeps_the_fields_that_a_team_added,
];

const CONFIG_PATH: &str = ".gitea/ISSUE_TEMPLATE/config.yaml";

/// A form that takes no part in missions.
const BUG: &str = "name: Bug\nabout: Something is wrong\nbody:\n  - type: textarea\n    attributes: { label: What }\n";

/// A repository whose default branch holds these files beside what a forge puts there.
async fn holding(forge: &Forge, files: &[(&str, &str)]) -> Repository {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let name = format!("forms-{}-{}", COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
    let new = json!({ "name": name, "auto_init": true, "default_branch": "main" });
    let made = forge.change(Method::POST, "/user/repos", new).await;
    let repository =
        Repository { forge: forge.clone(), name: format!("owner/{name}"), id: made["id"].as_i64().unwrap() };
    let writer = format!("{}/collaborators/bot", repository.path());
    forge.change(Method::PUT, &writer, json!({ "permission": "write" })).await;
    for (path, contents) in files {
        let file = json!({ "content": STANDARD.encode(contents), "message": "Write", "branch": "main" });
        forge.change(Method::POST, &format!("{}/contents/{path}", repository.path()), file).await;
    }
    repository
}

async fn install(repository: &Repository, arguments: &[&str]) -> Run {
    let host = Host::new();
    let mut command = host.reconciler(repository);
    command.env("LAZARUS_GITEA_TOKEN", repository.forge.token("owner")).args(["install", "--only", "form"]);
    run(command.args(arguments)).await
}

/// What `install` commits, in one line; empty where there is nothing to do.
async fn commits(repository: &Repository) -> String {
    let run = install(repository, &["--dry-run", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let steps = run.json()["repositories"][0]["steps"].clone();
    steps.as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap()).collect()
}

/// What `doctor` says of the form: its word, and what it found.
async fn diagnosis(repository: &Repository) -> (Option<String>, String) {
    let host = Host::new();
    let reported = run(host.reconciler(repository).args(["doctor", "--json"])).await.json();
    let check = reported["checks"].as_array().unwrap().iter().find(|check| check["check"] == "form").unwrap();
    (check["code"].as_str().map(str::to_owned), check["found"].as_str().unwrap().to_owned())
}

async fn text_of(repository: &Repository, path: &str) -> Option<String> {
    let path = format!("{}/contents/{path}", repository.path());
    let (status, file) = repository.forge.call("owner", Method::GET, &path, Value::Null).await;
    let content = file["content"].as_str().filter(|_| status == 200)?;
    Some(String::from_utf8(STANDARD.decode(content.replace('\n', "")).unwrap()).unwrap())
}

async fn a_form_of_a_team_is_not_duplicated_at_any_path(forge: Forge) {
    let own = FORM.replace("name: Mission proposal", "name: Our missions");
    let headings: Vec<String> = lazarus::mission::proposal::form::Form::embedded().fields.iter().map(heading).collect();
    let marker = "<!-- lazarus:mission-proposal v1 -->";
    let markdown = format!("---\nname: Mission\nabout: By hand\n---\n{marker}\n\n{}", headings.concat());
    for (path, form) in [
        (".gitea/ISSUE_TEMPLATE/mission.yml", &own),
        (".gitea/issue_template/mission.yaml", &own),
        (".github/ISSUE_TEMPLATE/01 mission.yml", &own),
        (".github/issue_template/mission.yaml", &own),
        ("ISSUE_TEMPLATE/mission.yaml", &own),
        ("issue_template/mission.yml", &own),
        (".gitlab/ISSUE_TEMPLATE/mission.yaml", &own),
        (".gitlab/issue_template/mission.yaml", &own),
        (".github/ISSUE_TEMPLATE/mission.md", &markdown),
    ] {
        let repository = holding(&forge, &[(path, form)]).await;
        assert_eq!(commits(&repository).await, format!("commit: add `{CONFIG_PATH}`"), "{path}");
        let (fault, found) = diagnosis(&repository).await;
        assert_eq!((fault, found), (None, format!("`{}` has the form: {path}", repository.name)));
        assert_eq!(install(&repository, &[]).await.code, 0);
        assert_eq!(
            (text_of(&repository, FORM_PATH).await, commits(&repository).await),
            (None, String::new()),
            "{path}"
        );
    }
}

fn heading(field: &lazarus::mission::proposal::form::FormField) -> String {
    format!("### {}\n\n", field.label)
}

async fn a_chooser_of_a_team_is_not_hidden_at_any_path(forge: Forge) {
    let links = "contact_links:\n  - { name: Chat, url: https://chat.example.com, about: Ask us first }\n";
    for (path, chooser) in [
        (".gitea/ISSUE_TEMPLATE/config.yml", links),
        (".gitea/issue_template/config.yaml", "blank_issues_enabled: false\n"),
        (".gitea/issue_template/config.yml", links),
        (".github/ISSUE_TEMPLATE/config.yaml", "blank_issues_enabled: true\n"),
        (".github/ISSUE_TEMPLATE/config.yml", links),
        (".github/issue_template/config.yaml", "contact_links: [ { name: no url } ]\n"),
        (".github/issue_template/config.yml", "blank_issues_enabled: false\n"),
    ] {
        let repository = holding(&forge, &[(path, chooser)]).await;
        let before = forge.get(&format!("{}/issue_config", repository.path())).await;
        assert_eq!(commits(&repository).await, format!("commit: add `{FORM_PATH}`"), "{path}");
        assert_eq!(install(&repository, &[]).await.code, 0);
        assert_eq!(forge.get(&format!("{}/issue_config", repository.path())).await, before, "{path}");
        assert_eq!(
            (text_of(&repository, CONFIG_PATH).await, commits(&repository).await),
            (None, String::new()),
            "{path}"
        );
    }
}

async fn an_unusable_form_is_replaced_at_its_path(forge: Forge) {
    let renamed = FORM.replace("label: Wizard", "label: Sorcerer");
    let unmarked = FORM.replace("<!-- lazarus:mission-proposal v1 -->", "<!-- ours -->");
    let broken = FORM.replace("type: dropdown", "type: wheel");
    for (path, form, fault, why) in [
        (
            ".github/ISSUE_TEMPLATE/mission.yml",
            &renamed,
            "form-differs",
            "`wizard` is called `Sorcerer` instead of `Wizard`",
        ),
        ("issue_template/mission.yaml", &unmarked, "form-invalid", "has lost its first field, the marker"),
        (".gitea/issue_template/mission.yml", &broken, "form-invalid", "by Gitea"),
    ] {
        let repository = holding(&forge, &[(path, form), (CONFIG_PATH, "blank_issues_enabled: true\n")]).await;
        let (word, found) = diagnosis(&repository).await;
        assert!(word.as_deref() == Some(fault) && found.contains(&format!("`{path}`")), "{word:?} {found}");
        let shown = install(&repository, &["--dry-run"]).await;
        assert!(shown.stdout.contains(&format!("commit: replace `{path}`\n")), "{shown:?}");
        let note = format!("note: `{path}` ");
        assert!(shown.stdout.contains(&note) && shown.stdout.contains(why), "{shown:?}");
        assert_eq!(install(&repository, &[]).await.code, 0);
        assert_eq!(
            (text_of(&repository, path).await.as_deref(), text_of(&repository, FORM_PATH).await),
            (Some(FORM), None)
        );
        assert_eq!((commits(&repository).await, diagnosis(&repository).await.0), (String::new(), None));
    }
}

async fn other_forms_of_a_team_are_kept(forge: Forge) {
    let files = [
        (".github/ISSUE_TEMPLATE/bug.yml", BUG),
        (".gitea/ISSUE_TEMPLATE.md", "Tell us\n"),
        (".gitea/ISSUE_TEMPLATE/broken.yaml", "name: [broken"),
        ("ISSUE_TEMPLATE", "no folder\n"),
    ];
    let repository = holding(&forge, &files).await;
    assert_eq!(diagnosis(&repository).await.0.as_deref(), Some("form-missing"));
    assert_eq!(commits(&repository).await, format!("commit: add `{FORM_PATH}`, add `{CONFIG_PATH}`"));
    assert_eq!(install(&repository, &[]).await.code, 0);
    let templates = forge.get(&format!("{}/issue_templates", repository.path())).await;
    let offered: Vec<&str> = templates.as_array().unwrap().iter().map(|t| t["file_name"].as_str().unwrap()).collect();
    assert_eq!(offered, [FORM_PATH, ".github/ISSUE_TEMPLATE/bug.yml"]);
    for (path, contents) in files {
        assert_eq!(text_of(&repository, path).await.as_deref(), Some(contents));
    }
}

async fn a_form_keeps_the_fields_that_a_team_added(forge: Forge) {
    let notes = "  - type: textarea\n    id: notes\n    attributes:\n      label: Notes\n";
    let form = format!("{FORM}{notes}");
    let repository = holding(&forge, &[(FORM_PATH, &form), (CONFIG_PATH, "{}\n")]).await;
    assert_eq!((commits(&repository).await, diagnosis(&repository).await.0), (String::new(), None));
    let bare = FORM.replace("      render: text\n", "");
    let repository = holding(&forge, &[(FORM_PATH, &bare)]).await;
    let (word, found) = diagnosis(&repository).await;
    let why = "`objective` needs `render`, or its text could forge other fields";
    assert!(word.as_deref() == Some("form-differs") && found.contains(why), "{found}");
}
