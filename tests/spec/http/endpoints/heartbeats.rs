//! Heartbeats over HTTP: authorization, what is written, and what is never touched.

use crate::http::endpoints::{CELL, NOWHERE};
use crate::support::cells::at;
use crate::support::site::{Setup, Site, ask};
use lazarus::mission::cell::json_file::{FILE_BYTES_MAX, Flaw};
use lazarus::mission::identity::MissionId;
use lazarus::world::cells::heartbeats::HeartbeatRejected;
use rustix::fs::{FileType, Mode};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

/// A group that no account has.
const GROUP: u32 = 64_000;

fn heartbeat(cell: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap()
}

/// Whether no temporary file is left.
fn is_tidy(cell: &Path) -> bool {
    std::fs::read_dir(cell.join("state")).unwrap().count() == 1
}

#[tokio::test]
async fn a_heartbeat_replaces_the_file_and_numbers_continue() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    let before = site.host.snapshot();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(cell.join("state"), None, Some(GROUP)).unwrap();
    }
    let answer = site.beat(CELL, &token, "").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-type")), (204, "", ""));
    let first = heartbeat(&cell);
    assert_eq!((&first["state"], &first["sequence"]), (&json!("working"), &json!(1)));
    let stamp = first["timestamp"].as_str().unwrap();
    assert!(*stamp >= *at(0).to_string() && *stamp < *at(60).to_string(), "the snapshot's clock: {stamp}");
    let sent = json!({ "state": "waiting", "sequence": 40, "message": "so \u{202e}far\u{0007}", "timestamp": at(-90), "more": [1] });
    assert_eq!(site.beat(&CELL.to_uppercase(), &token, &sent.to_string()).await.status, 204);
    let mut written = heartbeat(&cell);
    let received_at = written["timestamp"].take();
    assert!(received_at.as_str() >= Some(stamp), "not the sender's clock: {received_at}");
    assert_eq!(written, json!({ "timestamp": null, "state": "waiting", "sequence": 40, "message": "so far" }));
    let nulls = json!({ "state": null, "sequence": null, "message": null, "timestamp": null });
    assert_eq!(site.beat(CELL, &token, &nulls.to_string()).await.status, 204);
    assert_eq!(heartbeat(&cell)["sequence"], 41);
    let [file, directory] = ["state/heartbeat.json", "state"].map(|path| std::fs::metadata(cell.join(path)).unwrap());
    assert_eq!(file.permissions().mode() & 0o7777, 0o660);
    assert_eq!(file.gid(), directory.gid(), "the cell's group may replace it");
    let changed = [cell.join("config/heartbeat.accepted.json"), cell.join("state/heartbeat.json")];
    assert_eq!(before.changed(&site.host.snapshot()), changed, "and nothing else");
}

