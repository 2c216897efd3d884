//! Archives are listed for anybody and deleted for nobody but the person who says so.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use crate::support::{service, soon};
use chrono::{TimeDelta, Utc};
use lazarus::config::{Environment, Flags, Settings};
use lazarus::mission::cell::archive::{Archive, ArchiveName, Measure};
use lazarus::mission::time::Timestamp;
use lazarus::provision::gc;
use rustix::fs::{RenameFlags, renameat_with};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

#[test]
fn further_archives_of_one_cell_get_a_number() {
    let first = ArchiveName::parse(ID).unwrap();
    let names: Vec<String> =
        [first, first.next(), first.next().next()].map(|name| name.to_string()).into_iter().collect();
    assert_eq!(names, [ID.to_owned(), format!("{ID}.1"), format!("{ID}.2")]);
    for name in &names {
        let parsed: ArchiveName = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(serde_json::to_value(parsed).unwrap(), json!(name));
    }
    assert!(first < first.next() && first == ArchiveName::first(first.mission_id));
    let upper = ID.to_uppercase();
    let wrong =
        [".0", ".01", ".+1", ".-1", ".", ".1.1", ".4294967296", " ", "/", ".tar"].map(|end| format!("{ID}{end}"));
    for name in wrong.iter().chain([&upper, &"00000000-0000-0000-0000-000000000000".to_owned(), &String::new()]) {
        assert!(ArchiveName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn an_archive_is_old_enough_to_the_second() {
    let archived_at = Timestamp::parse("2026-11-23T14:00:00Z").unwrap();
    let archive = Archive { name: ArchiveName::parse(ID).unwrap(), archived_at, measure: Measure::default() };
    let day = Duration::from_secs(86_400);
    let after = |seconds| archived_at.plus(TimeDelta::seconds(seconds));
    assert!(!archive.is_as_old_as(day, after(86_399)) && archive.is_as_old_as(day, after(86_400)));
    assert!(!archive.is_as_old_as(Duration::ZERO, after(-1)), "put away in the future");
    assert!(!archive.is_as_old_as(Duration::MAX, after(86_400)));
}

async fn gc(host: &Host, arguments: &[&str]) -> Run {
    run(host.command("lazarus-reconcile").arg("gc").args(arguments)).await
}

fn archive(host: &Host) -> PathBuf {
    host.root().join(".lazarus/archive")
}

/// A root with a cell that was put away under each of these names.
async fn put_away(names: &[&str]) -> Host {
    let host = Host::on_disk();
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    std::fs::create_dir(archive(&host)).unwrap();
    for name in names {
        assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", ID])).await.code, 0);
        std::fs::rename(host.root().join(ID), archive(&host).join(name)).unwrap();
    }
    host
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn staging(host: &Host) -> Vec<String> {
    names(&host.root().join(".lazarus/staging"))
}

fn trash(host: &Host) -> Vec<String> {
    let trash = host.root().join(".lazarus/trash");
    if trash.exists() { names(&trash) } else { Vec::new() }
}

fn journal(host: &Host) -> Vec<Value> {
    let journal = std::fs::read_to_string(host.root().join(".lazarus/journal.log")).unwrap_or_default();
    journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn settings(host: &Host) -> Settings {
    let flags = Flags { missions_root: Some(host.root()), ..Flags::default() };
    Settings::load(&flags, &Environment::new()).unwrap()
}

fn later(days: i64) -> Timestamp {
    Timestamp::from(Utc::now()).plus(TimeDelta::days(days))
}

#[tokio::test]
async fn a_listing_shows_age_and_size_and_writes_nothing() {
    let second = format!("{ID}.1");
    let host = put_away(&[ID, &second]).await;
    let inside = archive(&host).join(&second).join("artifacts");
    let empty = gc(&host, &["--json"]).await.json()["archives"][1]["bytes"].as_u64().unwrap();
    std::fs::write(inside.join("large"), vec![7; 1 << 20]).unwrap();
    // Neither another name of a file nor what a link leads to takes any room.
    std::fs::hard_link(inside.join("large"), inside.join("also large")).unwrap();
    symlink("/", inside.join("everything")).unwrap();
    let before = host.snapshot();
    let report = gc(&host, &["--json"]).await.json();
    let [first, other] = report["archives"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&first["archive"], &other["archive"]), (&json!(ID), &json!(second)));
    assert_eq!((&other["files"], &other["is_more"], &other["fate"]), (&json!(8), &json!(false), &json!("kept")));
    let grown = other["bytes"].as_u64().unwrap() - empty;
    assert!((1 << 20..(1 << 20) + 65_536).contains(&grown), "{grown} bytes more");
    assert!((0..60).contains(&other["age_seconds"].as_i64().unwrap()), "{other}");
    let table = gc(&host, &[]).await;
    let last = table.stdout.lines().last().unwrap();
    assert!(table.code == 0 && last.starts_with(&format!("2 archives in {}: 1.", host.root().display())), "{table:?}");
    assert_eq!(before.changed(&host.snapshot()).len(), 0);
}

#[tokio::test]
async fn gc_only_shows_what_it_would_delete_without_yes() {
    let host = put_away(&[ID]).await;
    let before = host.snapshot();
    let shown = gc(&host, &["--older-than", "0s"]).await;
    let reported = "Nothing was deleted. `--yes` would delete 1 archive of at least 0 seconds, ";
    assert!(shown.code == 0 && shown.stdout.contains(reported) && shown.stdout.starts_with("        "), "{shown:?}");
    let young = gc(&host, &["--older-than", "1d", "--yes", "--json"]).await.json();
    assert_eq!((&young["archives"][0]["fate"], &young["older_than_seconds"]), (&json!("kept"), &json!(86_400)));
    for wrong in [&["--yes"][..], &["--older-than", "30"], &["--older-than", "d"], &["--older-than", "-1d"]] {
        assert_eq!(gc(&host, wrong).await.code, 2, "{wrong:?}");
    }
    assert_eq!(before.changed(&host.snapshot()).len(), 0);

    let mut command = host.command("lazarus-reconcile");
    let deleted = run(command.env("SUDO_USER", "morgan").args(["gc", "--older-than", "0s", "--yes"])).await;
    assert!(deleted.code == 0 && deleted.stdout.contains("Deleted: 1 archive of at least 0 seconds, "), "{deleted:?}");
    assert!(deleted.stderr.contains(&format!("deleted the archive archive={ID} bytes=")), "{deleted:?}");
    assert_eq!((names(&archive(&host)), staging(&host)), (vec![], vec![]));
    let [line] = journal(&host).try_into().unwrap();
    assert_eq!((&line["change"], &line["archive"]), (&json!("delete-archive"), &json!(ID)));
    assert_eq!((&line["files"], &line["sudo_user"], line["bytes"].is_u64()), (&json!(5), &json!("morgan"), true));
    assert!(line["user"].is_string() && line["at"].is_string() && line["archived_at"].is_string(), "{line}");
    let mode = std::fs::metadata(host.root().join(".lazarus/journal.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_archive_is_due_once_it_is_old_enough() {
    let host = put_away(&[ID]).await;
    let (settings, month) = (settings(&host), Duration::from_secs(30 * 86_400));
    let fate = |days| serde_json::to_value(gc::list(&settings, Some(month), later(days)).unwrap()).unwrap();
    assert_eq!(fate(29)["archives"][0]["fate"], "kept");
    assert_eq!(fate(30)["archives"][0]["fate"], "due");
    assert_eq!(fate(-1)["archives"][0]["fate"], "kept");
    let table = gc::list(&settings, Some(month), later(31)).unwrap().to_string();
    assert!(table.contains("31 days ago") && table.contains("would go"), "{table}");
    gc::sweep(&settings, month, None, later(29)).unwrap();
    assert_eq!(names(&archive(&host)), [ID]);
    gc::sweep(&settings, month, None, later(30)).unwrap();
    assert_eq!(names(&archive(&host)), [""; 0]);
}

#[tokio::test]
async fn entries_that_are_no_archive_are_named_and_kept() {
    let host = put_away(&[ID]).await;
    let link = "123e4567-e89b-12d3-a456-426614174001";
    std::fs::create_dir(host.path().join("elsewhere")).unwrap();
    symlink(host.path().join("elsewhere"), archive(&host).join(link)).unwrap();
    let others = [&format!("{ID}.01"), "notes", &ID.to_uppercase(), &format!("{ID}.bak")].map(str::to_owned);
    for other in &others {
        std::fs::create_dir(archive(&host).join(other)).unwrap();
    }
    std::fs::write(archive(&host).join(format!("{ID}.2")), "").unwrap();
    let run = gc(&host, &["--older-than", "0s", "--yes", "--json"]).await;
    let mut left = [&others[..], &[link.to_owned(), format!("{ID}.2")]].concat();
    left.sort_unstable();
    assert_eq!((run.json()["others"].clone(), names(&archive(&host))), (json!(left), left.clone()));
    assert_eq!(journal(&host).len(), 1);
    let table = gc(&host, &[]).await.stdout;
    assert!(table.contains("left alone, not an archive: `notes`"), "{table}");
    std::fs::remove_dir_all(host.root().join(".lazarus")).unwrap();
    let new = gc(&host, &["--older-than", "0s", "--yes"]).await;
    assert!(new.code == 0 && new.stdout.contains("0 archives"), "{new:?}");
    assert!(!host.root().join(".lazarus").exists(), "a directory that is no root does not become one");
}

/// An archive leaves the archives in one step, so nobody has to stop the daemon for that.
#[tokio::test]
async fn archives_are_deleted_while_a_daemon_runs() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, put_away(&[]).await);
    let number = repository.file("reader", "Mission: short", &[]).await;
    let each_second = json!({ "daemon": { "interval_seconds": 1 } });
    let service = service::start(service::command(&host, Some(&repository), each_second)).await;
    soon("the cell is there", async || host.cells().len() == 1).await;
    repository.set_state(number, "closed").await;
    assert_eq!(service.hook(repository.id, number).await, 202);
    soon("its archive is there", async || host.archives().len() == 1).await;
    let swept = gc(&host, &["--older-than", "0s", "--yes"]).await;
    assert!(swept.code == 0 && swept.stdout.contains("Deleted: 1 archive "), "{swept:?}");
    assert_eq!((names(&archive(&host)), trash(&host), journal(&host).len()), (vec![], vec![], 1));
    repository.set_state(number, "open").await;
    assert_eq!(service.hook(repository.id, number).await, 202);
    soon("it has a new cell", async || host.cells().len() == 1).await;
    drop(service);
}

/// Hands a tree to the account that may do nothing, if that is not who we are.
fn hand_over(path: &Path) {
    if rustix::process::geteuid().is_root() {
        for entry in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                hand_over(&entry.path());
            } else {
                chown(entry.path(), Some(65_534), Some(65_534)).unwrap();
            }
        }
        chown(path, Some(65_534), Some(65_534)).unwrap();
    }
}

#[tokio::test]
async fn an_archive_that_cannot_be_deleted_as_a_whole_is_kept() {
    let second = format!("{ID}.1");
    let host = put_away(&[ID, &second]).await;
    let closed = archive(&host).join(ID).join("worktree/closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("file"), "x").unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
    hand_over(&host.root());
    let mut command = host.command("lazarus-reconcile");
    command.args(["gc", "--older-than", "0s"]);
    let shown = run(&mut host.unprivileged(&command)).await;
    assert!(
        shown.code == 0 && shown.stdout.contains("hindered") && shown.stdout.contains("`--yes` would delete 1 archive"),
        "{shown:?}"
    );
    let swept = run(host.unprivileged(&command).arg("--yes")).await;
    let why = format!("this user may not remove anything from `{ID}/worktree/closed`");
    assert!(swept.code == 1 && swept.stderr.contains(&why), "{swept:?}");
    assert_eq!((names(&archive(&host)), names(&closed)), (vec![ID.to_owned()], vec!["file".to_owned()]));

    // What a dead process of an older version left of an archive goes with the next one.
    std::fs::rename(archive(&host).join(ID), host.root().join(".lazarus/staging/gc.rest")).unwrap();
    let mut init = host.command("lazarus-reconcile");
    let again = run(&mut host.unprivileged(init.arg("init"))).await;
    assert_eq!((again.code, staging(&host), trash(&host).len()), (0, vec![], 1), "{again:?}");
    let rest = run(host.unprivileged(&command).arg("--yes")).await;
    assert_eq!((rest.code, trash(&host)), (0, vec![]), "{rest:?}");
}

#[tokio::test]
async fn another_user_deletes_nothing() {
    let host = put_away(&[ID]).await;
    let mut command = host.command("lazarus-reconcile");
    command.args(["gc", "--older-than", "0s", "--yes"]);
    let mut other = host.unprivileged(&command);
    if rustix::process::geteuid().is_root() {
        chown(host.root(), Some(0), Some(0)).unwrap();
        std::fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
        let refused = run(&mut other).await;
        assert!(refused.code == 2 && refused.stderr.contains("belongs to user"), "{refused:?}");
        assert_eq!(names(&archive(&host)), [ID]);
    }
}

/// Exchanges a directory with a link that leads out, again and again, until it is told to stop.
fn swap(held: &OwnedFd, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let _ = renameat_with(held, "a", held, "b", RenameFlags::EXCHANGE);
    }
}

/// A directory with many files, deep down; another such has files of the same names.
fn fill(directory: &Path) {
    std::fs::create_dir_all(directory.join("deep/deeper")).unwrap();
    (0..300).for_each(|at| std::fs::write(directory.join(format!("deep/deeper/{at}")), "alive").unwrap());
}

#[tokio::test]
async fn concurrent_changes_in_an_archive_delete_nothing_outside() {
    let host = put_away(&[]).await;
    let (canary, settings, put_away) = (host.path().join("canary"), settings(&host), archive(&host).join(ID));
    fill(&canary);
    for round in 1..=5 {
        fill(&put_away.join("a"));
        symlink(&canary, put_away.join("b")).unwrap();
        let (held, is_over) = (OwnedFd::from(std::fs::File::open(&put_away).unwrap()), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| swap(&held, &is_over));
            gc::sweep(&settings, Duration::ZERO, None, later(1)).unwrap();
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(names(&canary.join("deep/deeper")).len(), 300, "round {round}");
        assert_eq!((names(&archive(&host)), journal(&host).len()), (vec![], round));
    }
    // Who never stops may hold up the end of it, but only while it lasts.
    assert_eq!(run(host.command("lazarus-reconcile").arg("init")).await.code, 0);
    assert_eq!(staging(&host), [""; 0]);
}

#[tokio::test]
async fn the_journal_is_rotated() {
    let host = put_away(&[ID]).await;
    let journal_path = host.root().join(".lazarus/journal.log");
    std::fs::write(&journal_path, "x".repeat(256 * 1024 + 1)).unwrap();
    assert_eq!(gc(&host, &["--older-than", "0s", "--yes"]).await.code, 0);
    assert_eq!(journal(&host).len(), 1);
    assert_eq!(std::fs::metadata(journal_path.with_extension("log.1")).unwrap().len(), 256 * 1024 + 1);
}
