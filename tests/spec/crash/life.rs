//! The same for what comes later in a mission's life: a pass that is killed while it puts a cell away, brings it back,
//! fills its worktree or takes it over loses nothing, and the next one ends where it would have ended.

use crate::crash::{Point, SIDE_BY_SIDE, check_complete, killing, points, traced, tracing};
use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run};
use crate::support::is_thorough;
use crate::support::missions::body;
use crate::support::repository::Repository;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::task::JoinSet;

/// So many points of each deed, where there is no time for all.
const POINTS: usize = 2;

/// A cell to take over.
const CELL: &str = "123e4567-e89b-12d3-a456-426614174000";

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A closed mission's cell moves to the archive.
    Archive,
    /// It comes back, and a directory stands in its way.
    Restore,
    /// A cell is born with its repository.
    NewWorktree,
    /// An empty worktree gets one.
    LateWorktree,
    /// A scaffold is taken over.
    Adoption,
    /// Somebody deletes an archive.
    Deletion,
}

#[tokio::test]
async fn a_pass_killed_while_it_archives_a_cell_loses_nothing() {
    check(Deed::Archive).await;
}

#[tokio::test]
async fn a_pass_killed_while_it_restores_a_cell_loses_nothing() {
    check(Deed::Restore).await;
}

#[tokio::test]
async fn a_pass_killed_during_a_checkout_leaves_no_partial_worktree() {
    check(Deed::NewWorktree).await;
}

#[tokio::test]
async fn a_pass_killed_while_it_fills_a_worktree_leaves_no_part_of_it() {
    check(Deed::LateWorktree).await;
}

#[tokio::test]
async fn a_pass_killed_during_an_adoption_leaves_it_complete_or_undone() {
    check(Deed::Adoption).await;
}

#[tokio::test]
async fn a_killed_deletion_leaves_an_archive_whole_or_deleted() {
    check(Deed::Deletion).await;
}

async fn check(deed: Deed) {
    let scene = Scene::new(deed).await;
    let log = scene.host.path().join("strace.log");
    let Some(points) = points(traced(&scene.act(), &log, &tracing()), &log).await else { return };
    let reference = scene.end().await;
    let stride = if is_thorough() { 1 } else { points.len().div_ceil(POINTS) };
    // Where a whole cell or worktree moves, each rename is a moment of its own.
    let is_a_whole = matches!(deed, Deed::Archive | Deed::Restore | Deed::NewWorktree | Deed::LateWorktree);
    let is_move = |point: &Point| is_a_whole && point.call == "renameat2";
    let points = points.into_iter().enumerate().filter(|(at, point)| at % stride == 0 || is_move(point));
    let points: Vec<Point> = points.map(|(_, point)| point).collect();
    let mut under_way = JoinSet::new();
    for point in points {
        let reference = reference.clone();
        under_way.spawn(async move {
            let scene = Scene::new(deed).await;
            let log = scene.host.path().join("strace.log");
            run(&mut traced(&scene.act(), &log, &killing(&point))).await;
            scene.check_nothing_is_half();
            assert_eq!(scene.end().await, reference, "{deed:?} {point:?}");
        });
        if under_way.len() >= SIDE_BY_SIDE {
            under_way.join_next().await.unwrap().unwrap();
        }
    }
    under_way.join_all().await;
}

/// A mission for which a deed is due.
struct Scene {
    deed: Deed,
    repository: Repository,
    host: Host,
    number: i64,
    cell: PathBuf,
}

