//! Who starts the wizards: a script and units for systemd that start one in each new cell, once, with no more rights than it
//! needs.

use crate::support::forge::Forge;
use crate::support::host::{Run, run};
use crate::support::soon;
use crate::support::tower::{GROUP, Tower, WIZARD, is_root, wizard_file};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

const HOSTILE: &str = "Raise \"the dead\"; $(touch pwned) `touch pwned` '\\\n-- --help\nMISSION_CELL=/\n${HOME}";

fn id(cell: &Path) -> &str {
    cell.file_name().unwrap().to_str().unwrap()
}

fn artifact(cell: &Path, name: &str) -> String {
    std::fs::read_to_string(cell.join("artifacts").join(name)).unwrap()
}

fn started(cell: &Path) -> String {
    format!("started merlin in {}\n", cell.display())
}

fn check(ended: &Run, code: i32, stdout: &str, stderr: &str) {
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (code, stdout, stderr));
}

#[tokio::test]
async fn a_wizard_is_started_once_in_each_new_cell_that_names_it() {
    let Some(tower) = Tower::new("a_wizard_is_started_once_in_each_new_cell_that_names_it") else { return };
    let repository = Forge::sandbox().await.repository().await;
    tower.mission(&repository, &[("wizard", "gandalf")]).await;
    tower.mission(&repository, &[]).await;
    check(&tower.start().await, 0, "", "");
    let answers = [("wizard", "merlin"), ("repository", repository.name.as_str()), ("objective", HOSTILE)];
    let cell = tower.mission(&repository, &answers).await;
    check(&tower.start().await, 0, &started(&cell), "");
    assert_eq!(tower.ended(&cell).await, "healthy completed");
    assert_eq!(artifact(&cell, "starts"), "started a b\n");
    assert_eq!(artifact(&cell, "objective"), HOSTILE);
    let worktree = cell.join("worktree");
    assert_eq!(artifact(&cell, "where"), format!("{}\n", worktree.display()));
    assert_eq!(artifact(&cell, "safe"), format!("{}\n", worktree.display()), "and nothing else");
    assert_eq!(artifact(&cell, "status"), format!("## mission/{}\n?? spell.txt\n", id(&cell)));
    let environment = artifact(&cell, "environment");
    assert!(environment.contains(&format!("MISSION_CELL={}\n", cell.display())), "{environment}");
    assert!(!environment.contains("canary"), "{environment}");
    assert_eq!(std::fs::read_to_string(cell.join("logs/wizard.log")).unwrap(), "spoken\n");
    if is_root() {
        assert_eq!(artifact(&cell, "who"), format!("{WIZARD} {GROUP}\n"), "one account and one group");
        let spell = worktree.join("spell.txt").metadata().unwrap();
        assert_eq!((spell.uid(), spell.gid(), spell.mode() & 0o777), (WIZARD, GROUP, 0o660));
    }
    check(&tower.start().await, 0, "", "");
    assert_eq!(artifact(&cell, "starts"), "started a b\n");
    let pwned = tower.host.snapshot().paths().filter(|path| path.ends_with("pwned")).count();
    assert_eq!((tower.marks(), pwned), (vec![id(&cell).to_owned()], 0));
}

#[tokio::test]
async fn concurrent_runs_start_one_wizard() {
    let Some(tower) = Tower::new("concurrent_runs_start_one_wizard") else { return };
    let cell = tower.cell_of("merlin").await;
    let runs = tokio::join!(tower.start(), tower.start(), tower.start());
    let runs = [runs.0, runs.1, runs.2];
    assert!(runs.iter().all(|run| run.code == 0), "{runs:?}");
    assert_eq!(runs.map(|run| run.stdout).concat(), started(&cell));
    assert_eq!(tower.ended(&cell).await, "healthy completed");
    assert_eq!(artifact(&cell, "starts"), "started a b\n");
}

