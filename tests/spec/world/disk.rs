//! What happens to a cell on the disk, and what the issue then says.

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run, writes};
use crate::support::repository::Repository;
use crate::support::stories;
use rustix::fs::{FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

stories![
    heartbeats_make_a_mission_healthy_and_their_absence_stale,
    a_lost_part_is_recreated_and_reported,
    an_unusable_heartbeat_file_is_reported_and_never_blocks,
    files_of_an_agent_are_never_touched,
];

/// A repository with one mission whose cell was just made.
struct Mission {
    repository: Repository,
    host: Host,
    number: i64,
    cell: PathBuf,
}

impl Mission {
    async fn new(forge: &Forge) -> Self {
        let (repository, host) = (forge.repository().await, Host::on_disk());
        let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "merlin")]).await;
        host.once(&repository).await;
        let cell = host.cell();
        Self { repository, host, number, cell }
    }

    fn heartbeat(&self) -> PathBuf {
        self.cell.join("state/heartbeat.json")
    }

    /// A pass; its writes, and the health and reason it found.
    async fn pass(&self) -> (u64, String) {
        let report = self.host.once(&self.repository).await;
        let mission = &report["missions"][0];
        let text = |key: &str| mission[key].as_str().unwrap().to_owned();
        let (health, reason) = (text("health"), text("reason"));
        let labels = self.repository.labels(self.number).await;
        let (words, labels): (Vec<_>, Vec<_>) = labels.into_iter().partition(|label| label.starts_with("wizard/"));
        let label = format!("health/{health}");
        assert_eq!(labels, [label.as_str(), "kind/mission-proposal", "mission/active"]);
        assert!(words.len() <= 1, "a wizard says one thing: {words:?}");
        assert_eq!(changes(&self.host.once(&self.repository).await), 0, "one pass settles");
        (writes(&report), format!("{health} ({reason})"))
    }

    fn write_heartbeat(&self, timestamp: &str, state: &str) {
        let beat = json!({ "timestamp": timestamp, "state": state });
        std::fs::write(self.heartbeat(), beat.to_string()).unwrap();
    }
}

fn found(writes: u64, verdict: &str) -> (u64, String) {
    (writes, verdict.to_owned())
}

async fn heartbeats_make_a_mission_healthy_and_their_absence_stale(forge: Forge) {
    let mission = Mission::new(&forge).await;
    mission.host.beat(&mission.cell, &[]).await;
    assert_eq!(mission.pass().await, found(2, "healthy (heartbeat-ok)"));
    mission.host.beat(&mission.cell, &["--message", "still here"]).await;
    assert_eq!(mission.pass().await, found(0, "healthy (heartbeat-ok)"), "another beat is no news");
    mission.write_heartbeat("2026-01-01T12:00:00Z", "working");
    assert_eq!(mission.pass().await, found(2, "stale (heartbeat-timeout)"));
    let comment = mission.repository.comment(mission.number).await;
    assert!(comment.contains("no recent heartbeat.** Last heartbeat 2026-01-01 12:00:00 UTC; stale after 5 minutes."));
    mission.host.beat(&mission.cell, &["--state", "done"]).await;
    assert_eq!(mission.pass().await, found(2, "healthy (completed)"));
    mission.write_heartbeat("2026-01-01T12:00:00Z", "done");
    assert_eq!(mission.pass().await, found(0, "healthy (completed)"), "what has finished never goes stale");
    mission.write_heartbeat("2199-01-01T12:00:00Z", "working");
    assert_eq!(mission.pass().await, found(2, "stale (clock-skew)"));
}

async fn a_lost_part_is_recreated_and_reported(forge: Forge) {
    let mission = Mission::new(&forge).await;
    mission.host.beat(&mission.cell, &[]).await;
    mission.pass().await;
    std::fs::remove_dir_all(mission.cell.join("logs")).unwrap();
    assert_eq!(mission.pass().await, found(1, "healthy (heartbeat-ok)"));
    assert!(mission.cell.join("logs/daemon.log").is_file());
    let comment = mission.repository.comment(mission.number).await;
    assert!(comment.contains("Recreated at ") && comment.contains("`logs/`"), "{comment}");
    std::fs::remove_file(mission.cell.join("config/heartbeat.token")).unwrap();
    assert_eq!(mission.pass().await, found(0, "healthy (heartbeat-ok)"));
    assert!(mission.cell.join("config/heartbeat.token").is_file());
    std::fs::remove_dir_all(&mission.cell).unwrap();
    assert_eq!(mission.pass().await, found(2, "stale (heartbeat-timeout)"), "a null beat after a known one is silence");
    assert!(mission.repository.comment(mission.number).await.contains("the whole cell"));
    mission.host.beat(&mission.cell, &[]).await;
    assert_eq!(mission.pass().await, found(2, "healthy (heartbeat-ok)"));
}

