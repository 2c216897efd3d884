//! The daemon as a process for an hour or more, while missions come and go and untrusted clients do what they like: whether
//! its memory, its threads or its open files grow.
//!
//! `LAZARUS_SOAK_MINUTES` says for how long; without it the run is a short one.

mod load;
mod people;

use crate::Scale;
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::service::{Service, command, start};
use load::{Counts, Load};
use rustix::process::Signal;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many missions there are, about.
const MISSIONS: usize = 200;

/// How often the daemon ticks, and how often it looks at everything anew, in seconds.
const INTERVAL: u64 = 10;
const AUDIT_INTERVAL: u64 = 120;

/// How often the process is measured.
const SAMPLE_PAUSE: Duration = Duration::from_secs(10);

/// How much each line of the table stands for, in a long run.
const LINE: Duration = Duration::from_secs(300);

/// A run of at least so long has to show that memory does not grow by more than this, in KiB, over its last half.
const JUDGED: Duration = Duration::from_secs(3_600);
const GROWTH_MAX_KIB: i64 = 100;

/// What `/proc` tells of the process at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    rss_kib: u32,
    anonymous_kib: u32,
    threads: u32,
    files: u32,
}

pub(crate) async fn measure(scale: Scale) {
    let span = span(scale);
    let (forge, host) = (Forge::sandbox().await, Arc::new(Host::on_disk()));
    let repository = forge.repository().await;
    repository.file_many("reader", (0..MISSIONS).map(|_| body(&[("Stale after", "1 minute")])).collect()).await;
    let service = Arc::new(serve(&host, &repository).await);
    while host.cells().len() < MISSIONS {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let counts = Arc::new(Counts::default());
    let load = Load::new(&service, &host, &repository, &counts);
    let mut clients = JoinSet::new();
    load.begin(&mut clients);
    let samples = watch(&service, &counts, span).await;
    clients.shutdown().await;
    tell(&samples, span);
    println!("| what came in within {:.0} minutes | |\n|---|---|", span.as_secs_f64() / 60.0);
    for (what, count) in counts.each() {
        println!("| {what} | {count} |");
    }
    println!("| missions in the root, and in the archive | {}, {} |\n", host.cells().len(), host.archives().len());
    drop(load);
    judge(&samples, span);
    Arc::into_inner(service).expect("nobody else uses it by now").end(Signal::TERM).await;
}

fn span(scale: Scale) -> Duration {
    let minutes = std::env::var("LAZARUS_SOAK_MINUTES").ok();
    let minutes = minutes.map(|minutes| Duration::from_secs(60 * minutes.parse::<u64>().unwrap()));
    minutes.unwrap_or(Duration::from_secs(if scale.runs > 1 { 120 } else { 20 }))
}

async fn serve(host: &Host, repository: &Repository) -> Service {
    let limits = json!({ "cells": 10_000, "cells_per_author": 10_000, "new_cells_per_pass": 10_000 });
    let more = json!({
        "daemon": { "interval_seconds": INTERVAL, "audit_interval_seconds": AUDIT_INTERVAL }, "limits": limits, "close": { "grace_seconds": 5 },
        "notify": { "on": ["stale"], "after_seconds": 60 },
    });
    start(command(host, Some(repository), more)).await
}

/// Measures again and again, and prints a line now and then.
async fn watch(service: &Service, counts: &Counts, span: Duration) -> Vec<Sample> {
    let (started, line) = (Instant::now(), LINE.min(span / 4));
    let (mut samples, mut due) = (Vec::new(), line);
    println!(
        "| a daemon with {MISSIONS} missions that come and go | RSS, KiB | anonymous, KiB, least and most | threads | open files | requests |\n|---|---|---|---|---|---|"
    );
    while started.elapsed() < span {
        tokio::time::sleep(SAMPLE_PAUSE.min(span / 20)).await;
        samples.push(sample(service, started.elapsed()));
        if started.elapsed() >= due {
            let lasted: Vec<Sample> = samples.iter().filter(|sample| sample.at + line > due).copied().collect();
            row(&lasted, due, counts);
            due += line;
        }
    }
    samples
}

fn row(samples: &[Sample], at: Duration, counts: &Counts) {
    let most = |of: fn(&Sample) -> u32| samples.iter().map(of).max().unwrap_or_default();
    let least = samples.iter().map(|sample| sample.anonymous_kib).min().unwrap_or_default();
    println!(
        "| {:.1} min | {} | {least}, {} | {} | {} | {} |",
        at.as_secs_f64() / 60.0,
        most(|sample| sample.rss_kib),
        most(|sample| sample.anonymous_kib),
        most(|sample| sample.threads),
        most(|sample| sample.files),
        counts.each().map(|(_, count)| count).sum::<u64>()
    );
}

fn sample(service: &Service, at: Duration) -> Sample {
    let process = format!("/proc/{}", service.pid());
    let status = std::fs::read_to_string(format!("{process}/status")).expect("the daemon lives");
    let number = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    let files = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    Sample {
        at,
        rss_kib: number("VmRSS:"),
        anonymous_kib: number("RssAnon:"),
        threads: number("Threads:"),
        files: u32::try_from(files).unwrap(),
    }
}

fn last_half(samples: &[Sample], span: Duration) -> &[Sample] {
    let begin = samples.iter().position(|sample| sample.at >= span / 2).unwrap_or_default();
    &samples[begin..]
}

fn tell(samples: &[Sample], span: Duration) {
    let half = last_half(samples, span);
    println!("\n| growth over the last half | KiB |\n|---|---|");
    println!(
        "| anonymous memory, from the least of its first third to the least of its last | {} |",
        floor_growth(half)
    );
    println!(
        "| anonymous memory, by the line that fits its samples best | {:.0} |",
        growth(half, |it| it.anonymous_kib)
    );
    println!("| RSS, likewise | {:.0} |", growth(half, |it| it.rss_kib));
    println!(
        "| threads, open files, likewise | {:.1}, {:.1} |\n",
        growth(half, |it| it.threads),
        growth(half, |it| it.files)
    );
}

/// By how much anonymous memory grows that is never returned: when many connect at once, memory rises for a while, and on a
/// busy machine that happens at any time.
fn floor_growth(samples: &[Sample]) -> i64 {
    let third = samples.len().div_ceil(3);
    let least =
        |samples: &[Sample]| samples.iter().map(|sample| i64::from(sample.anonymous_kib)).min().unwrap_or_default();
    least(&samples[samples.len() - third..]) - least(&samples[..third])
}

/// By how much the line of least squares rises over all samples.
fn growth(samples: &[Sample], of: fn(&Sample) -> u32) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap());
    let points = || samples.iter().map(|sample| (sample.at.as_secs_f64(), f64::from(of(sample))));
    let (mean_at, mean) =
        (points().map(|(at, _)| at).sum::<f64>() / count, points().map(|(_, y)| y).sum::<f64>() / count);
    let spread: f64 = points().map(|(at, _)| (at - mean_at).powi(2)).sum();
    let slope = points().map(|(at, y)| (at - mean_at) * (y - mean)).sum::<f64>() / spread.max(f64::MIN_POSITIVE);
    slope * (samples[samples.len() - 1].at.as_secs_f64() - samples[0].at.as_secs_f64())
}

fn judge(samples: &[Sample], span: Duration) {
    let half = last_half(samples, span);
    if span >= JUDGED {
        assert!(floor_growth(half) <= GROWTH_MAX_KIB, "its memory grows");
        assert!(growth(half, |sample| sample.threads) < 1.0, "its threads become more");
        assert!(growth(half, |sample| sample.files) < 16.0, "its open files become more");
    }
}