#[tokio::test]
async fn a_wizard_without_a_heartbeat_is_not_restarted_while_its_mark_exists() {
    let test = "a_wizard_without_a_heartbeat_is_not_restarted_while_its_mark_exists";
    let Some(tower) = Tower::new(test) else { return };
    let cell = tower.cell_of("merlin").await;
    let beating = std::fs::read(tower.bin("lazarus-pit")).unwrap();
    tower.place("lazarus-pit", b"#!/bin/sh\n: >../artifacts/called\n");
    check(&tower.start().await, 0, &started(&cell), "");
    soon("it is called", async || cell.join("artifacts/called").exists()).await;
    tower.place("lazarus-pit", &beating);
    check(&tower.start().await, 0, "", "");
    std::fs::remove_file(tower.host.path().join("marks").join(id(&cell))).unwrap();
    check(&tower.start().await, 0, &started(&cell), "");
    assert_eq!(tower.ended(&cell).await, "healthy completed");
}

#[tokio::test]
async fn no_wizard_is_started_while_its_mission_is_suspended() {
    let Some(tower) = Tower::new("no_wizard_is_started_while_its_mission_is_suspended") else { return };
    let repository = Forge::sandbox().await.repository().await;
    let cell = tower.mission(&repository, &[("wizard", "merlin")]).await;
    repository.put_label(1, "mission/suspended").await;
    tower.pass(&repository).await;
    check(&tower.start().await, 0, "", "");
    repository.take_label(1, "mission/suspended").await;
    tower.pass(&repository).await;
    check(&tower.start().await, 0, &started(&cell), "");
    assert_eq!(tower.ended(&cell).await, "healthy completed");
}

#[tokio::test]
async fn a_wizard_that_cannot_run_is_not_started_and_the_next_run_retries() {
    let Some(tower) = Tower::new("a_wizard_that_cannot_run_is_not_started_and_the_next_run_retries") else {
        return;
    };
    let cell = tower.cell_of("merlin").await;
    let cannot = format!("start-wizards: cannot start `merlin` in `{}`: ", cell.display());
    let uid = if is_root() { WIZARD } else { rustix::process::getuid().as_raw() };
    let missing = run(&mut tower.script(&["merlin", "/no/such/wizard"])).await;
    check(&missing, 1, "", &format!("{cannot}uid {uid} cannot run `/no/such/wizard`\n"));
    if is_root() {
        let stranger = run(tower.script(&["--group", "64323", "merlin", "sh"]).arg(tower.bin("stub"))).await;
        let reported = stranger.stderr.strip_prefix(&cannot).unwrap_or_else(|| panic!("{stranger:?}"));
        assert!(
            reported.ends_with("uid 64321, gid 64323 may not work there; the group has to be that of `cells.group`\n")
        );
        assert_eq!((stranger.code, stranger.stdout.as_str()), (1, ""));
        let root = run(&mut tower.script(&["--user", "00", "merlin", "sh"])).await;
        check(&root, 1, "", &format!("{cannot}a wizard must not run as root\n"));
    }
    assert_eq!(tower.marks(), [""; 0]);
    check(&tower.start().await, 0, &started(&cell), "");
    assert_eq!(tower.ended(&cell).await, "healthy completed");
}

