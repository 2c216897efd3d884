//! What each lifecycle leads to: the plan, line by line.

use crate::life::scenes::as_left;
use crate::support::cells::{at, whole, with_heartbeat};
use crate::support::missions::{
    active, body, comment, edit, labelled, missing, planned_cell, planned_status, proposal, settled, waiting,
};
use lazarus::mission::cell::{CellObservation, FileKind, Part, PartObservation, ReadFailure};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::observation::{Comments, Observation, Take};
use lazarus::mission::plan::project::project;
use lazarus::mission::plan::step::preview;
use lazarus::mission::record::IssueState;
use lazarus::mission::status::lifecycle::Lifecycle;
use std::sync::Arc;

const ID: &str = "52985a61-b87c-52fd-9ad8-9a45c2899dd4";

fn check(observation: &Observation, expected: &[&str]) {
    let lines: Vec<String> = preview(observation).iter().map(|change| change.to_string().replace(ID, "ID")).collect();
    assert_eq!(lines, expected);
}

fn with_cell(change: impl Fn(&mut lazarus::mission::cell::CellFacts)) -> Observation {
    let mut observation = active(with_heartbeat(-10, "working"));
    if let CellObservation::Cell(cell) = &mut observation.sighting {
        change(cell);
    }
    observation
}

#[test]
fn a_good_proposal_gets_a_cell_its_labels_and_a_comment() {
    check(
        &proposal(&[]),
        &[
            "create the cell `ID`",
            "add `kind/mission-proposal`, `mission/active`, `health/uninitialized`",
            "post the comment: active, uninitialized (no-heartbeat)",
            "write the record: active, uninitialized (no-heartbeat)",
        ],
    );
}

#[test]
fn a_bad_proposal_gets_no_cell() {
    check(
        &proposal(&[("Repository", "a b"), ("Objective", "_No response_")]),
        &["add `kind/mission-proposal`, `mission/invalid`", "post the comment: invalid", "write the record: invalid"],
    );
}

#[test]
fn a_proposal_waits_for_its_host_and_for_capacity() {
    let pending =
        &["add `kind/mission-proposal`, `mission/pending`", "post the comment: pending", "write the record: pending"];
    check(&proposal(&[("Host", "beta")]), pending);
    for limit in [
        CapacityLimit::Cells(1),
        CapacityLimit::CellsPerAuthor(1),
        CapacityLimit::NewCellsPerPass(1),
        CapacityLimit::FreeBytes(1),
        CapacityLimit::FreeInodes(1),
    ] {
        let mut full = proposal(&[]);
        full.admission = Admission::Full(limit);
        check(&full, pending);
    }
    let own = proposal(&[("Host", "alpha")]);
    assert_eq!(preview(&own).len(), 4, "this host is the one it names");
}

#[test]
fn an_issue_that_is_no_proposal_or_not_open_is_left_alone() {
    let mut other = proposal(&[]);
    let quoted = format!("I quote:\n{}", other.issue.body);
    edit(&mut other, &quoted);
    other.issue.labels = labelled(&["health/stale", "bug"]);
    assert_eq!(Lifecycle::of(&other), Lifecycle::NotAProposal);
    check(&other, &[]);
    let mut closed = proposal(&[]);
    closed.issue.state = IssueState::Closed;
    check(&closed, &[]);
}

#[test]
fn a_label_or_a_record_alone_makes_an_issue_a_proposal() {
    let mut unmarked = proposal(&[]);
    edit(&mut unmarked, "just do it");
    unmarked.issue.labels = labelled(&["kind/mission-proposal"]);
    check(&unmarked, &["add `mission/invalid`", "post the comment: invalid", "write the record: invalid"]);
    let mut known = active(with_heartbeat(-10, "working"));
    edit(&mut known, "changed my mind");
    known.issue.labels.clear();
    check(
        &known,
        &[
            "add `kind/mission-proposal`, `mission/active`, `health/healthy`, `wizard/working`",
            "edit the comment: active, healthy (heartbeat-ok)",
        ],
    );
}

