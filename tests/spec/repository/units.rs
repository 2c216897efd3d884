//! The files for systemd: they name what there is, grant what is needed, and systemd's own tools find nothing wrong.

use clap::Parser;
use lazarus::cli::arguments::Reconcile;
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DAEMON: &str = include_str!("../../../config/systemd/lazarus-reconcile.service");
const ONCE: &str = include_str!("../../../config/systemd/lazarus-reconcile-once.service");
const TIMER: &str = include_str!("../../../config/systemd/lazarus-reconcile-once.timer");
const DROP_IN: &str = include_str!("../../../config/systemd/only-the-forge.conf");
const USERS: &str = include_str!("../../../config/sysusers.d/lazarus.conf");
const DIRECTORIES: &str = include_str!("../../../config/tmpfiles.d/lazarus.conf");
const EXAMPLE: &str = include_str!("../../../config/lazarus_pit.json");

/// The units' exposure that is still well, in tenths.
const EXPOSURE_MAX: &str = "20";

/// All values of a key, in their order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

/// The line of a sysusers.d or tmpfiles.d file that begins so, word by word.
fn entry<'a>(file: &'a str, kind: &str, name: &str) -> Vec<&'a str> {
    let words = file.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = words.filter(|words| words.starts_with(&[kind, name]));
    found.next().unwrap_or_else(|| panic!("no `{kind} {name}` in\n{file}"))
}

fn config(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

/// What a tool of systemd says; none, and a word of it, where it is not installed or wants to be asked by root.
fn ask(test: &str, command: &mut Command) -> Option<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.env_remove("JOURNAL_STREAM").output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: {test} (`{program}`: {error})");
            None
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn systemd_units_start_existing_commands() {
    for (unit, is_once) in [(DAEMON, false), (ONCE, true)] {
        let [start] = values(unit, "ExecStart")[..] else { panic!("one command") };
        let words = start.strip_prefix("/usr/local/bin/").unwrap().split(' ');
        let parsed = Reconcile::try_parse_from(words).unwrap();
        assert!(parsed.command.is_none() && parsed.pass.once == is_once, "{start}");
        let settings =
            concat!(include_str!("../../../src/config/mod.rs"), include_str!("../../../src/config/layers.rs"));
        for variable in values(unit, "Environment") {
            let (name, _) = variable.split_once('=').unwrap();
            assert!(settings.contains(&format!("\"{name}\"")), "{name}");
        }
    }
    assert_eq!(values(TIMER, "WantedBy"), ["timers.target"]);
}

#[test]
fn systemd_units_agree_on_accounts_and_directories() {
    let root = serde_json::from_str::<Value>(EXAMPLE).unwrap()["missions_root"].as_str().unwrap().to_owned();
    for unit in [DAEMON, ONCE] {
        let (user, group) = (values(unit, "User"), values(unit, "SupplementaryGroups"));
        assert_eq!(values(unit, "Group"), user);
        entry(USERS, "u", user[0]);
        entry(USERS, "g", group[0]);
        assert_eq!(entry(USERS, "m", user[0]), ["m", user[0], group[0]]);
        assert_eq!(entry(DIRECTORIES, "d", &root)[2..5], ["0711", user[0], user[0]], "the service owns the root");
        assert_eq!(values(unit, "RequiresMountsFor"), [root.as_str()]);
        assert_eq!(values(unit, "ReadWritePaths"), [format!("-{root}")], "its absence is ours to tell");
        let token = values(unit, "LoadCredential")[0];
        assert!(values(unit, "Environment").contains(&format!("LAZARUS_GITEA_TOKEN_FILE=%d/{token}").as_str()));
    }
    entry(DIRECTORIES, "d", "/etc/lazarus");
    entry(DIRECTORIES, "d", "/etc/credstore");
    assert!(values(DAEMON, "Environment").contains(&"LAZARUS_HEARTBEAT_DIRECTORY=%t/lazarus"));
    assert_eq!(values(DAEMON, "RuntimeDirectory"), ["lazarus"]);
    let reported = include_str!("../../../docs/install.md");
    for path in
        ["/run/lazarus/lazarus-reconcile.last", "/run/credentials/lazarus-reconcile.service/lazarus.webhook-secret"]
    {
        assert!(reported.contains(path), "{path}");
    }
}

#[test]
fn systemd_restarts_the_daemon_after_any_exit_and_no_other_unit() {
    for (key, value) in [
        ("Type", "notify"),
        ("Restart", "always"),
        ("RestartSec", "15"),
        ("StartLimitIntervalSec", "0"),
        ("TimeoutStopSec", "10"),
        ("WatchdogSec", "10min"),
    ] {
        assert_eq!(values(DAEMON, key), [value], "{key}");
    }
    assert_eq!(values(ONCE, "Type"), ["oneshot"]);
    assert!(values(ONCE, "Restart").is_empty(), "the timer tries again");
}

#[test]
fn both_units_share_one_hardening_and_keep_what_they_need() {
    let hardening = |unit: &'static str| {
        let from = unit.find("# What it may touch.").unwrap();
        unit[from..].split("\n[Install]").next().unwrap().trim()
    };
    assert_eq!(hardening(DAEMON), hardening(ONCE));
    for unit in [DAEMON, ONCE] {
        // It would take `openat2` away, and forbid the mode 2770.
        assert!(!unit.contains("RestrictSUIDSGID"));
        // It would hide the wizards' group, so that cells could not be handed to it.
        assert!(values(unit, "PrivateUsers").is_empty());
        assert_eq!(values(unit, "SystemCallFilter").last(), Some(&"fchown"));
    }
}

