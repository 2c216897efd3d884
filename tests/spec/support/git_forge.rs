//! A forge that has repositories and nothing else: git over HTTP, or whatever answer a test wants instead.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::identity::{ForgeUrl, RepositoryName};
use lazarus::world::git::CheckoutSource;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Everybody gets everything.
    Open,
    /// Whoever has this token does.
    Private(&'static str),
    /// Nobody gets anything but this status.
    Refusing(u16),
    /// Somebody else has it.
    Moved(String),
    /// It says what it was sent.
    Telling,
    /// It takes the request and says nothing.
    Silent,
}

/// Serves until the tests end.
pub(crate) struct GitForge {
    pub(crate) url: String,
    repositories: TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl GitForge {
    pub(crate) fn new(manner: Manner) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let repositories = TempDir::new().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (place, hearing) = (repositories.path().to_owned(), Arc::clone(&heard));
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (manner, place, hearing) = (manner.clone(), place.clone(), Arc::clone(&hearing));
                std::thread::spawn(move || serve(&stream.unwrap(), &manner, &place, &hearing));
            }
        });
        Self { url, repositories, heard }
    }

    /// A new, empty repository.
    pub(crate) fn repository(&self, name: &str) -> Bare {
        let path = self.repositories.path().join(format!("{name}.git"));
        std::fs::create_dir_all(&path).unwrap();
        let bare = Bare(path);
        bare.git(&["init", "--quiet", "--bare", "--initial-branch=main"], b"");
        bare.git(&["config", "uploadpack.allowAnySHA1InWant", "true"], b"");
        bare
    }

    /// The header `Authorization` of each request so far; empty without one.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn source(&self, name: &str) -> CheckoutSource {
        CheckoutSource::new(&ForgeUrl::parse(&self.url).unwrap(), &RepositoryName::parse(name).unwrap())
    }
}

fn serve(stream: &TcpStream, manner: &Manner, place: &Path, hearing: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let lines: Vec<String> =
        reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let found = lines.iter().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value).to_owned()
    };
    hearing.lock().unwrap().push(header("authorization"));
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let target = lines[0].split(' ').nth(1).unwrap();
    match manner {
        Manner::Open => answer(stream, place, target, (&header("git-protocol"), &body)),
        Manner::Private(token) if holds(&header("authorization"), token) => {
            answer(stream, place, target, (&header("git-protocol"), &body));
        }
        Manner::Private(_) => say(stream, "401 Unauthorized\r\nwww-authenticate: Basic realm=\"forge\"", b""),
        Manner::Refusing(status) => say(stream, &format!("{status} As Told"), b"<html>"),
        Manner::Moved(url) => say(stream, &format!("301 Moved\r\nlocation: {url}{target}"), b""),
        Manner::Telling => {
            let reported = format!("ERR {}\n", header("authorization"));
            let reported = format!("{:04x}{reported}", reported.len() + 4);
            advertise(stream, "upload-pack", reported.as_bytes());
        }
        // Until the other end gives up.
        Manner::Silent => drop(reader.read(&mut [0])),
    }
}

fn holds(authorization: &str, token: &str) -> bool {
    let sent = authorization.strip_prefix("Basic ").and_then(|coded| STANDARD.decode(coded).ok());
    sent.is_some_and(|sent| String::from_utf8(sent).unwrap().split_once(':').unwrap().1 == token)
}

fn say(mut stream: &TcpStream, head: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    // Whoever has what it wants may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// As `git http-backend` does.
fn answer(stream: &TcpStream, place: &Path, target: &str, (protocol, body): (&str, &[u8])) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_advertisement = path.ends_with("/info/refs");
    let service = query.strip_prefix("service=git-").or(path.rsplit_once("/git-").map(|(_, service)| service));
    let repository = place.join(path.trim_start_matches('/').split(".git/").next().unwrap().to_owned() + ".git");
    let Some(service) = service.filter(|_| repository.is_dir()) else { return say(stream, "404 Not Found", b"") };
    let mut command = Command::new("git");
    command.arg(service).arg("--stateless-rpc").env("GIT_PROTOCOL", protocol);
    if is_advertisement {
        command.arg("--http-backend-info-refs");
    }
    let posted = run(command.arg(repository), body);
    if is_advertisement {
        advertise(stream, service, &posted);
    } else {
        say(stream, &format!("200 OK\r\ncontent-type: application/x-git-{service}-result"), &posted);
    }
}

fn advertise(stream: &TcpStream, service: &str, refs: &[u8]) {
    let announced = format!("# service=git-{service}\n");
    let announced = format!("{:04x}{announced}0000", announced.len() + 4);
    let head = format!("200 OK\r\ncontent-type: application/x-git-{service}-advertisement");
    say(stream, &head, &[announced.as_bytes(), refs].concat());
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let posted = child.wait_with_output().unwrap().stdout;
    writing.join().unwrap();
    posted
}

/// A repository on the forge's disk. Objects are written as they are given, also those that git would never make.
#[derive(Clone, Debug)]
pub(crate) struct Bare(PathBuf);

/// Mode, name and object of an entry of a tree; in the order that git wants, unless a test wants another.
pub(crate) type Entry<'a> = (&'a str, &'a str, &'a str);

impl Bare {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let posted = run(Command::new("git").arg("-C").arg(&self.0).args(arguments), input);
        String::from_utf8(posted).unwrap().trim_end().to_owned()
    }

    fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let id = self.git(&["hash-object", "-t", kind, "--literally", "-w", "--stdin"], bytes);
        assert!(id.len() >= 40, "{kind}: {id}");
        id
    }

    pub(crate) fn blob(&self, bytes: impl AsRef<[u8]>) -> String {
        self.object("blob", bytes.as_ref())
    }

    pub(crate) fn tree(&self, entries: &[Entry<'_>]) -> String {
        let digits = |id: &str| -> Vec<u8> {
            (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect()
        };
        let entry = |(mode, name, id): &Entry<'_>| [format!("{mode} {name}\0").as_bytes(), &digits(id)].concat();
        self.object("tree", &entries.iter().flat_map(entry).collect::<Vec<u8>>())
    }

    pub(crate) fn commit(&self, tree: &str) -> String {
        let who = "Merlin <merlin@example.com> 1700000000 +0000";
        self.object("commit", format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nA spell\n").as_bytes())
    }

    /// Puts a tree at the head of the main branch.
    pub(crate) fn publish(&self, tree: &str) -> String {
        let commit = self.commit(tree);
        self.point("refs/heads/main", &commit);
        commit
    }

    pub(crate) fn point(&self, name: &str, id: &str) {
        std::fs::create_dir_all(self.0.join(name).parent().unwrap()).unwrap();
        std::fs::write(self.0.join(name), format!("{id}\n")).unwrap();
    }
}
