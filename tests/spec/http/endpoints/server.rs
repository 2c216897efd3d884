//! Limits of every connection: deadlines, sizes and numbers, and that one cannot bring down another.

use crate::http::endpoints::CELL;
use crate::support::site::{Answer, Setup, Site, ask, listen, say};
use http_body_util::Full;
use hyper::Response;
use lazarus::http::server::{ConnectionLimits, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Deadlines that pass while a test waits for them.
fn hasty() -> ConnectionLimits {
    let soon = Duration::from_millis(100);
    ConnectionLimits { headers: soon, body: soon, answer: 2 * soon, idle: 3 * soon, ..ConnectionLimits::default() }
}

#[tokio::test]
async fn a_slow_client_is_disconnected() {
    let site = Site::new(Setup { limits: hasty(), ..Setup::default() }).await;
    assert_eq!(say(site.doors, b"").await, b"", "an idle client");
    assert_eq!(say(site.doors, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await, b"", "half of the headers");
    let (_, token) = site.cell(CELL);
    let half = format!(
        "POST /missions/{CELL}/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n{{"
    );
    assert_eq!(Answer::parse(&say(site.doors, half.as_bytes()).await).status, 408, "half of the body");
    let idle = say(site.doors, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(Answer::parse(&idle).status, 200, "a client that stays after its response");
}

#[tokio::test]
async fn a_client_that_drips_headers_is_disconnected() {
    let site = Site::new(Setup { limits: hasty(), ..Setup::default() }).await;
    let mut stream = TcpStream::connect(site.doors).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut dripped = 0;
    while dripped < 2_000 && stream.write_all(b"X-Y: z\r\n").await.is_ok() {
        pace.tick().await;
        dripped += 1;
    }
    assert!(dripped < 2_000, "the connection is closed");
}

#[tokio::test]
async fn large_headers_and_malformed_requests_are_rejected() {
    let site = Site::new(Setup::default()).await;
    let with = |bytes: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(bytes))
    };
    assert_eq!(Answer::parse(&say(site.doors, with(15_000).as_bytes()).await).status, 200);
    for bytes in [16_384, 100_000] {
        assert_eq!(Answer::parse(&say(site.doors, with(bytes).as_bytes()).await).status, 431, "{bytes}");
    }
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(150));
    assert_eq!(Answer::parse(&say(site.doors, many.as_bytes()).await).status, 431);
    for nonsense in [
        "\u{16}\u{3}\u{1}",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /webhook HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let heard = say(site.doors, format!("{nonsense}\r\n\r\n").as_bytes()).await;
        assert!(heard.is_empty() || Answer::parse(&heard).status == 400, "{nonsense:?}");
    }
    let both = "POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let heard = say(site.doors, both.as_bytes()).await;
    assert!(matches!(Answer::parse(&heard).status, 400 | 404), "two lengths lead to one answer");
    assert_eq!(String::from_utf8_lossy(&heard).matches("HTTP/1.1 ").count(), 1);
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_is_evicted() {
    let limits = ConnectionLimits { connections: 3, connections_per_peer: 1, ..ConnectionLimits::default() };
    let site = Site::new(Setup { limits, ..Setup::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(site.doors).await.unwrap());
        assert!(is_answered(held.last_mut().unwrap()).await, "loopback may take all slots");
    }
    assert!(is_answered(&mut held[0]).await, "and so it is evicted last");
    let mut one_more = TcpStream::connect(site.doors).await.unwrap();
    assert!(is_answered(&mut one_more).await);
    assert!(!is_answered(&mut held[1]).await);
    assert!(is_answered(&mut held[0]).await && is_answered(&mut held[2]).await, "only one is evicted");
}

/// A server that sends no response before it is released.
struct Gated {
    address: SocketAddr,
    /// Receives when a request waits for its response.
    inside: mpsc::Receiver<()>,
    release: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Gated {
    async fn new(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = watch::channel(false);
        let (entered, inside) = mpsc::channel(1);
        let (release, released) = watch::channel(false);
        let server = tokio::spawn(serve(listener, limits, stop, move |_| {
            let (entered, mut released) = (entered.clone(), released.clone());
            async move {
                entered.send(()).await.unwrap();
                released.wait_for(|is_released| *is_released).await.unwrap();
                Response::new(Full::default())
            }
        }));
        Self { address, inside, release, shutdown, server }
    }
}

#[tokio::test]
async fn a_busy_connection_is_not_evicted_before_an_idle_one() {
    let Gated { address, mut inside, release, shutdown: _shutdown, .. } =
        Gated::new(ConnectionLimits { connections: 2, ..ConnectionLimits::default() }).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    let mut still = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    inside.recv().await.unwrap();
    let _one_more = TcpStream::connect(address).await.unwrap();
    assert_eq!(listen(&mut still).await, b"");
    release.send(true).unwrap();
    assert_eq!(Answer::parse(&listen(&mut busy).await).status, 200);
}

/// Whether one more request on a connection is answered.
async fn is_answered(stream: &mut TcpStream) -> bool {
    if stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.is_err() {
        return false;
    }
    let (mut heard, mut buffer) = (Vec::new(), [0; 1_024]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..count]);
        if heard.ends_with(b"ok\n") {
            return true;
        }
    }
    false
}

/// Clients on loopback may take all slots.
#[tokio::test]
async fn idle_connections_keep_no_client_out() {
    let site = Site::new(Setup::default()).await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(TcpStream::connect(site.doors).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(ask(site.doors, "GET", "/healthz", &[], b"").await.status, 200);
        crowd.push(TcpStream::connect(site.doors).await.unwrap());
    }
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let server = tokio::spawn(serve(listener, ConnectionLimits::default(), stop, |request| async move {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        Response::new(Full::default())
    }));
    for _ in 0..3 {
        let answer = ask(address, "GET", "/panic", &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (500, "internal error\n"));
        assert_eq!(ask(address, "GET", "/", &[], b"").await.status, 200);
    }
    assert!(!server.is_finished());
}

#[tokio::test]
async fn shutdown_accepts_no_connection_and_finishes_responses() {
    let Gated { address, mut inside, release, shutdown, server } = Gated::new(ConnectionLimits::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    inside.recv().await.unwrap();
    shutdown.send(true).unwrap();
    assert_eq!(listen(&mut idle).await, b"", "an idle connection is closed");
    assert!(!server.is_finished());
    release.send(true).unwrap();
    assert_eq!(Answer::parse(&listen(&mut stream).await).status, 200, "a request under way is answered");
    tokio::time::timeout(Duration::from_secs(30), server).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