#[test]
fn an_unchanged_mission_needs_no_change() {
    check(&active(with_heartbeat(-10, "working")), &[]);
    let mut later = active(with_heartbeat(-10, "working"));
    let mut here = (*later.here).clone();
    here.now = at(289);
    later.here = Arc::new(here);
    check(&later, &[]);
}

#[test]
fn a_change_of_health_costs_one_label_write_and_one_edit() {
    let mut observation = active(with_heartbeat(-10, "working"));
    observation.sighting = CellObservation::Cell(Box::new(with_heartbeat(-400, "working")));
    check(
        &observation,
        &[
            "add `health/stale`",
            "edit the comment: active, stale (heartbeat-timeout)",
            "write the record: active, stale (heartbeat-timeout)",
        ],
    );
}

#[test]
fn a_missing_part_or_cell_is_recreated_and_reported() {
    check(
        &with_cell(|cell| cell.see(Part::Artifacts, PartObservation::Missing)),
        &[
            "recreate `artifacts/` in the cell `ID`",
            "edit the comment: active, healthy (heartbeat-ok)",
            "write the record: active, healthy (heartbeat-ok)",
        ],
    );
    check(
        &with_cell(|cell| cell.see(Part::Token, PartObservation::Missing)),
        &["recreate `config/heartbeat.token` in the cell `ID`"],
    );
    let mut vanished = active(with_heartbeat(-10, "working"));
    vanished.sighting = CellObservation::Absent;
    check(
        &vanished,
        &[
            "create the cell `ID`",
            "add `health/stale`",
            "edit the comment: active, stale (heartbeat-timeout)",
            "write the record: active, stale (heartbeat-timeout)",
        ],
    );
}

#[test]
fn a_lost_heartbeat_and_parts_of_a_wrong_type_are_never_replaced() {
    let gone = with_cell(|cell| {
        cell.see(Part::Heartbeat, PartObservation::Missing);
        cell.heartbeat = None;
    });
    check(
        &gone,
        &[
            "add `health/incomplete`",
            "edit the comment: active, incomplete (missing state/heartbeat.json)",
            "write the record: active, incomplete (missing state/heartbeat.json)",
        ],
    );
    let linked = with_cell(|cell| {
        cell.see(Part::Logs, PartObservation::WrongType(FileKind::Link));
        cell.see(Part::Log, PartObservation::Missing);
    });
    check(
        &linked,
        &[
            "add `health/incomplete`",
            "edit the comment: active, incomplete (wrong-type logs/)",
            "write the record: active, incomplete (wrong-type logs/)",
        ],
    );
}

#[test]
fn a_heartbeat_file_without_a_heartbeat_is_recreated() {
    let mut observation = active(whole());
    if let CellObservation::Cell(cell) = &mut observation.sighting {
        cell.see(Part::Heartbeat, PartObservation::Missing);
        cell.heartbeat = None;
    }
    check(
        &observation,
        &[
            "recreate `state/heartbeat.json` in the cell `ID`",
            "edit the comment: active, uninitialized (no-heartbeat)",
            "write the record: active, uninitialized (no-heartbeat)",
        ],
    );
}

#[test]
fn a_read_failure_of_the_host_repairs_nothing() {
    let mut observation = active(with_heartbeat(-10, "working"));
    observation.sighting = CellObservation::Failed(ReadFailure::Io);
    check(
        &observation,
        &["add `health/unknown`", "edit the comment: active, unknown (io)", "write the record: active, unknown (io)"],
    );
}

#[test]
fn a_valid_edit_is_applied_and_an_invalid_one_keeps_the_mission() {
    let mut edited = active(with_heartbeat(-10, "working"));
    edit(&mut edited, &body(&[("Stale after", "1 hour"), ("Wizard", "merlin")]));
    check(
        &edited,
        &[
            "update `meta/mission.json` of the cell `ID`",
            "update `config/cell.json` of the cell `ID`",
            "edit the comment: active, healthy (heartbeat-ok)",
            "write the record: active, healthy (heartbeat-ok)",
        ],
    );
    let mut broken = active(with_heartbeat(-10, "working"));
    edit(&mut broken, &body(&[("Wizard", "the grey one")]));
    check(&broken, &["edit the comment: active, healthy (heartbeat-ok)"]);
    let mut moved = active(with_heartbeat(-10, "working"));
    edit(&mut moved, &body(&[("Host", "beta")]));
    check(&moved, &["edit the comment: active, healthy (heartbeat-ok)"]);
}

