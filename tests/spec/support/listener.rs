//! Somebody who takes HTTP requests and answers as told: a daemon, or a watcher elsewhere.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on a port of its own until the tests end.
pub(crate) struct Listener {
    /// Where.
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// `POST /path`
    pub(crate) asked: String,
    /// The header `Authorization`; empty without one.
    pub(crate) authorization: String,
    /// The body; null without one.
    pub(crate) body: Value,
}

impl Listener {
    /// Answers with these statuses, one after the other; the last one stands for all that follow.
    pub(crate) fn answering(statuses: &'static [u16]) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        std::thread::spawn(move || {
            for (count, stream) in socket.incoming().enumerate() {
                let mut stream = stream.unwrap();
                hearing.lock().unwrap().push(hear(&stream));
                let status = statuses.get(count).or(statuses.last()).unwrap();
                let answer = format!(
                    "HTTP/1.1 {status} As-Told\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, heard }
    }

    /// All that was heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

fn hear(stream: &TcpStream) -> Heard {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
    let header = |name: &str| {
        let found = headers.iter().filter_map(|header| header.split_once(": "));
        found.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value).to_owned()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Heard {
        asked: first.trim_end_matches(" HTTP/1.1").to_owned(),
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}
