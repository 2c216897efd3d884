//! Law 8 for a daemon that lives on: what a flooded forge sends it takes up no more memory at its start, with its ticks and
//! with what it is told, and people see what it left out.

use crate::support::floods::{Extent, everything, famous};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::service::{Service, command, start};
use crate::support::{PATIENCE, soon};
use rustix::process::Signal;
use serde_json::json;

/// The most memory that the daemon may ever take up, its program included, in KiB.
const KIB_MAX: u64 = 128 * 1024;

/// `cargo bench -- bounds` tries many times as much.
const SMALL: Extent = Extent { issues: 20, issue_mib: 1, comments: 80, labels: 10_000, timeline: 11_000 };

fn most_kib(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn law_8_bounded_a_daemon_on_a_flooded_forge_reports_omissions() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let (number, comment) = famous(&repository, &host).await;
    let flooded = everything(&repository, number, SMALL).await;
    let mut command = command(&host, Some(&repository), json!({ "daemon": { "interval_seconds": 10 } }));
    command.env("LAZARUS_GITEA_URL", &flooded.url);
    let service = start(command).await;
    let mut reported = String::new();
    let is_named = |reported: &str| {
        ["an issue is too large", "it is skipped", "kept changing"].iter().all(|it| reported.contains(it))
    };
    let wait = async {
        while !is_named(&reported) {
            reported.push_str(&service.get("/health").await.1);
            tokio::task::yield_now().await;
        }
    };
    // What it reads of it takes an unoptimised build longer than a moment.
    assert!(tokio::time::timeout(4 * PATIENCE, wait).await.is_ok(), "what was left out is not named: {reported}");
    for _ in 0..3 {
        let before = forge.engine().log().len();
        assert_eq!(service.hook(repository.id, number).await, 202);
        let path = format!("GET /api/v1{}", repository.issue_path(number));
        soon("looked at", async || forge.asked(before).contains(&path)).await;
    }
    let before = flooded.asked.lock().unwrap().len();
    assert_eq!(service.hook_deletion(repository.id, number, comment).await, 202);
    let comments = format!("/issues/{number}/comments");
    soon("all its comments are read", async || {
        flooded.asked.lock().unwrap()[before..].iter().any(|asked| asked.contains(&comments))
    })
    .await;
    soon("paused", async || repository.comment(number).await.contains("suspended")).await;
    service.passed(2).await;
    let most = most_kib(&service);
    println!("VmHWM: {most} KiB");
    assert!(most <= KIB_MAX, "{most} KiB");
    service.end(Signal::TERM).await;
}
