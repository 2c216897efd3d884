//! The daemon as a process: its memory with many missions, and the time from a webhook to the labels.

use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::service::{Service, command, start};
use crate::{Scale, format_seconds, memory, webhook_to_labels};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

/// Enough missions to measure the cost of each.
const CELLS_MAX: usize = 10_000;

pub(crate) async fn measure(scale: Scale) {
    on("the sandbox", Forge::sandbox().await, scale).await;
    if let Some(gitea) = Forge::real().await {
        on("a real Gitea", gitea, Scale { cells: scale.proposals, ..scale }).await;
    } else {
        println!("skipped: the daemon on a real Gitea, since LAZARUS_TEST_GITEA names none");
    }
}

async fn on(what: &str, forge: Forge, scale: Scale) {
    let cells = scale.cells.min(CELLS_MAX);
    let (repository, host) = (forge.repository().await, Host::on_disk());
    repository.file_many("reader", vec![body(&[]); cells]).await;
    let service = start(command(
        &host,
        Some(&repository),
        json!({ "limits": { "cells": 100_000, "cells_per_author": 100_000, "new_cells_per_pass": 100_000 } }),
    ))
    .await;
    wait_for_cells(&service, cells).await;
    let peak = memory(&service, "VmHWM");
    let mut times = Vec::new();
    for _ in 0..scale.proposals.min(200) {
        times.push(webhook_to_labels(&service, &repository).await);
    }
    times.sort_by(f64::total_cmp);
    let [median, percentile] = [times[times.len() / 2], times[times.len() * 99 / 100]].map(format_seconds);
    println!("| a daemon | on {what}, {cells} missions |\n|---|---|");
    println!("| peak memory | {peak} MiB |");
    println!("| from a webhook to the labels, median of {} | {median} |", times.len());
    println!("| 99th percentile of the same | {percentile} |\n");
    service.end(Signal::TERM).await;
}

async fn wait_for_cells(service: &Service, cells: usize) {
    loop {
        let health: serde_json::Value = serde_json::from_str(&service.get("/health").await.1).unwrap();
        let found = health["cells"].as_array().unwrap().len();
        if found >= cells {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
