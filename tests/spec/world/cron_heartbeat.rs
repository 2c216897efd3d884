//! The cron heartbeat, in the format that watchers of jobs know.

use crate::support::host::{Host, Run, run};
use lazarus::mission::fleet::job_status::JobStatus;
use lazarus::mission::time::Timestamp;
use lazarus::world::cron_heartbeat::{Job, Pulse, write};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.collect()
}

async fn pit(host: &Host, directory: &Path, arguments: &[&str]) -> Run {
    let mut command = host.command("lazarus-pit");
    run(command.env("LAZARUS_HEARTBEAT_DIRECTORY", directory).arg("--write-heartbeat").args(arguments)).await
}

#[test]
fn the_cron_heartbeat_file_holds_job_time_interval_and_status() {
    let directory = tempfile::tempdir().unwrap();
    let at = Timestamp::parse("2026-11-25T03:10:47Z").unwrap();
    let pulse = Pulse { job: Job::Reconcile, at, interval: Duration::from_secs(30), status: JobStatus::Warning };
    write(directory.path(), &pulse).unwrap();
    write(directory.path(), &Pulse { status: JobStatus::Ok, ..pulse }).unwrap();
    let path = directory.path().join("lazarus-reconcile.last");
    let expected = format!(
        "{{\"job\":\"lazarus-reconcile\",\"timestamp\":1795576247.0,\"interval_seconds\":30,\"pid\":{},\"status\":\"ok\"}}\n",
        std::process::id()
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644, "whoever watches can read it");
    assert_eq!(names(directory.path()), ["lazarus-reconcile.last"], "nothing is left beside it");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = write(directory.path(), &pulse).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write the heartbeat `{}`: Is a directory", path.display())), "{error}");
    assert_eq!(names(directory.path()), ["lazarus-reconcile.last"]);
}

#[tokio::test]
async fn the_pit_writes_a_cron_heartbeat_with_its_scan_result() {
    let host = Host::new();
    let directory = host.path().join("heartbeats");
    std::fs::create_dir(&directory).unwrap();
    let posted =
        || -> Value { serde_json::from_slice(&std::fs::read(directory.join("lazarus-pit.last")).unwrap()).unwrap() };
    let id = "123e4567-e89b-12d3-a456-426614174000";
    run(host.command("lazarus-pit").args(["--init-cell", id])).await;
    let well = pit(&host, &directory, &["--json"]).await;
    assert_eq!((well.code, &well.json()["summary"]["uninitialized"]), (0, &1.into()), "{well:?}");
    let heartbeat = posted();
    assert_eq!((&heartbeat["job"], &heartbeat["status"]), (&"lazarus-pit".into(), &"ok".into()));
    assert_eq!(heartbeat["interval_seconds"], 60);
    assert!(heartbeat["timestamp"].is_f64() && heartbeat["pid"].is_u64(), "{heartbeat}");
    std::fs::remove_dir_all(host.root().join(id).join("logs")).unwrap();
    let ill = pit(&host, &directory, &["--every", "5m", "--health", "healthy"]).await;
    assert_eq!((ill.code, ill.stdout.contains("1 incomplete")), (0, true), "{ill:?}");
    let heartbeat = posted();
    assert_eq!((&heartbeat["status"], &heartbeat["interval_seconds"]), (&"warning".into(), &300.into()));
    std::fs::remove_dir_all(host.root()).unwrap();
    let failed = pit(&host, &directory, &[]).await;
    assert_eq!((failed.code, &posted()["status"]), (2, &"error".into()), "{failed:?}");
}

#[tokio::test]
async fn a_cron_heartbeat_without_a_usable_directory_is_an_error() {
    let host = Host::new();
    let nowhere = run(host.command("lazarus-pit").arg("--write-heartbeat")).await;
    assert!(nowhere.code == 2 && nowhere.stderr.contains("by LAZARUS_HEARTBEAT_DIRECTORY"), "{nowhere:?}");
    let missing = pit(&host, Path::new("/proc/none"), &["--json"]).await;
    assert!(missing.code == 1 && missing.stderr.contains("create that directory, or make it writable"), "{missing:?}");
    assert_eq!(missing.json()["summary"]["healthy"], 0, "what was found is printed all the same");
}
