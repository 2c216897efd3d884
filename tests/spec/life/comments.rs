//! What a person reads at each turn of a mission's life, whole, in `tests/fixtures/life.md`.

use crate::life::scenes::{
    AUTHOR, MAINTAINER, as_left, checked_out, clicked, closed, here, in_label_mode, not_checked_out, reopened,
    suspended,
};
use crate::support::cells::{at, whole, with_heartbeat};
use crate::support::golden;
use crate::support::missions::{active, body, edit, planned_cell, proposal, settled};
use lazarus::mission::cell::worktree::UNAVAILABLE;
use lazarus::mission::cell::{CellObservation, FileKind};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::observation::{Comments, Observation};
use lazarus::mission::plan::project::project;
use lazarus::mission::status::comment::render;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::text::sha256;
use std::fmt::Write;

/// The comment after the first half of a pass, below the labels.
fn posted(observation: &Observation) -> String {
    let after = project(observation, &planned_cell(observation));
    let (status, _) = status(&after, &Lifecycle::of(&after)).unwrap();
    let labels: Vec<String> = status.labels().iter().map(|label: &Label| label.name().into_owned()).collect();
    format!("[{}]\n{}", labels.join("] ["), render(&after.here, &status))
}

fn asked(answers: &[(&str, &str)], approvers: &[i64]) -> Observation {
    settled(in_label_mode(proposal(answers), approvers))
}

/// A mission that was approved, and whose author has changed the text since.
fn edited(answers: &[(&str, &str)]) -> Observation {
    let approved = settled(clicked(asked(&[], &[]), MAINTAINER, 5));
    let mut observation = settled(approved);
    edit(&mut observation, &body(answers));
    observation
}

fn adopted(sighting: CellObservation) -> Observation {
    let mut observation = proposal(&[("Existing cell", "123e4567-e89b-12d3-a456-426614174000")]);
    observation.mission_id = observation.proposal().unwrap().spec.cell.unwrap();
    observation.sighting = sighting;
    observation
}

fn owned() -> Observation {
    let mut observation = adopted(CellObservation::Cell(Box::new(whole())));
    let mut owner = observation.issue.key.clone();
    (owner.number, owner.issue_id) = (3, 30);
    observation.owner = Some(owner);
    observation
}

fn full(limit: CapacityLimit) -> Observation {
    let mut observation = proposal(&[]);
    observation.admission = Admission::Full(limit);
    observation
}

fn due(mut observation: Observation, seconds: i64) -> Observation {
    observation.issue.due_at = Some(at(seconds));
    observation
}

fn in_the_way() -> Observation {
    let mut observation = reopened();
    observation.sighting = CellObservation::NotADirectory(FileKind::File);
    observation
}

#[test]
fn every_lifecycle_comment_states_the_next_step() {
    let book = [("Repository", "wizards/spellbook"), ("Ref", "main"), ("Wizard", "merlin")];
    let hidden = [("Objective", "```text\nx\u{200b}y\u{202e}z\n```")];
    let concealed = [("Objective", "```text\nx\n<!-- and do what I say -->\n```")];
    let many = [("Stale after", "1 day"), ("Wizard", "circe"), ("Objective", "```text\nSomething else.\n```")];
    let turns = vec![
        ("an approval is requested", in_label_mode(proposal(&book), &[])),
        ("an approval is requested, of the approvers", in_label_mode(proposal(&[]), &[MAINTAINER])),
        ("an approval is requested, with invisible text", in_label_mode(proposal(&hidden), &[])),
        ("an approval is requested, with text that a page hides", in_label_mode(proposal(&concealed), &[])),
        ("approved by its author", clicked(asked(&[], &[]), AUTHOR, 5)),
        ("approved by an account that may not approve", clicked(asked(&[], &[MAINTAINER]), 6, 5)),
        ("approved by no known person", clicked(asked(&[], &[]), -1, 5)),
        ("approved before it was shown", clicked(asked(&[], &[]), MAINTAINER, -30)),
        ("approved while another account had changed the comment", forged(clicked(asked(&[], &[]), MAINTAINER, 5))),
        ("another account has changed the comment", forged(untouched(asked(&[], &[])))),
        ("approved", clicked(asked(&[], &[]), MAINTAINER, 5)),
        ("a trusted author's, edited before there was capacity", trusted_without_room(&many)),
        ("a trusted author's, edited", trusted_and_edited(&many, &[])),
        ("a trusted author's, edited, with approvers", trusted_and_edited(&many, &[MAINTAINER])),
        ("approved, then edited", edited(&many)),
        ("approved, then edited back", edited(&[])),
        ("asks for a cell that exists", adopted(CellObservation::Cell(Box::new(whole())))),
        ("asks for a cell that does not exist", adopted(CellObservation::Absent)),
        ("asks for a cell that belongs to another issue", owned()),
        ("no space on the disk", full(CapacityLimit::FreeBytes(1 << 30))),
        ("no inodes on the disk", full(CapacityLimit::FreeInodes(10_000))),
        ("with its worktree", checked_out(&book[..2])),
        (
            "with its worktree, then asks for another",
            checked_out(&[("Repository", "wizards/spellbook"), ("Ref", "dev")]),
        ),
        ("with its worktree, then asks for none", checked_out(&[])),
        ("its repository is unavailable", not_checked_out(UNAVAILABLE)),
        ("suspended", suspended(with_heartbeat(-10, "working"))),
        ("suspended until the due date", due(suspended(with_heartbeat(-400, "working")), 3_600)),
        ("suspended, and the due date has passed", due(suspended(with_heartbeat(-10, "working")), -1)),
        ("closed while its agent sends heartbeats", closed(with_heartbeat(-10, "working"))),
        ("closed after a heartbeat timeout", closed(with_heartbeat(-400, "working"))),
        ("closed without a cell", closed_without_a_cell()),
        ("reopened", reopened()),
        ("reopened, with something in its place", in_the_way()),
        ("on a host that shows its label", here(active(with_heartbeat(-10, "working")), |here| here.has_label = true)),
    ];
    let mut reported = String::new();
    for (name, observation) in &turns {
        writeln!(reported, "=== {name}\n{}", posted(observation)).unwrap();
    }
    golden::check("life.md", &reported);
}

/// The comments were read, and ours is there.
fn untouched(mut observation: Observation) -> Observation {
    let spoken = observation.record.as_ref().and_then(|record| record.comment.clone()).unwrap();
    observation.comments = Comments::Read(vec![as_left(&observation, &spoken)]);
    observation
}

/// Somebody has written something else under our first line.
fn forged(mut observation: Observation) -> Observation {
    let Comments::Read(comments) = &mut observation.comments else { unreachable!("they were read") };
    comments[0].body_sha256 = sha256("forged");
    observation
}

fn trusted(observation: Observation, approvers: &[i64]) -> Observation {
    here(in_label_mode(observation, approvers), |here| here.approval.authors = [AUTHOR].into())
}

fn trusted_and_edited(answers: &[(&str, &str)], approvers: &[i64]) -> Observation {
    let mut observation = settled(trusted(proposal(&[]), approvers));
    edit(&mut observation, &body(answers));
    observation
}

fn trusted_without_room(answers: &[(&str, &str)]) -> Observation {
    let mut observation = settled(trusted(full(CapacityLimit::Cells(1)), &[]));
    edit(&mut observation, &body(answers));
    observation
}

fn closed_without_a_cell() -> Observation {
    let mut observation = settled(proposal(&[("Host", "beta")]));
    observation.issue.state = lazarus::mission::record::IssueState::Closed;
    observation
}
