//! The commands that need no forge, and the demo that brings its own.

use crate::support::golden;
use crate::support::host::{Host, Run, run};
use clap::{CommandFactory, Parser};
use lazarus::cli::arguments::{Pit, Reconcile};
use serde_json::{Value, json};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How many lines and columns a screen has.
const SCREEN: (usize, usize) = (48, 100);

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

async fn pit(host: &Host, arguments: &[&str]) -> Run {
    run(host.command("lazarus-pit").args(arguments)).await
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut entries: Vec<String> = entries.collect();
    entries.sort_unstable();
    entries
}

#[tokio::test]
async fn the_demo_prints_its_scenario_and_leaves_nothing_behind() {
    let host = Host::on_disk();
    let reported = run(host.command("lazarus-reconcile").env("TMPDIR", host.path()).arg("demo")).await;
    assert_eq!((reported.code, reported.stderr.as_str()), (0, ""), "{reported:?}");
    for line in [
        "#2 Mission: rewrite the spellbook\n   [kind/mission-proposal] [mission/invalid]",
        "Not started: 2 answers need correcting. No cell was created.",
        "#3 Mission: guard the gate\n   [health/healthy] [kind/mission-proposal] [mission/active]",
        "Active, but stale: no recent heartbeat. Last heartbeat ",
        "Recreated at ",
        "Active and healthy: the agent has finished.",
        "     state/\n       heartbeat.json (",
        "changed 0; 5 requests read, 0 wrote;",
    ] {
        assert!(reported.stdout.contains(line), "{line} is not in\n{}", reported.stdout);
    }
    assert_eq!(entries(host.path()), ["missions"]);
    let kept = run(host.command("lazarus-reconcile").env("TMPDIR", host.path()).args(["demo", "--keep"])).await;
    let directory = kept.stdout.lines().last().unwrap().strip_prefix("Kept: ").unwrap();
    let nowhere = run(host.command("lazarus-reconcile").env("TMPDIR", "/proc/none").arg("demo")).await;
    assert!(nowhere.code == 1 && nowhere.stderr.contains("`/proc/none/lazarus-demo-"), "{nowhere:?}");
    assert_eq!((kept.code, entries(&Path::new(directory).join("missions")).len()), (0, 6), "five cells and our own");
}

#[tokio::test]
async fn a_host_without_ca_certificates_learns_what_to_install_for_https() {
    let host = Host::on_disk();
    let bare = |arguments: &[&str]| {
        let mut command = host.command("lazarus-reconcile");
        command.envs([("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/proc/none"), ("LAZARUS_GITEA_TOKEN", "t")]);
        command.args(arguments);
        command
    };
    let reported = run(bare(&["demo"]).env("TMPDIR", host.path())).await;
    assert_eq!((reported.code, reported.stderr.as_str()), (0, ""), "{reported:?}");
    let refused = run(&mut bare(&["--once", "--gitea-url", "https://git.example.com", "--repo", "o/r"])).await;
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("install `ca-certificates` or set `forge.ca_file`"), "{refused:?}");
}

