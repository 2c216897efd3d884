//! Loads the pages in Chromium, if installed: no script runs, nothing else is requested, nothing overflows, and all text is
//! readable, on phones and desktops, in light and dark mode.

use crate::http::page::hostile::{hostile_mission, strings};
use crate::http::page::scene::{everything, fleet_of, id, not_ready};
use lazarus::engine::snapshot::Snapshot;
use lazarus::http::page::{ICON, STYLE, fleet, mission};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// As the daemon sends it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Inspects each frame and reports what it finds.
const HARNESS: &str = include_str!("harness.html");

/// A small phone, the widest window that is laid out like one, and a desk.
const WIDTHS: [u32; 3] = [320, 860, 1280];

const CALM: [&str; 7] = ["/", "/grey", "/some", "/empty", "/missions/1", "/missions/6", "/missions/12"];
const EVIL: [&str; 5] = ["/evil-1", "/evil-2", "/evil-3", "/evil/9", "/evil/253"];

/// A site by path: content type and body.
type Site = BTreeMap<String, (&'static str, String)>;

/// A browser, if one is in the path.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file())
}

fn hostile_fleet() -> Snapshot {
    let missions = strings().iter().zip(1..).map(|(string, number)| hostile_mission(number, string)).collect();
    let mut snapshot = not_ready(fleet_of(missions), 3);
    snapshot.passes.errors = strings();
    snapshot
}

fn site() -> Site {
    let mut site = Site::new();
    let mut add = |path: &str, html: String| site.insert(path.to_owned(), ("text/html; charset=utf-8", html));
    let (calm, grey, evil) = (everything(), not_ready(everything(), 12), hostile_fleet());
    add("/", fleet(&calm, ""));
    add("/grey", fleet(&grey, ""));
    add("/some", fleet(&calm, "health=stale&says=working&sort=heartbeat&order=desc"));
    add("/empty", fleet(&fleet_of(Vec::new()), ""));
    for page in 1..=3 {
        add(&format!("/evil-{page}"), fleet(&evil, &format!("page={page}")));
    }
    for number in [1, 2, 6, 8, 12, 15] {
        add(&format!("/missions/{number}"), mission(&calm, id(number)).unwrap());
    }
    add("/missions/grey", mission(&grey, id(1)).unwrap());
    for number in 1..=strings().len() {
        let number = i64::try_from(number).unwrap();
        add(&format!("/evil/{number}"), mission(&evil, id(number)).unwrap());
    }
    let [calm, evil] =
        [CALM.as_slice(), EVIL.as_slice()].map(|paths| paths.iter().map(|path| format!("/framed{path}")));
    add("/harness", harness(&calm.chain(evil).collect::<Vec<_>>(), &WIDTHS));
    let some = (1..=strings().len()).step_by(7).map(|number| format!("/bare/evil/{number}"));
    let bare: Vec<String> = (1..=3).map(|page| format!("/bare/evil-{page}")).chain(some).collect();
    add("/harness-bare", harness(&bare, &[375]));
    site.insert("/icon.svg".to_owned(), ("image/svg+xml", ICON.to_owned()));
    site.insert("/style.css".to_owned(), ("text/css", STYLE.to_owned()));
    site
}

fn harness(paths: &[String], widths: &[u32]) -> String {
    let frame =
        |path: &String, width: &u32| format!("<iframe src=\"{path}\" width=\"{width}\" height=\"800\"></iframe>\n");
    let frames: String = paths.iter().flat_map(|path| widths.iter().map(move |width| frame(path, width))).collect();
    HARNESS.replace("FRAMES", &frames)
}

/// Serves the site, and records the requested paths. Under `/framed` the policy lets the harness look in; under `/bare`
/// there is none at all, so that escaping alone has to hold.
fn serve(site: Site) -> (SocketAddr, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let requested = Arc::new(Mutex::new(BTreeSet::new()));
    let (site, recorder) = (Arc::new(site), Arc::clone(&requested));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (site, recorder) = (Arc::clone(&site), Arc::clone(&recorder));
            std::thread::spawn(move || answer(stream, &site, &recorder));
        }
    });
    (address, requested)
}

