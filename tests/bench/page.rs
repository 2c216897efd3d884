//! The daemon as a process while many connections pipeline requests for the dashboard: the time of heartbeats, and the
//! interval.

use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::service::{Service, command, start};
use crate::{Scale, format_seconds, memory};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The number of connections, and of concurrent requests on each.
const CROWD: usize = 250;
const PIPELINED: usize = 100;

/// The number of heartbeats, and the pause between them.
const BEATS: usize = 100;
const BEAT_PAUSE: Duration = Duration::from_millis(100);

/// The most that the 99th percentile of a heartbeat may grow, relative to an idle daemon.
const RATIO_MAX: f64 = 20.0;

/// How often the daemon ticks, in seconds.
const INTERVAL: u64 = 2;

/// Enough missions for full pages.
const MISSIONS: usize = 200;

pub(crate) async fn measure(scale: Scale) {
    let (forge, host) = (Forge::sandbox().await, Host::on_disk());
    let repository = forge.repository().await;
    repository.file_many("reader", vec![body(&[]); MISSIONS]).await;
    let limits = json!({ "cells": 10_000, "cells_per_author": 10_000, "new_cells_per_pass": 10_000 });
    let more = json!({ "daemon": { "interval_seconds": INTERVAL }, "limits": limits });
    let service = start(command(&host, Some(&repository), more)).await;
    while host.cells().len() < MISSIONS {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let beats = if scale.runs > 1 { BEATS } else { 20 };
    let idle = beat(&service, &host, beats).await;
    let before = (memory(&service, "VmRSS"), passes(&service).await, Instant::now());
    let crowd = Crowd::start(&service);
    let flooded = beat(&service, &host, beats).await;
    let (answered, peak) = (crowd.stop(), memory(&service, "VmHWM"));
    let (took, passed) = (before.2.elapsed(), passes(&service).await - before.1);
    let due = took.as_secs() / INTERVAL;
    let ratio = quantile(&flooded, 99) / quantile(&idle, 99);
    println!(
        "| {CROWD} connections that each repeat {PIPELINED} concurrent requests for the dashboard, \
         while {beats} heartbeats are sent | |\n|---|---|"
    );
    println!("| answers to them per second | {:.0} |", f64::from(answered) / took.as_secs_f64());
    println!("| heartbeats accepted | {} |", flooded.len());
    for (what, times) in [("when idle", &idle), ("meanwhile", &flooded)] {
        let [median, percentile] = [quantile(times, 50), quantile(times, 99)].map(format_short);
        println!("| median and 99th percentile of a heartbeat {what} | {median}, {percentile} |");
    }
    println!("| 99th percentile of a heartbeat, relative to the same daemon when idle | {ratio:.1} × |");
    println!("| passes, of {due} due | {passed} |");
    println!("| memory before, and at the peak | {}, {peak} MiB |\n", before.0);
    assert_eq!(flooded.len(), beats, "not every heartbeat was accepted");
    assert!(ratio <= RATIO_MAX, "heartbeats are starved");
    assert!(passed + 1 >= due, "its ticks are late");
    service.end(Signal::TERM).await;
}

/// `1.2 ms`
fn format_short(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1_000.0) } else { format_seconds(seconds) }
}

fn quantile(times: &[f64], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

async fn passes(service: &Service) -> u64 {
    let health = service.passed(1).await;
    ["complete", "incomplete"].iter().map(|key| health["passes"][key].as_u64().unwrap()).sum()
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// The seconds of each accepted heartbeat; each is for another cell, on its own connection.
async fn beat(service: &Service, host: &Host, count: usize) -> Vec<f64> {
    let ingress = address(&service.doors);
    let cells: Vec<PathBuf> = host.cells().into_iter().cycle().take(count).collect();
    let send_all = move || {
        let send = |cell: PathBuf| {
            std::thread::sleep(BEAT_PAUSE);
            let started = Instant::now();
            let answer = send(ingress, &cell);
            answer.starts_with("HTTP/1.1 204").then(|| started.elapsed().as_secs_f64())
        };
        cells.into_iter().filter_map(send).collect()
    };
    tokio::task::spawn_blocking(send_all).await.unwrap()
}

fn send(ingress: SocketAddr, cell: &std::path::Path) -> String {
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    let name = cell.file_name().unwrap().to_str().unwrap();
    let beat = "{\"state\": \"working\"}";
    let mut answer = String::new();
    let mut exchange = || {
        let mut stream = TcpStream::connect(ingress)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "POST /missions/{name}/heartbeat HTTP/1.1\r\nHost: pit\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{beat}",
            token.trim(),
            beat.len()
        )?;
        stream.read_to_string(&mut answer)
    };
    // A heartbeat without a response is missing in the count.
    let _ = exchange();
    answer
}

/// The clients that request the dashboard.
struct Crowd {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    members: Vec<std::thread::JoinHandle<()>>,
}

impl Crowd {
    fn start(service: &Service) -> Self {
        let (is_over, answered, pages) = (Arc::default(), Arc::default(), address(&service.pages));
        let member = |_| {
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            std::thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(move || repeat(pages, &is_over, &answered))
                .unwrap()
        };
        let members = (0..CROWD).map(member).collect();
        Self { is_over, answered, members }
    }

    /// Stops the clients; the number of responses.
    fn stop(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.members.into_iter().for_each(|member| member.join().unwrap());
        self.answered.load(Ordering::Relaxed)
    }
}

/// Sends [`PIPELINED`] requests, reads the responses, and starts again after the last one or when the daemon disconnects.
fn repeat(pages: SocketAddr, is_over: &AtomicBool, answered: &AtomicU32) {
    let requests = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(PIPELINED);
    let mut buffer = vec![0; 64 * 1024];
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(pages) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        if stream.write_all(requests.as_bytes()).is_err() {
            continue;
        }
        let mut left = PIPELINED;
        while left > 0 && !is_over.load(Ordering::Relaxed) {
            let Ok(count @ 1..) = stream.read(&mut buffer) else { break };
            let heads = buffer[..count].windows(9).filter(|window| window == b"HTTP/1.1 ").count();
            left = left.saturating_sub(heads);
            answered.fetch_add(u32::try_from(heads).unwrap(), Ordering::Relaxed);
        }
    }
}
