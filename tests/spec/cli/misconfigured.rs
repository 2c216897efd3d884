//! Somebody in a hurry sets it up: what was given and is not used is said, and nothing starts as something else.

use crate::support::forge::{FORM_PATH, Forge};
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::service::{command as command_of, start};
use lazarus::config::{ConfigPaths, Environment, Flags, Settings, SettingsFile};
use reqwest::Method;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `doctor` says every warning, and reads everything.
async fn with_variable(name: &str, value: &str) -> Run {
    let host = Host::new();
    run(host.command("lazarus-reconcile").env(name, value).arg("scan")).await
}

#[tokio::test]
async fn a_misspelt_variable_is_a_warning_with_the_nearest_right_name() {
    for (wrong, right) in [
        ("LAZARUS_GITEA_URl", "LAZARUS_GITEA_URL"),
        ("LAZARUS_GITEAURL", "LAZARUS_GITEA_URL"),
        ("lazarus_gitea_url", "LAZARUS_GITEA_URL"),
        ("LAZARUS_REPOSITORY", "LAZARUS_REPOSITORIES"),
        ("LAZARUS_TOKEN_FILE", "LAZARUS_GITEA_TOKEN_FILE"),
        ("LAZARUS_MISSION_ROOT", "LAZARUS_MISSIONS_ROOT"),
        ("LAZARUS_HOSTNAME", "LAZARUS_HOST"),
        ("LAZARUS_HEARTBEAT_DIR", "LAZARUS_HEARTBEAT_DIRECTORY"),
        ("LAZARUS_TESTS", "LAZARUS_HOST"),
    ] {
        let warned = with_variable(wrong, "x").await;
        let reported = format!("warning: the variable `{wrong}` is unknown, and is not read; did you mean `{right}`?");
        assert!(warned.code == 0 && warned.stderr.contains(&reported), "{wrong}: {warned:?}");
    }
    for known in ["LAZARUS_TEST_GITEA", "LAZARUS_TEST_SEEDS", "LAZARUS_COMMIT", "PATH", "LAZARUSES"] {
        let silent = with_variable(known, "/nowhere").await;
        assert!(!silent.stderr.contains("is not read"), "{known}: {silent:?}");
    }
}

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn options_that_need_a_forge_start_no_service_without_one() {
    let host = Host::new();
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    std::fs::write(host.path().join("token"), "0123abcd").unwrap();
    std::fs::write(host.path().join("repositories.json"), r#"{ "repositories": ["owner/missions"] }"#).unwrap();
    std::fs::write(host.path().join("token.yaml"), "forge: { token_file: token }\n").unwrap();
    let given: [(&[&str], Variables<'_>); 7] = [
        (&["--repo", "owner/missions"], &[]),
        (&["--token-file", "token"], &[]),
        (&["--config", "repositories.json"], &[]),
        (&["--config", "token.yaml"], &[]),
        (&[], &[("LAZARUS_REPOSITORIES", "owner/missions")]),
        (&[], &[("LAZARUS_GITEA_TOKEN", "0123abcd")]),
        (&["--repo", "owner/missions", "--token-file", "token"], &[("LAZARUS_GITEA_URl", "http://127.0.0.1:1")]),
    ];
    for (arguments, variables) in given {
        let once =
            run(host.command("lazarus-reconcile").arg("--once").args(arguments).envs(variables.iter().copied())).await;
        assert_eq!(once.code, 2, "{arguments:?}: {once:?}");
        {
            let mut command = host.command("lazarus-reconcile");
            let refused = run(command.args(arguments).envs(variables.iter().copied())).await;
            assert!(
                refused.code == 2 && refused.stderr.contains("`forge.url` is not set"),
                "{arguments:?}: {refused:?}"
            );
        }
    }
}

fn read(name: &str, text: &str) -> Result<SettingsFile, String> {
    let host = Host::new();
    let file = host.path().join(name);
    std::fs::write(&file, text).unwrap();
    SettingsFile::read(&file).map_err(|error| error.to_string())
}

#[test]
fn byte_order_marks_schema_keys_and_empty_sections_are_accepted() {
    let cells = |file: SettingsFile| file.limits.cells.map(lazarus::config::Within::get);
    for (name, text) in [
        ("a.json", "\u{feff}{ \"limits\": { \"cells\": 7 } }"),
        ("a.yaml", "\u{feff}limits: { cells: 7 }\n"),
        ("a.json", r#"{ "$schema": "./lazarus_pit.schema.json", "limits": { "cells": 7 } }"#),
        ("a.yaml", "$schema: https://example.com/x.json\nlimits: { cells: 7 }\n"),
        ("a.json", r#"{ "limits": { "cells": 7 }, "forge": null, "host": null, "daemon": null, "gateways": null }"#),
        ("a.yaml", "forge:\n  # url: https://git.example.com\nlimits:\n  cells: 7\nnotify:\n#  on: [stale]\n"),
        ("a.yaml", "health:\nclose: ~\nlimits: { cells: 7 }\nlog: null\napproval:\nworktrees:\ncells:\n"),
    ] {
        assert_eq!(cells(read(name, text).unwrap_or_else(|error| panic!("{text}: {error}"))), Some(7), "{text}");
    }
    for blank in ["", "# forge:\n#   url: x\n", "---\n# nothing yet\n"] {
        assert_eq!(read("a.yaml", blank).unwrap(), SettingsFile::default(), "{blank}");
    }
    assert!(read("a.json", r#"{ "$schema": "x", "lumits": null }"#).unwrap_err().contains("unknown field"));
}

#[test]
fn yaml_in_a_file_named_json_is_reported_as_such() {
    for yaml in ["forge:\n  url: https://git.example.com\n", "---\nlimits: { cells: 7 }\n", "# mine\nlimits: {}\n"] {
        let reported = read("lazarus_pit.json", yaml).unwrap_err();
        assert!(reported.contains("it is YAML, but its name says JSON"), "{yaml}: {reported}");
    }
    for json in ["{ \"limits\": { \"cells\": 7, } }", "{ limits: {} }", "[1]", "{", ""] {
        let reported = read("lazarus_pit.json", json).unwrap_err();
        assert!(!reported.contains("it is YAML"), "{json}: {reported}");
    }
}

#[test]
fn the_host_configuration_takes_precedence_over_a_local_file() {
    let host = Host::new();
    let [of_host, local] = ["etc.json", "local.json"].map(|name| host.path().join(name));
    let places = ConfigPaths { host: &of_host, local: &local };
    let load = |flags: &Flags| Settings::load_from(flags, &Environment::new(), places).unwrap().0;
    let cells = |cells: u64| json!({ "limits": { "cells": cells } }).to_string();
    std::fs::write(&local, cells(1)).unwrap();
    let used = |flags: &Flags| {
        let settings = load(flags);
        (settings.limits.cells, settings.source.clone(), settings.warnings.clone())
    };
    assert_eq!(used(&Flags::default()), (1, Some(local.clone()), vec![]));
    std::fs::write(&of_host, cells(2)).unwrap();
    let (found, source, warnings) = used(&Flags::default());
    assert_eq!((found, source), (2, Some(of_host.clone())));
    let reported = format!("`{}` is not read, since `{}` exists", local.display(), of_host.display());
    assert!(warnings.len() == 1 && warnings[0].starts_with(&reported), "{warnings:?}");
    let named = Flags { config: Some(local.clone()), ..Flags::default() };
    assert_eq!(used(&named), (1, Some(local.clone()), vec![]));
    std::fs::remove_file(&local).unwrap();
    assert_eq!(used(&Flags::default()), (2, Some(of_host.clone()), vec![]));
}

#[tokio::test]
async fn init_requires_a_root_if_none_is_configured() {
    let host = Host::new();
    let init = |arguments: &[&str]| {
        let mut command = host.command("lazarus-reconcile");
        command.env_remove("LAZARUS_MISSIONS_ROOT").arg("init").args(arguments);
        command
    };
    std::fs::write(host.path().join("empty.json"), "{}").unwrap();
    let asked = run(&mut init(&["--config", "empty.json"])).await;
    assert!(asked.code == 2 && asked.stderr.contains("pass `--root /var/missions`"), "{asked:?}");
    let root: PathBuf = host.path().join("new");
    let named = json!({ "missions_root": root }).to_string();
    std::fs::write(host.path().join("named.json"), named).unwrap();
    assert_eq!(run(&mut init(&["--config", "named.json"])).await.code, 0);
    assert_eq!(run(&mut init(&["--config", "empty.json", "--root", "other"])).await.code, 0);
    assert!(root.join(".lazarus").exists() && host.path().join("other/.lazarus").exists());
}

#[tokio::test]
async fn a_repository_without_the_form_is_a_warning_until_it_has_one() {
    let forge = Forge::sandbox().await;
    let (good, host) = (forge.repository().await, Host::new());
    let form = forge.get(&format!("{}/contents/{FORM_PATH}", good.path())).await;
    let new = json!({ "name": "formless", "auto_init": true, "default_branch": "main" });
    let id = forge.change(Method::POST, "/user/repos", new).await["id"].as_i64().unwrap();
    let repository = Repository { forge: forge.clone(), name: "owner/formless".to_owned(), id };
    let writer = format!("{}/collaborators/bot", repository.path());
    forge.change(Method::PUT, &writer, json!({ "permission": "write" })).await;
    let path = format!("{}/contents/{FORM_PATH}", repository.path());
    let command = format!("`lazarus-reconcile install --repo {} --only form`", repository.name);
    for arguments in [&["--once"][..], &["--dry-run"], &["--once"]] {
        let warned = run(host.reconciler(&repository).args(arguments)).await;
        let reported =
            format!("WARN `{}` has no Mission proposal form, so missions cannot be filed: {command}", repository.name);
        assert!(warned.code == 0 && warned.stderr.contains(&reported), "{warned:?}");
    }
    let service = start(command_of(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    let page = service.get("/").await.1;
    let shown = format!("install --repo {} --only form", repository.name.replace('/', "&#x2f;"));
    assert!(page.contains("A repository has no form yet") && page.contains(&shown), "{page}");
    assert!(service.end(rustix::process::Signal::TERM).await.0.success());
    let content = json!({ "content": form["content"], "message": "Ask for missions", "branch": "main" });
    forge.change(Method::POST, &path, content).await;
    let silent = run(host.reconciler(&repository).arg("--once")).await;
    assert!(silent.code == 0 && !silent.stderr.contains("has no Mission proposal form"), "{silent:?}");
}

/// The documents' way by hand leads to a repository in which a mission can be filed.
#[test]
fn the_manual_instructions_install_the_form_before_a_pass() {
    for document in ["README.md", "docs/install.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        let by_hand = text.split("cargo install --path .").nth(1).unwrap().split("```").next().unwrap();
        let (form, pass) = (by_hand.find("install --only form").unwrap(), by_hand.find("--once").unwrap());
        assert!(form < pass && by_hand.contains("install -d -m 0711"), "{document}");
    }
}
