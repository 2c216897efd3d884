//! Settings: later layers win, the example file says the defaults, and nobody else's file is read.

use crate::support::host::{Host, run};
use lazarus::config::{Environment, Flags, Settings, SettingsFile};
use rustix::fs::{FileType, Mode};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(flags: &Flags, pairs: &[(&str, &str)]) -> Settings {
    Settings::load(flags, &environment(pairs)).unwrap()
}

#[test]
fn later_configuration_layers_override_earlier_ones() {
    let host = Host::new();
    let file = host.path().join("settings.yaml");
    let text = "missions_root: /from/file\nforge: { url: 'https://file.test' }\nrepositories: [a/file]\nhost: { name: file }\n";
    std::fs::write(&file, text).unwrap();
    let with_file = Flags { config: Some(file), ..Flags::default() };
    let job = [("GITEA_ACTIONS", "true"), ("GITHUB_SERVER_URL", "https://job.test/"), ("GITHUB_REPOSITORY", "a/job")];
    let reported = |settings: &Settings| {
        let url = settings.forge_url.as_ref().unwrap().to_string();
        (settings.missions_root.clone(), url, settings.repositories[0].to_string())
    };
    let tuple = |root: &str, url: &str, name: &str| (PathBuf::from(root), url.to_owned(), name.to_owned());
    assert_eq!(reported(&load(&Flags::default(), &job)), tuple("/var/missions", "https://job.test", "a/job"));
    assert_eq!(reported(&load(&with_file, &job)), tuple("/from/file", "https://file.test", "a/file"));
    let mut variables = job.to_vec();
    variables.extend([
        ("LAZARUS_MISSIONS_ROOT", "/from/variable"),
        ("LAZARUS_GITEA_URL", "https://variable.test"),
        ("LAZARUS_REPOSITORIES", "a/variable, b/variable,A/Variable"),
        ("LAZARUS_HOST", "variable"),
    ]);
    let settings = load(&with_file, &variables);
    assert_eq!(reported(&settings), tuple("/from/variable", "https://variable.test", "a/variable"));
    assert_eq!((settings.repositories.len(), settings.host.to_string().as_str()), (2, "variable"), "named once each");
    let flags = Flags {
        missions_root: Some("/from/flag".into()),
        gitea_url: Some("https://flag.test".to_owned()),
        repositories: vec!["a/flag".to_owned()],
        ..with_file
    };
    assert_eq!(reported(&load(&flags, &variables)), tuple("/from/flag", "https://flag.test", "a/flag"));
}

#[test]
fn a_jobs_variables_count_only_in_a_job() {
    let settings = load(&Flags::default(), &[("GITHUB_SERVER_URL", "https://job.test"), ("GITEA_TOKEN", "x")]);
    assert!(settings.forge_url.is_none() && settings.repositories.is_empty() && settings.gitea().is_err());
}

#[test]
fn the_example_file_lists_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lazarus_pit.json");
    // In a job no file is looked for in the working directory, which is where the example is.
    let mut defaults = load(&Flags::default(), &[("LAZARUS_HOST", "alpha"), ("GITEA_ACTIONS", "true")]);
    defaults.is_job = false;
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let mut settings = load(&flags, &[("LAZARUS_HOST", "alpha")]);
    (settings.source, settings.is_root_named) = (None, false);
    assert_eq!(format!("{settings:?}"), format!("{defaults:?}"));
    let example: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let known = serde_json::to_value(SettingsFile::default()).unwrap();
    assert_eq!(keys("", &example), keys("", &known), "every key is in the example");
}

/// The dotted keys of a document, groups left out.
fn keys(prefix: &str, value: &Value) -> Vec<String> {
    let Value::Object(fields) = value else { return vec![prefix.trim_start_matches('.').to_owned()] };
    let mut keys: Vec<String> =
        fields.iter().flat_map(|(key, value)| keys(&format!("{prefix}.{key}"), value)).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_token_is_never_shown() {
    let settings = load(&Flags::default(), &[("LAZARUS_GITEA_TOKEN", "canary")]);
    assert!(!format!("{settings:?}").contains("canary"));
}

/// As a shell's `<(…)` gives it.
#[test]
fn a_token_may_come_through_a_pipe() {
    let host = Host::new();
    let pipe = host.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let flags = Flags { token_file: Some(pipe.clone()), ..Flags::default() };
    let settings = load(&flags, &[("LAZARUS_GITEA_URL", "https://git.test")]);
    for (given, is_token) in [("0123abcd\n".to_owned(), true), ("x".repeat(2 * 1024 * 1024), false)] {
        let pipe = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::write(pipe, given));
        assert_eq!(settings.gitea().is_ok(), is_token);
        // Whoever reads no further breaks the pipe.
        assert_eq!(writer.join().unwrap().is_ok(), is_token);
    }
}

