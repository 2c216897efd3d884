//! Heartbeats as agents write them: what counts, what is told of the rest, and where.

use crate::support::forge::Forge;
use crate::support::host::{Host, changes, run, writes};
use lazarus::mission::cell::heartbeat::Heartbeat;
use lazarus::mission::cell::heartbeat_fields::Notes;
use lazarus::mission::cell::json_file::{Flaw, FoundValue, JsonKind, parse_object};
use lazarus::mission::record::Published;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
const TIME: &str = "2026-11-23T14:02:11Z";

/// A host with one cell that belongs to no issue.
async fn cell() -> (Host, PathBuf) {
    let host = Host::new();
    assert_eq!(run(host.command("lazarus-pit").args(["--init-cell", ID])).await.code, 0);
    let cell = host.root().join(ID);
    (host, cell)
}

fn write(cell: &Path, heartbeat: impl AsRef<[u8]>) {
    std::fs::write(cell.join("state/heartbeat.json"), heartbeat).unwrap();
}

fn written(cell: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(cell.join("state/heartbeat.json")).unwrap()).unwrap()
}

/// A heartbeat of this moment with this besides, in JSON without its outer braces.
fn now_and(more: &str) -> String {
    format!("{{\"timestamp\": \"{}\", {more}}}", chrono::Utc::now().to_rfc3339())
}

