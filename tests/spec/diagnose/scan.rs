//! The health report: every cell with its reason, those that have vanished too, and ages that a person can read.

use crate::support::forge::Forge;
use crate::support::golden;
use crate::support::host::{Host, run};
use serde_json::json;

#[tokio::test]
async fn a_scan_lists_every_cell_with_its_reason() {
    let host = Host::new();
    let id = |last: u32| format!("123e4567-e89b-12d3-a456-42661417400{last}");
    for last in 0..5 {
        run(host.command("lazarus-pit").args(["--init-cell", &id(last)])).await;
    }
    let cell = |last: u32| host.root().join(id(last));
    for (last, seconds, state) in [(0, 130, "waiting"), (1, 3 * 86_400 + 60, "done"), (4, 5 * 3_600 + 60, "working")] {
        let stamp = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds);
        let heartbeat = json!({ "timestamp": stamp.to_rfc3339(), "state": state }).to_string();
        std::fs::write(cell(last).join("state/heartbeat.json"), heartbeat).unwrap();
    }
    std::fs::remove_dir_all(cell(2).join("artifacts")).unwrap();
    std::fs::remove_file(cell(3).join("meta/mission.json")).unwrap();
    let scan = run(host.command("lazarus-reconcile").args(["scan", "--json"])).await;
    assert_eq!(scan.code, 0, "{scan:?}");
    let report = scan.json();
    let verdicts: Vec<String> = report["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| {
            format!("{} {} {}", cell["health"].as_str().unwrap(), cell["reason"].as_str().unwrap(), cell["agent_state"])
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            "healthy heartbeat-ok \"waiting\"",
            "healthy completed \"done\"",
            "incomplete missing artifacts/ null",
            "uninitialized not-initialized null",
            "stale heartbeat-timeout \"working\"",
        ]
    );
    let counts = json!({ "healthy": 2, "stale": 1, "incomplete": 1, "uninitialized": 1, "unknown": 0 });
    assert_eq!((&report["summary"], &report["host"]), (&counts, &json!("alpha")));
    let of_pit = run(host.command("lazarus-pit").arg("--json")).await.json();
    assert_eq!((&of_pit["summary"], &of_pit["cells"][3]), (&report["summary"], &report["cells"][3]));
    let filtered = run(host.command("lazarus-reconcile").args(["scan", "--json", "--health", "stale"])).await.json();
    assert_eq!((filtered["cells"].as_array().unwrap().len(), &filtered["summary"]), (1, &counts));
    let table = run(&mut host.command("lazarus-pit")).await.stdout.replace(&host.root().display().to_string(), "ROOT");
    golden::check("scan.txt", &table);
}

#[tokio::test]
async fn a_scan_reports_the_missing_cell_of_an_open_issue() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    host.once(&repository).await;
    let cell = host.cell();
    std::fs::rename(&cell, host.path().join("moved")).unwrap();
    let scan = async || run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json();
    let missed = scan().await;
    let reported = &missed["cells"][0];
    assert_eq!(
        (&reported["path"], &reported["health"], &reported["reason"]),
        (&json!(cell), &json!("incomplete"), &json!("missing ."))
    );
    repository.set_state(number, "closed").await;
    host.once(&repository).await;
    assert_eq!(scan().await["cells"], json!([]), "a closed mission needs no cell");
}

#[tokio::test]
async fn a_scan_warns_of_an_uninitialized_root_and_a_damaged_record() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let scan = async || run(host.command("lazarus-reconcile").arg("scan")).await;
    let new = scan().await;
    assert!(new.code == 0 && new.stderr.contains("is not initialized as a missions root yet"), "{new:?}");
    repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let record = std::fs::read_dir(host.root().join(".lazarus/missions")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&record, "{ ").unwrap();
    let damaged = scan().await;
    let name = record.file_name().unwrap().to_str().unwrap();
    assert!(damaged.code == 0 && damaged.stderr.contains(name), "{damaged:?}");
}

#[tokio::test]
async fn a_scan_reports_a_heartbeat_ahead_of_the_clock() {
    let host = Host::new();
    run(host.command("lazarus-pit").args(["--init-cell", "123e4567-e89b-12d3-a456-426614174000"])).await;
    let ahead = json!({ "timestamp": "2200-01-01T00:00:00Z", "state": "working" }).to_string();
    let heartbeat = host.cell().join("state/heartbeat.json");
    std::fs::write(&heartbeat, ahead).unwrap();
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(heartbeat).unwrap().set_modified(future).unwrap();
    let table = run(&mut host.command("lazarus-pit")).await.stdout;
    assert!(table.contains("ahead of the clock"), "{table}");
}