#[test]
fn labels_end_with_one_correct_value_per_scope() {
    let mut two = proposal(&[]);
    two.issue.labels = labelled(&["health/healthy", "health/stale", "bug", "health/strange"]);
    assert_eq!(preview(&two)[1].to_string(), "add `kind/mission-proposal`, `mission/active`, `health/uninitialized`");
    let mut all = proposal(&[]);
    all.issue.labels = labelled(&[
        "health/healthy",
        "health/stale",
        "health/incomplete",
        "health/uninitialized",
        "health/unknown",
        "mission/closed",
        "wizard/done",
    ]);
    let lines: Vec<String> = preview(&all).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines[1..=6],
        [
            "add `kind/mission-proposal`, `mission/active`",
            "remove `health/healthy`",
            "remove `health/stale`",
            "remove `health/incomplete`",
            "remove `health/unknown`",
            "remove `wizard/done`",
        ]
    );
    let mut job = all.clone();
    let mut here = (*job.here).clone();
    here.me = -2;
    job.here = Arc::new(here);
    assert_eq!(
        preview(&job)[1].to_string(),
        "replace the labels, with `kind/mission-proposal`, `mission/active` and without `health/healthy`, \
         `health/stale`, `health/incomplete`, `health/unknown`, `mission/closed`, `wizard/done`"
    );
}

#[test]
fn a_label_that_the_forge_does_not_drop_is_removed() {
    let mut of_an_organisation = active(with_heartbeat(-10, "working"));
    let mut label = labelled(&["health/stale"]).remove(0);
    (label.id, label.is_exclusive) = (77, false);
    of_an_organisation.issue.labels.push(label);
    of_an_organisation.issue.labels.retain(|label| label.name != "health/healthy");
    check(&of_an_organisation, &["add `health/healthy`", "remove `health/stale`"]);
}

#[test]
fn a_second_label_of_the_same_name_is_removed() {
    let mut twice = active(with_heartbeat(-10, "working"));
    let mut copy = labelled(&["health/healthy"]).remove(0);
    copy.id = 99;
    twice.issue.labels.push(copy);
    check(&twice, &["remove `health/healthy`"]);
}

#[test]
fn a_failed_creation_of_a_cell_publishes_nothing() {
    let mut failed = proposal(&[]);
    let made = project(&failed, &planned_cell(&failed));
    failed.record = made.record;
    assert_eq!(planned_status(&failed), []);
    check(
        &failed,
        &[
            "create the cell `ID`",
            "add `kind/mission-proposal`, `mission/active`, `health/uninitialized`",
            "post the comment: active, uninitialized (no-heartbeat)",
            "write the record: active, uninitialized (no-heartbeat)",
        ],
    );
}

#[test]
fn only_a_trusted_poster_can_name_another_root_as_owner() {
    let other = "22222222-2222-4222-8222-222222222222";
    let mut elsewhere = proposal(&[]);
    elsewhere.issue.comments = 2;
    elsewhere.comments = Comments::Read(vec![comment(8, 3, other), comment(9, 3, crate::support::missions::ROOT)]);
    check(&elsewhere, &["delete the surplus comment 9", "write the record: owned by another host, `beta`"]);
    let mut spoofed = proposal(&[]);
    spoofed.comments = Comments::Read(vec![comment(8, 4, other)]);
    assert_eq!(preview(&spoofed).len(), 4);
    let mut here = (*spoofed.here).clone();
    here.trusted_posters = vec![4];
    spoofed.here = Arc::new(here);
    check(&spoofed, &["write the record: owned by another host, `beta`"]);
}

