//! The wizards that come with it: each beats for a real cell, on the way that its language has.

use crate::support::PATIENCE;
use crate::support::host::{Host, Run, run};
use crate::support::service::{command, start};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// A file of `config/wizard`.
fn wizard(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wizard").join(name)
}

/// A host with one cell that nobody has beaten for.
async fn cell() -> (Host, PathBuf) {
    let host = Host::on_disk();
    let made = run(host.command("lazarus-pit").args(["--init-cell", ID])).await;
    assert_eq!(made.code, 0, "{made:?}");
    let cell = host.root().join(ID);
    (host, cell)
}

/// A program as a wizard runs it: `lazarus-pit` is in the path.
fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut path = Path::new(env!("CARGO_BIN_EXE_lazarus-pit")).parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(name);
    command.env_clear().env("PATH", path);
    command
}

/// It went well, the cell is healthy, and the last word stands in it.
async fn check(host: &Host, cell: &Path, ended: Run) {
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
    let report = run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
    let seen = &report["cells"][0];
    assert_eq!([&seen["health"], &seen["reason"], &seen["agent_state"]], ["healthy", "completed", "done"]);
    let age = seen["heartbeat_age_seconds"].as_u64().unwrap();
    assert!(age <= PATIENCE.as_secs(), "it knows the time: {age}");
    let posted: Value = serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap();
    assert_eq!((&posted["state"], &posted["message"]), (&json!("done"), &json!("she walks")));
    let left: Vec<_> = std::fs::read_dir(cell.join("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["heartbeat.json"], "nothing is left beside it");
}

#[tokio::test]
async fn the_shell_wizard_sends_heartbeats_by_the_command() {
    let (host, cell) = cell().await;
    let ended = run(program("sh").arg(wizard("beat.sh")).current_dir(cell.join("worktree"))).await;
    check(&host, &cell, ended).await;
    let posted: Value = serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap();
    assert_eq!(posted["sequence"], 3, "once for each step, and a last word");
}

#[tokio::test]
async fn the_python_wizard_sends_heartbeats_over_http() {
    if program("python3").arg("-V").output().is_err() {
        eprintln!("skipped: the_python_wizard_sends_heartbeats_over_http (there is no python3)");
        return;
    }
    let (host, cell) = cell().await;
    let service = start(command(&host, None, json!({}))).await;
    let ended = run(program("python3").arg(wizard("beat.py")).arg(&service.doors).env("MISSION_CELL", &cell)).await;
    check(&host, &cell, ended).await;
    std::fs::write(cell.join("config/heartbeat.token"), "of another cell").unwrap();
    let lost = run(program("python3").arg(wizard("beat.py")).arg(&service.doors).env("MISSION_CELL", &cell)).await;
    let reported = "no heartbeat: HTTP Error 404: Not Found\n".repeat(3);
    assert_eq!((lost.code, lost.stderr), (0, reported), "a heartbeat that is lost ends nothing");
    assert_eq!(service.end(Signal::TERM).await.0.code(), Some(0));
}

#[tokio::test]
async fn the_rust_wizard_writes_whole_heartbeat_files() {
    let (host, cell) = cell().await;
    let built = host.path().join("beat");
    let beside = std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    let rustc = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("rustc"));
    let mut compiler = Command::new(rustc);
    compiler.args(["--edition", "2021", "-D", "warnings", "-o"]).arg(&built).arg(wizard("beat.rs"));
    let making = run(&mut compiler).await;
    assert_eq!((making.code, making.stderr.as_str()), (0, ""), "{making:?}");
    let ended = run(program(&built).env("MISSION_CELL", &cell)).await;
    check(&host, &cell, ended).await;
    let nowhere = run(&mut program(&built)).await;
    assert!(nowhere.code == 1 && nowhere.stderr.contains("MISSION_CELL is not set"), "{nowhere:?}");
}
