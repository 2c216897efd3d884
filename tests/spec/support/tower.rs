//! A host on which wizards are started, as the script of `config/wizard` does it.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use crate::support::repository::Repository;
use crate::support::soon;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An account and a group that no host has.
pub(crate) const WIZARD: u32 = 64_321;
pub(crate) const GROUP: u32 = 64_322;

/// What a wizard notes: that it was started, where, as whom, with what, and what for.
const STUB: &str = r#"
set -eu
echo "started $*" >>"$MISSION_CELL/artifacts/starts"
cd "$MISSION_CELL/artifacts"
echo "$(id -u) $(id -G)" >who
env >environment
git config --get-all safe.directory >safe
jq -j .objective "$MISSION_CELL/meta/mission.json" >objective
cd "$OLDPWD"
pwd >../artifacts/where
echo abracadabra >spell.txt
if [ -d .git ]; then git -C "$MISSION_CELL/worktree" status --porcelain --branch >../artifacts/status; fi
echo spoken
"#;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A host on which wizards can be started: with programs that any account can run, and a place for the marks.
pub(crate) struct Tower {
    pub(crate) host: Host,
}

impl Tower {
    /// None, and a word of it, where `jq` is missing.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if Command::new("jq").arg("--version").output().is_err() {
            eprintln!("skipped: {test} (there is no jq)");
            return None;
        }
        let tower = Self { host: Host::on_disk() };
        for directory in ["bin", "marks"] {
            std::fs::create_dir(tower.host.path().join(directory)).unwrap();
        }
        for directory in [tower.host.path(), &tower.host.root()] {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711)).unwrap();
        }
        tower.place("lazarus-pit", &std::fs::read(env!("CARGO_BIN_EXE_lazarus-pit")).unwrap());
        tower.place("stub", STUB.as_bytes());
        Some(tower)
    }

    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.host.path().join("bin").join(name)
    }

    /// Puts a program into the path. A child writes it: what this process has open for writing cannot be run, as long as
    /// whatever another test starts at this moment has it open too.
    pub(crate) fn place(&self, name: &str, contents: &[u8]) {
        let source = self.host.path().join("source");
        std::fs::write(&source, contents).unwrap();
        let mut install = Command::new("install");
        assert!(install.args(["-m", "755"]).arg(source).arg(self.bin(name)).status().unwrap().success());
    }

    /// `start-wizards`; as root it makes the wizard another account.
    pub(crate) fn script(&self, options: &[&str]) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_lazarus-reconcile")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(wizard_file("start-wizards"));
        command.env_clear().env("PATH", format!("{}:{}:{path}", self.bin("").display(), built.display()));
        command.env("LAZARUS_MISSIONS_ROOT", self.host.root()).env("LAZARUS_HOST", "alpha");
        command.env("LAZARUS_GITEA_TOKEN", "canary").arg("--marks").arg(self.host.path().join("marks"));
        if is_root() {
            command.args(["--user", &WIZARD.to_string(), "--group", &GROUP.to_string()]);
        }
        command.args(options);
        command
    }

    /// Starts merlin with the stub.
    pub(crate) async fn start(&self) -> Run {
        run(self.script(&["merlin", "sh"]).arg(self.bin("stub")).arg("a b")).await
    }

    /// One pass.
    pub(crate) async fn pass(&self, repository: &Repository) {
        let config = self.host.path().join("config.json");
        let group = if is_root() { json!(GROUP.to_string()) } else { Value::Null };
        std::fs::write(&config, json!({ "cells": { "group": group } }).to_string()).unwrap();
        let passed = run(self.host.reconciler(repository).arg("--once").arg("--config").arg(config)).await;
        assert_eq!(passed.code, 0, "{passed:?}");
    }

    /// Files a proposal and makes its cell.
    pub(crate) async fn mission(&self, repository: &Repository, answers: &[(&str, &str)]) -> PathBuf {
        let before = self.host.cells();
        repository.file("reader", "Mission: $(touch pwned) \"; exit", answers).await;
        self.pass(repository).await;
        let mut cells = self.host.cells();
        cells.retain(|cell| !before.contains(cell));
        assert_eq!(cells.len(), 1, "{cells:?}");
        cells.remove(0)
    }

    pub(crate) async fn cell_of(&self, wizard: &str) -> PathBuf {
        self.mission(&Forge::sandbox().await.repository().await, &[("wizard", wizard)]).await
    }

    /// Until the last word of a wizard stands in its cell; then health and reason.
    pub(crate) async fn ended(&self, cell: &Path) -> String {
        soon("the wizard ends", async || {
            let posted = std::fs::read(cell.join("state/heartbeat.json")).unwrap();
            ["done", "failed"].contains(&serde_json::from_slice::<Value>(&posted).unwrap()["state"].as_str().unwrap())
        })
        .await;
        let report = run(self.host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
        let id = cell.file_name().unwrap().to_str().unwrap();
        let cells = report["cells"].as_array().unwrap();
        let seen = cells.iter().find(|cell| cell["mission_id"] == id).unwrap();
        format!("{} {}", seen["health"].as_str().unwrap(), seen["reason"].as_str().unwrap())
    }

    pub(crate) fn marks(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.host.path().join("marks")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut marks: Vec<String> = names.filter(|name| name != "lock").collect();
        marks.sort_unstable();
        marks
    }
}

/// A file of `config/wizard`.
pub(crate) fn wizard_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wizard").join(name)
}
