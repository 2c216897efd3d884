//! The daemon as a process before a forge that has far more to tell than anybody can hold: how much memory that takes.

use crate::support::floods::{Extent, everything, famous};
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::service::{command, start};
use crate::{Scale, format_seconds};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

const WHOLE: Extent = Extent { issues: 1_000, issue_mib: 10, comments: 1_000, labels: 10_000, timeline: 50_000 };
const SMALL: Extent = Extent { issues: 20, issue_mib: 10, comments: 80, labels: 10_000, timeline: 11_000 };

/// So many passes and deliveries are tried.
const PASSES: u64 = 4;

/// The most memory that the daemon may ever take up, its program included, in KiB.
const KIB_MAX: u64 = 128 * 1024;

pub(crate) async fn measure(scale: Scale) {
    // So many seconds lie between two ticks, so that most passes are over by then.
    let (extent, interval) = if scale.runs > 1 { (WHOLE, 120) } else { (SMALL, 15) };
    let (forge, host) = (Forge::sandbox().await, Host::on_disk());
    let repository = forge.repository().await;
    let (number, comment) = famous(&repository, &host).await;
    let flooded = everything(&repository, number, extent).await;
    let mut command = command(&host, Some(&repository), json!({ "daemon": { "interval_seconds": interval } }));
    command.env("LAZARUS_GITEA_URL", &flooded.url);
    let (service, started) = (start(command).await, Instant::now());
    println!("| a daemon before {extent:?} | its memory, at most |\n|---|---|");
    let (mut passed, mut named) = (0, Vec::new());
    while passed < PASSES {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let health: serde_json::Value = serde_json::from_str(&service.get("/health").await.1).unwrap();
        let told = &health["passes"];
        let ended = told["complete"].as_u64().unwrap() + told["incomplete"].as_u64().unwrap();
        for error in told["errors"].as_array().unwrap() {
            let error = error.as_str().unwrap().to_owned();
            if !named.contains(&error) {
                named.push(error);
            }
        }
        if ended > passed {
            passed = ended;
            let (took, most) = (format_seconds(started.elapsed().as_secs_f64()), most_kib(service.pid()));
            println!("| after {passed} passes and as many deliveries for the issue, {took} | {most} KiB |");
            assert_eq!(service.hook(repository.id, number).await, 202);
            assert_eq!(service.hook_deletion(repository.id, number, comment).await, 202);
        }
    }
    let asked = flooded.asked.lock().unwrap().len();
    println!("| pages that were asked of what there is too much of | {asked} |\n\nWhat it says:");
    for line in &named {
        println!("- {line}");
    }
    println!("{}\n", repository.labels(number).await.join(", "));
    assert!(named.iter().any(|line| line.contains("too large")), "what was left out is not named");
    assert!(most_kib(service.pid()) <= KIB_MAX, "it takes up too much");
    service.end(Signal::TERM).await;
}

fn most_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