#[tokio::test]
async fn init_cell_creates_and_repairs_a_cell_without_a_forge() {
    let host = Host::on_disk();
    let made = pit(&host, &["--init-cell", ID, "--json"]).await;
    let path = host.root().join(ID);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(
        made.json(),
        json!({ "schema_version": 1, "mission_id": ID, "path": path, "created": true, "restored": [] })
    );
    assert_eq!(entries(&path), ["artifacts", "config", "logs", "meta", "state", "worktree"]);
    let mission: Value = serde_json::from_slice(&std::fs::read(path.join("meta/mission.json")).unwrap()).unwrap();
    assert_eq!(
        (&mission["mission_id"], &mission["status"], &mission["issue"]),
        (&json!(ID), &json!("active"), &Value::Null)
    );
    std::fs::remove_dir_all(path.join("logs")).unwrap();
    std::fs::write(path.join("config/cell.json"), "mine").unwrap();
    let again = pit(&host, &["--init-cell", &ID.to_uppercase(), "--json"]).await;
    assert_eq!(again.json()["restored"], json!(["logs/", "logs/daemon.log"]));
    assert_eq!(std::fs::read_to_string(path.join("config/cell.json")).unwrap(), "mine", "never overwritten");
    std::fs::write(host.root().join("123e4567-e89b-12d3-a456-426614174001"), "").unwrap();
    let blocked = pit(&host, &["--init-cell", "123e4567-e89b-12d3-a456-426614174001"]).await;
    assert!(blocked.code == 2 && blocked.stderr.contains("a file is in its place"), "{blocked:?}");
    std::fs::remove_dir(path.join("worktree")).unwrap();
    std::fs::write(path.join("worktree"), "").unwrap();
    let taken = pit(&host, &["--init-cell", ID]).await;
    assert!(taken.code == 2 && taken.stderr.contains("a file is in the place of `worktree/`"), "{taken:?}");
    let in_job = Host::on_disk();
    let job = run(in_job.command("lazarus-pit").env("GITEA_ACTIONS", "true").args(["--init-cell", ID])).await;
    assert!(job.code == 2 && job.stderr.contains("a job does not initialize it"), "{job:?}");
    assert_eq!(entries(&in_job.root()), [""; 0]);
    let no_id = pit(&host, &["--init-cell", "../../etc"]).await;
    assert!(no_id.code == 2 && no_id.stderr.contains("is not a UUID such as"), "{no_id:?}");
}

#[tokio::test]
async fn the_beat_command_finds_its_cell_and_reports_its_problems() {
    let host = Host::on_disk();
    pit(&host, &["--init-cell", ID]).await;
    let cell = host.root().join(ID);
    let heartbeat =
        || -> Value { serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap() };
    std::fs::create_dir_all(cell.join("worktree/deep/inside")).unwrap();
    let upwards = run(host.command("lazarus-pit").current_dir(cell.join("worktree/deep/inside")).arg("beat")).await;
    assert_eq!((upwards.code, &heartbeat()["sequence"], &heartbeat()["state"]), (0, &json!(1), &json!("working")));
    let named = run(host.command("lazarus-pit").env("MISSION_CELL", &cell).args(["beat", "--state", "failed"])).await;
    assert_eq!((named.code, &heartbeat()["sequence"], &heartbeat()["state"]), (0, &json!(2), &json!("failed")));
    let empty = run(host.command("lazarus-pit").current_dir(&cell).env("MISSION_CELL", "").arg("beat")).await;
    assert_eq!((empty.code, &heartbeat()["sequence"]), (0, &json!(3)), "an empty variable names nothing: {empty:?}");
    for (session, sequence) in [("one", 1), ("one", 2), ("two", 1)] {
        host.beat(&cell, &["--session", session]).await;
        assert_eq!((&heartbeat()["session"], &heartbeat()["sequence"]), (&json!(session), &json!(sequence)));
    }
    host.beat(&cell, &["--message", "so \u{202e}far"]).await;
    assert_eq!((&heartbeat()["session"], &heartbeat()["sequence"]), (&json!("two"), &json!(2)), "whatever there is");
    assert_eq!(heartbeat()["message"], "so far", "nothing invisible");
    let nowhere = pit(&host, &["beat"]).await;
    assert!(nowhere.code == 2 && nowhere.stderr.contains("name one with `--cell DIR` or MISSION_CELL"), "{nowhere:?}");
    let no_cell = pit(&host, &["beat", "--cell", "missions"]).await;
    assert!(no_cell.code == 2 && no_cell.stderr.contains("is not a Mission Cell"), "{no_cell:?}");
    let mut stranger = host.unprivileged(host.command("lazarus-pit").arg("beat").arg("--cell").arg(&cell));
    std::fs::set_permissions(&cell, std::fs::Permissions::from_mode(0o000)).unwrap();
    let kept_out = run(&mut stranger).await;
    assert!(kept_out.code == 2 && kept_out.stderr.contains("Permission denied"), "{kept_out:?}");
    std::fs::set_permissions(&cell, std::fs::Permissions::from_mode(0o750)).unwrap();
    std::fs::remove_dir_all(cell.join("state")).unwrap();
    let lost = pit(&host, &["beat", "--cell", &cell.display().to_string()]).await;
    assert!(lost.code == 1 && lost.stderr.contains("state/heartbeat.json"), "{lost:?}");
}