#[test]
fn a_token_may_come_from_standard_input() {
    let host = Host::new();
    let mut command = host.command("lazarus-reconcile");
    let arguments = ["doctor", "--json", "--gitea-url", "http://127.0.0.1:1", "--token-file", "-"];
    for (given, is_taken) in [("0123abcd\n", true), ("two words", false)] {
        let piped = std::process::Stdio::piped;
        let mut child = command.args(arguments).stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), given.as_bytes()).unwrap();
        let reported = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(!reported.contains("configuration-unusable"), is_taken, "{reported}");
        assert!(!reported.contains("0123abcd") && !reported.contains("two words"), "{reported}");
        command = host.command("lazarus-reconcile");
    }
}

#[tokio::test]
async fn a_configuration_file_in_the_root_or_behind_a_link_is_not_read() {
    let host = Host::new();
    let scan = async |directory: &Path| {
        let run = run(host.command("lazarus-reconcile").current_dir(directory).arg("scan")).await;
        (run.code, run.stderr)
    };
    run(host.command("lazarus-reconcile").arg("init")).await;
    let inside = host.root().join("123e4567-e89b-12d3-a456-426614174000/worktree");
    std::fs::create_dir_all(inside.join("config")).unwrap();
    std::fs::write(inside.join("config/lazarus_pit.json"), "{ \"planted\": true }").unwrap();
    assert_eq!(scan(&inside).await, (0, String::new()));
    // Though it says itself that the root is elsewhere, or here.
    let own = format!("{{ \"missions_root\": {:?}, \"forge\": {{ \"url\": \"https://evil.test\" }} }}", host.root());
    std::fs::write(inside.join("config/lazarus_pit.json"), own).unwrap();
    let mut unset = host.command("lazarus-reconcile");
    let run = run(unset.env_remove("LAZARUS_MISSIONS_ROOT").current_dir(&inside).arg("scan")).await;
    assert!(!run.stderr.contains("configuration:"), "{run:?}");
    let outside = host.path().join("work");
    std::fs::create_dir_all(outside.join("config")).unwrap();
    symlink(inside.join("config/lazarus_pit.json"), outside.join("config/lazarus_pit.json")).unwrap();
    assert_eq!(scan(&outside).await, (0, String::new()));
    std::fs::remove_file(outside.join("config/lazarus_pit.json")).unwrap();
    std::fs::write(outside.join("config/lazarus_pit.json"), "{ \"planted\": true }").unwrap();
    let (code, stderr) = scan(&outside).await;
    assert!(code == 2 && stderr.contains("unknown field `planted`"), "{stderr}");
}

#[test]
fn an_unusable_value_is_refused_with_its_key() {
    let host = Host::new();
    let file = host.path().join("daemon.json");
    let gateway = |name: &str, url: &str| json!({ "name": name, "url": url });
    let many: Vec<Value> = (0..65).map(|at| gateway(&format!("g{at}"), "http://g.test/")).collect();
    for (settings, reported) in [
        (
            json!({ "daemon": { "page_listen": "0.0.0.0:80" } }),
            "`daemon.page_listen`: `0.0.0.0:80` is accessible to other hosts",
        ),
        (json!({ "daemon": { "ping_url": "ftp://x.test/" } }), "`daemon.ping_url`: `ftp:` is not `https:` or `http:`"),
        (json!({ "daemon": { "public_url": "file:///x" } }), "`daemon.public_url`: `file:` is not `https:` or `http:`"),
        (json!({ "gateways": [gateway("a", "unix:/x")] }), "`gateways`: `unix:` is not `https:` or `http:`"),
        (
            json!({ "gateways": [gateway("a", "http://g.test/"), gateway("a", "http://h.test/")] }),
            "two gateways have the same `name`",
        ),
        (json!({ "gateways": many }), "`gateways`: 65 gateways are more than 64"),
        (json!({ "notify": { "on": ["healthy"] } }), "`notify.on[0]`: `healthy` is not one of `stale`, `incomplete`, "),
        (
            json!({ "notify": { "per_hour": 0 } }),
            "`notify.per_hour`: invalid value: integer `0`, expected a whole number",
        ),
        (
            json!({ "notify": { "repeat_seconds": 30 } }),
            "`notify.repeat_seconds`: 30 is neither 0 (no reminders) nor at least",
        ),
        (json!({ "notify": { "issue": "owner/ops" } }), "`notify.issue`: `owner/ops` is not an issue of the form "),
        (
            json!({ "notify": { "mention": ["@merlin"] } }),
            "`notify.mention[0]`: `@merlin` is not the login of an account",
        ),
        (json!({ "notify": { "mention": vec!["m"; 21] } }), "`notify.mention`: 21 accounts are more than 20"),
    ] {
        std::fs::write(&file, settings.to_string()).unwrap();
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        let refused = Settings::load(&flags, &environment(&[])).unwrap_err().to_string();
        assert!(refused.contains(reported), "{refused}");
    }
}
