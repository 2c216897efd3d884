//! A pass that is killed at any of its file-system calls leaves a cell absent or complete, and one more pass gives the
//! same end as a pass never killed. `strace` kills; where it may not, the test says so and skips itself.

mod alarm;
mod life;

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run, writes};
use crate::support::is_thorough;
use crate::support::repository::Repository;
use lazarus::mission::cell::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tokio::task::JoinSet;

/// Every call by which a pass changes a disk, or makes a change last.
const CALLS: [&str; 9] =
    ["mkdirat", "openat", "write", "fchmod", "fsync", "renameat2", "renameat", "unlinkat", "ftruncate"];

/// Runs under way at once.
const SIDE_BY_SIDE: usize = 4;

/// One call, by its name and its number in its thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    call: String,
    number: usize,
}

#[tokio::test]
async fn a_pass_that_is_killed_at_any_call_leaves_a_cell_absent_or_complete() {
    let scene = Scene::new().await;
    let Some(points) = points(scene.traced(&tracing()), &scene.log()).await else { return };
    let reference = end_of(&Scene::new().await, None).await.1;
    let mut under_way = JoinSet::new();
    let (mut killed, mut absent) = (0, 0);
    let mut count = |(was_killed, was_absent): (bool, bool)| {
        killed += usize::from(was_killed);
        absent += usize::from(was_absent);
    };
    let stride = if is_thorough() { 1 } else { 4 };
    let points: Vec<Point> = points.into_iter().step_by(stride).collect();
    for point in points.clone() {
        let reference = reference.clone();
        under_way.spawn(async move {
            let (fate, end) = end_of(&Scene::new().await, Some(&point)).await;
            assert_eq!(end, reference, "{point:?}");
            fate
        });
        if under_way.len() >= SIDE_BY_SIDE {
            count(under_way.join_next().await.unwrap().unwrap());
        }
    }
    under_way.join_all().await.into_iter().for_each(&mut count);
    let line =
        format!("crash test: {} points, {killed} killed, {absent} of them before the cell was there\n", points.len());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    // A lock that is waited for is asked for more often on a busy machine, so not every point comes again.
    assert!(killed * 10 >= points.len() * 8 && absent > 0 && absent < killed, "{line}");
}

/// A forge with one proposal, and a host with an empty root.
struct Scene {
    repository: Repository,
    host: Host,
    number: i64,
}

impl Scene {
    async fn new() -> Self {
        let forge = Forge::sandbox().await;
        let repository = forge.repository_named("missions").await;
        Host::on_disk().once(&repository).await;
        let number = repository.file("reader", "Mission: survive", &[]).await;
        let host = Host::on_disk();
        // One mission at a time means one thread that writes, in which the calls can be counted.
        std::fs::write(host.path().join("one.json"), r#"{ "limits": { "concurrent_missions": 1 } }"#).unwrap();
        assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
        Self { repository, host, number }
    }

    /// `--once` under `strace`.
    fn traced(&self, options: &[String]) -> Command {
        let mut plain = self.host.reconciler(&self.repository);
        traced(plain.args(["--once", "--config", "one.json"]), &self.log(), options)
    }

    fn log(&self) -> std::path::PathBuf {
        self.host.path().join("strace.log")
    }
}

/// A command under `strace`.
fn traced(plain: &Command, log: &Path, options: &[String]) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o"]).arg(log).args(options).arg(plain.get_program()).args(plain.get_args());
    traced.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // strace itself is looked for by name.
    traced.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(directory) = plain.get_current_dir() {
        traced.current_dir(directory);
    }
    traced
}

fn tracing() -> [String; 2] {
    ["-e".to_owned(), format!("trace={}", CALLS.join(","))]
}

fn killing(Point { call, number }: &Point) -> [String; 4] {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
    ["-e".to_owned(), trace, "-e".to_owned(), inject]
}

/// All points of a command that nothing happens to; none where tracing is not to be had.
async fn points(mut traced: Command, log: &Path) -> Option<Vec<Point>> {
    if Command::new("strace").arg("-V").output().is_err() || run(&mut traced).await.code != 0 {
        std::io::stderr().write_all(b"skipped: a crash test, since strace cannot trace here\n").unwrap();
        return None;
    }
    let log = std::fs::read_to_string(log).unwrap();
    let mut made: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut points = BTreeSet::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        let number = made.entry((thread, call)).or_default();
        *number += 1;
        // Opening what is there changes nothing.
        if call != "openat" || arguments.contains("O_CREAT") {
            points.insert(Point { call: call.to_owned(), number: *number });
        }
    }
    Some(points.into_iter().collect())
}

/// Whether the pass was killed, and whether the cell was absent then; and what there is after one more pass.
async fn end_of(scene: &Scene, point: Option<&Point>) -> ((bool, bool), Vec<String>) {
    let Scene { repository, host, number } = scene;
    let mut fate = (false, false);
    if let Some(point) = point {
        let killed = run(&mut scene.traced(&killing(point))).await;
        fate = (killed.code != 0, host.cells().is_empty());
        for cell in host.cells() {
            check_complete(&cell, Some(point));
        }
    }
    host.once(repository).await;
    check_complete(&host.cell(), point);
    let quiet = host.once(repository).await;
    assert_eq!((changes(&quiet), writes(&quiet)), (0, 0), "{point:?}");
    let staging = host.root().join(".lazarus/staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0, "{point:?}");
    let mut end = repository.labels(*number).await;
    let comment = repository.comment(*number).await;
    end.push(comment.lines().nth(1).unwrap().split(" since ").next().unwrap().to_owned());
    end.push(format!("{} files", host.snapshot().len()));
    (fate, end)
}

fn check_complete(cell: &Path, point: Option<&Point>) {
    for part in Part::ALL {
        let path = cell.join(part.path());
        assert!(path.exists(), "{point:?}: {} is missing", path.display());
        let is_written = path.is_dir() || std::fs::metadata(&path).unwrap().len() > 0;
        assert!(is_written, "{point:?}: {} is empty", path.display());
    }
}
