//! The metrics: labels with closed sets of values, all present from the start.

use crate::http::endpoints::pages::view;
use crate::http::endpoints::{CELL, NOWHERE};
use crate::support::cells::at;
use crate::support::site::{Setup, Site, snapshot};
use lazarus::engine::metrics::{ERROR_KINDS, Metrics};
use lazarus::engine::queue::{Key, Queue};
use lazarus::engine::snapshot::{FailureCounts, Passes, Snapshot};
use lazarus::world::forge::Traffic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn check(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|other| other == *line), "`{line}` is not in:\n{text}");
    }
}

#[test]
fn every_metric_is_rendered_in_the_openmetrics_format() {
    let (metrics, queue) = (Metrics::default(), Queue::default());
    metrics.pass_ended(true, Duration::from_millis(200));
    metrics.pass_ended(false, Duration::from_secs(7));
    metrics.error("timeout");
    metrics.error("something else");
    queue.add(Key::Resync);
    let sent = [("get", "2xx", 5), ("get", "none", 1), ("post", "2xx", 2), ("patch", "5xx", 1)];
    let traffic = sent.into_iter().collect::<Traffic>();
    let failures = FailureCounts { mission: 2, ..FailureCounts::default() };
    let passes = Passes { complete_at: Some(at(-7)), failures, ..snapshot().passes };
    let text = metrics.render(&Snapshot { traffic, passes, missions: vec![Arc::new(view())], ..snapshot() }, &queue);
    check(
        &text,
        &[
            "lazarus_passes_total{result=\"complete\"} 1",
            "lazarus_passes_total{result=\"incomplete\"} 1",
            "# UNIT lazarus_pass_duration_seconds seconds",
            "lazarus_pass_duration_seconds_bucket{le=\"0.25\"} 1",
            "lazarus_pass_duration_seconds_bucket{le=\"+Inf\"} 2",
            "lazarus_requests_total{method=\"get\",class=\"2xx\"} 5",
            "lazarus_requests_total{method=\"get\",class=\"none\"} 1",
            "lazarus_requests_total{method=\"delete\",class=\"4xx\"} 0",
            "lazarus_writes_total 3",
            "lazarus_missions{phase=\"active\"} 1",
            "lazarus_missions{phase=\"pending\"} 0",
            "lazarus_cells{health=\"uninitialized\"} 1",
            "lazarus_cells{health=\"healthy\"} 0",
            "lazarus_queue_depth 1",
            "lazarus_errors_total{kind=\"timeout\"} 1",
            "lazarus_errors_total{kind=\"other\"} 1",
            "lazarus_errors_total{kind=\"unauthorized\"} 0",
            "lazarus_heartbeats_total{result=\"accepted\"} 0",
            "lazarus_webhooks_total{result=\"unsigned\"} 0",
            "lazarus_gateways{state=\"down\"} 0",
            "lazarus_failures{scope=\"mission\"} 2",
            "lazarus_failures{scope=\"service\"} 0",
            "lazarus_last_complete_pass_timestamp_seconds 1794999993",
        ],
    );
    assert!(text.lines().any(|line| line.starts_with("lazarus_queue_oldest_seconds 0.0")), "{text}");
    assert!(text.ends_with("# EOF\n") && !text.contains("something else"));
}

#[tokio::test]
async fn requests_to_the_endpoints_are_counted() {
    let site = Site::new(Setup::default()).await;
    let (_, token) = site.cell(CELL);
    site.beat(CELL, &token, "{}").await;
    site.beat(CELL, &token, "[]").await;
    for _ in 0..3 {
        site.beat(NOWHERE, &token, "{}").await;
    }
    let expected = [
        "lazarus_heartbeats_total{result=\"accepted\"} 1",
        "lazarus_heartbeats_total{result=\"malformed\"} 1",
        "lazarus_heartbeats_total{result=\"unknown\"} 3",
    ];
    check(&site.look("/metrics").await.body, &expected);
}

/// Every source file.
fn sources(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// Reads the fixed words from the source: in the `kind()` of every error, and wherever else a failure is created.
#[test]
fn every_kind_of_error_has_a_counter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut words: Vec<String> = Vec::new();
    for (path, text) in files {
        // The kinds of changes and of steps of `install` are no errors.
        let is_error = !["plan/change.rs", "install/plan.rs"].iter().any(|other| path.ends_with(other));
        for kind in text.split("pub fn kind(&self)").skip(1).filter(|_| is_error) {
            let kind = kind.split("\n    }\n").next().unwrap();
            words.extend(kind.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
        // The word is the first string in the call that creates a failure.
        for call in ["Failure::service(", "Failure::of_repository(", "Failure::mission(", "ErrorReport { kind: "] {
            let calls = text.split(call).skip(1).map(|rest| rest.lines().next().unwrap());
            words.extend(calls.filter_map(|call| call.split('"').nth(1).map(str::to_owned)));
        }
        if path.ends_with("engine/failure.rs") {
            for call in ["Self::service(", "Self::mission("] {
                let calls = text.split(call).skip(1).map(|rest| rest.lines().next().unwrap());
                words.extend(calls.filter_map(|call| call.split('"').nth(1).map(str::to_owned)));
            }
        }
    }
    assert!(words.len() > 30, "too few words were found: {words:?}");
    words.sort_unstable();
    words.dedup();
    assert_eq!(words, ERROR_KINDS);
}