#[tokio::test]
async fn a_report_that_names_strange_cells_starts_nothing_there() {
    let Some(tower) = Tower::new("a_report_that_names_strange_cells_starts_nothing_there") else { return };
    let (id, root) = ("123e4567-e89b-12d3-a456-426614174000", tower.host.root());
    let root = root.to_str().unwrap();
    let cell = |id: &str, path: &str| json!({ "mission_id": id, "path": path, "health": "uninitialized", "phase": null, "reason": "no-heartbeat" });
    let strange = [
        cell("../../etc", &format!("{root}/../../etc")),
        cell("$(touch pwned)", &format!("{root}/$(touch pwned)")),
        cell(&format!("{id}\n{id}"), &format!("{root}/{id}\n{id}")),
        cell(&format!("{id}\n"), &format!("{root}/{id}\n")),
        cell("-h", &format!("{root}/-h")),
        cell(id, &format!("/etc/{id}")),
        cell(id, &format!("{root}/../{id}")),
    ];
    let pretend = |root: &str| {
        let report = json!({ "missions_root": root, "cells": strange.clone() }).to_string();
        tower.place("report.json", report.as_bytes());
        let stand_in = format!("#!/bin/sh\ncat '{}'\n", tower.bin("report.json").display());
        tower.place("lazarus-reconcile", stand_in.as_bytes());
    };
    pretend(root);
    let alone = format!("start-wizards: a cell that does not lie in `{root}` under its own id was skipped\n");
    check(&tower.start().await, 1, "", &alone.repeat(strange.len()));
    for root in ["relative", "/var/mis sions", "/var/$(touch pwned)", "/var/missions\n"] {
        pretend(root);
        let refused = tower.start().await;
        let reported = "start-wizards: the missions root `";
        assert!(refused.code == 2 && refused.stderr.starts_with(reported) && refused.stdout.is_empty(), "{refused:?}");
    }
    assert_eq!(tower.marks(), [""; 0]);
    tower.place("report.json", b"no JSON");
    let refused = tower.start().await;
    assert!(refused.code == 2 && refused.stderr.contains("of one version?"), "{refused:?}");
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_the_next_step() {
    let Some(tower) = Tower::new("wrong_arguments_are_refused_with_the_next_step") else { return };
    for (arguments, reported) in [
        (&["merlin"][..], "a wizard and its command are needed, such as `merlin /usr/local/bin/wizard-merlin`"),
        (
            &["--sytemd", "merlin", "sh"],
            "unknown option `--sytemd`; the comment at the top of this script lists all options",
        ),
        (&["--user"], "`--user` needs a value"),
        (&["--user", "root", "merlin", "sh"], "a wizard must not run as root: set another account with `--user`"),
    ] {
        check(&run(&mut tower.script(arguments)).await, 2, "", &format!("start-wizards: {reported}\n"));
    }
    let named = run(&mut tower.script(&["the grey one", "sh"])).await;
    assert!(named.code == 2 && named.stderr.contains("'the grey one'"), "{named:?}");
    let marks = tower.host.path().join("open");
    std::fs::create_dir(&marks).unwrap();
    std::fs::set_permissions(&marks, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let open = run(&mut tower.script(&["--marks", marks.to_str().unwrap(), "merlin", "sh"])).await;
    let reported =
        format!("`{}` is not yours, or others can write in it; set another directory with `--marks`", marks.display());
    check(&open, 2, "", &format!("start-wizards: {reported}\n"));
    if !is_root() {
        let other = run(&mut tower.script(&["--user", "merlin", "merlin", "sh"])).await;
        assert!(other.code == 2 && other.stderr.contains("only root can start a wizard as `merlin`"), "{other:?}");
    }
}

/// The options with which systemd is asked to run a wizard, as a stand-in for `systemd-run` got them.
async fn asked_of_systemd(tower: &Tower, cell: &Path) -> Vec<String> {
    let record = tower.host.path().join("asked");
    let stand_in = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>'{}'\n", record.display());
    tower.place("systemd-run", stand_in.as_bytes());
    let script = || tower.script(&["--systemd", "merlin", "/bin/sh", "-c", "true"]);
    check(&run(&mut script()).await, 0, &started(cell), "");
    check(&run(&mut script()).await, 0, "", "");
    std::fs::read_to_string(record).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn systemd_is_asked_once_for_a_unit_of_that_cell() {
    let test = "systemd_is_asked_once_for_a_unit_of_that_cell";
    let Some(tower) = Tower::new(test) else { return };
    if !is_root() {
        let refused = run(&mut tower.script(&["--systemd", "merlin", "sh"])).await;
        assert!(refused.code == 2 && refused.stderr.contains("leave `--systemd` out"), "{refused:?}");
        return;
    }
    let cell = tower.cell_of("merlin").await;
    let asked = asked_of_systemd(&tower, &cell).await;
    let worktree = cell.join("worktree");
    let (options, command) = asked.split_at(asked.iter().position(|word| word == "--").unwrap());
    assert_eq!(command, ["--", "lazarus-pit", "run", "--", "/bin/sh", "-c", "true"]);
    for option in [
        format!("--unit=lazarus-wizard-{}", id(&cell)),
        format!("--uid={WIZARD}"),
        format!("--gid={GROUP}"),
        format!("--working-directory={}", worktree.display()),
        format!("--setenv=MISSION_CELL={}", cell.display()),
        "--setenv=GIT_CONFIG_KEY_0=safe.directory".to_owned(),
        format!("--setenv=GIT_CONFIG_VALUE_0={}", worktree.display()),
    ] {
        assert!(options.contains(&option), "{option}: {options:?}");
    }
    // What it is to be told is told as a unit has it, and systemd's own tool knows every word of it.
    let properties = options.iter().filter_map(|option| option.strip_prefix("--property="));
    let properties: Vec<&str> = properties.collect();
    assert!(
        properties.contains(&format!("ReadWritePaths={} -/nonexistent", cell.display()).as_str()),
        "{properties:?}"
    );
    let unit = format!("[Service]\nType=exec\nExecStart=/bin/true\n{}\n", properties.join("\n"));
    verify(test, &[("lazarus-wizard-one.service", &unit)]);
}

/// systemd finds no mistake in these units.
fn verify(test: &str, units: &[(&str, &str)]) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).env_remove("JOURNAL_STREAM");
    for (name, unit) in units {
        let path = directory.path().join(name);
        std::fs::write(&path, unit).unwrap();
        command.arg(path);
    }
    match command.output() {
        Ok(output) => {
            let posted = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.success(), posted.as_ref()), (true, ""));
        }
        Err(error) => eprintln!("skipped: {test} (`systemd-analyze`: {error})"),
    }
}