#[tokio::test]
async fn init_cell_does_not_recreate_a_lost_heartbeat_file() {
    let mission = Mission::new(&Forge::sandbox().await).await;
    mission.host.beat(&mission.cell, &[]).await;
    mission.pass().await;
    std::fs::remove_file(mission.heartbeat()).unwrap();
    std::fs::remove_dir_all(mission.cell.join("artifacts")).unwrap();
    let id = mission.cell.file_name().unwrap();
    let made = run(mission.host.command("lazarus-pit").arg("--init-cell").arg(id)).await;
    assert!(made.code == 0 && made.stdout.contains("recreated: artifacts/"), "{made:?}");
    assert!(!mission.heartbeat().exists());
}

async fn an_unusable_heartbeat_file_is_reported_and_never_blocks(forge: Forge) {
    let mission = Mission::new(&forge).await;
    mission.host.beat(&mission.cell, &[]).await;
    mission.pass().await;
    let path = mission.heartbeat();
    let hidden = mission.host.path().join("elsewhere.json");
    std::fs::write(&hidden, std::fs::read(&path).unwrap()).unwrap();
    let garbage = |bytes: &'static [u8]| move |path: &Path| std::fs::write(path, bytes).unwrap();
    let spoil: [(&str, Spoil); 12] = [
        ("missing", Box::new(|_| {})),
        ("unreadable", Box::new(garbage(b"not json"))),
        ("unreadable", Box::new(garbage(b"\xff\x00\xfe"))),
        ("unreadable", Box::new(garbage(b"[1, 2, 3]"))),
        ("unreadable", Box::new(garbage(br#"{"state":"working"}"#))),
        ("unreadable", Box::new(garbage(br#"{"timestamp":"2026-11-24T10:00:00","state":"working"}"#))),
        ("unreadable", Box::new(|path| std::fs::write(path, vec![b' '; 10_000_000]).unwrap())),
        ("wrong-type", Box::new(|path| std::fs::create_dir(path).unwrap())),
        ("wrong-type", Box::new(fifo)),
        ("wrong-type", Box::new(|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()))),
        ("wrong-type", Box::new(|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap())),
        ("wrong-type", Box::new(move |path| std::fs::hard_link(&hidden, path).unwrap())),
    ];
    let mut cost = 0;
    for (at, (reason, spoil)) in spoil.iter().enumerate() {
        if path.is_dir() {
            std::fs::remove_dir(&path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap_or_default();
        }
        spoil(&path);
        let (written, verdict) = mission.pass().await;
        cost += written;
        assert_eq!(verdict, format!("incomplete ({reason} state/heartbeat.json)"), "number {at}");
    }
    assert_eq!(cost, 1 + 5, "one label write, and with the first beat six edits: an hour has no more");
    std::fs::remove_file(&path).unwrap();
    mission.host.beat(&mission.cell, &[]).await;
    let report = mission.host.once(&mission.repository).await;
    assert_eq!((writes(&report), &report["missions"][0]["health"]), (0, &json!("healthy")), "seen, but not told yet");
    assert!(mission.repository.labels(mission.number).await.contains(&"health/incomplete".to_owned()));
}

/// Puts something into the heartbeat's place.
type Spoil = Box<dyn Fn(&Path)>;

fn fifo(path: &Path) {
    mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

async fn files_of_an_agent_are_never_touched(forge: Forge) {
    let mission = Mission::new(&forge).await;
    let mine = [
        ("artifacts/report.md", "done"),
        ("worktree/src/main.rs", "fn main() {}"),
        ("logs/wizard.log", "hello"),
        ("state/notes.json", "{}"),
        ("notes.txt", "mine"),
    ];
    std::fs::create_dir_all(mission.cell.join("worktree/src")).unwrap();
    for (path, text) in mine {
        std::fs::write(mission.cell.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("/etc", mission.cell.join("artifacts/link")).unwrap();
    let cell_file = mission.cell.join("config/cell.json");
    let mut wiring: Value = serde_json::from_slice(&std::fs::read(&cell_file).unwrap()).unwrap();
    wiring["theirs"] = json!("kept");
    wiring["stale_after_seconds"] = json!(1);
    std::fs::write(&cell_file, wiring.to_string()).unwrap();
    std::fs::remove_dir_all(mission.cell.join("meta")).unwrap();
    mission.host.beat(&mission.cell, &["--state", "done"]).await;
    mission.pass().await;
    for (path, text) in mine {
        assert_eq!(std::fs::read_to_string(mission.cell.join(path)).unwrap(), text, "{path}");
    }
    assert!(mission.cell.join("artifacts/link").is_symlink() && mission.cell.join("meta/mission.json").is_file());
    let wiring: Value = serde_json::from_slice(&std::fs::read(&cell_file).unwrap()).unwrap();
    assert_eq!((&wiring["theirs"], &wiring["stale_after_seconds"]), (&json!("kept"), &json!(300)));
    let scan = run(mission.host.command("lazarus-reconcile").args(["scan", "--json", "--health", "healthy"])).await;
    assert_eq!(scan.json()["cells"][0]["path"], json!(mission.cell));
}
