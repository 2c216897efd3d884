//! `config`: where each setting came from, what may stand in a file, and where a mistake in one is.

use crate::support::host::{Host, Run, run};
use lazarus::config::{Environment, Flags, SCHEMA, Settings, SettingsFile};
use serde_json::{Value, json};

/// What `config show` says of a key: its value and where that came from.
fn reported(document: &Value, key: &str) -> (Value, String) {
    let settings = document["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("no {key}"));
    (found["value"].clone(), found["from"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn each_configuration_value_is_shown_with_its_source() {
    let host = Host::new();
    let file = host.path().join("settings.json");
    let text = json!({
        "forge": { "url": "https://file.test", "token_file": "/file/token" }, "repositories": ["a/file"],
        "missions_root": "/from/file", "limits": { "cells": 7 }, "daemon": { "listen": "127.0.0.1:1" },
        "host": { "name": "file" }, "log": { "format": "text" },
    });
    std::fs::write(&file, text.to_string()).unwrap();
    let show = async |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = host.command("lazarus-reconcile");
        command.env_remove("LAZARUS_HOST").env_remove("LAZARUS_MISSIONS_ROOT").envs(variables.iter().copied());
        run(command.args(["config", "show", "--json"]).args(arguments)).await.json()
    };
    let file = file.to_str().unwrap();
    let of_file = show(&[], &["--config", file]).await;
    assert_eq!(of_file["file"], file);
    for (key, value, from) in [
        ("missions_root", json!("/from/file"), "file"),
        ("forge.url", json!("https://file.test"), "file"),
        ("forge.token_file", json!("/file/token"), "file"),
        ("repositories", json!(["a/file"]), "file"),
        ("host.name", json!("file"), "file"),
        ("limits.cells", json!(7), "file"),
        ("limits.cells_per_author", json!(1000), "default"),
        ("forge.ca_file", Value::Null, "default"),
    ] {
        assert_eq!(reported(&of_file, key), (value, from.to_owned()), "{key}");
    }
    let variables = [
        ("missions_root", "LAZARUS_MISSIONS_ROOT", "/from/variable", json!("/from/variable")),
        ("forge.url", "LAZARUS_GITEA_URL", "https://variable.test", json!("https://variable.test")),
        ("forge.token_file", "LAZARUS_GITEA_TOKEN_FILE", "/variable", json!("/variable")),
        ("forge.token_file", "LAZARUS_GITEA_TOKEN", "canary", json!("(the token itself, which is not shown)")),
        ("repositories", "LAZARUS_REPOSITORIES", "a/b,c/d", json!(["a/b", "c/d"])),
        ("host.name", "LAZARUS_HOST", "variable", json!("variable")),
        ("daemon.listen", "LAZARUS_LISTEN", "127.0.0.1:9", json!("127.0.0.1:9")),
        ("daemon.heartbeat_directory", "LAZARUS_HEARTBEAT_DIRECTORY", "/beats", json!("/beats")),
        ("log.format", "LAZARUS_LOG", "json", json!("json")),
    ];
    for (key, name, text, value) in variables.clone() {
        let shown = show(&[(name, text)], &["--config", file]).await;
        assert_eq!(reported(&shown, key), (value, name.to_owned()), "{key}");
        assert!(!shown.to_string().contains("canary"));
    }
    for (key, flag, text, value) in [
        ("missions_root", "--root", "/from/flag", json!("/from/flag")),
        ("forge.url", "--gitea-url", "https://flag.test", json!("https://flag.test")),
        ("forge.token_file", "--token-file", "/flag", json!("/flag")),
        ("repositories", "--repo", "e/f", json!(["e/f"])),
        ("log.format", "--log-format", "json", json!("json")),
    ] {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(_, name, text, _)| (*name, *text)).collect();
        let shown = show(&variables, &["--config", file, flag, text]).await;
        assert_eq!(reported(&shown, key), (value, flag.to_owned()), "{key}");
    }
    let job = [
        ("GITEA_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://job.test/"),
        ("GITHUB_REPOSITORY", "a/job"),
        ("GITEA_TOKEN", "canary"),
    ];
    let in_job = show(&job, &[]).await;
    assert_eq!(reported(&in_job, "forge.url"), (json!("https://job.test"), "GITHUB_SERVER_URL".to_owned()));
    assert_eq!(reported(&in_job, "forge.token_file").1, "GITEA_TOKEN");
    assert_eq!(reported(&in_job, "repositories"), (json!(["a/job"]), "GITHUB_REPOSITORY".to_owned()));
    assert_eq!(reported(&show(&job, &["--config", file]).await, "forge.url").1, "file", "a job's variables come last");
}

#[tokio::test]
async fn a_valid_configuration_is_a_table_and_an_unusable_one_is_refused() {
    let host = Host::new();
    let show = async |arguments: &[&str]| -> Run {
        run(host.command("lazarus-reconcile").args(["config", "show"]).args(arguments)).await
    };
    let table = show(&["--repo", "a/b"]).await;
    assert!(table.code == 0 && table.stdout.starts_with("KEY "), "{table:?}");
    let line: Vec<&str> =
        table.stdout.lines().find(|line| line.starts_with("host.name ")).unwrap().split_whitespace().collect();
    assert_eq!(line, ["host.name", "alpha", "LAZARUS_HOST"]);
    assert!(table.stdout.ends_with("\nconfiguration file: none\n"), "{table:?}");
    let refused = show(&["--repo", "nonsense"]).await;
    assert!(refused.code == 2 && refused.stderr.starts_with("error: `--repo`: `nonsense`"), "{refused:?}");
    let schema = run(host.command("lazarus-reconcile").args(["config", "schema"])).await;
    assert_eq!((schema.code, schema.stdout.as_str()), (0, SCHEMA));
}

/// Whether a settings file with this at a key can be used.
fn is_taken(host: &Host, key: &str, value: &Value) -> bool {
    let document = match key.split_once('.') {
        Some((group, key)) => json!({ group: { key: value } }),
        None => json!({ key: value }),
    };
    let file = host.path().join("one.json");
    std::fs::write(&file, document.to_string()).unwrap();
    SettingsFile::read(&file).is_ok()
}

/// Each leaf of the schema by its dotted key.
fn leaves(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, about) in schema["properties"].as_object().unwrap() {
        match about["properties"].as_object() {
            Some(group) => {
                assert_eq!(about["additionalProperties"], false, "{name}");
                found.extend(group.iter().map(|(key, about)| (format!("{name}.{key}"), about.clone())));
            }
            None => found.push((name.clone(), about.clone())),
        }
    }
    found
}

#[test]
fn the_schema_matches_what_the_configuration_accepts() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let example: Value = serde_json::from_str(include_str!("../../../config/lazarus_pit.json")).unwrap();
    let host = Host::new();
    let leaves = leaves(&schema);
    for (key, about) in &leaves {
        let default = key.split('.').fold(&example, |value, part| &value[part]);
        assert_eq!(&about["default"], default, "{key}");
        assert!(about["description"].as_str().is_some_and(|words| words.len() > 5), "{key}");
        assert!(is_taken(&host, key, &Value::Null), "{key}: null");
        if let (Some(least), Some(most)) = (about["minimum"].as_u64(), about["maximum"].as_u64()) {
            assert!(is_taken(&host, key, &json!(least)) && is_taken(&host, key, &json!(most)), "{key}");
            assert!(!is_taken(&host, key, &json!(most + 1)), "{key}: {most} is the most");
            assert!(least == 0 || !is_taken(&host, key, &json!(least - 1)), "{key}: {least} is the least");
        }
        for word in about["enum"].as_array().into_iter().flatten() {
            assert!(is_taken(&host, key, word), "{key}: {word}");
        }
        for word in about["items"]["enum"].as_array().into_iter().flatten() {
            assert!(is_taken(&host, key, &json!([word])), "{key}: {word}");
        }
        let is_listed = about["enum"].is_array() || about["items"]["enum"].is_array();
        let nonsense = if about["items"].is_object() { json!(["nonsense"]) } else { json!("nonsense") };
        assert!(!is_listed || !is_taken(&host, key, &nonsense), "{key} has a closed list");
        let types = about["type"].as_array();
        let allows = |kind: &str| types.is_none_or(|types| types.iter().any(|known| known == kind));
        assert!(allows("boolean") || !is_taken(&host, key, &json!(true)), "{key}: a boolean");
        assert!(allows("array") || !is_taken(&host, key, &json!([])), "{key}: a list");
    }
    let known = serde_json::to_value(SettingsFile::default()).unwrap();
    let count: usize =
        known.as_object().unwrap().values().map(|value| value.as_object().map_or(1, serde_json::Map::len)).sum();
    assert_eq!(leaves.len(), count, "every key is in the schema, and no other");
}