#[tokio::test]
async fn a_malformed_heartbeat_gets_an_error_that_names_the_fault() {
    let site = Site::new(Setup::default()).await;
    let mission = MissionId::parse(CELL).unwrap();
    let (cell, token) = site.cell(CELL);
    let before = heartbeat(&cell);
    let no_object = |why: &str| {
        format!(
            "the body is not a heartbeat: {why}; an example is {{\"state\": \"working\", \"message\": \"half way\"}}"
        )
    };
    let no_time = |found: &str| {
        format!("`timestamp` {found}, and should be an RFC 3339 time with a zone, such as `2026-11-23T14:02:11Z`")
    };
    let number = "and should be a whole number from 0 upwards";
    let cases = [
        ("[]".to_owned(), no_object("it is an array, and should be a JSON object")),
        ("{".to_owned(), no_object(&Flaw::CutOff.to_string())),
        (" ".to_owned(), no_object(&Flaw::Empty.to_string())),
        ("state=working".to_owned(), no_object("it is not JSON")),
        ("[".repeat(4_000), no_object("it is not JSON")),
        ("{\"sequence\": 1e400}".to_owned(), no_object("it is not JSON")),
        (
            "{\"sequence\": -1}".to_owned(),
            format!("`sequence` is a number that is negative, too large, or has a fraction, {number}"),
        ),
        ("{\"sequence\": \"7\"}".to_owned(), format!("`sequence` is a string, {number}")),
        ("{\"state\": 1}".to_owned(), "`state` is a number, and should be a string".to_owned()),
        ("{\"message\": {}}".to_owned(), "`message` is an object, and should be a string".to_owned()),
        ("{\"timestamp\": 1795000000}".to_owned(), no_time("is a number")),
        ("{\"timestamp\": \"2026-11-23T14:02:11\"}".to_owned(), no_time("has no time zone")),
        ("{\"timestamp\": \"yesterday\"}".to_owned(), no_time("is not a time")),
    ];
    // Ten seconds from one to the next, so that the limit of one a second plays no part.
    let mut moments = (0..).map(|index| at(10 * index));
    let mut error = |body: &str| {
        let now = moments.next().unwrap();
        site.beats.beat(mission, token.as_bytes(), Some(body.as_bytes()), now).unwrap_err().to_string()
    };
    for (body, expected) in cases {
        assert_eq!(error(&body), expected);
    }
    assert_eq!(heartbeat(&cell), before);
    let answer = site.beat(CELL, &token, "[]").await;
    let expected = no_object("it is an array, and should be a JSON object");
    assert_eq!((answer.status, answer.body), (400, format!("{expected}\n")));
}

#[tokio::test]
async fn text_that_must_be_cut_or_replaced_costs_no_heartbeat() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    let message = async |body: &[u8]| {
        let path = format!("/missions/{CELL}/heartbeat");
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        assert_eq!(ask(site.doors, "POST", &path, &headers, body).await.status, 204);
        heartbeat(&cell)["message"].as_str().unwrap().to_owned()
    };
    let long = |count: usize| json!({ "message": "é".repeat(count) }).to_string();
    assert_eq!(message(long(200).as_bytes()).await, "é".repeat(200));
    for count in [201, 60_000] {
        assert_eq!(message(long(count).as_bytes()).await, format!("{}…", "é".repeat(199)), "{count}");
    }
    assert_eq!(message(b"{\"message\": \"caf\xe9\"}").await, "caf\u{fffd}");
    assert_eq!(message(b"{\"message\": \"\\ud800\"}").await, "\u{fffd}");
    site.snapshot.send_modify(|snapshot| Arc::make_mut(snapshot).tick = lazarus::engine::snapshot::Tick::new(at(100)));
    assert_eq!(message("\u{feff}{\"message\": \"marked\"}".as_bytes()).await, "marked");
    let state = json!({ "state": "x".repeat(300) }).to_string();
    assert_eq!(site.beat(CELL, &token, &state).await.status, 204);
    assert_eq!(heartbeat(&cell)["state"].as_str().unwrap().chars().count(), 200);
}

#[tokio::test]
async fn a_body_over_128_kib_is_reported_only_with_the_right_token() {
    let site = Site::new(Setup::default()).await;
    let (_, token) = site.cell(CELL);
    let (whole, large) = (format!("{{}}{}", " ".repeat(FILE_BYTES_MAX - 2)), " ".repeat(FILE_BYTES_MAX + 1));
    assert_eq!(site.beat(CELL, &token, &whole).await.status, 204);
    assert_eq!(site.beat(CELL, &token, &large).await.status, 413);
    assert_eq!(site.beat(CELL, "wrong", &large).await.status, 404);
    let (path, bearer) = (format!("/missions/{CELL}/heartbeat"), format!("Bearer {token}"));
    let chunked = [("Authorization", &*bearer), ("Transfer-Encoding", "chunked")];
    let chunks = format!("20001\r\n{large}\r\n0\r\n\r\n");
    assert_eq!(
        ask(site.doors, "POST", &path, &chunked, chunks.as_bytes()).await.status,
        413,
        "without a declared length"
    );
    let broken = ask(site.doors, "POST", &path, &chunked, b"nonsense\r\n").await;
    assert_eq!(broken.status, 400);
}

