//! The comment: what a person reads in each lifecycle, whole, in `tests/fixtures/comments.md`.

use crate::support::cells::{at, beat, whole, with_heartbeat, with_heartbeat_and};
use crate::support::golden;
use crate::support::missions::{active, body, edit, labelled, planned_cell, proposal, retitle};
use lazarus::mission::cell::flap_damping::Degradation;
use lazarus::mission::cell::health::Health;
use lazarus::mission::cell::json_file::Flaw;
use lazarus::mission::cell::worktree::{CheckoutUnderWay, PUBLISHED_AFTER, UnderWay, WorktreeSource};
use lazarus::mission::cell::{CellFacts, CellObservation, FileKind, Part, PartObservation, ReadFailure};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::observation::Observation;
use lazarus::mission::plan::project::project;
use lazarus::mission::status::comment::render;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::marker::Marker;
use lazarus::mission::text::shown;
use std::fmt::Write;
use std::sync::Arc;

pub(crate) const QUESTION: &str = "May I delete the 3 quarantined tests?";

/// The comment after the first half of a pass.
fn posted(observation: &Observation) -> String {
    let after = project(observation, &planned_cell(observation));
    let (status, _) = status(&after, &Lifecycle::of(&after)).unwrap();
    render(&after.here, &status)
}

fn beaten_cell(change: impl Fn(&mut CellFacts)) -> Observation {
    let mut observation = active(with_heartbeat(-10, "working"));
    if let CellObservation::Cell(cell) = &mut observation.sighting {
        change(cell);
    }
    observation
}

fn without_files_of_ours(cell: &mut CellFacts) {
    cell.see(Part::Mission, PartObservation::Missing);
    cell.mission = None;
    cell.see(Part::Token, PartObservation::Missing);
}

fn heartbeat(sight: PartObservation) -> Observation {
    beaten_cell(|cell| {
        cell.see(Part::Heartbeat, sight);
        cell.heartbeat = None;
    })
}

fn seen(sighting: CellObservation) -> Observation {
    let mut observation = active(with_heartbeat(-10, "working"));
    observation.sighting = sighting;
    observation
}

fn falling_again() -> Observation {
    let mut observation = seen(CellObservation::Cell(Box::new(with_heartbeat(-400, "working"))));
    let fall = |shift| Degradation { at: at(shift), to: Health::Stale };
    if let Some(record) = &mut observation.record {
        record.flap_damping.degradations = vec![fall(-900), fall(-600)];
    }
    observation
}

fn full(limit: CapacityLimit) -> Observation {
    let mut observation = proposal(&[("Repository", "wizards/spellbook")]);
    observation.admission = Admission::Full(limit);
    observation
}

fn checking_out(mut observation: Observation) -> Observation {
    let source = WorktreeSource::of(&observation.proposal().unwrap().spec).unwrap();
    let what = UnderWay { source, since: at(-60) };
    observation.checkout = Some(Box::new(CheckoutUnderWay { what, lasted: PUBLISHED_AFTER }));
    observation
}

/// Somebody has written it by hand, and somebody else has put the label on it.
fn formless(title: &str) -> Observation {
    let mut observation = proposal(&[]);
    retitle(&mut observation, title);
    edit(&mut observation, "Please raise the dead.\n\n### Steps\n\nSay the words.\n");
    observation.issue.labels = labelled(&["kind/mission-proposal"]);
    observation
}

fn edited(answers: &[(&str, &str)]) -> Observation {
    let mut observation = active(with_heartbeat(-10, "working"));
    edit(&mut observation, &body(answers));
    observation
}

