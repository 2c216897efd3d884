//! Benchmarks, as ratios within one run: a scan relative to a Python peer and to bare system calls, and a pass relative to
//! a script, on the sandbox and, if `LAZARUS_TEST_GITEA` names its binary, on a real Gitea; and heartbeats per second.
//!
//! `cargo bench` prints the tables of docs/benchmarks.md, `cargo bench -- beats` only one of `scan`, `pass`, `daemon`,
//! `flood`, `page`, `beats`, `bounds` and `soak`; `cargo bench -- --quick` runs everything on a small scale.
#![allow(clippy::unwrap_used, reason = "a benchmark should panic where it fails")]

mod bare;
mod beats;
mod bounds;
mod daemon;
mod flood;
mod page;
mod pass;
mod scan;
mod soak;
#[path = "../spec/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the specification uses all of it, the benchmarks a part")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::repository::Repository;
use support::service::Service;

/// The size of a measurement.
#[derive(Clone, Copy, Debug)]
struct Scale {
    cells: usize,
    proposals: usize,
    runs: usize,
}

/// The benchmarks that an argument selects.
const PARTS: [&str; 8] = ["scan", "pass", "daemon", "flood", "page", "beats", "bounds", "soak"];

const FULL: Scale = Scale { cells: 20_000, proposals: 1_000, runs: 5 };
const QUICK: Scale = Scale { cells: 200, proposals: 20, runs: 1 };

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(root) =
        arguments.iter().position(|argument| argument == bare::FLAG).and_then(|at| arguments.get(at + 1))
    {
        return bare::scan(Path::new(root));
    }
    let scale = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let cores = std::thread::available_parallelism().unwrap();
    println!("{cores} cores, {} runs each, medians; ratios are taken run by run\n", scale.runs);
    let named = |part: &str| arguments.iter().any(|argument| argument == part);
    let is_wanted = |part: &str| named(part) || !PARTS.into_iter().any(named);
    if is_wanted("scan") {
        scan::measure(scale).await;
    }
    if is_wanted("pass") {
        pass::measure(scale).await;
    }
    if is_wanted("daemon") {
        daemon::measure(scale).await;
    }
    if is_wanted("flood") {
        flood::measure(scale).await;
    }
    if is_wanted("page") {
        page::measure(scale).await;
    }
    if is_wanted("beats") {
        beats::measure(scale).await;
    }
    if is_wanted("bounds") {
        bounds::measure(scale).await;
    }
    if is_wanted("soak") {
        soak::measure(scale).await;
    }
}

/// A Python peer, which stands for a team's own script.
fn peer(name: &str) -> Command {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/bench/peers", name].iter().collect();
    let mut command = Command::new("python3");
    command.arg(path);
    command
}

/// Runs a command to its end and measures its time. Panics unless it succeeds.
async fn timed(mut command: Command) -> (Duration, Output) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let run = move || {
        let started = Instant::now();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {:?}", output.status);
        (started.elapsed(), output)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Files an issue and delivers its webhook; the seconds from the delivery to the labels.
async fn webhook_to_labels(service: &Service, repository: &Repository) -> f64 {
    let number = repository.file("reader", "Mission: new", &[]).await;
    let delivered = Instant::now();
    assert_eq!(service.hook(repository.id, number).await, 202);
    while repository.labels(number).await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    delivered.elapsed().as_secs_f64()
}

/// A number of `/proc/PID/status`, in MiB.
fn memory(service: &Service, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// `1.23 s` or `45 ms`
fn format_seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1_000.0) } else { format!("{seconds:.1} s") }
}
