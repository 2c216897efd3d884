//! The daemon as a process while untrusted clients flood every endpoint: its memory, its interval, and the time from a
//! valid webhook to the labels.

use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::service::{Service, command, delivery, start};
use crate::{Scale, format_seconds, memory, webhook_to_labels};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The number of clients for each kind of request.
const FLOODERS: usize = 6;

/// The number of clients that send single bytes slowly: more than there are connection slots.
const DRIPPERS: usize = 300;

/// How often the daemon ticks, in seconds.
const INTERVAL: u64 = 5;

/// The most that its memory may grow, in MiB: in the first half of the time, and in the second.
const GROWTH_MAX: [u64; 2] = [64, 16];

pub(crate) async fn measure(scale: Scale) {
    let span = Duration::from_secs(if scale.runs > 1 { 60 } else { 10 });
    let (forge, host) = (Forge::sandbox().await, Host::on_disk());
    let repository = forge.repository().await;
    let old = repository.file("reader", "Mission: old", &[]).await;
    let service = start(command(&host, Some(&repository), json!({ "daemon": { "interval_seconds": INTERVAL } }))).await;
    service.passed(1).await;
    let (requests_before, memory_before) = (forge.engine().log().len(), memory(&service, "VmRSS"));
    let (passes_before, started) = (passes(&service).await, Instant::now());
    let answers = Arc::new(AtomicU32::new(0));
    let mut clients = flood(&service, &replayed(repository.id, old), &answers);
    let (mut times, mut peak, mut halfway) = (Vec::new(), memory_before, None);
    while started.elapsed() < span {
        times.push(webhook_to_labels(&service, &repository).await);
        peak = peak.max(memory(&service, "VmRSS"));
        if started.elapsed() > span / 2 {
            halfway.get_or_insert(peak);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (passed, took) = (passes(&service).await - passes_before, started.elapsed());
    let (due, seconds) = (took.as_secs() / INTERVAL, took.as_secs_f64());
    clients.shutdown().await;
    let checks = forge.engine().log()[requests_before..]
        .iter()
        .filter(|request| request.target.ends_with(&format!("/issues/{old}")))
        .count();
    times.sort_by(f64::total_cmp);
    println!(
        "| untrusted clients on every endpoint for {seconds:.0} s: \
         forged, replayed, too large, too slow, malformed requests | |\n|---|---|"
    );
    println!("| answers to them per second | {:.0} |", f64::from(answers.load(Ordering::Relaxed)) / seconds);
    let halfway = halfway.unwrap_or(peak);
    println!("| memory before, after half of the time, and at the peak | {memory_before}, {halfway}, {peak} MiB |");
    println!("| passes, of {due} due | {passed} |");
    println!(
        "| checks per second of the issue whose delivery is replayed | {:.1} |",
        f64::from(u32::try_from(checks).unwrap()) / seconds
    );
    let [median, maximum] = [times[times.len() / 2], *times.last().unwrap()].map(format_seconds);
    println!("| from a valid webhook to the labels, median of {}, and maximum | {median}, {maximum} |\n", times.len());
    assert!(halfway < memory_before + GROWTH_MAX[0] && peak < halfway + GROWTH_MAX[1], "its memory grows");
    assert!(passed + 1 >= due, "its ticks are late");
    service.end(Signal::TERM).await;
}

/// The number of passes that have ended.
async fn passes(service: &Service) -> u64 {
    let health: Value = service.passed(1).await;
    ["complete", "incomplete"].iter().map(|key| health["passes"][key].as_u64().unwrap()).sum()
}

/// A valid delivery, to be replayed.
fn replayed(repository: i64, number: i64) -> Vec<u8> {
    let (body, signature) = delivery(repository, number);
    post("/webhook", &format!("Content-Type: application/json\r\nX-Gitea-Signature: {signature}\r\n"), body.as_bytes())
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: pit\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Starts all clients, which continue until dropped.
fn flood(service: &Service, replayed: &[u8], answers: &Arc<AtomicU32>) -> JoinSet<()> {
    let json = "Content-Type: application/json\r\n";
    let forged = format!("{json}X-Gitea-Signature: {}\r\n", "0".repeat(64));
    let beat = "/missions/123e4567-e89b-12d3-a456-426614174000/heartbeat";
    let wrong_token = "Authorization: Bearer 0123456789abcdef\r\n";
    let large = vec![b' '; 1024 * 1024 + 1];
    let to_ingress = [
        replayed.to_vec(),
        post("/webhook", &forged, &vec![b'x'; 64 * 1024]),
        post("/webhook", &forged, &large),
        post("/webhook", "Content-Type: text/plain\r\n", b"x"),
        post("/webhook", "", b""),
        post(beat, wrong_token, b"{}"),
        post(beat, wrong_token, &large),
        post("/missions/..%2f..%2fetc/heartbeat", wrong_token, b"{"),
        b"\x16\x03\x01 no HTTP at all\r\n\r\n".to_vec(),
        [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 20_000], b"\r\n\r\n"].concat(),
    ];
    let to_pages = [
        b"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n".to_vec(),
        b"GET /?health=%00&sort=x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"GET /missions/none HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        post("/metrics", "", b"x"),
    ];
    let mut clients = JoinSet::new();
    for (address, requests) in [(address(&service.doors), to_ingress.as_slice()), (address(&service.pages), &to_pages)]
    {
        for _ in 0..FLOODERS {
            for request in requests {
                clients.spawn(repeat(address, request.clone(), Arc::clone(answers)));
            }
        }
        for _ in 0..DRIPPERS {
            clients.spawn(drip(address));
        }
    }
    clients
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// Repeats a request, on a new connection whenever the daemon closes the last one.
async fn repeat(address: SocketAddr, request: Vec<u8>, answers: Arc<AtomicU32>) {
    let mut answer = [0; 16 * 1024];
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        while stream.write_all(&request).await.is_ok() && stream.read(&mut answer).await.is_ok_and(|count| count > 0) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Never finishes its request.
async fn drip(address: SocketAddr) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        for byte in b"POST /webhook HTTP/1.1\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
