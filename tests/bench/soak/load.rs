//! What a daemon meets in its life, and far more often: heartbeats, deliveries, broken connections, readers, and people who
//! file, edit, close and reopen.

use super::people::People;
use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::service::{SECRET, Service, delivery, sign};
use fastrand::{alphanumeric, u8, u32, u64, usize};
use serde_json::json;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many of each there are in a second.
const HEARTBEATS: u32 = 40;
const DELIVERIES: u32 = 8;
const BROKEN: u32 = 150;
const PAGES: u32 = 6;

/// How often a person does something, and an operator deletes old archives.
const PERSON_PAUSE: Duration = Duration::from_secs(6);
const COLLECTION_PAUSE: Duration = Duration::from_secs(30);

/// So many of one kind are under way at once, at most.
const UNDER_WAY_MAX: usize = 500;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long some agents are silent before it is others' turn.
const SILENCE: u64 = 180;

/// What is counted.
#[derive(Clone, Copy, Debug)]
enum Event {
    AcceptedHeartbeat,
    RefusedHeartbeat,
    AcceptedDelivery,
    RefusedDelivery,
    BrokenConnection,
    Page,
    Act,
    Collection,
}

const EVENTS: [(Event, &str); 8] = [
    (Event::AcceptedHeartbeat, "heartbeats that were accepted"),
    (Event::RefusedHeartbeat, "heartbeats that were refused"),
    (Event::AcceptedDelivery, "deliveries that were accepted"),
    (Event::RefusedDelivery, "deliveries that were refused"),
    (Event::BrokenConnection, "broken connections"),
    (Event::Page, "pages and reports"),
    (Event::Act, "acts of people on issues"),
    (Event::Collection, "collections of archives"),
];

/// How many there were of each.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; EVENTS.len()]);

impl Counts {
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EVENTS.into_iter().map(|(event, words)| (words, self.0[event as usize].load(Ordering::Relaxed)))
    }

    fn add(&self, event: Event) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Everybody who calls on the daemon.
pub(super) struct Load {
    doors: SocketAddr,
    pages: SocketAddr,
    host: Arc<Host>,
    repository: Repository,
    people: People,
    counts: Arc<Counts>,
    cells: Mutex<Vec<PathBuf>>,
    /// A heartbeat that was accepted a while ago.
    heartbeat: Mutex<Option<Vec<u8>>>,
    sequence: AtomicU64,
    begun: Instant,
}

impl Load {
    pub(super) fn new(service: &Service, host: &Arc<Host>, repository: &Repository, counts: &Arc<Counts>) -> Arc<Self> {
        let address = |url: &str| url.trim_start_matches("http://").parse().unwrap();
        Arc::new(Self {
            doors: address(&service.doors),
            pages: address(&service.pages),
            host: Arc::clone(host),
            repository: repository.clone(),
            people: People::of(repository.clone(), host.cells().len()),
            counts: Arc::clone(counts),
            cells: Mutex::new(host.cells()),
            heartbeat: Mutex::default(),
            sequence: AtomicU64::new(1),
            begun: Instant::now(),
        })
    }

    /// All begin, and go on until dropped.
    pub(super) fn begin(self: &Arc<Self>, clients: &mut JoinSet<()>) {
        let second = Duration::from_secs(1);
        clients.spawn(every(second / HEARTBEATS, Arc::clone(self), |load| async move { load.send_heartbeat().await }));
        clients.spawn(every(second / DELIVERIES, Arc::clone(self), |load| async move { load.deliver().await }));
        clients.spawn(every(second / BROKEN, Arc::clone(self), |load| async move { load.break_off().await }));
        clients.spawn(every(second / PAGES, Arc::clone(self), |load| async move { load.look().await }));
        clients.spawn(every(PERSON_PAUSE, Arc::clone(self), |load| async move {
            load.people.act().await;
            *load.cells.lock().unwrap() = load.host.cells();
            load.counts.add(Event::Act);
        }));
        clients.spawn(every(COLLECTION_PAUSE, Arc::clone(self), |load| async move { load.collect().await }));
    }

    fn any_cell(&self) -> PathBuf {
        let cells = self.cells.lock().unwrap();
        cells[usize(..cells.len())].clone()
    }

    /// One in six is refused, one in ten comes a second time.
    async fn send_heartbeat(&self) {
        let cell = self.any_cell();
        let name = name_of(&cell);
        let token = std::fs::read_to_string(cell.join("config/heartbeat.token")).unwrap_or_default();
        let round = self.begun.elapsed().as_secs() / SILENCE;
        let is_silent = name.as_bytes()[0] % 16 == u8::try_from(round % 16).unwrap();
        let request = match u8(..20) {
            0 => heartbeat(&name, &random(32), "{}"),
            1 => heartbeat(&random_uuid(), &random(32), "{}"),
            2 => heartbeat(&name, token.trim(), "{\"state\": 7"),
            3 => heartbeat(&name, token.trim(), &random(200_000)),
            4 | 5 => {
                let Some(known) = self.heartbeat.lock().unwrap().clone() else { return };
                known
            }
            _ if is_silent => return,
            6 => heartbeat(&name, token.trim(), &json!({ "session": random(12), "sequence": 1 }).to_string()),
            7 => heartbeat(&name, token.trim(), &json!({ "state": "waiting", "message": random(900) }).to_string()),
            _ => {
                let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
                let message = random(usize(..200));
                let beat = json!({ "state": "working", "sequence": sequence, "message": message });
                heartbeat(&name, token.trim(), &beat.to_string())
            }
        };
        let is_accepted = ask(self.doors, &request).await.is_some_and(|answer| answer.starts_with("HTTP/1.1 204"));
        if is_accepted && u8(..50) == 0 {
            *self.heartbeat.lock().unwrap() = Some(request);
        }
        self.counts.add(if is_accepted { Event::AcceptedHeartbeat } else { Event::RefusedHeartbeat });
    }

