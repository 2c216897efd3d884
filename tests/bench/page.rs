//! The daemon as a process while a crowd asks for its page, a hundred times on each connection without waiting for an
//! answer: what that does to heartbeats and to the interval.

use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::service::{Service, command, start};
use crate::{Scale, memory, spoken};
use rustix::process::Signal;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How many connections there are, and how many requests are sent on each at once.
const CROWD: usize = 250;
const PIPELINED: usize = 100;

/// So many heartbeats are sent, so often.
const BEATS: usize = 100;
const BEAT_PAUSE: Duration = Duration::from_millis(100);

/// A heartbeat may take so many times as long as from an idle service.
const RATIO_MAX: f64 = 20.0;

/// How often the daemon ticks, in seconds.
const INTERVAL: u64 = 2;

/// Its page is full.
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
    let crowd = Crowd::gather(&service);
    let flooded = beat(&service, &host, beats).await;
    let (answered, most) = (crowd.disperse(), memory(&service, "VmHWM"));
    let (took, passed) = (before.2.elapsed(), passes(&service).await - before.1);
    let due = took.as_secs() / INTERVAL;
    let ratio = quantile(&flooded, 99) / quantile(&idle, 99);
    println!(
        "| {CROWD} connections, {PIPELINED} requests for the page on each at once, again and again | |\n|---|---|"
    );
    println!("| their requests that were answered, a second | {:.0} |", f64::from(answered) / took.as_secs_f64());
    println!("| heartbeats meanwhile, of {beats} | {} |", flooded.len());
    for (what, times) in [("an idle daemon", &idle), ("this one", &flooded)] {
        let [half, most] = [quantile(times, 50), quantile(times, 99)].map(fine);
        println!("| a heartbeat to {what}, the median and the 99th percentile | {half}, {most} |");
    }
    println!("| the latter beside that of an idle daemon | {ratio:.1} × |");
    println!("| passes, of {due} due | {passed} |");
    println!("| memory before and at most | {}, {most} MiB |\n", before.0);
    assert_eq!(flooded.len(), beats, "not every heartbeat was taken");
    assert!(ratio <= RATIO_MAX, "heartbeats are starved");
    assert!(passed + 1 >= due, "its ticks are late");
    service.end(Signal::TERM).await;
}

/// `1.2 ms`
fn fine(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1_000.0) } else { spoken(seconds) }
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

/// How long each heartbeat took that was taken; each is of another cell, and comes on a connection of its own.
async fn beat(service: &Service, host: &Host, count: usize) -> Vec<f64> {
    let doors = address(&service.doors);
    let cells: Vec<PathBuf> = host.cells().into_iter().cycle().take(count).collect();
    let beating = move || {
        let send = |cell: PathBuf| {
            std::thread::sleep(BEAT_PAUSE);
            let asked = Instant::now();
            let answer = send(doors, &cell);
            answer.starts_with("HTTP/1.1 204").then(|| asked.elapsed().as_secs_f64())
        };
        cells.into_iter().filter_map(send).collect()
    };
    tokio::task::spawn_blocking(beating).await.unwrap()
}

fn send(doors: SocketAddr, cell: &std::path::Path) -> String {
    let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap();
    let name = cell.file_name().unwrap().to_str().unwrap();
    let beat = "{\"state\": \"working\"}";
    let mut answer = String::new();
    let mut converse = || {
        let mut stream = TcpStream::connect(doors)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "POST /missions/{name}/heartbeat HTTP/1.1\r\nHost: pit\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{beat}",
            token.trim(),
            beat.len()
        )?;
        stream.read_to_string(&mut answer)
    };
    // What was not answered is missing in the count.
    let _ = converse();
    answer
}

/// Those who ask for the page.
struct Crowd {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    members: Vec<std::thread::JoinHandle<()>>,
}

impl Crowd {
    fn gather(service: &Service) -> Self {
        let (is_over, answered, pages) = (Arc::default(), Arc::default(), address(&service.pages));
        let member = |_| {
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            std::thread::Builder::new().stack_size(128 * 1024).spawn(move || ask(pages, &is_over, &answered)).unwrap()
        };
        let members = (0..CROWD).map(member).collect();
        Self { is_over, answered, members }
    }

    /// How many answers there were.
    fn disperse(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.members.into_iter().for_each(|member| member.join().unwrap());
        self.answered.load(Ordering::Relaxed)
    }
}

/// Sends a hundred requests, reads what comes, and begins anew when all are answered or the daemon has had enough.
fn ask(pages: SocketAddr, is_over: &AtomicBool, answered: &AtomicU32) {
    let requests = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(PIPELINED);
    let mut heard = vec![0; 64 * 1024];
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(pages) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        if stream.write_all(requests.as_bytes()).is_err() {
            continue;
        }
        let mut left = PIPELINED;
        while left > 0 && !is_over.load(Ordering::Relaxed) {
            let Ok(count @ 1..) = stream.read(&mut heard) else { break };
            let heads = heard[..count].windows(9).filter(|window| window == b"HTTP/1.1 ").count();
            left = left.saturating_sub(heads);
            answered.fetch_add(u32::try_from(heads).unwrap(), Ordering::Relaxed);
        }
    }
}
