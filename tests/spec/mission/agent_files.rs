//! What an agent may do to its own files changes the verdict on its cell, and never what is said of the host.

use crate::support::host::{Host, run};
use crate::support::tower::is_root;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// An account that owns neither root nor service.
const AGENT: u32 = 64_398;

/// A host whose root belongs to nobody, with one cell.
async fn stage() -> (Host, PathBuf) {
    let host = Host::on_disk();
    let made = run(&mut host.unprivileged(host.command("lazarus-pit").args(["--init-cell", ID]))).await;
    assert_eq!(made.code, 0, "{made:?}");
    let cell = host.root().join(ID);
    (host, cell)
}

async fn verdict(host: &Host) -> String {
    let scan = run(&mut host.unprivileged(host.command("lazarus-reconcile").args(["scan", "--json"]))).await;
    let cell = &scan.json()["cells"][0];
    format!("{} {}", cell["health"].as_str().unwrap(), cell["reason"].as_str().unwrap())
}

/// A heartbeat file of the agent's own account.
fn put(cell: &Path, mode: u32) -> PathBuf {
    let path = cell.join("state/heartbeat.json");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, r#"{ "timestamp": null }"#).unwrap();
    chown(&path, Some(AGENT), Some(AGENT)).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test]
async fn a_heartbeat_file_that_only_its_agent_may_read_is_incomplete() {
    if !is_root() {
        return;
    }
    let (host, cell) = stage().await;
    for mode in [0o600, 0o000, 0o200, 0o640, 0o660] {
        put(&cell, mode);
        assert_eq!(verdict(&host).await, "incomplete unreadable state/heartbeat.json", "{mode:o}");
    }
    put(&cell, 0o644);
    assert_eq!(verdict(&host).await, "uninitialized no-heartbeat");
}

/// A lease that is held until standard input ends; none where the file system knows no leases.
fn lease(path: &Path) -> Option<Child> {
    let script = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = python.spawn().ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line != "held\n" {
        child.wait().unwrap();
        return None;
    }
    Some(child)
}

#[tokio::test]
async fn a_lease_on_a_heartbeat_file_is_incomplete() {
    if !is_root() {
        return;
    }
    let (host, cell) = stage().await;
    let Some(mut held) = lease(&put(&cell, 0o644)) else { return };
    let found = verdict(&host).await;
    drop(held.stdin.take());
    held.wait().unwrap();
    assert_eq!(found, "incomplete unreadable state/heartbeat.json");
    assert_eq!(verdict(&host).await, "uninitialized no-heartbeat", "as soon as it is given back");
}

/// What only the host's own account could have closed is no agent's doing.
#[tokio::test]
async fn an_unreadable_file_or_directory_of_the_service_is_unknown() {
    if !is_root() {
        return;
    }
    let (host, cell) = stage().await;
    for (path, open) in [("state", 0o2770), ("meta", 0o750), ("meta/mission.json", 0o640), ("config/cell.json", 0o640)]
    {
        std::fs::set_permissions(cell.join(path), Permissions::from_mode(0o000)).unwrap();
        assert_eq!(verdict(&host).await, "unknown permission", "{path}");
        std::fs::set_permissions(cell.join(path), Permissions::from_mode(open)).unwrap();
    }
    assert_eq!(verdict(&host).await, "uninitialized no-heartbeat");
}
