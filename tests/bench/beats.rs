//! Heartbeats over HTTP, on persistent connections, spread over many cells. The file system matters most: `TMPDIR` selects
//! the one with the cells.

use crate::Scale;
use crate::support::cells::at;
use crate::support::host::Host;
use lazarus::config::{Flags, Settings};
use lazarus::engine::metrics::Metrics;
use lazarus::engine::queue::Queue;
use lazarus::http::server::ConnectionLimits;
use lazarus::http::{Web, serve_endpoints};
use lazarus::provision::init::init;
use lazarus::world::cells::heartbeats::HeartbeatReceiver;
use lazarus::world::store::root::Root;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The burst of heartbeats that a cell accepts.
const BEATS_PER_CELL: usize = 5;

/// Fewer connections than the limit of one peer.
const CONNECTIONS: usize = 64;

/// The token of all cells, so that the benchmark need not read one per cell.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) async fn measure(scale: Scale) {
    let cells = scale.cells.min(10_000);
    let host = Host::on_disk();
    let flags = Flags { missions_root: Some(host.root()), ..Flags::default() };
    let environment = [("LAZARUS_HOST".to_owned(), "alpha".to_owned())].into_iter().collect();
    init(&Settings::load(&flags, &environment).unwrap(), None, at(0)).unwrap();
    let names: Arc<Vec<String>> = Arc::new((1..=cells).map(|cell| make_cell(&host, cell)).collect());
    let mut rates = Vec::new();
    for _ in 0..scale.runs {
        rates.push(beats_per_second(&host, &names).await);
    }
    println!(
        "| heartbeats over loopback, {CONNECTIONS} connections, {cells} cells in turn, \
         sent from the same process on the same cores | accepted per second |\n|---|---|"
    );
    println!("| cells in `{}` | {:.0} |\n", std::env::temp_dir().display(), crate::median(rates));
}

/// Creates the parts of a cell that a heartbeat needs.
fn make_cell(host: &Host, cell: usize) -> String {
    let name = format!("00000000-0000-4000-8000-{cell:012x}");
    let path = host.root().join(&name);
    for directory in ["config", "state"] {
        std::fs::create_dir_all(path.join(directory)).unwrap();
    }
    std::fs::write(path.join("config/heartbeat.token"), TOKEN).unwrap();
    std::fs::write(path.join("state/heartbeat.json"), "{ \"timestamp\": null, \"state\": \"new\" }").unwrap();
    name
}

/// Each run has a new server, whose rate limits are unused.
async fn beats_per_second(host: &Host, names: &Arc<Vec<String>>) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_snapshot, shown) = watch::channel(Arc::new(crate::support::site::snapshot()));
    let (shutdown, stop) = watch::channel(false);
    let web = Web {
        snapshot: shown,
        queue: Arc::new(Queue::default()),
        comments: tokio::sync::mpsc::channel(1).0,
        beats: Arc::new(HeartbeatReceiver::new(Arc::new(Root::open(&host.root()).unwrap()))),
        metrics: Arc::new(Metrics::default()),
        webhook_secret: None,
        page_token: None,
        limits: ConnectionLimits::default(),
    };
    let server = tokio::spawn(serve_endpoints(listener, Arc::new(web), stop));
    let (next, total) = (Arc::new(AtomicUsize::new(0)), names.len() * BEATS_PER_CELL);
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        senders.spawn(send(address, Arc::clone(names), Arc::clone(&next), total));
    }
    senders.join_all().await;
    let elapsed = started.elapsed().as_secs_f64();
    shutdown.send(true).unwrap();
    server.await.unwrap();
    f64::from(u32::try_from(total).unwrap()) / elapsed
}

/// Sends heartbeats one after the other until all are sent; each must be accepted.
async fn send(address: SocketAddr, names: Arc<Vec<String>>, next: Arc<AtomicUsize>, total: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let body = "{\"state\": \"working\", \"message\": \"half way\"}";
    let mut answer = [0; 1_024];
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= total {
            return;
        }
        let request = format!(
            "POST /missions/{}/heartbeat HTTP/1.1\r\nHost: pit\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            names[index % names.len()],
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut answer[length..]).await.unwrap();
            assert!(count > 0, "the server closed the connection");
            length += count;
        }
        assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer[..length]));
    }
}
