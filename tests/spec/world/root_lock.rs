//! Who may keep a writer out of a root: another writer of its own account, and nobody else.

use crate::support::forge::Forge;
use crate::support::host::{Host, Run, run};
use crate::support::service::{command, start};
use serde_json::json;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An account that is neither root's nor that of whoever runs the tests.
const STRANGER: u32 = 64_399;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A process of a stranger that holds a lock on a directory until its standard input ends.
struct Lock(Child);

impl Lock {
    fn of_a_stranger(directory: &Path, kind: &str) -> Self {
        let mut flock = Command::new("flock");
        flock.args(["-n", kind]).arg(directory).args(["sh", "-c", "echo held; exec cat"]).uid(STRANGER).gid(STRANGER);
        let mut child = flock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "the stranger holds the lock");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// A host whose root anybody may open.
fn open_host() -> Host {
    let host = Host::new();
    std::fs::set_permissions(host.path(), Permissions::from_mode(0o711)).unwrap();
    std::fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
    host
}

#[tokio::test]
async fn a_lock_by_another_user_blocks_no_command() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    for kind in ["-x", "-s"] {
        let host = open_host();
        let locked = Lock::of_a_stranger(&host.root(), kind);
        let first = run(host.reconciler(&repository).args(["--once", "--json"])).await;
        assert_eq!(first.code, 0, "the first pass: {first:?}");
        let init = run(host.command("lazarus-reconcile").arg("init")).await;
        let cell = run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"])).await;
        let gc = run(host.command("lazarus-reconcile").args(["gc", "--older-than", "1d", "--yes"])).await;
        assert_eq!([init.code, cell.code, gc.code], [0; 3], "{init:?} {cell:?} {gc:?}");
        for with in [Some(&repository), None] {
            let service = start(command(&host, with, json!({}))).await;
            service.passed(1).await;
            assert!(service.end(rustix::process::Signal::TERM).await.0.success());
        }
        drop(locked);
    }
}

#[tokio::test]
async fn a_daemon_of_an_older_version_still_excludes_another() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    std::fs::write(host.path().join("at-once.json"), r#"{ "limits": { "lock_wait_seconds": 0 } }"#).unwrap();
    let first = async || run(host.reconciler(&repository).args(["--once", "--config", "at-once.json"])).await;
    let refused = |run: &Run| {
        let holder = format!("pid {} (", std::process::id());
        assert!(run.code == 2 && run.stderr.contains(&holder), "{run:?}");
    };
    let directory = File::open(host.root()).unwrap();
    directory.lock().unwrap();
    refused(&first().await);
    drop(directory);
    assert_eq!(first().await.code, 0);
    let directory = File::open(host.root()).unwrap();
    directory.lock().unwrap();
    refused(&run(&mut command(&host, Some(&repository), json!({}))).await);
    refused(&run(&mut command(&host, None, json!({}))).await);
}

#[tokio::test]
async fn only_the_account_of_the_root_can_open_its_locks() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let made = run(Command::new("sh")
        .args(["-c", "umask 000; exec \"$0\" init"])
        .arg(env!("CARGO_BIN_EXE_lazarus-reconcile"))
        .env_clear()
        .env("LAZARUS_HOST", "alpha")
        .env("LAZARUS_MISSIONS_ROOT", host.path().join("new/root")))
    .await;
    assert_eq!((made.code, made.stderr.contains("warn")), (0, false), "{made:?}");
    assert_eq!(mode(&host.path().join("new/root")), 0o711, "whatever the umask");
    host.once(&repository).await;
    let service = start(command(&host, Some(&repository), json!({}))).await;
    service.passed(1).await;
    let own = host.root().join(".lazarus");
    assert_eq!([mode(&own), mode(&own.join("lock")), mode(&own.join("daemon.lock"))], [0o700, 0o600, 0o600]);
    let second = run(&mut command(&host, None, json!({}))).await;
    let holder = format!("pid {} (", service.pid());
    assert!(second.code == 2 && second.stderr.contains(&holder), "{second:?}");
    assert!(service.end(rustix::process::Signal::TERM).await.0.success());
}

#[tokio::test]
async fn init_names_the_command_that_keeps_others_from_listing_a_root() {
    for (mode, reported) in
        [(0o755, "chmod 711 "), (0o750, "chmod 711 "), (0o777, "chmod go-w "), (0o711, ""), (0o700, "")]
    {
        let host = Host::new();
        std::fs::set_permissions(host.root(), Permissions::from_mode(mode)).unwrap();
        let made = run(host.command("lazarus-reconcile").arg("init")).await;
        assert!(made.code == 0 && made.stderr.contains(reported), "{made:?}");
        assert_eq!(made.stderr.is_empty(), reported.is_empty(), "{made:?}");
    }
}

#[tokio::test]
async fn a_failed_initialization_leaves_the_directory_unchanged() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    forge.engine().break_next(usize::MAX, "", "/", lazarus::sandbox::Fault::Refuse(503));
    let before = host.snapshot();
    let failed = run(host.reconciler(&repository).arg("--once")).await;
    assert!(failed.code == 1 && before.changed(&host.snapshot()).is_empty(), "{failed:?}");
    let job = run(host.reconciler(&repository).env("GITEA_ACTIONS", "true").arg("--once")).await;
    assert!(job.code == 2 && before.changed(&host.snapshot()).is_empty(), "{job:?}");
    std::fs::write(host.root().join("letters.txt"), "dear").unwrap();
    let occupied = run(host.reconciler(&repository).arg("--once")).await;
    assert!(occupied.code == 2 && !host.root().join(".lazarus").exists(), "{occupied:?}");
}
