//! Replayed heartbeats are rejected: the daemon's record of accepted heartbeats, its place, and the errors.

use crate::http::endpoints::CELL;
use crate::support::cells::at;
use crate::support::site::{Setup, Site};
use lazarus::mission::identity::MissionId;
use lazarus::world::cells::heartbeats::{HeartbeatReceiver, HeartbeatRejected};
use lazarus::world::store::root::Root;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const RECORD: &str = "config/heartbeat.accepted.json";

fn heartbeat(cell: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap()
}

/// Sends a heartbeat to a new receiver, as after a restart; the error, or `accepted`.
fn send(site: &Site, token: &str, body: &Value) -> String {
    let receiver = HeartbeatReceiver::new(Arc::new(Root::open(&site.host.root()).unwrap()));
    let sent =
        receiver.beat(MissionId::parse(CELL).unwrap(), token.as_bytes(), Some(body.to_string().as_bytes()), at(0));
    sent.map_or_else(|rejected| rejected.to_string(), |()| "accepted".to_owned())
}

#[tokio::test]
async fn a_heartbeat_that_is_not_newer_changes_nothing() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    assert_eq!(site.beat(CELL, &token, "{\"sequence\": 7}").await.status, 204);
    let hint = "; an agent that restarts its count has to use a new `session`\n";
    for sequence in [7, 6, 0] {
        let answer = site.beat(CELL, &token, &json!({ "sequence": sequence, "state": "done" }).to_string()).await;
        let expected = format!(
            "this heartbeat is out of order: it is not newer than the last accepted one: \
             `sequence` {sequence}, after `sequence` 7{hint}"
        );
        assert_eq!((answer.status, answer.body), (409, expected));
    }
    assert_eq!((&heartbeat(&cell)["sequence"], &heartbeat(&cell)["state"]), (&json!(7), &json!("working")));
    std::fs::write(cell.join("state/heartbeat.json"), "{ half of").unwrap();
    let both = json!({ "timestamp": at(0), "sequence": 8 });
    assert_eq!(send(&site, &token, &both), "accepted", "a damaged file blocks no heartbeat");
    let error = send(&site, &token, &both);
    let last = format!("`timestamp` {} and `sequence` 8", at(0));
    assert!(error.contains(&format!("{last}, after {last}; an agent")), "{error}");
    assert_eq!(
        send(&site, &token, &json!({ "timestamp": at(1), "sequence": 1 })),
        "accepted",
        "a newer time is enough"
    );
    assert_eq!(heartbeat(&cell)["sequence"], 1);
}

#[tokio::test]
async fn a_replaced_session_stays_rejected_after_a_restart() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    let of = |session: &str, sequence: u64| json!({ "session": session, "sequence": sequence });
    assert_eq!(send(&site, &token, &of("one", 900)), "accepted");
    assert_eq!(send(&site, &token, &of("two", 1)), "accepted", "immediately");
    assert_eq!((&heartbeat(&cell)["session"], &heartbeat(&cell)["sequence"]), (&json!("two"), &json!(1)));
    let expected = "this heartbeat is out of order: its `session` was replaced by another one; each run of an agent has to use a new one";
    assert_eq!(send(&site, &token, &of("one", 901)), expected);
    let answer = site.beat(CELL, &token, &of("one", 902).to_string()).await;
    assert_eq!((answer.status, answer.body), (409, format!("{expected}\n")));
    assert!(send(&site, &token, &of("two", 1)).contains("not newer"));
    assert_eq!(send(&site, &token, &json!({ "session": "two" })), "accepted", "numbers continue automatically");
    assert_eq!(heartbeat(&cell)["sequence"], 2);
    assert_eq!(send(&site, &token, &json!({ "session": "three" })), "accepted");
    assert_eq!(heartbeat(&cell)["sequence"], 1, "and restart with a new session");
}

#[tokio::test]
async fn the_record_of_accepted_heartbeats_is_not_writable_by_agents() {
    let site = Site::new(Setup::default()).await;
    let (cell, token) = site.cell(CELL);
    assert_eq!(send(&site, &token, &json!({ "state": "working" })), "accepted");
    let memory: Value = serde_json::from_slice(&std::fs::read(cell.join(RECORD)).unwrap()).unwrap();
    let marks = [&memory["without_session"]["timestamp"], &memory["without_session"]["sequence"]];
    assert_eq!((memory["received_at"].is_string(), marks), (true, [&Value::Null; 2]), "only that it came");
    assert_eq!(send(&site, &token, &json!({ "sequence": 1 })), "accepted");
    let [file, directory] = [cell.join(RECORD), cell.join("config")].map(|path| std::fs::metadata(path).unwrap());
    assert_eq!((file.permissions().mode() & 0o7777, directory.permissions().mode() & 0o7777), (0o600, 0o750));
    // Whatever is written into the cell's own file does not matter.
    std::fs::write(cell.join("state/heartbeat.json"), "{\"timestamp\": null, \"sequence\": 0}").unwrap();
    assert!(send(&site, &token, &json!({ "sequence": 1 })).contains("not newer"));
    for damage in ["", "{ half of", "[]", "{\"replaced\": 7}"] {
        std::fs::write(cell.join(RECORD), damage).unwrap();
        assert_eq!(send(&site, &token, &json!({ "sequence": 1 })), "accepted", "{damage}");
        assert!(send(&site, &token, &json!({ "sequence": 1 })).contains("not newer"), "{damage}");
    }
    assert_eq!(std::fs::read_dir(cell.join("config")).unwrap().count(), 3, "no temporary file is left");
}

#[tokio::test]
async fn a_heartbeat_that_cannot_be_recorded_is_rejected() {
    let site = Site::new(Setup::default()).await;
    let mission = MissionId::parse(CELL).unwrap();
    let (cell, token) = site.cell(CELL);
    let before = heartbeat(&cell);
    let in_the_way = cell.join("config/.heartbeat.accepted");
    std::fs::create_dir(&in_the_way).unwrap();
    let beat = || site.beats.beat(mission, token.as_bytes(), Some(b"{\"sequence\": 1}"), at(0));
    assert!(matches!(beat(), Err(HeartbeatRejected::Failed(_))));
    assert_eq!(heartbeat(&cell), before);
    std::fs::remove_dir(&in_the_way).unwrap();
    std::fs::rename(cell.join("state"), cell.join("aside")).unwrap();
    assert!(matches!(beat(), Err(HeartbeatRejected::Failed(_))));
    assert!(!cell.join(RECORD).exists() && !in_the_way.exists(), "and a rejected one is not recorded");
    std::fs::rename(cell.join("aside"), cell.join("state")).unwrap();
    assert!(beat().is_ok());
    // A heartbeat without a time and a number has nothing to record, so it is accepted.
    std::fs::remove_file(cell.join(RECORD)).unwrap();
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(site.beats.beat(mission, token.as_bytes(), Some(b""), at(10)).is_ok());
    assert!(!cell.join(RECORD).exists());
}