#[test]
fn systemd_rates_the_units_as_protected() {
    let test = "systemd_rates_the_units_as_protected";
    let directory = tempfile::tempdir().unwrap();
    for name in ["lazarus-reconcile.service", "lazarus-reconcile-once.service"] {
        let unit = std::fs::read_to_string(config("systemd").join(name)).unwrap();
        let narrowed = format!("{}\n{}", unit.split("\n[Install]").next().unwrap(), DROP_IN);
        for (variant, unit) in [("as it is", unit), ("with the drop-in", narrowed)] {
            let path = directory.path().join(name);
            std::fs::write(&path, unit).unwrap();
            let mut command = Command::new("systemd-analyze");
            command.args(["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE_MAX]).arg(&path);
            let Some(output) = ask(test, &mut command) else { return };
            let reported = text(&output);
            println!("{name} {variant}: {}", reported.lines().last().unwrap_or_default());
            assert!(output.status.success(), "{reported}");
        }
    }
}

#[test]
fn systemd_verifies_the_reconcile_units() {
    let test = "systemd_verifies_the_reconcile_units";
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    for (name, unit) in [
        ("lazarus-reconcile.service", DAEMON),
        ("lazarus-reconcile-once.service", ONCE),
        ("lazarus-reconcile-once.timer", TIMER),
    ] {
        let built = env!("CARGO_BIN_EXE_lazarus-reconcile");
        let path = directory.path().join(name);
        std::fs::write(&path, unit.replace("/usr/local/bin/lazarus-reconcile", built)).unwrap();
        command.arg(path);
    }
    let Some(output) = ask(test, &mut command) else { return };
    assert_eq!((output.status.success(), text(&output).as_str()), (true, ""));
}

#[test]
fn systemd_creates_the_users_and_the_directories() {
    let test = "systemd_creates_the_users_and_the_directories";
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {test} (only root can make users)");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    for (tool, file) in
        [("systemd-sysusers", "sysusers.d/lazarus.conf"), ("systemd-tmpfiles", "tmpfiles.d/lazarus.conf")]
    {
        let mut command = Command::new(tool);
        command.arg(format!("--root={}", root.path().display()));
        if tool == "systemd-tmpfiles" {
            command.arg("--create");
        }
        let Some(output) = ask(test, command.arg(config(file))) else { return };
        assert!(output.status.success(), "{tool}: {}", text(&output));
    }
    let read = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
    let users = read("etc/passwd");
    let user = users.lines().find(|line| line.starts_with("lazarus:")).unwrap();
    assert!(user.ends_with("nologin"), "{user}");
    let groups = read("etc/group");
    assert!(groups.lines().any(|line| line.starts_with("lazarus-agents:") && line.ends_with(":lazarus")), "{groups}");
    let missions = root.path().join("var/missions").metadata().unwrap();
    let uid: u32 = user.split(':').nth(2).unwrap().parse().unwrap();
    assert_eq!((missions.uid(), missions.permissions().mode() & 0o7777), (uid, 0o711));
}