#[test]
fn heartbeats_are_read_leniently_but_their_time_strictly() {
    let read = |text: &str| {
        Heartbeat::parse(text.as_bytes()).map(|(beat, _)| (beat.timestamp.map(|t| t.to_string()), beat.state))
    };
    assert_eq!(read(r#"{"timestamp":null}"#), Ok((None, String::new())));
    assert_eq!(
        read(r#"{"timestamp":"2026-11-24T01:02:03.999+01:00","state":"x","sequence":-1,"message":7,"more":[]}"#),
        Ok((Some("2026-11-24T00:02:03Z".to_owned()), "x".to_owned()))
    );
    for (text, flaw) in [
        ("", Flaw::Empty),
        ("\u{feff} \n", Flaw::Empty),
        ("\u{0}\u{0}\u{0}", Flaw::NotJson),
        ("{'timestamp': null}", Flaw::NotJson),
        ("{\"timestamp\": nan}", Flaw::NotJson),
        ("{\"timestamp\": null", Flaw::CutOff),
        ("{\"timestamp\": null, \"message\": \"half", Flaw::CutOff),
        ("{\"timestamp\": null}\n{\"timestamp\": null}\n", Flaw::MoreFollows),
        ("[]", Flaw::OtherJson(JsonKind::List)),
        ("\"2026-11-23T14:02:11Z\"", Flaw::OtherJson(JsonKind::Text)),
        ("1795000000", Flaw::OtherJson(JsonKind::Number)),
        ("{}", Flaw::Timestamp(FoundValue::Missing)),
        (r#"{"timestamp":1763942400}"#, Flaw::Timestamp(FoundValue::Kind(JsonKind::Number))),
        (r#"{"timestamp":{"seconds":7}}"#, Flaw::Timestamp(FoundValue::Kind(JsonKind::Object))),
        (r#"{"timestamp":"2026-11-24T01:02:03"}"#, Flaw::Timestamp(FoundValue::NoZone)),
        (r#"{"timestamp":"2026-11-24 01:02:03"}"#, Flaw::Timestamp(FoundValue::NoZone)),
        (r#"{"timestamp":"yesterday"}"#, Flaw::Timestamp(FoundValue::NoTime)),
        (r#"{"timestamp":""}"#, Flaw::Timestamp(FoundValue::NoTime)),
    ] {
        assert_eq!(read(text), Err(flaw), "{text}");
    }
    let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        mark.into_iter().chain("{}".encode_utf16().flat_map(bytes)).collect()
    };
    for text in [utf16([0xff, 0xfe], u16::to_le_bytes), utf16([0xfe, 0xff], u16::to_be_bytes)] {
        assert_eq!(Heartbeat::parse(&text), Err(Flaw::Utf16));
        assert_eq!(parse_object(&text), Err(Flaw::Utf16));
    }
    assert_eq!(read(&"[".repeat(200_000)), Err(Flaw::TooLarge));
    assert_eq!(read(&"[".repeat(100_000)), Err(Flaw::NotJson));
}

#[test]
fn every_flaw_names_the_found_and_the_expected_value() {
    let time = "and should be an RFC 3339 time with a zone, such as `2026-11-23T14:02:11Z`";
    let of = |found| Flaw::Timestamp(found).to_string();
    assert_eq!(of(FoundValue::Missing), format!("its `timestamp` is missing, {time}"));
    assert_eq!(of(FoundValue::Kind(JsonKind::Number)), format!("its `timestamp` is a number, {time}"));
    assert_eq!(of(FoundValue::NoZone), format!("its `timestamp` has no time zone, {time}"));
    assert_eq!(of(FoundValue::NoTime), format!("its `timestamp` is not a time, {time}"));
    assert_eq!(Flaw::OtherJson(JsonKind::List).to_string(), "it is an array, and should be a JSON object");
    for flaw in
        [Flaw::TooLarge, Flaw::Empty, Flaw::Utf16, Flaw::CutOff, Flaw::MoreFollows, Flaw::NotJson, Flaw::Refused]
    {
        assert!(flaw.to_string().len() > 10, "{flaw}");
    }
}

#[test]
fn a_minor_mistake_in_a_heartbeat_is_noted() {
    let notes = |bytes: &[u8]| Heartbeat::parse(bytes).map(|(_, notes)| notes.lines()).unwrap();
    let heartbeat = |more: &str| format!("{{\"timestamp\": \"{TIME}\", {more}}}");
    assert_eq!(notes(heartbeat("\"state\": \"done\"").as_bytes()), [""; 0]);
    let bom = "the heartbeat begins with a byte order mark, which is skipped; write it without one";
    assert_eq!(notes(format!("\u{feff}{}", heartbeat("\"state\": \"done\"")).as_bytes()), [bom]);
    let lossy = "the heartbeat is not valid UTF-8; invalid bytes are replaced by `\u{fffd}`";
    let mut bytes = heartbeat("\"message\": \"caf#\"").into_bytes();
    *bytes.iter_mut().find(|byte| **byte == b'#').unwrap() = 0xe9;
    assert_eq!(notes(&bytes), [lossy]);
    assert_eq!(Heartbeat::parse(&bytes).unwrap().0.message.as_deref(), Some("caf\u{fffd}"));
    assert_eq!(
        notes(heartbeat(r#""state": 1, "sequence": "7", "message": ["x"]"#).as_bytes()),
        [
            "the heartbeat's `state` is a number, and should be a string; it is ignored",
            "the heartbeat's `sequence` is a string, and should be a whole number from 0 upwards; it is ignored",
            "the heartbeat's `message` is an array, and should be a string; it is ignored",
        ]
    );
    for sequence in ["-1", "1.5", "1e30"] {
        let reported = notes(heartbeat(&format!("\"sequence\": {sequence}")).as_bytes());
        assert!(
            reported[0].contains("`sequence` is a number that is negative, too large, or has a fraction"),
            "{reported:?}"
        );
    }
}

#[test]
fn a_lone_surrogate_in_an_escape_is_replaced() {
    let message = |escaped: &str| {
        let text = format!("{{\"timestamp\": null, \"message\": \"{escaped}\"}}");
        let (heartbeat, notes) = Heartbeat::parse(text.as_bytes()).unwrap();
        (heartbeat.message.unwrap(), notes.replaced)
    };
    assert_eq!(message(r"a\ud800b"), ("a\u{fffd}b".to_owned(), true));
    assert_eq!(message(r"\udce9\uDBFF\u0041\ud83d"), ("\u{fffd}\u{fffd}A\u{fffd}".to_owned(), true));
    assert_eq!(message(r"\ud83d\ude00 \\ud800 \u00e9 \n"), ("\u{1f600} \\ud800 é \n".to_owned(), false));
    for broken in [r#"{"timestamp": null, "message": "\ud8"#, r#"{"timestamp": null, "message": "\"#] {
        assert_eq!(Heartbeat::parse(broken.as_bytes()), Err(Flaw::CutOff), "{broken}");
    }
    assert_eq!(Heartbeat::parse("{\"timestamp\": \"\\é\"}".as_bytes()), Err(Flaw::NotJson));
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters_and_marked() {
    let read = |message: &str| {
        let text = json!({ "timestamp": null, "state": message, "message": message }).to_string();
        let (heartbeat, notes) = Heartbeat::parse(text.as_bytes()).unwrap();
        assert_eq!(heartbeat.state, heartbeat.message.clone().unwrap());
        (heartbeat.message.unwrap(), notes.lines())
    };
    assert_eq!(read(&"é".repeat(200)), ("é".repeat(200), Vec::new()));
    let reported =
        ["state", "message"].map(|f| format!("the heartbeat's `{f}` has more than 200 characters and is truncated"));
    assert_eq!(read(&"é".repeat(201)), (format!("{}…", "é".repeat(199)), reported.to_vec()));
    assert_eq!(read(&format!("{}\u{202e}", "é".repeat(200))).0, "é".repeat(200), "what nobody sees does not count");
}

#[test]
fn published_flaws_of_earlier_versions_are_still_read() {
    let remembered = |flaw: &str| {
        let posted = json!({
            "phase": "active", "since": TIME,
            "verdict": { "health": "incomplete", "reason": { "unreadable": [{ "part": "heartbeat" }, flaw] } },
        });
        serde_json::from_value::<Published>(posted).unwrap()
    };
    for flaw in ["too-large", "not-json", "not-an-object", "no-timestamp", "bad-timestamp"] {
        let posted = remembered(flaw);
        assert_eq!((posted.notes, posted.verdict.unwrap().reason.word()), (Notes::default(), "unreadable"), "{flaw}");
        let again = serde_json::to_value(posted).unwrap();
        assert!(again.get("notes").is_none(), "an earlier version reads it too: {again}");
    }
}

#[tokio::test]
async fn a_scan_reports_why_a_heartbeat_is_unusable() {
    let (host, cell) = cell().await;
    let wanted = "`state/heartbeat.json` cannot be used: its `timestamp` is a number, \
                  and should be an RFC 3339 time with a zone, such as `2026-11-23T14:02:11Z`";
    write(&cell, "{\"timestamp\": 1795000000, \"state\": \"working\"}");
    for (program, arguments) in [("lazarus-pit", &["--json"][..]), ("lazarus-reconcile", &["scan", "--json"])] {
        let reported = &run(host.command(program).args(arguments)).await.json()["cells"][0];
        assert_eq!(
            (&reported["health"], &reported["reason"], &reported["problem"]),
            (&json!("incomplete"), &json!("unreadable state/heartbeat.json"), &json!(wanted))
        );
    }
    for arguments in [&["scan"][..], &["status"]] {
        let reported = run(host.command("lazarus-reconcile").args(arguments)).await.stdout;
        assert!(reported.contains(&format!("{ID}: {wanted}\n")), "{reported}");
    }
    let fleet = run(host.command("lazarus-reconcile").args(["status", "--json"])).await.json();
    assert_eq!(fleet["missions"][0]["problem"], wanted);
    let story = run(host.command("lazarus-reconcile").args(["status", ID])).await.stdout;
    assert!(story.contains(wanted), "{story}");
    std::fs::remove_file(cell.join("logs/daemon.log")).unwrap();
    write(&cell, now_and("\"state\": \"working\""));
    std::fs::create_dir(cell.join("logs/daemon.log")).unwrap();
    let reported = run(host.command("lazarus-pit").arg("--json")).await.json();
    assert_eq!(reported["cells"][0]["problem"], "`logs/daemon.log` is a directory", "not only of heartbeats");
}

#[tokio::test]
async fn a_heartbeat_with_a_bom_and_a_long_message_counts_with_notes() {
    let (host, cell) = cell().await;
    let long = "é".repeat(60_000);
    write(&cell, format!("\u{feff}{}", now_and(&format!("\"state\": \"waiting\", \"message\": \"{long}\""))));
    let notes = [
        "the heartbeat begins with a byte order mark, which is skipped; write it without one",
        "the heartbeat's `message` has more than 200 characters and is truncated",
    ];
    let reported = &run(host.command("lazarus-reconcile").args(["scan", "--json"])).await.json()["cells"][0];
    assert_eq!(
        (&reported["health"], &reported["agent_state"], &reported["problem"], &reported["notes"]),
        (&json!("healthy"), &json!("waiting"), &Value::Null, &json!(notes))
    );
    for arguments in [&["scan"][..], &["status"]] {
        let reported = run(host.command("lazarus-reconcile").args(arguments)).await.stdout;
        assert!(notes.iter().all(|note| reported.contains(&format!("{ID}: {note}\n"))), "{reported}");
    }
    let story = run(host.command("lazarus-reconcile").args(["status", ID])).await.stdout;
    assert!(notes.iter().all(|note| story.contains(note)), "{story}");
    let on_disk = &run(host.command("lazarus-reconcile").args(["status", ID, "--json"])).await.json()["on_disk"];
    assert_eq!(on_disk["notes"], json!(notes));
}

#[tokio::test]
async fn a_comment_reports_a_heartbeat_problem_only_once() {
    let forge = Forge::sandbox().await;
    let (repository, host) = (forge.repository().await, Host::new());
    let number = repository.file("reader", "Mission: x", &[]).await;
    host.once(&repository).await;
    let cell = host.cell();
    let time = "and should be an RFC 3339 time with a zone, such as `2026-11-23T14:02:11Z`";
    let reason = format!(
        "**Active, but incomplete: `state/heartbeat.json` cannot be used, its `timestamp` is a number, {time}.**"
    );
    let sequence =
        "- Note: the heartbeat's `sequence` is a string, and should be a whole number from 0 upwards; it is ignored\n";
    let bom = "- Note: the heartbeat begins with a byte order mark, which is skipped; write it without one\n";
    for (heartbeat, wanted) in [
        ("{\"timestamp\": 1795000000}".to_owned(), reason.as_str()),
        (now_and("\"sequence\": \"7\""), sequence),
        (format!("\u{feff}{}", now_and("\"state\": \"working\"")), bom),
    ] {
        write(&cell, heartbeat);
        let pass = host.once(&repository).await;
        let comment = repository.comment(number).await;
        assert!(comment.contains(wanted), "{wanted} is not in\n{comment}");
        let verdict = &pass["missions"][0];
        assert_eq!(verdict["problem"].is_string(), verdict["reason"] == "unreadable state/heartbeat.json", "{verdict}");
        let again = host.once(&repository).await;
        assert_eq!((changes(&again), writes(&again)), (0, 0), "nothing is written twice: {again}");
    }
    write(&cell, now_and(&format!("\"state\": \"working\", \"message\": \"{}\"", "x".repeat(300))));
    host.once(&repository).await;
    let comment = repository.comment(number).await;
    assert!(!comment.contains("Note:"), "the length of its words is nobody's mistake: {comment}");
}

#[tokio::test]
async fn a_heartbeat_whose_message_must_change_counts_with_a_warning() {
    let (host, cell) = cell().await;
    let beat = async |message: OsString| {
        run(host.command("lazarus-pit").current_dir(&cell).args(["beat", "--message"]).arg(message)).await
    };
    let long = beat("é".repeat(201).into()).await;
    let reported = "lazarus-pit: `--message` has more than 200 characters and is cut\n";
    assert_eq!((long.code, long.stderr.as_str()), (0, reported));
    assert_eq!(written(&cell)["message"], format!("{}…", "é".repeat(199)));
    let broken = beat(OsString::from_vec(b"caf\xe9".to_vec())).await;
    let reported = "lazarus-pit: `--message` has bytes that are not UTF-8; they are replaced by `\u{fffd}`\n";
    assert_eq!((broken.code, broken.stderr.as_str()), (0, reported));
    assert_eq!((&written(&cell)["message"], &written(&cell)["sequence"]), (&json!("caf\u{fffd}"), &json!(2)));
    let fits = beat("é".repeat(200).into()).await;
    assert_eq!((fits.code, fits.stderr.as_str()), (0, ""));
}