    async fn deliver(&self) {
        let issue = || self.people.any_issue();
        let repository = self.repository.id;
        let request = match u8(..10) {
            0 => webhook(&delivery(repository, issue()).0, &random_hex()),
            1 => webhook(&random(50_000), &random_hex()),
            2 => webhook("no JSON", &sign(SECRET, b"no JSON")),
            3 => post("/webhook", "Content-Type: text/plain\r\n", &random(100)),
            4 => signed(&delivery(repository, i64::from(u32(1_000..))).0),
            5 => signed(&delivery(i64::from(u32(1_000..)), issue()).0),
            6 | 7 => signed(&self.comment_event(issue())),
            _ => signed(&delivery(repository, issue()).0),
        };
        let is_accepted = ask(self.doors, &request).await.is_some_and(|answer| answer.starts_with("HTTP/1.1 202"));
        self.counts.add(if is_accepted { Event::AcceptedDelivery } else { Event::RefusedDelivery });
    }

    /// Somebody edits or deletes a comment.
    fn comment_event(&self, number: i64) -> String {
        let action = ["edited", "deleted"][usize(..2)];
        let comment = json!({ "id": u32(..), "body": random(300), "user": { "id": u32(..) } });
        json!({
            "repository": { "id": self.repository.id }, "issue": { "number": number }, "comment": comment,
            "action": action, "sender": { "id": u32(..) },
        })
        .to_string()
    }

    /// A connection that comes to nothing.
    async fn break_off(&self) {
        self.counts.add(Event::BrokenConnection);
        let to = if fastrand::bool() { self.doors } else { self.pages };
        let Ok(mut stream) = connect(to).await else { return };
        let half = match u8(..6) {
            0 => Vec::new(),
            1 => b"POST /webhook HTTP/1.1\r\nHost: pit\r\nContent-Len".to_vec(),
            2 => post("/webhook", "", &random(2_000))[..1_000].to_vec(),
            3 => [b"\x16\x03\x01", random(200).as_bytes()].concat(),
            4 => format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", random(100)).into_bytes(),
            _ => format!("GET / HTTP/1.1\r\nX: {}", random(30_000)).into_bytes(),
        };
        let _ = stream.write_all(&half).await;
        match u8(..8) {
            0 => tokio::time::sleep(Duration::from_secs(2)).await,
            1..4 => drop(stream.set_zero_linger()),
            _ => {}
        }
    }

    async fn look(&self) {
        let path = match u8(..9) {
            0 => "/".to_owned(),
            1 => "/?health=stale".to_owned(),
            2 => format!("/?sort={}&q={}", random(8), random(8)),
            3 => format!("/missions/{}", name_of(&self.any_cell())),
            4 => format!("/missions/{}", random_uuid()),
            5 => "/health".to_owned(),
            6 => "/metrics".to_owned(),
            7 => format!("/{}", random(20)),
            _ => "/style.css".to_owned(),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        ask(self.pages, request.as_bytes()).await;
        self.counts.add(Event::Page);
    }

    /// As an operator's timer does.
    async fn collect(&self) {
        let mut command = self.host.reconciler(&self.repository);
        command.args(["gc", "--older-than", "60s", "--yes"]);
        let collected = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
        self.counts.add(Event::Collection);
    }
}

/// Does it again and again, whether or not the last one is over.
async fn every<A>(pause: Duration, load: Arc<Load>, act: impl Fn(Arc<Load>) -> A + Send + 'static)
where
    A: Future<Output = ()> + Send + 'static,
{
    let (mut ticks, mut under_way) = (tokio::time::interval(pause), JoinSet::new());
    loop {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() < UNDER_WAY_MAX {
            under_way.spawn(act(Arc::clone(&load)));
        }
    }
}

fn name_of(cell: &Path) -> String {
    cell.file_name().unwrap().to_str().unwrap().to_owned()
}

/// From an address of this machine that hardly anybody has used before.
async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, u8(1..), u8(..), u8(1..255)), 0).into())?;
    socket.connect(to).await
}

/// Sends a request, and hears the answer to its end; none where there is none.
async fn ask(to: SocketAddr, request: &[u8]) -> Option<String> {
    let converse = async {
        let mut stream = connect(to).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, converse).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: pit\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

fn heartbeat(cell: &str, token: &str, body: &str) -> Vec<u8> {
    post(&format!("/missions/{cell}/heartbeat"), &format!("Authorization: Bearer {token}\r\n"), body)
}

fn webhook(body: &str, signature: &str) -> Vec<u8> {
    post("/webhook", &format!("Content-Type: application/json\r\nX-Gitea-Signature: {signature}\r\n"), body)
}

fn signed(body: &str) -> Vec<u8> {
    webhook(body, &sign(SECRET, body.as_bytes()))
}

fn random(length: usize) -> String {
    std::iter::repeat_with(alphanumeric).take(length).collect()
}

fn random_hex() -> String {
    format!("{:016x}", u64(..)).repeat(4)
}

fn random_uuid() -> String {
    format!("{:08x}-0000-4000-8000-{:012x}", u32(..), u64(..1 << 48))
}
