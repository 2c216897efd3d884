//! The web of a daemon over real TCP, with a snapshot made by hand and a real missions root.

use crate::support::PATIENCE;
use crate::support::cells::at;
use crate::support::host::Host;
use lazarus::config::{Flags, Secret, Settings};
use lazarus::engine::metrics::Metrics;
use lazarus::engine::queue::Queue;
use lazarus::engine::snapshot::{Passes, Snapshot, Tick};
use lazarus::http::server::ConnectionLimits;
use lazarus::http::{Web, serve_endpoints, serve_page};
use lazarus::mission::identity::{HostName, MissionId};
use lazarus::mission::status::comment_check::CommentEvent;
use lazarus::provision::init::{init, init_cell};
use lazarus::world::cells::heartbeats::HeartbeatReceiver;
use lazarus::world::forge::Traffic;
use lazarus::world::store::root::Root;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// How the web of a test is set up.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) webhook_secret: Option<&'static str>,
    pub(crate) page_token: Option<&'static str>,
    pub(crate) limits: ConnectionLimits,
    /// Whether the page listens where others could reach it.
    pub(crate) is_page_open: bool,
}

/// A running web; ends when dropped.
pub(crate) struct Site {
    pub(crate) host: Host,
    pub(crate) settings: Settings,
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) commented: Mutex<mpsc::Receiver<CommentEvent>>,
    pub(crate) beats: Arc<HeartbeatReceiver>,
    pub(crate) doors: SocketAddr,
    pub(crate) page: SocketAddr,
    _shutdown: watch::Sender<bool>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A snapshot without any mission, of a daemon that has just ended a complete pass.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        tick: Tick::new(at(0)),
        interval: Duration::from_secs(3_600),
        missions_root: "/var/missions".to_owned(),
        host: HostName::parse("alpha").unwrap(),
        forge: None,
        public_url: None,
        missions: Vec::new(),
        passes: Passes {
            started_at: Some(at(-60)),
            finished_at: Some(at(0)),
            complete_at: Some(at(0)),
            last_complete: true,
            complete: 2,
            ..Passes::default()
        },
        gateways: Vec::new(),
        traffic: Traffic::default(),
        clock_offset: None,
    }
}

impl Site {
    pub(crate) async fn new(setup: Setup) -> Self {
        let host = Host::new();
        let flags = Flags { missions_root: Some(host.root()), ..Flags::default() };
        let settings =
            Settings::load(&flags, &[("LAZARUS_HOST".to_owned(), "alpha".to_owned())].into_iter().collect()).unwrap();
        init(&settings, None, at(0)).unwrap();
        let beats = Arc::new(HeartbeatReceiver::new(Arc::new(Root::open(&host.root()).unwrap())));
        let (snapshot, shown) = watch::channel(Arc::new(snapshot()));
        let (shutdown, stop) = watch::channel(false);
        let queue = Arc::new(Queue::default());
        let (comments, commented) = mpsc::channel(8);
        let commented = Mutex::new(commented);
        let secret = |secret: Option<&str>| secret.map(|secret| Secret::new(secret.as_bytes()));
        let web = Arc::new(Web {
            snapshot: shown,
            queue: Arc::clone(&queue),
            comments,
            beats: Arc::clone(&beats),
            metrics: Arc::new(Metrics::default()),
            webhook_secret: secret(setup.webhook_secret),
            page_token: secret(setup.page_token),
            limits: setup.limits,
        });
        let doors = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = TcpListener::bind(if setup.is_page_open { "0.0.0.0:0" } else { "127.0.0.1:0" }).await.unwrap();
        let local = |listener: &TcpListener| SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let (at_doors, at_page) = (local(&doors), local(&page));
        tokio::spawn(serve_endpoints(doors, Arc::clone(&web), stop.clone()));
        tokio::spawn(serve_page(page, web, stop));
        Self { host, settings, snapshot, queue, commented, beats, doors: at_doors, page: at_page, _shutdown: shutdown }
    }

    /// Makes a cell; where it is, and its token.
    pub(crate) fn cell(&self, mission_id: &str) -> (PathBuf, String) {
        init_cell(&self.settings, MissionId::parse(mission_id).unwrap(), at(0)).unwrap();
        let path = self.host.root().join(mission_id);
        let token = std::fs::read_to_string(path.join("config/heartbeat.token")).unwrap();
        (path, token.trim().to_owned())
    }

    /// Sends a heartbeat.
    pub(crate) async fn beat(&self, mission_id: &str, token: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {token}");
        let path = format!("/missions/{mission_id}/heartbeat");
        ask(self.doors, "POST", &path, &[("Authorization", &authorization)], body.as_bytes()).await
    }

    /// Looks at the page's side.
    pub(crate) async fn look(&self, path: &str) -> Answer {
        ask(self.page, "GET", path, &[], b"").await
    }
}

/// Sends a request and reads its answer, on a connection of their own.
pub(crate) async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let is_given = |wanted: &[&str]| headers.iter().any(|(name, _)| wanted.contains(name));
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "Connection: close".to_owned()];
    if !is_given(&["Host"]) {
        lines.push(format!("Host: {at}"));
    }
    if method == "POST" && !is_given(&["Content-Length", "Transfer-Encoding"]) {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
    bytes.extend_from_slice(body);
    Answer::parse(&say(at, &bytes).await)
}

/// Sends bytes and reads whatever comes back until the connection is closed.
pub(crate) async fn say(at: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // Who is refused early may find the connection closed while still sending.
    let _ = stream.write_all(bytes).await;
    listen(&mut stream).await
}

/// Reads until the connection is closed, in whatever way.
pub(crate) async fn listen(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let read = async {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            heard.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed");
    heard
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}