#[tokio::test]
async fn the_rate_limit_is_one_a_second_in_bursts_of_five() {
    let site = Site::new(Setup::default()).await;
    let mission = MissionId::parse(CELL).unwrap();
    let (_, token) = site.cell(CELL);
    let accepted = |shift: i64| {
        let beat = || site.beats.beat(mission, token.as_bytes(), Some(b"{}"), at(shift));
        let mut count = 0;
        while match beat() {
            Ok(()) => true,
            Err(rejected) => {
                assert!(matches!(rejected, HeartbeatRejected::TooOften), "{rejected}");
                false
            }
        } {
            count += 1;
        }
        count
    };
    assert_eq!(accepted(0), 5);
    assert_eq!((accepted(0), accepted(1), accepted(4), accepted(1_000)), (0, 1, 3, 5));
    assert_eq!(
        (accepted(-1_000), accepted(-998)),
        (0, 2),
        "a clock that is set back adds no tokens, and then continues"
    );
    site.snapshot.send_modify(|snapshot| Arc::make_mut(snapshot).tick = lazarus::engine::snapshot::Tick::new(at(-998)));
    // The clock of the snapshot continues, so another heartbeat may be accepted in between.
    let mut answer = site.beat(CELL, &token, "").await;
    while answer.status == 204 {
        answer = site.beat(CELL, &token, "").await;
    }
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
}

#[tokio::test]
async fn requests_without_a_valid_token_leave_no_trace() {
    let site = Site::new(Setup::default()).await;
    let (_, token) = site.cell(CELL);
    let before = site.host.snapshot();
    for number in 0..2_000 {
        let unknown = MissionId::parse(&format!("00000000-0000-4000-8000-{:012x}", number + 1)).unwrap();
        assert!(matches!(
            site.beats.beat(unknown, token.as_bytes(), Some(b"{}"), at(0)),
            Err(HeartbeatRejected::Unknown)
        ));
    }
    for wrong in ["", "wrong", &token[1..], &format!("{token}x"), &token.to_uppercase()] {
        let wrong = if wrong == token { "" } else { wrong };
        assert_eq!(site.beat(CELL, wrong, "{}").await.status, 404, "{wrong}");
    }
    let path = format!("/missions/{CELL}/heartbeat");
    assert_eq!(ask(site.doors, "POST", &path, &[], b"{}").await.status, 404, "no token at all");
    assert_eq!(site.beats.watched(), 0);
    assert_eq!(before.changed(&site.host.snapshot()), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(site.beat(NOWHERE, &token, "{}").await.status, 404);
    assert!(!site.host.root().join(NOWHERE).exists(), "no cell is created");
    site.beat(CELL, &token, "{}").await;
    assert_eq!(site.beats.watched(), 1);
}

#[tokio::test]
async fn the_rate_limiter_forgets_cells_without_recent_heartbeats() {
    let site = Site::new(Setup::default()).await;
    for number in 0..2_000 {
        let mission_id = format!("00000000-0000-4000-8000-{:012x}", number + 1);
        let config = site.host.root().join(&mission_id).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let token = "x".repeat(32);
        std::fs::write(config.join("heartbeat.token"), &token).unwrap();
        let mission = MissionId::parse(&mission_id).unwrap();
        // There is no `state/`, and none is created.
        let failed = site.beats.beat(mission, token.as_bytes(), Some(b"{}"), at(10 * number)).unwrap_err();
        assert!(matches!(failed, HeartbeatRejected::Failed(_)));
        std::fs::remove_dir_all(site.host.root().join(&mission_id)).unwrap();
    }
    assert!(site.beats.watched() <= 1_024, "{}", site.beats.watched());
}

/// Replaces a path by each of these in turn and sends a heartbeat; the kind and the status of the response.
async fn beat_with(site: &Site, token: &str, path: &Path, target: &Path) -> Vec<(&'static str, u16)> {
    let aside = path.with_extension("aside");
    std::fs::rename(path, &aside).unwrap();
    let mut statuses = Vec::new();
    for kind in ["nothing", "link", "fifo", "directory", "hard link"] {
        match kind {
            "link" => symlink(target, path).unwrap(),
            "fifo" => rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            "directory" => std::fs::create_dir(path).unwrap(),
            "hard link" if aside.is_file() => std::fs::hard_link(&aside, path).unwrap(),
            _ => {}
        }
        statuses.push((kind, site.beat(CELL, token, "{}").await.status));
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            let _ = std::fs::remove_file(path);
        }
        // Another second for the limit.
        site.snapshot.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            snapshot.tick =
                lazarus::engine::snapshot::Tick::new(snapshot.tick.at().plus(chrono::TimeDelta::seconds(10)));
        });
    }
    std::fs::rename(&aside, path).unwrap();
    statuses
}