#[test]
fn every_comment_states_the_situation_and_the_next_step() {
    let existing = "123e4567-e89b-12d3-a456-426614174000";
    let asked = [("Repository", "wizards/spellbook"), ("Ref", "main"), ("Wizard", "merlin")];
    let link = PartObservation::WrongType(FileKind::Link);
    let situations = vec![
        ("a new mission", proposal(&[])),
        ("a new mission for a repository and a wizard", proposal(&asked)),
        ("two wrong answers", proposal(&[("Repository", "wizards spellbook"), ("Stale after", "2 minutes")])),
        ("one wrong answer", proposal(&[("Objective", "_No response_")])),
        ("filed without the form", formless("Mission: by hand")),
        ("filed without the form, and without a title", formless("Mission:")),
        ("another host", proposal(&[("Host", "beta")])),
        ("no capacity on this root", full(CapacityLimit::Cells(7))),
        ("no capacity for this author", full(CapacityLimit::CellsPerAuthor(7))),
        ("no capacity in this pass", full(CapacityLimit::NewCellsPerPass(7))),
        ("a checkout that takes long", checking_out(proposal(&asked))),
        ("a cell whose checkout takes long", checking_out(edited(&asked))),
        ("healthy", active(with_heartbeat(-10, "working"))),
        ("healthy, and waiting", active(with_heartbeat(-10, "waiting"))),
        ("waiting for an answer", active(with_heartbeat_and(-10, "waiting", QUESTION))),
        ("waiting for an answer, and heartbeat timeout", active(with_heartbeat_and(-400, "waiting", QUESTION))),
        ("failed", active(with_heartbeat_and(-10, "failed", "the crypt is empty"))),
        ("failed long ago, without a message", active(with_heartbeat(-86_400, "failed"))),
        ("completed", active(with_heartbeat(-10, "done"))),
        ("heartbeat timeout", active(with_heartbeat(-400, "working"))),
        ("heartbeat timeout for the third time within an hour", falling_again()),
        ("an empty heartbeat after a known one", seen(CellObservation::Cell(Box::new(whole())))),
        ("clock skew", active(beat(Some(400), "waiting", 0))),
        ("unreadable by this service", seen(CellObservation::Failed(ReadFailure::Permission))),
        ("vanished, recreated", seen(CellObservation::Absent)),
        ("something else in its place", seen(CellObservation::NotADirectory(FileKind::File))),
        ("no heartbeat", heartbeat(PartObservation::Missing)),
        ("a link for a heartbeat", heartbeat(link)),
        ("an unreadable heartbeat", heartbeat(PartObservation::Unreadable(Flaw::TooLarge))),
        ("no logs, recreated", beaten_cell(|cell| cell.see(Part::Logs, PartObservation::Missing))),
        ("no mission file and no token, recreated", beaten_cell(without_files_of_ours)),
        ("a link for the worktree", beaten_cell(|cell| cell.see(Part::Worktree, link))),
        ("an edit that cannot be applied", edited(&[("Host", "beta"), ("Existing cell", existing)])),
        ("an edit that needs correcting", edited(&[("Host", "be ta"), ("Repository", "a/b/c")])),
        ("invisible text", edited(&[("Objective", "```text\nx\u{200b}y\u{202e}z\n```")])),
    ];
    let mut reported = String::new();
    for (name, observation) in &situations {
        writeln!(reported, "=== {name}\n{}", posted(observation)).unwrap();
    }
    golden::check("comments.md", &reported);
}

#[test]
fn the_marker_line_of_a_comment_round_trips() {
    let comment = posted(&proposal(&[]));
    let marker = Marker::parse(&comment).unwrap();
    assert_eq!(comment.lines().next().unwrap(), marker.to_string());
    assert!(marker.mission.is_some() && marker.root.is_some() && marker.host.is_some());
    let without = Marker::parse(&posted(&proposal(&[("Host", "beta")]))).unwrap();
    assert_eq!((without.mission, without.root, without.host), (None, None, None));
}

#[test]
fn a_malformed_marker_line_is_not_parsed() {
    let line = posted(&proposal(&[])).lines().next().unwrap().to_owned();
    let spoilt = [
        String::new(),
        format!("\n{line}"),
        format!(" {line}"),
        line.replace("v1", "v2"),
        line.replace("mission=", "mission=x"),
        line.replace("digest=", "digest"),
        line.replace("digest=", "digest=<b>"),
        line.replace(" -->", " more=1 -->"),
        line.replace(" root=", " root=root="),
        line.replace(" -->", ""),
    ];
    for wrong in spoilt {
        assert_eq!(Marker::parse(&wrong), None, "{wrong}");
    }
}