/// What is said of a settings file with this text.
fn mistake(name: &str, text: &str) -> String {
    let host = Host::new();
    let file = host.path().join(name);
    std::fs::write(&file, text).unwrap();
    let flags = Flags { config: Some(file), ..Flags::default() };
    Settings::load(&flags, &Environment::new()).unwrap_err().to_string()
}

#[test]
fn a_configuration_error_shows_its_position() {
    let json = mistake("settings.json", "{\n  \"limits\": {\n    \"cells\": \"many\"\n  }\n}\n");
    assert!(json.contains("`limits.cells`: invalid type: string \"many\", expected a whole number"), "{json}");
    assert!(json.contains("\n3 |     \"cells\": \"many\"\n  |                   ^"), "{json}");
    let yaml = mistake("settings.yaml", "limits:\n  cells: many\n");
    assert!(yaml.contains("\n2 |   cells: many\n  |   ^"), "{yaml}");
    let long = format!("{{ \"missions_root\": \"{}\", \"lumits\": 1 }}", "x".repeat(300));
    let reported = mistake("settings.json", &long);
    assert!(reported.lines().nth(1).unwrap().len() < 140, "{reported}");
    let secret = mistake("settings.json", "{ \"forge\": { \"url\": \"https://user:canary@git.test\" } }");
    assert!(!secret.contains("canary"), "{secret}");
}

#[test]
fn a_misspelt_key_gets_a_suggestion() {
    for (text, meant) in [
        ("{ \"forge\": { \"tokn_file\": \"x\" } }", "forge.token_file"),
        ("{ \"listen\": \"127.0.0.1:1\" }", "daemon.listen"),
        ("{ \"limts\": {} }", "limits"),
        ("{ \"gateways\": [{ \"uri\": \"http://x.test\" }] }", "gateways[].url"),
    ] {
        let reported = mistake("settings.json", text);
        assert!(reported.contains(&format!("; did you mean `{meant}`?")), "{reported}");
    }
    let yaml = mistake("settings.yaml", "forge:\n  tokn_file: x\n");
    assert!(yaml.contains("; did you mean `forge.token_file`?"), "{yaml}");
    assert!(!mistake("settings.json", "{ \"zzzzzzzzzz\": 1 }").contains("did you mean"));
}
