//! Nothing is written on the forge that cannot be remembered: else each pass would write it again.

use crate::support::daemon::{Running, settings};
use crate::support::forge::Forge;
use crate::support::host::{Host, beat_at, run, writes};
use crate::support::repository::Repository;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// The one record of a host.
fn record(host: &Host) -> PathBuf {
    let mut entries = std::fs::read_dir(host.root().join(".lazarus/missions")).unwrap();
    entries.next().unwrap().unwrap().path()
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// How many requests of the API could have changed something.
fn writes_since(forge: &Forge, asked: usize) -> usize {
    forge.asked(asked).iter().filter(|line| line.contains(" /api/") && !line.starts_with("GET ")).count()
}

/// Without the directory that all records are written in first, none can be written, as on a full disk.
#[tokio::test]
async fn a_daemon_that_cannot_write_records_writes_nothing_on_the_forge() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(0).await;
    beat_at(&host.cell(), daemon.now, "working");
    daemon.tick(10).await;
    let staging = host.root().join(".lazarus/staging");
    std::fs::remove_dir_all(&staging).unwrap();
    let asked = forge.engine().log().len();
    for seconds in [600, 30, 300, 3_600] {
        daemon.tick(seconds).await;
    }
    let late = repository.file("reader", "Mission: too late", &[("wizard", "the grey one")]).await;
    daemon.tick(30).await;
    assert_eq!(writes_since(&forge, asked), 0, "{:?}", forge.asked(asked));
    daemon.stop().await;
    std::fs::create_dir(&staging).unwrap();
    let mut daemon = Running::new(settings(&host, Some(&repository), "{}")).await;
    daemon.tick(600).await;
    assert!(repository.labels(number).await.contains(&"health/stale".to_owned()));
    assert!(repository.labels(late).await.contains(&"mission/invalid".to_owned()));
    let asked = forge.engine().log().len();
    daemon.tick(30).await;
    assert_eq!(writes_since(&forge, asked), 0);
    daemon.stop().await;
}

/// A command that can write files of half a kilobyte, such as the lock, and no record.
fn on_a_tiny_disk(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    shell
}

#[tokio::test]
async fn a_pass_that_cannot_write_records_writes_nothing_on_the_forge() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[("wizard", "the grey one")]).await;
    host.once(&repository).await;
    repository.edit("reader", number, |body| body.replace("the grey one", "the white one")).await;
    let before = (repository.comment(number).await, std::fs::read(record(&host)).unwrap());
    let asked = forge.engine().log().len();
    for _ in 0..2 {
        let passed = run(&mut on_a_tiny_disk(host.reconciler(&repository).args(["--once", "--json"]))).await;
        assert_eq!(passed.stderr.matches("cannot write the record").count(), 1, "and that is told once: {passed:?}");
    }
    assert_eq!(writes_since(&forge, asked), 0, "{:?}", forge.asked(asked));
    assert_eq!((repository.comment(number).await, std::fs::read(record(&host)).unwrap()), before);
    assert_eq!(writes(&host.once(&repository).await), 1);
    assert!(repository.comment(number).await.contains("the white one"));
}

/// The disk fills between the write and its record.
#[tokio::test]
async fn a_comment_whose_record_was_lost_is_read_and_not_written_again() {
    let (repository, host) = (Forge::sandbox().await.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    let path = record(&host);
    let mut lost = read(&path);
    let digest = lost["comment"]["digest"].take();
    (lost["comment"]["digest"], lost["comment_intent"]) = (json!("0".repeat(32)), digest.clone());
    std::fs::write(&path, lost.to_string()).unwrap();
    assert_eq!(writes(&host.once(&repository).await), 0);
    assert_eq!(repository.comment(number).await, comment);
    assert_eq!((&read(&path)["comment"]["digest"], &read(&path)["comment_intent"]), (&digest, &Value::Null));
    let quiet = host.once(&repository).await;
    assert_eq!((writes(&quiet), quiet["requests"]["get"].as_u64()), (0, Some(5)), "and it is not read again: {quiet}");
}

/// What the forge has refused was surely not written, so nothing has to be read for it.
#[tokio::test]
async fn a_refused_comment_is_not_searched_for() {
    let forge = Forge::sandbox().await;
    let (repository, host): (Repository, Host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: raise the dead", &[]).await;
    host.once(&repository).await;
    host.beat(&host.cell(), &[]).await;
    forge.engine().break_next(1, "PATCH", "/comments/", lazarus::sandbox::Fault::Refuse(403));
    run(host.reconciler(&repository).arg("--once")).await;
    assert_eq!(read(&record(&host))["intended"], Value::Null);
    host.once(&repository).await;
    assert!(repository.comment(number).await.contains("Active and healthy"));
}
