//! A forge that has far more to tell than anybody can hold: some answers are made while they are sent, the sandbox behind it
//! gives all others.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// A list, as it is told page by page.
pub(crate) struct Flood {
    /// How many there are.
    pub(crate) count: u64,
    /// What it says in `X-Total-Count`; nothing where it does not say it.
    pub(crate) total: Option<u64>,
    /// Whether it comes by pages, or all at once.
    pub(crate) is_paged: bool,
    /// The JSON of one, by its position.
    pub(crate) item: Item,
}

/// Writes one item by its position.
type Item = Box<dyn Fn(u64, &mut dyn Write) + Send + Sync>;

/// Which list answers to a path and a query.
type Choose = Box<dyn Fn(&str, &str) -> Option<usize> + Send + Sync>;

/// Listens on a port of its own until the tests end.
pub(crate) struct FloodedForge {
    /// Where.
    pub(crate) url: String,
    /// What was asked and answered by a flood, oldest first.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl FloodedForge {
    /// Before the forge at `behind`.
    pub(crate) fn before(behind: &str, floods: Vec<Flood>, choose: Choose) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let behind = behind.strip_prefix("http://").unwrap().to_owned();
        let shared = Arc::new((behind, floods, choose));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (shared, noted) = (Arc::clone(&shared), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let (behind, floods, choose) = &*shared;
                    converse(&stream.unwrap(), behind, |target| {
                        let (path, query) = target.split_once('?').unwrap_or((target, ""));
                        let flood = &floods[choose(path, query)?];
                        noted.lock().unwrap().push(target.to_owned());
                        Some((flood, flood.positions(query)))
                    });
                });
            }
        });
        Self { url, asked }
    }
}

impl Flood {
    fn positions(&self, query: &str) -> Range<u64> {
        let number = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.parse::<u64>().ok());
        if !self.is_paged {
            return 0..self.count;
        }
        let (page, size) = (number("page=").unwrap_or(1), number("limit=").unwrap_or(30).min(50));
        ((page - 1) * size).min(self.count)..(page * size).min(self.count)
    }

    fn tell(&self, positions: Range<u64>, stream: &TcpStream) {
        let total = self.total.map(|total| format!("x-total-count: {total}\r\n")).unwrap_or_default();
        let mut out = BufWriter::with_capacity(1 << 16, Broken::of(stream));
        // As if there were always one more page.
        let next = "link: <http://127.0.0.1/?page=2>; rel=\"next\"\r\n";
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{total}{next}connection: close\r\n\r\n[");
        out.write_all(head.as_bytes()).unwrap();
        for at in positions.clone() {
            if at > positions.start {
                out.write_all(b",").unwrap();
            }
            (self.item)(at, &mut out);
            // Whoever has heard enough hears no more.
            if out.get_ref().is_over {
                return;
            }
        }
        out.write_all(b"]").unwrap();
    }
}

/// A listener who may be gone, which is no fault of the teller's.
struct Broken<'a> {
    stream: &'a TcpStream,
    is_over: bool,
}

impl<'a> Broken<'a> {
    fn of(stream: &'a TcpStream) -> Self {
        Self { stream, is_over: false }
    }
}

impl Write for Broken<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut stream = self.stream;
        self.is_over |= self.is_over || stream.write_all(bytes).is_err();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn converse<'a>(stream: &TcpStream, behind: &str, choose: impl Fn(&str) -> Option<(&'a Flood, Range<u64>)>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    if let Some((flood, positions)) = choose(target).filter(|_| method == "GET") {
        flood.tell(positions, stream);
        return;
    }
    let mut forge = TcpStream::connect(behind).unwrap();
    forge.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    forge.write_all(&body).unwrap();
    let _ = std::io::copy(&mut forge, &mut &*stream);
}