fn answer(mut stream: TcpStream, site: &Site, requested: &Mutex<BTreeSet<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(path) = lines.next().and_then(|line| Some(line.split(' ').nth(1)?.to_owned())) else { return };
    lines.find(String::is_empty);
    requested.lock().unwrap().insert(path.clone());
    let bare = path.strip_prefix("/bare");
    let framed = path.strip_prefix("/framed");
    let policy = match (bare.is_some() || path.starts_with("/harness"), framed.is_some()) {
        (true, _) => String::new(),
        (false, true) => format!("Content-Security-Policy: {}\r\n", POLICY.replace("; frame-ancestors 'none'", "")),
        (false, false) => format!("Content-Security-Policy: {POLICY}\r\n"),
    };
    let known = site.get(bare.or(framed).unwrap_or(&path));
    let (status, (kind, body)) =
        known.map_or(("404 Not Found", ("text/plain", "")), |(kind, body)| ("200 OK", (*kind, body)));
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{policy}Connection: close\r\n\r\n"
    );
    // The browser may have closed the connection.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap_or_default();
}

/// One run of the browser, with a profile of its own.
fn browse(browser: &Path, dark: bool, arguments: &[String]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let run = Command::new("timeout")
        .arg("120")
        .arg(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"])
        .arg(format!("--blink-settings=preferredColorScheme={}", i32::from(!dark)))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// The report of the harness for each frame.
fn seen(browser: &Path, dark: bool, url: &str) -> Vec<Value> {
    let dom = browse(browser, dark, &["--dump-dom".to_owned(), url.to_owned()]);
    let (_, report) =
        dom.split_once("<pre id=\"seen\">").unwrap_or_else(|| panic!("the harness did not finish: {dom}"));
    let report = report.split("</pre>").next().unwrap();
    let report = report.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    serde_json::from_str(&report).unwrap()
}

fn check_frame(frame: &Value, dark: bool) {
    let of = format!("{frame:#}");
    assert_eq!(frame["dark"], dark, "{of}");
    assert_eq!(frame["ran"], false, "something ran: {of}");
    assert_eq!(frame["strange"], serde_json::json!([]), "elements that no template has: {of}");
    assert_eq!(frame["scroll_width"], frame["width"], "it scrolls sideways: {of}");
    assert_eq!(frame["outside"], serde_json::json!([]), "it overflows: {of}");
    assert_eq!(frame["faint"], serde_json::json!([]), "its contrast is too low: {of}");
    assert_eq!(frame["styled"], true, "the style sheet was not applied: {of}");
}

#[test]
fn in_a_browser_nothing_runs_and_everything_can_be_read() {
    let Some(browser) = chromium() else {
        println!("skipped: in_a_browser_nothing_runs_and_everything_can_be_read, for want of a Chromium in PATH");
        return;
    };
    let (address, requested) = serve(site());
    for dark in [false, true] {
        let frames = seen(&browser, dark, &format!("http://{address}/harness"));
        assert_eq!(frames.len(), WIDTHS.len() * (CALM.len() + EVIL.len()));
        for frame in &frames {
            check_frame(frame, dark);
        }
    }
    let frames = seen(&browser, false, &format!("http://{address}/harness-bare"));
    assert!(frames.len() > 36, "each of the seeds at least once: {}", frames.len());
    for frame in &frames {
        check_frame(frame, false);
    }
    let dom = browse(&browser, false, &["--dump-dom".to_owned(), format!("http://{address}/evil-1")]);
    assert!(!dom.contains("<script") && !dom.contains("<b id="), "{dom}");
    let ours = |path: &String| {
        ["/evil", "/harness", "/framed/", "/bare/evil", "/style.css", "/icon.svg"]
            .iter()
            .any(|start| path.starts_with(start))
    };
    let strange: Vec<String> = requested.lock().unwrap().iter().filter(|path| !ours(path)).cloned().collect();
    assert_eq!(strange, [""; 0], "nothing else is requested");
    if let Some(directory) = std::env::var_os("PAGE_SHOTS") {
        shoot(&browser, address, Path::new(&directory));
    }
}

/// Pictures for people: `PAGE_SHOTS=/tmp/shots cargo test --test spec page`.
fn shoot(browser: &Path, address: SocketAddr, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let pages = [
        ("fleet", "/"),
        ("grey", "/grey"),
        ("some", "/some"),
        ("empty", "/empty"),
        ("evil", "/evil-1"),
        ("mission", "/missions/2"),
        ("mission-incomplete", "/missions/1"),
        ("mission-new", "/missions/6"),
        ("mission-evil", "/evil/9"),
    ];
    for (name, path) in pages {
        for (width, height) in [(375, 1600), (1280, 1000)] {
            for (scheme, dark) in [("light", false), ("dark", true)] {
                let file = directory.join(format!("{name}-{width}-{scheme}.png"));
                let arguments = [
                    format!("--window-size={width},{height}"),
                    format!("--screenshot={}", file.display()),
                    format!("http://{address}{path}"),
                ];
                browse(browser, dark, &arguments);
            }
        }
    }
}
