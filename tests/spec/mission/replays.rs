//! Which heartbeats are new: by time, by number and by session, as values without a disk.

use crate::support::cells::at;
use lazarus::mission::cell::heartbeat_fields::session_name;
use lazarus::mission::cell::replay::{Accepted, Marks, Replay, SESSIONS_MAX};
use lazarus::mission::time::Timestamp;
use serde_json::json;

/// A cell's memory, and when it is asked.
#[derive(Clone, Default)]
struct Memory(Accepted);

impl Memory {
    fn accepts(&mut self, session: Option<&str>, marks: Marks, now: Timestamp) -> Result<(), Replay> {
        self.0 = self.0.clone().with(session, marks, now)?;
        Ok(())
    }

    /// Whether one is accepted that comes in the second that its time says, or at no time in particular.
    fn takes(&mut self, session: Option<&str>, time: Option<i64>, sequence: Option<u64>) -> bool {
        let marks = Marks { timestamp: time.map(at), sequence };
        self.accepts(session, marks, at(time.unwrap_or_default())).is_ok()
    }
}

#[test]
fn a_heartbeat_is_new_by_its_time_or_by_its_number() {
    let mut memory = Memory::default();
    assert!(memory.takes(None, Some(10), Some(5)));
    assert!(!memory.takes(None, Some(10), Some(5)), "the very same");
    assert!(!memory.takes(None, Some(9), Some(4)));
    assert!(!memory.takes(None, Some(10), None) && !memory.takes(None, None, Some(5)));
    assert!(memory.takes(None, Some(11), Some(5)) && memory.takes(None, Some(11), Some(6)));
    assert!(memory.takes(None, Some(3), Some(7)), "a clock that was set back");
    assert!(memory.takes(None, Some(12), Some(1)), "a counter that begins anew");
    for (time, sequence) in [(10, 5), (11, 5), (11, 6), (3, 7), (12, 1)] {
        assert!(!memory.takes(None, Some(time), Some(sequence)), "{time}, {sequence}: none of them twice");
    }
    assert!(memory.takes(None, None, None), "nothing tells it from another one");
}

#[test]
fn timestamps_keep_full_precision_after_a_restart() {
    let marks = |text: &str| Marks { timestamp: Timestamp::parse(text), sequence: None };
    let [first, second] = ["2026-11-23T14:02:11.123456789Z", "2026-11-23T14:02:11.123456790Z"].map(marks);
    let mut memory = Memory::default();
    assert!(memory.accepts(None, first, at(0)).is_ok());
    let mut memory = Memory(serde_json::from_str(&serde_json::to_string(&memory.0).unwrap()).unwrap());
    assert!(memory.accepts(None, first, at(0)).is_err() && memory.accepts(None, second, at(0)).is_ok());
}

#[test]
fn a_new_session_is_accepted_immediately_and_the_old_one_never_again() {
    let mut memory = Memory::default();
    assert!(memory.takes(Some("one"), Some(100), Some(900)));
    assert!(memory.takes(Some("two"), Some(50), Some(1)), "whatever its clock and its counter say");
    assert!(!memory.takes(Some("two"), Some(50), Some(1)) && memory.takes(Some("two"), None, Some(2)));
    assert_eq!(memory.clone().accepts(Some("one"), Marks::default(), at(0)), Err(Replay::Replaced));
    assert!(!memory.takes(Some("one"), Some(9_999), Some(9_999)));
}

#[test]
fn heartbeats_without_a_session_neither_replace_one_nor_are_replaced() {
    let mut memory = Memory::default();
    assert!(memory.takes(None, None, Some(500)));
    assert!(memory.takes(Some("one"), None, Some(1)));
    assert!(!memory.takes(None, None, Some(500)), "it is not forgotten for that");
    assert!(memory.takes(None, None, Some(501)) && memory.takes(Some("one"), None, Some(2)));
}

#[test]
fn only_the_last_eight_sessions_are_recorded() {
    let mut memory = Memory::default();
    for number in 0..=SESSIONS_MAX {
        assert!(memory.takes(Some(&format!("session {number}")), None, Some(1)));
    }
    for number in 0..SESSIONS_MAX {
        assert!(!memory.takes(Some(&format!("session {number}")), None, Some(2)), "{number}");
    }
    for number in 0..1_000 {
        let name = session_name(&format!("{}{number}", "\u{1f9d9}".repeat(500))).unwrap();
        assert!(memory.takes(Some(&name), Some(number), Some(u64::MAX)));
    }
    let bytes = serde_json::to_string_pretty(&memory.0).unwrap().len();
    assert!(bytes < 64 * 1024, "{bytes}");
}

#[test]
fn session_names_are_bounded_and_stay_distinct() {
    let long = |end: &str| session_name(&format!("{}{end}", "é".repeat(300))).unwrap();
    assert_eq!((long("a").chars().count(), long("a")), (200, long("a")));
    assert_ne!(long("a"), long("b"));
    assert_eq!(session_name(&"é".repeat(200)).unwrap(), "é".repeat(200));
    assert_eq!(
        (session_name(""), session_name("\u{200b}"), session_name("a\u{202e}b")),
        (None, None, Some("ab".into()))
    );
}

#[test]
fn an_agent_whose_clock_is_corrected_need_not_catch_up_first() {
    let marks = |shift| Marks { timestamp: Some(at(shift)), sequence: None };
    let mut memory = Memory::default();
    assert!(memory.accepts(None, marks(0), at(0)).is_ok());
    assert!(memory.accepts(None, marks(7_230), at(30)).is_ok(), "two hours ahead");
    assert!(memory.accepts(None, marks(7_230), at(31)).is_err() && memory.accepts(None, marks(0), at(31)).is_err());
    assert!(memory.accepts(None, marks(60), at(60)).is_ok(), "set right");
    assert!(memory.accepts(None, marks(60), at(61)).is_err() && memory.accepts(None, marks(90), at(90)).is_ok());
}

#[test]
fn none_of_a_thousand_heartbeats_counts_twice() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut memory, mut accepted) = (Memory::default(), Vec::new());
        let mut clock = 0;
        for number in 0..50 {
            clock += random.i64(0..100);
            // No more sessions than are remembered; some heartbeats are late, and counters begin anew.
            let session = random.bool().then(|| format!("session {}", number / 6));
            let time = random.bool().then(|| clock - random.i64(0..200));
            let sequence = if time.is_none() || random.bool() { Some(random.u64(0..30)) } else { None };
            let marks = Marks { timestamp: time.map(at), sequence };
            if memory.accepts(session.as_deref(), marks, at(clock)).is_ok() {
                accepted.push((session, marks));
            }
            for (session, marks) in &accepted {
                let again = memory.accepts(session.as_deref(), *marks, at(clock));
                assert!(again.is_err(), "seed {seed}: {session:?} {marks}");
            }
        }
        assert!(accepted.len() > 10, "seed {seed}");
    }
}

#[test]
fn the_replay_record_is_plain_json_and_older_formats_are_read() {
    let mut memory = Memory::default();
    for session in ["one", "two"] {
        memory.takes(Some(session), Some(7), Some(3));
    }
    let reported = json!({
        "version": 1,
        "received_at": at(7),
        "current": { "name": "two", "timestamp": at(7), "sequence": 3 },
        "replaced": ["one"],
        "without_session": { "timestamp": null, "sequence": null },
    });
    assert_eq!(serde_json::to_value(&memory.0).unwrap(), reported);
    assert_eq!(serde_json::from_value::<Accepted>(json!({})).unwrap(), Accepted::default());
}