#[test]
fn user_text_never_becomes_live_markup_in_a_comment() {
    let hostile = [
        "@owner",
        "owner/missions#1",
        "#12",
        "![x](http://evil.test/p.gif)",
        "[x](javascript:alert(1))",
        "<script>alert(1)</script>",
        "</details>",
        "`` ` `` @a `#1`",
        "```",
        "`",
        "a`b",
        "https://evil.test",
        "**x**",
        "\u{1b}[31mred",
        "x\u{202e}y",
        "| a | b |",
        "-->",
        "x\ny",
    ];
    for text in hostile {
        for field in ["Repository", "Ref", "Stale after", "Wizard", "Host", "Existing cell"] {
            let comment = posted(&proposal(&[(field, text)]));
            let dead = without_code(&comment);
            for live in ["@", "#1", "http", "<script", "</details", "![", "](", "\u{1b}", "\u{202e}", "|", "**x"] {
                assert!(!dead.contains(live), "{text} in {field} left {live} alive:\n{comment}");
            }
        }
    }
}

/// What is left of Markdown when its code spans, our first line and our own emphasis are taken out.
pub(crate) fn without_code(comment: &str) -> String {
    let mut rest: &str = comment.split_once('\n').unwrap().1;
    let mut plain = String::new();
    while let Some(start) = rest.find('`') {
        plain.push_str(&rest[..start]);
        let fence: String = rest[start..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[start + fence.len()..];
        let end = closing(inside, fence.len()).unwrap_or_else(|| panic!("an open code span in\n{comment}"));
        rest = &inside[end + fence.len()..];
    }
    plain.push_str(rest);
    plain
}

/// Where a run of exactly so many backticks begins, as CommonMark closes a code span.
fn closing(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`').map(|found| at + found) {
        let run = text[found..].chars().take_while(|c| *c == '`').count();
        if run == length {
            return Some(found);
        }
        at = found + run;
    }
    None
}

#[test]
fn long_answers_are_truncated_with_a_mark() {
    let comment = posted(&proposal(&[("Wizard", &"x".repeat(300))]));
    assert!(comment.contains(&format!("`{}…` is not", "x".repeat(79))), "{comment}");
}

#[test]
fn a_line_of_eighty_characters_is_shown_whole_and_a_longer_one_is_cut() {
    for (length, cut) in [(79, false), (80, false), (81, true)] {
        let text = "é".repeat(length);
        let expected = if cut { format!("{}…", "é".repeat(79)) } else { text.clone() };
        assert_eq!(shown(&text), expected, "{length}");
    }
    assert_eq!(shown(&format!("  {}\n\u{200b} ", "x".repeat(80))), "x".repeat(80), "as it is shown");
}

#[test]
fn a_record_keeps_the_last_five_changes() {
    let mut record = active(with_heartbeat(-10, "working")).record.unwrap();
    for number in 0..9 {
        record.note(at(number), number.to_string());
    }
    let reported: Vec<&str> = record.changes.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(reported, ["4", "5", "6", "7", "8"], "oldest first");
}

#[test]
fn the_digest_depends_on_the_content_and_not_on_the_clock() {
    let digest = |observation: &Observation| Marker::parse(&posted(observation)).unwrap().digest;
    let mission = active(with_heartbeat(-10, "working"));
    let mut later = mission.clone();
    let mut here = (*later.here).clone();
    here.now = crate::support::cells::at(200);
    later.here = Arc::new(here);
    assert_eq!(digest(&mission), digest(&later));
    assert_ne!(digest(&mission), digest(&active(with_heartbeat(-10, "waiting"))));
    assert_ne!(digest(&mission), digest(&active(with_heartbeat(-400, "working"))));
}
