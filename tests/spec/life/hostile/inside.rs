//! Cells that their own wizards turn against us, through a whole life: what they lead to is neither read nor touched.

use crate::life::hostile::canary::{Canary, SONG};
use crate::life::hostile::trace::traced;
use crate::life::hostile::traps::{Shape, Trap, traps};
use crate::support::forge::Forge;
use crate::support::host::{Host, Run, changes, run};
use crate::support::missions::body;
use crate::support::repository::Repository;
use lazarus::mission::status::marker::Marker;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One host with a mission for each trap.
struct Scene {
    repository: Repository,
    host: Host,
    canary: Canary,
    traps: BTreeMap<i64, Trap>,
}

/// What a cell is worth in which a trap was set, until a person looks at it.
fn verdict(trap: &Trap) -> &'static str {
    match trap {
        Trap::Written(..)
        | Trap::GitLink
        | Trap::Beside(_)
        | Trap::Part("config/heartbeat.token", _)
        // Whatever is in it, it is a log.
        | Trap::Part("logs/daemon.log", Shape::Huge | Shape::Garbage | Shape::Deep) => "uninitialized",
        Trap::Part(..) | Trap::Cell(_) => "incomplete",
    }
}

impl Scene {
    async fn new(forge: Forge) -> Self {
        let (repository, host) = (forge.repository().await, Host::new());
        let canary = Canary::beside(&host);
        let settings = r#"{ "close": { "grace_seconds": 0 } }"#;
        std::fs::write(host.path().join("settings.json"), settings).unwrap();
        Self { repository, host, canary, traps: BTreeMap::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.host.reconciler(&self.repository);
        command.args(arguments).args(["--config", "settings.json"]);
        command
    }

    /// Runs a command, and looks at what it did, said and left.
    async fn run(&mut self, arguments: &[&str]) -> Run {
        let (run, trace) = traced(&self.host, "passes over hostile cells", &self.command(arguments)).await;
        if let Some(trace) = trace {
            trace.check(&self.host, self.repository.forge.token("bot"), &self.canary);
            assert_eq!(trace.programs(), [""; 0], "{arguments:?}");
        }
        self.canary.check();
        assert!(!run.stdout.contains(SONG) && !run.stderr.contains(SONG), "{run:?}");
        self.check_unread();
        run
    }

    /// The same for one pass, and for the comments.
    async fn pass(&mut self) {
        let run = self.run(&["--once", "--json"]).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
        for number in self.traps.keys() {
            let comment = self.repository.comment(*number).await;
            assert!(!comment.contains(SONG), "{comment}");
        }
    }

    /// One pass that has nothing to do.
    async fn check_quiet(&self) {
        let quiet = run(&mut self.command(&["--once", "--json"])).await;
        assert_eq!((quiet.code, changes(&quiet.json())), (0, 0), "{quiet:?}");
    }

    /// No file below the root holds what the canary sings, but for the canary's own by another name.
    fn check_unread(&self) {
        let mut left = vec![self.host.root()];
        while let Some(path) = left.pop() {
            let status = std::fs::symlink_metadata(&path).unwrap();
            if status.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if status.is_file() && status.nlink() == 1 && status.len() < 1 << 20 {
                let text = std::fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&text).contains(SONG), "{}", path.display());
            }
        }
    }

    async fn file(&mut self) {
        for trap in traps() {
            let path = format!("{}/issues", self.repository.path());
            let issue = json!({ "title": "Mission: raise the dead", "body": body(&[]) });
            let (status, issue) = self.repository.forge.call("reader", Method::POST, &path, issue).await;
            assert_eq!(status, 201);
            self.traps.insert(issue["number"].as_i64().unwrap(), trap);
        }
    }

    /// Sets each in a cell that is whole; the cells.
    async fn set_traps(&self) -> BTreeMap<i64, PathBuf> {
        let mut cells = BTreeMap::new();
        for (number, trap) in &self.traps {
            let cell = self.cell(*number).await;
            trap.set(&cell, self.canary.path());
            cells.insert(*number, cell);
        }
        cells
    }

    /// Asks all missions for something, as their author.
    async fn ask(&self, change: impl Fn(&Trap) -> serde_json::Value) {
        for (number, trap) in &self.traps {
            let path = self.repository.issue_path(*number);
            let (status, _) = self.repository.forge.call("reader", Method::PATCH, &path, change(trap)).await;
            assert_eq!(status, 201, "{trap:?}");
        }
    }

    async fn cell(&self, number: i64) -> PathBuf {
        let marker = Marker::parse(&self.repository.comment(number).await).unwrap();
        self.host.root().join(marker.mission.unwrap().to_string())
    }

    async fn health(&self, number: i64) -> Vec<String> {
        let labels = self.repository.labels(number).await;
        labels.iter().filter_map(|label| label.strip_prefix("health/").map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn hostile_contents_of_cells_cause_no_access_outside_them() {
    let mut scene = Scene::new(Forge::sandbox().await).await;
    scene.file().await;
    assert_eq!(run(&mut scene.command(&["--once"])).await.code, 0);
    let cells = scene.set_traps().await;
    assert!(cells.len() >= 140, "{}", cells.len());
    scene.pass().await;
    for (number, trap) in &scene.traps {
        assert_eq!(scene.health(*number).await, [verdict(trap)], "{trap:?}");
    }
    scene.check_quiet().await;
    scene.run(&["scan"]).await;
    edited(&mut scene, &cells).await;
    repaired(&mut scene, &cells).await;
    with_heartbeat(&scene, &cells).await;
    ended(&mut scene, &cells).await;
}

/// Our own files are written anew where they are ours. That something is in a worktree's way is seen before git is run.
async fn edited(scene: &mut Scene, cells: &BTreeMap<i64, PathBuf>) {
    let own = scene.repository.name.clone();
    let asked = |trap: &Trap| {
        let wants = matches!(trap, Trap::Part("worktree", _) | Trap::Written(..) | Trap::GitLink | Trap::Cell(_));
        let repository = if wants { own.as_str() } else { "_No response_" };
        json!({ "body": body(&[("Wizard", "circe"), ("Repository", repository)]) })
    };
    scene.ask(asked).await;
    scene.pass().await;
    for (number, cell) in cells {
        let trap = &scene.traps[number];
        let is_ours = !matches!(trap, Trap::Cell(_) | Trap::Part("meta" | "meta/mission.json", _));
        assert_eq!(is_ours, has_papers(cell, "circe"), "{trap:?}");
    }
    scene.check_quiet().await;
}

/// Whether the cell's own manifest, and no others, hold this.
fn has_papers(cell: &Path, text: &str) -> bool {
    let path = cell.join("meta/mission.json");
    let is_own = [cell, &cell.join("meta"), &path].into_iter().all(|path| !path.is_symlink()) && path.is_file();
    let is_small = is_own && path.metadata().unwrap().len() < 1 << 20;
    is_small && String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(text)
}

/// What is missing is made again beside what is hostile.
async fn repaired(scene: &mut Scene, cells: &BTreeMap<i64, PathBuf>) {
    let mut missing = Vec::new();
    for (number, cell) in cells {
        for part in ["config/heartbeat.token", "logs/daemon.log", "artifacts"] {
            let is_hostile = matches!(&scene.traps[number], Trap::Part(trapped, _) if part.starts_with(trapped));
            if is_hostile || matches!(scene.traps[number], Trap::Cell(_) | Trap::Beside("artifacts/out")) {
                continue;
            }
            let path = cell.join(part);
            if path.is_dir() {
                std::fs::remove_dir(&path).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            missing.push(path);
        }
    }
    scene.pass().await;
    let still: Vec<_> = missing.iter().filter(|path| !path.exists()).collect();
    assert!(still.is_empty() && missing.len() > 300, "{still:?} of {}", missing.len());
}

/// Also a wizard's own beat writes nowhere but in its cell.
async fn with_heartbeat(scene: &Scene, cells: &BTreeMap<i64, PathBuf>) {
    for (number, cell) in cells {
        if matches!(&scene.traps[number], Trap::Part(part, _) if part.starts_with("state")) {
            let mut beat = scene.host.command("lazarus-pit");
            let run = run(beat.arg("beat").arg("--cell").arg(cell)).await;
            assert!(!run.stderr.contains(SONG), "{run:?}");
        }
    }
    scene.canary.check();
}

/// They go to the archive, come back and are deleted, each as one thing.
async fn ended(scene: &mut Scene, cells: &BTreeMap<i64, PathBuf>) {
    let no_cells = scene.traps.values().filter(|trap| matches!(trap, Trap::Cell(_))).count();
    let count = |scene: &Scene| (scene.host.cells().len(), scene.host.archives().len());
    let (all, whole) = (cells.len(), cells.len() - no_cells);
    scene.ask(|_| json!({ "state": "closed" })).await;
    scene.pass().await;
    assert_eq!(count(scene), (all, 0), "so many at once wait for a second pass");
    scene.pass().await;
    assert_eq!(count(scene), (no_cells, whole));
    scene.ask(|_| json!({ "state": "open" })).await;
    scene.pass().await;
    assert_eq!(count(scene), (all, 0));
    scene.ask(|_| json!({ "state": "closed" })).await;
    for _ in 0..2 {
        assert_eq!(run(&mut scene.command(&["--once"])).await.code, 0);
    }
    let deleted = scene.run(&["gc", "--older-than", "0s", "--yes"]).await;
    assert_eq!((deleted.code, count(scene)), (0, (no_cells, 0)), "{deleted:?}");
}
