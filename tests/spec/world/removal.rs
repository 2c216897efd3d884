//! What others made is removed however deep, wide or lively it is, within a budget, and nobody waits for it.

use crate::support::forge::Forge;
use crate::support::host::{Host, run};
use crate::support::service::{command, start};
use crate::support::{is_thorough, soon};
use lazarus::world::store::removal::{BUDGET, Left, remove_tree_at};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde_json::json;
use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Deeper than a process may have files open, and than its stack.
const DEEP: usize = 15_000;

fn directory(at: &OwnedFd, name: &str) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty()).unwrap()
}

/// A directory in a directory in a directory, each with a file.
pub(crate) fn dig(path: &Path, depth: usize) {
    std::fs::create_dir_all(path).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, path, flags, Mode::empty()).unwrap();
    for level in 0..depth {
        if level % 1_000 == 0 {
            openat(&at, "file", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).unwrap();
        }
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = directory(&at, "d");
    }
}

/// Our binary where no more than 1,024 files may be open, and the stack is small.
fn bounded(host: &Host, arguments: &[&str]) -> Command {
    let binary = host.command("lazarus-reconcile");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 1024; ulimit -s 1024; exec \"$0\" \"$@\""]).arg(binary.get_program()).args(arguments);
    shell.env_clear().envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

async fn root_with_archive() -> (Host, PathBuf) {
    let host = Host::new();
    assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", ID])).await.code, 0);
    let archive = host.root().join(".lazarus/archive");
    std::fs::create_dir(&archive).unwrap();
    std::fs::rename(host.root().join(ID), archive.join(ID)).unwrap();
    (host, archive.join(ID))
}

fn left(host: &Host, of: &str) -> usize {
    std::fs::read_dir(host.root().join(".lazarus").join(of)).into_iter().flatten().count()
}

#[tokio::test]
async fn fifteen_thousand_nested_directories_are_collected() {
    let (host, archive) = root_with_archive().await;
    dig(&archive.join("worktree"), DEEP);
    dig(&host.root().join(".lazarus/staging/rest"), DEEP);
    let swept = run(&mut bounded(&host, &["gc", "--older-than", "0s", "--yes"])).await;
    assert!(swept.code == 0 && swept.stdout.contains("Deleted: 1 archive "), "{swept:?}");
    assert_eq!(["archive", "staging", "trash"].map(|of| left(&host, of)), [0; 3]);
}

#[tokio::test]
async fn a_wide_tree_of_mixed_file_types_is_removed() {
    let host = Host::new();
    let (tree, canary) = (host.path().join("tree"), host.path().join("canary"));
    std::fs::create_dir_all(canary.join("alive")).unwrap();
    let count = if is_thorough() { 1_000_000 } else { 20_000 };
    std::fs::create_dir_all(tree.join("wide")).unwrap();
    (0..count).for_each(|at| drop(std::fs::File::create(tree.join(format!("wide/{at}"))).unwrap()));
    for at in 0..2_000 {
        std::fs::create_dir_all(tree.join(format!("{at}/deep/.lazarus-removal.{at}/deeper"))).unwrap();
    }
    symlink(&canary, tree.join("link")).unwrap();
    symlink(&canary, tree.join("wide/link")).unwrap();
    symlink("nowhere", tree.join("1/dangling")).unwrap();
    std::fs::hard_link(tree.join("wide/1"), tree.join("2/hard")).unwrap();
    rustix::fs::mknodat(CWD, tree.join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    std::fs::create_dir(tree.join("closed")).unwrap();
    std::fs::write(tree.join("closed/file"), "").unwrap();
    std::fs::set_permissions(tree.join("closed"), Permissions::from_mode(0o500)).unwrap();
    remove_tree_at(&tree, BUDGET).unwrap();
    assert!(!tree.exists() && canary.join("alive").exists());
    assert_eq!(remove_tree_at(&tree, BUDGET), Ok(()), "what is not there");
}

/// Makes files in a directory that it holds open, as fast as it can, until it is told to stop.
fn make(held: &OwnedFd, is_over: &AtomicBool) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    for at in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let _ = openat(held, format!("made.{at}"), flags, Mode::RUSR);
    }
}

#[test]
fn concurrent_file_creation_delays_a_removal_by_its_budget_only() {
    let host = Host::new();
    let tree = host.path().join("tree");
    let held: Vec<OwnedFd> = (0..4)
        .map(|at| {
            let path = tree.join(format!("deep/{at}/state"));
            std::fs::create_dir_all(&path).unwrap();
            OwnedFd::from(std::fs::File::open(path).unwrap())
        })
        .collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for held in &held {
            scope.spawn(|| make(held, &is_over));
        }
        // That it ends at all is what matters; a kernel may let it win.
        let removed = remove_tree_at(&tree, Duration::from_millis(300));
        assert!(matches!(removed, Ok(()) | Err(Left::TooSlow(_))), "{removed:?}");
        is_over.store(true, Ordering::Relaxed);
    });
    remove_tree_at(&tree, BUDGET).unwrap();
    assert!(!tree.exists());
}

