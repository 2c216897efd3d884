//! Archives are listed for anybody and deleted for nobody but the person who says so.

use chrono::TimeDelta;
use lazarus::mission::archive::{Archive, ArchiveName, Measure};
use lazarus::mission::time::Timestamp;
use serde_json::json;
use std::time::Duration;

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

#[test]
fn an_archive_has_one_name_and_the_next_one_a_number() {
    let first = ArchiveName::parse(ID).unwrap();
    let names: Vec<String> =
        [first, first.next(), first.next().next()].map(|name| name.to_string()).into_iter().collect();
    assert_eq!(names, [ID.to_owned(), format!("{ID}.1"), format!("{ID}.2")]);
    for name in &names {
        let parsed: ArchiveName = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(serde_json::to_value(parsed).unwrap(), json!(name));
    }
    assert!(first < first.next() && first == ArchiveName::first(first.mission_id));
    let upper = ID.to_uppercase();
    let wrong =
        [".0", ".01", ".+1", ".-1", ".", ".1.1", ".4294967296", " ", "/", ".tar"].map(|end| format!("{ID}{end}"));
    for name in wrong.iter().chain([&upper, &"00000000-0000-0000-0000-000000000000".to_owned(), &String::new()]) {
        assert!(ArchiveName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn an_archive_is_old_enough_to_the_second() {
    let archived_at = Timestamp::parse("2026-11-23T14:00:00Z").unwrap();
    let archive = Archive { name: ArchiveName::parse(ID).unwrap(), archived_at, measure: Measure::default() };
    let day = Duration::from_secs(86_400);
    let after = |seconds| archived_at.plus(TimeDelta::seconds(seconds));
    assert!(!archive.is_as_old_as(day, after(86_399)) && archive.is_as_old_as(day, after(86_400)));
    assert!(!archive.is_as_old_as(Duration::ZERO, after(-1)), "put away in the future");
    assert!(!archive.is_as_old_as(Duration::MAX, after(86_400)));
}
