//! Each JSON document that a command prints carries the version of its schema.

use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use clap::CommandFactory;
use lazarus::cli::arguments::{Pit, Reconcile};
use lazarus::diagnose::document::SCHEMA_VERSION;
use std::collections::BTreeSet;

/// Every command that takes `--json`, with the names of the commands above it.
fn with_json(command: &clap::Command, path: &str) -> BTreeSet<String> {
    let takes_json = command.get_arguments().any(|argument| argument.get_long() == Some("json"));
    let mut found: BTreeSet<String> = takes_json.then(|| path.to_owned()).into_iter().collect();
    for below in command.get_subcommands() {
        found.extend(with_json(below, &format!("{path} {}", below.get_name())));
    }
    found
}

#[tokio::test]
async fn each_json_document_carries_its_schema_version() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await.to_string();
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let mut printed = BTreeSet::new();
    for (command, arguments) in [
        ("lazarus-reconcile", &["--dry-run"][..]),
        ("lazarus-reconcile", &["--once"]),
        ("lazarus-reconcile scan", &[]),
        ("lazarus-reconcile install", &["--dry-run", "--only", "labels"]),
        ("lazarus-reconcile install", &["--only", "labels"]),
        ("lazarus-reconcile doctor", &[]),
        ("lazarus-reconcile status", &[]),
        ("lazarus-reconcile status", &[number.as_str()]),
        ("lazarus-reconcile config show", &[]),
        ("lazarus-reconcile gc", &[]),
        ("lazarus-reconcile gc", &["--older-than", "0s", "--yes"]),
        ("lazarus-pit", &[]),
        ("lazarus-pit", &["--init-cell", id]),
    ] {
        let mut words = command.split(' ');
        let is_pit = words.next() == Some("lazarus-pit");
        let mut program = if is_pit { host.command("lazarus-pit") } else { host.reconciler(&repository) };
        let account = if command.ends_with("install") { "owner" } else { "bot" };
        program.env("LAZARUS_GITEA_TOKEN", repository.forge.token(account));
        let document = run(program.args(words).args(arguments).arg("--json")).await.json();
        assert_eq!(document["schema_version"], SCHEMA_VERSION, "{command} {arguments:?}: {document}");
        printed.insert(command.to_owned());
    }
    let expected = &with_json(&Reconcile::command(), "lazarus-reconcile") | &with_json(&Pit::command(), "lazarus-pit");
    assert_eq!(printed, expected, "each command that takes `--json` is run here");
}