/// A unit as it stands for a wizard of this name.
fn unit(kind: &str) -> String {
    std::fs::read_to_string(wizard_file(&format!("lazarus-wizard@.{kind}"))).unwrap()
}

fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no `{key}` in\n{unit}"))
}

#[test]
fn systemd_verifies_the_wizard_units() {
    let [service, path, timer] = ["service", "path", "timer"].map(unit);
    let service = service.replace("/usr/local/bin/start-wizards", wizard_file("start-wizards").to_str().unwrap());
    verify(
        "systemd_verifies_the_wizard_units",
        &[
            ("lazarus-wizard@merlin.service", &service),
            ("lazarus-wizard@merlin.path", &path),
            ("lazarus-wizard@merlin.timer", &timer),
        ],
    );
}

#[test]
fn the_wizard_units_watch_the_root_and_use_the_wizard_account() {
    let [service, path, timer] = ["service", "path", "timer"].map(unit);
    let root = serde_json::from_str::<Value>(include_str!("../../../config/lazarus_pit.json")).unwrap();
    assert_eq!(value(&path, "PathChanged"), root["missions_root"]);
    assert_eq!(value(&timer, "OnUnitInactiveSec"), "1min");
    assert_eq!(value(&service, "StartLimitIntervalSec"), "0", "many cells may come at once");
    let words: Vec<&str> = value(&service, "ExecStart").split(' ').collect();
    let [program, "--systemd", "--user", "wizard-%i", "--group", group, "%i", "/usr/local/bin/wizard-%i"] = words[..]
    else {
        panic!("{words:?}")
    };
    assert!(include_str!("../../../config/sysusers.d/lazarus.conf").contains(&format!("g {group} -")));
    assert_eq!(program, "/usr/local/bin/start-wizards");
    let marks = value(&service, "RuntimeDirectory");
    let script = std::fs::read_to_string(wizard_file("start-wizards")).unwrap();
    assert!(script.contains(&format!("marks=${{RUNTIME_DIRECTORY:-/run/{marks}}}")));
    assert_eq!((value(&service, "RuntimeDirectoryPreserve"), value(&service, "RuntimeDirectoryMode")), ("yes", "0700"));
}