/// As long as others make files in what is to be removed, the daemon is ready, passes, and says what it cannot remove.
#[tokio::test]
async fn a_daemon_is_ready_before_it_removes_anything() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    host.once(&repository).await;
    dig(&host.root().join(".lazarus/staging/rest"), 2_000);
    let busy = host.root().join(".lazarus/staging/busy");
    std::fs::create_dir(&busy).unwrap();
    let held = OwnedFd::from(std::fs::File::open(&busy).unwrap());
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let maker = std::thread::spawn({
        let is_over = std::sync::Arc::clone(&is_over);
        move || make(&held, &is_over)
    });
    let service = start(command(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    assert_eq!(left(&host, "staging"), 0, "what is made from now on has all the room");
    is_over.store(true, Ordering::Relaxed);
    maker.join().unwrap();
    soon("the trash is empty", async || left(&host, "trash") == 0).await;
    assert!(service.end(rustix::process::Signal::TERM).await.0.success());
}

/// Only an agent's own directory stays closed to us, and it is named.
#[tokio::test]
async fn a_failed_removal_is_reported_and_completed_later() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let host = Host::on_disk();
    let made = run(&mut host.unprivileged(host.command("lazarus-pit").args(["--init-cell", ID]))).await;
    assert_eq!(made.code, 0, "{made:?}");
    let trash = host.root().join(".lazarus/trash");
    let kept = trash.join("rest/worktree/of an\u{1b}[31magent");
    std::fs::create_dir_all(kept.join("inside")).unwrap();
    for path in [&trash, &trash.join("rest"), &trash.join("rest/worktree")] {
        chown(path, Some(65_534), Some(65_534)).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o770)).unwrap();
    }
    // What is our own opens to us, whatever its mode.
    for (name, mode) in [("closed", 0o000), ("read only", 0o500), ("write only", 0o300)] {
        let closed = trash.join("rest/worktree").join(name);
        std::fs::create_dir_all(closed.join("inside")).unwrap();
        chown(closed.join("inside"), Some(65_534), Some(65_534)).unwrap();
        chown(&closed, Some(65_534), Some(65_534)).unwrap();
        std::fs::set_permissions(&closed, Permissions::from_mode(mode)).unwrap();
    }
    let mut gc = host.command("lazarus-reconcile");
    let mut gc = host.unprivileged(gc.args(["gc", "--older-than", "0s", "--yes"]));
    let swept = run(&mut gc).await;
    let reported = r"`of an\u{1b}[31magent` in it: ";
    assert!(swept.code == 1 && swept.stderr.contains(reported) && swept.stderr.contains("as root"), "{swept:?}");
    assert_eq!(std::fs::read_dir(trash.join("rest")).unwrap().count(), 1);
    let door = std::fs::metadata(trash.join("rest")).unwrap().permissions().mode();
    assert_eq!(door & 0o777, 0o700, "nobody comes in by its path");
    chown(trash.join("rest/worktree").join(kept.file_name().unwrap()), Some(65_534), None).unwrap();
    assert_eq!((run(&mut gc).await.code, left(&host, "trash")), (0, 0));
}

/// An agent with an account of its own, who makes a directory as anybody does, leaves nothing that `gc` cannot delete.
#[tokio::test]
async fn files_that_an_agent_creates_under_its_umask_can_be_deleted() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let host = Host::on_disk();
    std::fs::write(host.path().join("group.json"), r#"{ "cells": { "group": "65534" } }"#).unwrap();
    let mut init = host.command("lazarus-pit");
    let made = run(&mut host.unprivileged(init.args(["--init-cell", ID, "--config", "group.json"]))).await;
    assert_eq!(made.code, 0, "{made:?}");
    let cell = host.root().join(ID);
    for path in [host.path(), &host.root()] {
        std::fs::set_permissions(path, Permissions::from_mode(0o711)).unwrap();
    }
    for (part, umask) in [("worktree", "022"), ("artifacts", "077"), ("state", "027"), ("logs", "002")] {
        let mut agent = Command::new("sh");
        agent.args(["-c", &format!("umask {umask}; mkdir -p a/b && echo x >a/b/c")]);
        agent.current_dir(cell.join(part)).uid(64_398).gid(65_534);
        assert!(agent.status().unwrap().success(), "{part}");
    }
    let archive = host.root().join(".lazarus/archive");
    std::fs::create_dir(&archive).unwrap();
    chown(&archive, Some(65_534), Some(65_534)).unwrap();
    std::fs::rename(&cell, archive.join(ID)).unwrap();
    let mut gc = host.command("lazarus-reconcile");
    let swept = run(&mut host.unprivileged(gc.args(["gc", "--older-than", "0s", "--yes"]))).await;
    assert!(swept.code == 0 && swept.stdout.contains("Deleted: 1 archive "), "{swept:?}");
    assert_eq!(["archive", "trash"].map(|of| left(&host, of)), [0; 2]);
}