impl Scene {
    async fn new(deed: Deed) -> Self {
        let forge = Forge::sandbox().await;
        let (repository, host) = (forge.repository_named("missions").await, Host::on_disk());
        std::fs::write(host.path().join("one.json"), r#"{ "limits": { "concurrent_missions": 1 } }"#).unwrap();
        host.once(&repository).await;
        let answers: &[(&str, &str)] = match deed {
            Deed::NewWorktree => &[("repository", &repository.name)],
            Deed::Adoption => &[("cell", CELL)],
            Deed::Archive | Deed::Restore | Deed::LateWorktree | Deed::Deletion => &[],
        };
        if deed == Deed::Adoption {
            assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", CELL])).await.code, 0);
        }
        let number = repository.file("reader", "Mission: survive", answers).await;
        let cell = PathBuf::new();
        let mut scene = Self { deed, repository, host, number, cell };
        if deed != Deed::NewWorktree {
            scene.prepare().await;
        }
        scene
    }

    async fn prepare(&mut self) {
        let Self { deed, repository, host, number, cell } = self;
        host.once(repository).await;
        *cell = host.cell();
        std::fs::write(cell.join("artifacts/mine"), "hours of work").unwrap();
        match deed {
            Deed::Archive => repository.set_state(*number, "closed").await,
            Deed::Restore | Deed::Deletion => {
                repository.set_state(*number, "closed").await;
                host.once(repository).await;
                if *deed == Deed::Restore {
                    std::fs::create_dir(&*cell).unwrap();
                    std::fs::write(cell.join("stray"), "in the way").unwrap();
                    repository.set_state(*number, "open").await;
                }
            }
            Deed::LateWorktree => {
                let asked = body(&[("Repository", &repository.name)]);
                repository.edit("reader", *number, |_| asked.clone()).await;
            }
            Deed::Adoption => repository.put_label(*number, "approval/granted").await,
            Deed::NewWorktree => {}
        }
    }

    /// The deed.
    fn act(&self) -> Command {
        if self.deed == Deed::Deletion {
            let mut command = self.host.command("lazarus-reconcile");
            command.args(["gc", "--older-than", "0s", "--yes"]);
            return command;
        }
        let mut command = self.host.reconciler(&self.repository);
        command.args(["--once", "--config", "one.json"]);
        command
    }

    /// Whatever has a cell's name is a whole cell, and what a wizard has written is there once.
    fn check_nothing_is_half(&self) {
        let cells: Vec<PathBuf> = self.host.cells().into_iter().chain(self.host.archives()).collect();
        for cell in cells.iter().filter(|cell| !cell.join("stray").exists()) {
            check_complete(cell, None);
            check_worktree(&cell.join("worktree"));
        }
        let count = |file: &str| cells.iter().filter(|cell| cell.join(file).exists()).count();
        let most = usize::from(self.deed != Deed::NewWorktree);
        let mine = count("artifacts/mine");
        assert!(mine == most || (self.deed == Deed::Deletion && mine == 0), "{mine} of {most} are there");
        assert_eq!(count("stray"), usize::from(self.deed == Deed::Restore));
    }

    /// What there is once a pass or two have done what was left to do.
    async fn end(&self) -> Vec<String> {
        let Self { deed, repository, host, number, cell } = self;
        self.forget_failures();
        if *deed == Deed::Deletion {
            assert_eq!(run(&mut self.act()).await.code, 0);
        }
        for _ in 0..2 {
            host.once(repository).await;
        }
        let quiet = host.once(repository).await;
        assert_eq!(changes(&quiet), 0, "{quiet}");
        self.check_nothing_is_half();
        let mut end = repository.labels(*number).await;
        let comment = repository.comment(*number).await;
        end.push(comment.lines().nth(1).unwrap().split(" since ").next().unwrap().to_owned());
        let worktree = comment.lines().find(|line| line.starts_with("- Worktree: "));
        end.extend(worktree.map(|line| line.split(", commit ").next().unwrap().to_owned()));
        // The address of each forge is another one, and so is the id of its mission.
        let file = host.cells().into_iter().next().unwrap_or_else(|| cell.clone());
        let id = file.file_name().unwrap().to_str().unwrap();
        end.extend(files(&host.root()).into_iter().map(|path| path.replace(id, "ID")));
        end
    }

    /// What was killed may have been git, and then the next try is a minute away.
    fn forget_failures(&self) {
        for entry in std::fs::read_dir(self.host.root().join(".lazarus/missions")).unwrap() {
            let path = entry.unwrap().path();
            let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if record["worktree"]["failed"].is_object() {
                record["worktree"]["failed"]["retry_at"] = "2026-01-01T00:00:00Z".into();
                std::fs::write(&path, record.to_string()).unwrap();
            }
        }
    }
}

/// It is empty, or all of it is there.
fn check_worktree(worktree: &Path) {
    if std::fs::read_dir(worktree).unwrap().count() == 0 {
        return;
    }
    let safe = format!("safe.directory={}", worktree.display());
    let mut git = Command::new("git");
    let status = git.arg("-C").arg(worktree).args(["-c", &safe, "status", "--porcelain"]).output().unwrap();
    assert!(status.status.success() && status.stdout.is_empty(), "{status:?}");
}

/// Every path below a root, but for git's own, for what is written at any time, and for the journal, which tells only of
/// what was deleted by somebody who lived.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() && !path.is_symlink() && !path.ends_with(".git") {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if !path.ends_with("journal.log") {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    found.sort_unstable();
    found
}