#[test]
fn a_comment_of_a_replaced_root_is_adopted() {
    let other = "22222222-2222-4222-8222-222222222222";
    let mut taken = proposal(&[]);
    taken.comments = Comments::Read(vec![comment(8, 3, other)]);
    let mut here = (*taken.here).clone();
    here.replaced = vec![lazarus::mission::identity::RootId::parse(other).unwrap()];
    taken.here = Arc::new(here);
    check(
        &taken,
        &[
            "create the cell `ID`",
            "add `kind/mission-proposal`, `mission/active`, `health/uninitialized`",
            "edit the comment: active, uninitialized (no-heartbeat)",
            "write the record: active, uninitialized (no-heartbeat)",
        ],
    );
}

#[test]
fn an_unconfirmed_comment_is_searched_for_and_confirmed() {
    let mut posted = active(with_heartbeat(-10, "working"));
    let spoken = posted.record.as_mut().unwrap().comment.as_mut().unwrap();
    spoken.is_confirmed = false;
    let spoken = spoken.clone();
    posted.comments = Comments::Unread;
    assert!(missing(&posted).comments);
    posted.comments = Comments::Read(vec![as_left(&posted, &spoken)]);
    check(&posted, &["record comment 20 as confirmed"]);
}

#[test]
fn surplus_status_comments_are_deleted_and_the_oldest_stays() {
    let mut observation = active(with_heartbeat(-10, "working"));
    let spoken = observation.record.as_ref().unwrap().comment.clone().unwrap();
    observation.comments = Comments::Read(vec![
        comment(30, 3, crate::support::missions::ROOT),
        as_left(&observation, &spoken),
        comment(31, 4, crate::support::missions::ROOT),
    ]);
    // With the other's there are two then.
    check(&observation, &["delete the surplus comment 30", "write the record: active, healthy (heartbeat-ok)"]);
    observation.record.as_mut().unwrap().comments = Some(2);
    check(&observation, &["delete the surplus comment 30"]);
}

#[test]
fn comments_are_fetched_only_if_the_plan_depends_on_them() {
    let unread = |mut observation: Observation| {
        observation.comments = Comments::Unread;
        observation
    };
    assert!(missing(&unread(proposal(&[]))).comments, "somebody else may have spoken on a new issue");
    assert!(!missing(&unread(active(with_heartbeat(-10, "working")))).comments);
    assert!(!missing(&unread(active(with_heartbeat(-400, "working")))).comments, "the edit itself tells");
    assert!(!missing(&unread(waiting())).comments, "nothing to say, nothing to ask");
    let mut suspect = unread(active(with_heartbeat(-10, "working")));
    suspect.is_comment_suspect = true;
    assert!(missing(&suspect).comments, "somebody may have changed it");
    suspect.comments = Comments::Read(Vec::new());
    assert!(!missing(&suspect).comments, "it is read once");
    let mut welcome = unread(waiting());
    edit(&mut welcome, &body(&[]));
    assert!(missing(&welcome).comments, "about to make a cell");
}

#[test]
fn an_obstacle_at_a_cell_path_is_never_touched() {
    let mut blocked = proposal(&[]);
    blocked.sighting = CellObservation::NotADirectory(FileKind::File);
    check(
        &blocked,
        &["add `kind/mission-proposal`, `mission/pending`", "post the comment: pending", "write the record: pending"],
    );
    check(&settled(blocked), &[]);
    let mut known = proposal(&[]);
    known.sighting = CellObservation::Cell(Box::new(whole()));
    assert_eq!(preview(&known)[0].to_string(), format!("bind the cell `{ID}`"));
}

#[test]
fn comments_deleted_by_another_host_are_searched_for_only_once() {
    let other = "22222222-2222-4222-8222-222222222222";
    let named = |mut observation: Observation| {
        let mut here = (*observation.here).clone();
        here.take = Take::Named;
        observation.here = Arc::new(here);
        observation
    };
    let mut elsewhere = named(proposal(&[]));
    elsewhere.issue.comments = 1;
    elsewhere.comments = Comments::Read(vec![comment(8, 3, other)]);
    let mut known = settled(elsewhere);
    known.issue.comments = 0;
    assert!(missing(&known).comments, "one comment less");
    known.comments = Comments::Read(Vec::new());
    let after = settled(known);
    assert!(!missing(&after).comments && preview(&after).is_empty(), "{:?}", preview(&after));
}