#[tokio::test]
async fn init_creates_a_root_once_and_can_replace_a_lost_one() {
    let host = Host::new();
    std::fs::remove_dir(host.root()).unwrap();
    let init = |arguments: &'static [&'static str]| {
        let mut command = host.command("lazarus-reconcile");
        command.arg("init").args(arguments);
        async move { run(&mut command).await }
    };
    let made = init(&[]).await;
    assert!(made.code == 0 && made.stdout.contains("is initialized: root "), "{made:?}");
    let again = init(&[]).await;
    assert!(again.code == 0 && again.stdout.contains("is already initialized: root "), "{again:?}");
    let id = |run: &Run| run.stdout.split("root ").last().unwrap().trim().to_owned();
    assert_eq!(id(&made), id(&again));
    let replaced = init(&["--replace", ID]).await;
    assert!(replaced.code == 0 && replaced.stdout.contains(&format!("replaces {ID}")), "{replaced:?}");
    let file: Value = serde_json::from_slice(&std::fs::read(host.root().join(".lazarus/root.json")).unwrap()).unwrap();
    assert_eq!((&file["root_id"], &file["replaced"]), (&json!(id(&made)), &json!([ID])));
}

/// A command and all below it, by what people type.
fn commands(name: &str, command: &clap::Command) -> Vec<String> {
    let below = command.get_subcommands().flat_map(|below| commands(&format!("{name} {}", below.get_name()), below));
    std::iter::once(name.to_owned()).chain(below).collect()
}

#[tokio::test]
async fn the_help_of_every_command_fits_a_screen_and_starts_with_an_example() {
    let host = Host::new();
    let mut text = String::new();
    let of_reconcile = commands("lazarus-reconcile", &Reconcile::command());
    for name in of_reconcile.into_iter().chain(commands("lazarus-pit", &Pit::command())) {
        let mut words = name.split(' ');
        let program = words.next().unwrap();
        let arguments: Vec<&str> = words.collect();
        let long = run(host.command(program).args(&arguments).arg("--help")).await;
        let short = run(host.command(program).args(&arguments).arg("-h")).await;
        assert_eq!((long.code, long.stderr.as_str(), &long.stdout), (0, "", &short.stdout), "{name}");
        let lines: Vec<&str> = long.stdout.lines().collect();
        assert!(lines.len() <= SCREEN.0 && lines.iter().all(|line| line.len() <= SCREEN.1), "{name}: {}", lines.len());
        let example = long.stdout.split("\n\n").next().unwrap().replace('\n', " ");
        let example = example.strip_prefix("Example: ").unwrap_or_else(|| panic!("{name} has no example"));
        assert!(format!("{example} ").starts_with(&format!("{program} ")), "{name}: {example}");
        let words = example.split(' ');
        let parsed = match program {
            "lazarus-pit" => Pit::try_parse_from(words).map(drop),
            _ => Reconcile::try_parse_from(words).map(drop),
        };
        parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
        writeln!(text, "=== {name} --help\n{}", long.stdout).unwrap();
    }
    golden::check("help.txt", &text);
}

#[tokio::test]
async fn a_misspelt_command_or_flag_gets_a_suggestion() {
    let host = Host::new();
    for (program, arguments, meant) in [
        ("lazarus-reconcile", &["doktor"][..], "'doctor'"),
        ("lazarus-reconcile", &["--onec"], "'--once'"),
        ("lazarus-reconcile", &["scan", "--health", "stael"], "'stale'"),
        ("lazarus-pit", &["bead"], "'beat'"),
    ] {
        let reported = run(host.command(program).args(arguments)).await;
        assert!(
            reported.code == 2 && reported.stderr.contains("tip: ") && reported.stderr.contains(meant),
            "{reported:?}"
        );
    }
}