#[tokio::test]
async fn links_and_special_files_in_a_cell_are_never_followed() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    let outside = site.host.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("heartbeat.json"), "untouched").unwrap();
    std::fs::write(outside.join("token"), &token).unwrap();
    let state = beat_with(&site, &token, &cell.join("state"), &outside).await;
    assert_eq!(state, [("nothing", 503), ("link", 503), ("fifo", 503), ("directory", 204), ("hard link", 503)]);
    let file = beat_with(&site, &token, &cell.join("state/heartbeat.json"), &outside.join("heartbeat.json")).await;
    let replaced = [("nothing", 204), ("link", 204), ("fifo", 204), ("directory", 503), ("hard link", 204)];
    assert_eq!(file, replaced, "a rename replaces the entry and follows no link");
    let of_token = beat_with(&site, &token, &cell.join("config/heartbeat.token"), &outside.join("token")).await;
    assert!(of_token.iter().all(|(_, status)| *status == 404), "{of_token:?}");
    let whole = beat_with(&site, &token, &cell, &cell.with_extension("aside")).await;
    assert!(whole.iter().all(|(_, status)| *status == 404), "{whole:?}");
    for token_in_file in ["", "\n", "short"] {
        std::fs::write(cell.join("config/heartbeat.token"), token_in_file).unwrap();
        assert_eq!(site.beat(CELL, token_in_file.trim(), "{}").await.status, 404, "no token at all");
    }
    assert_eq!(std::fs::read_to_string(outside.join("heartbeat.json")).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
    assert!(is_tidy(&cell));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_heartbeats_leave_one_whole_file_with_the_highest_number() {
    let site = Arc::new(Site::new(Setup::default()).await);
    let mission = MissionId::parse(CELL).unwrap();
    let (cell, token) = site.cell(CELL);
    let reader = {
        let path = cell.join("state/heartbeat.json");
        std::thread::spawn(move || {
            for _ in 0..20_000 {
                let bytes = std::fs::read(&path).unwrap();
                serde_json::from_slice::<Value>(&bytes).expect("it is whole at every moment");
            }
        })
    };
    let racers = (0..4_u64).map(|racer| {
        let (site, token) = (Arc::clone(&site), token.clone());
        std::thread::spawn(move || {
            let beat = |number: u64| {
                let sent = json!({ "sequence": number, "message": "x".repeat(100) }).to_string();
                let now = at(10 * i64::try_from(number).unwrap());
                match site.beats.beat(mission, token.as_bytes(), Some(sent.as_bytes()), now) {
                    Ok(()) => true,
                    Err(HeartbeatRejected::Fault(_) | HeartbeatRejected::TooOften) => false,
                    Err(rejected) => panic!("{rejected}"),
                }
            };
            (0..100).map(|round| 4 * round + racer + 1).filter(|number| beat(*number)).max()
        })
    });
    let racers: Vec<_> = racers.collect();
    let highest = racers.into_iter().filter_map(|racer| racer.join().unwrap()).max();
    reader.join().unwrap();
    assert_eq!(heartbeat(&cell)["sequence"].as_u64(), highest);
    assert!(is_tidy(&cell));
}
