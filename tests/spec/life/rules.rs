//! The rules of a mission's life as a table, without a forge.

use crate::life::scenes::{MAINTAINER, checked_out, clicked, closed, event, in_label_mode, reopened, suspended};
use crate::support::cells::{at, beat, whole, with_heartbeat};
use crate::support::missions::{ROOT, active, body, comment, edit, labelled, missing, planned_cell, proposal, settled};
use lazarus::mission::approval::suspension::suspension;
use lazarus::mission::cell::worktree::Worktree;
use lazarus::mission::cell::{CellObservation, FileKind, Part, PartObservation, ReadFailure};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::observation::{Comments, LabelEvent, Observation, Origin, Timeline};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::project::project;
use lazarus::mission::plan::step::{preview, simulate};
use lazarus::mission::record::IssueState;
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::phase::Phase;

fn planned(observation: &Observation) -> Vec<&'static str> {
    planned_cell(observation).iter().map(lazarus::mission::plan::change::Change::kind).collect()
}

#[test]
fn an_ended_mission_archives_its_cell_if_no_agent_works_in_it() {
    let far = beat(Some(5_000), "working", 0);
    for (name, cell, planned_kinds) in [
        ("beating", with_heartbeat(-10, "working"), ["update-file"].as_slice()),
        ("done", with_heartbeat(-10, "done"), &["archive-cell"]),
        ("silent", with_heartbeat(-400, "working"), &["archive-cell"]),
        ("never beaten", whole(), &["archive-cell"]),
        ("from the future", far, &["archive-cell"]),
    ] {
        assert_eq!(planned(&closed(cell)), planned_kinds, "{name}");
    }
    let mut unseen = closed(with_heartbeat(-10, "working"));
    unseen.sighting = CellObservation::Failed(lazarus::mission::cell::ReadFailure::Io);
    assert_eq!(planned(&unseen), [""; 0], "what we cannot see may be at work");
}

#[test]
fn a_suspension_holds_back_repairs_and_checkouts_only() {
    for part in Part::ALL {
        let mut paused = suspended(with_heartbeat(-10, "working"));
        let CellObservation::Cell(cell) = &mut paused.sighting else { unreachable!() };
        cell.see(part, PartObservation::Missing);
        assert!(!planned(&paused).contains(&"restore-part"), "{part:?}");
    }
    let mut vanished = suspended(with_heartbeat(-10, "working"));
    vanished.sighting = CellObservation::Absent;
    assert_eq!(planned(&vanished), [""; 0]);
    // And every checkout, though the repository could be had.
    let cell = || with_heartbeat(-10, "working");
    for (mut asking, is_checked_out) in [(suspended(cell()), false), (active(cell()), true)] {
        edit(&mut asking, &body(&[("Repository", "wizards/spellbook")]));
        assert_eq!(planned(&asking).contains(&"check-out"), is_checked_out);
        asking.origin = Origin::Unasked;
        assert_eq!(missing(&asking).origin.is_some(), is_checked_out, "nor is the forge asked about it");
    }
}

#[test]
fn a_suspension_ends_at_its_due_date_unless_it_began_after_it() {
    for (due, is_paused) in [(-61, true), (-60, true), (-59, false), (-1, false), (0, false), (1, true)] {
        let mut paused = suspended(with_heartbeat(-10, "working"));
        paused.issue.due_at = Some(at(due));
        let (found, began) = (suspension(&paused), at(-60));
        assert_eq!(found.is_some(), is_paused, "{due}");
        let until = found.and_then(|suspension| suspension.until);
        assert_eq!(until, paused.issue.due_at.filter(|due| is_paused && *due > began), "{due}");
    }
}

/// The label is a pause where a person has put it on after our comment was there.
#[test]
fn a_suspension_at_filing_or_by_no_person_does_not_count() {
    let label = Label::Phase(Phase::Suspended);
    for (who, id, is_paused) in
        [(MAINTAINER, 21, true), (MAINTAINER, 19, false), (0, 21, false), (-1, 21, false), (3, 21, false)]
    {
        let mut labelled_so = active(with_heartbeat(-10, "working"));
        labelled_so.issue.labels = labelled(&["kind/mission-proposal", "mission/suspended", "health/healthy"]);
        labelled_so.comments = Comments::Read(vec![comment(20, 3, ROOT)]);
        labelled_so.timeline = Timeline::Read(vec![LabelEvent { id, ..event(label.clone(), who, -5) }]);
        assert_eq!(suspension(&labelled_so).is_some(), is_paused, "{who} {id}");
    }
}

#[test]
fn a_working_agent_keeps_its_cell_until_the_second_its_grace_ends() {
    for (ended_at, planned_kinds) in [(-899, ["update-file"]), (-900, ["archive-cell"]), (-901, ["archive-cell"])] {
        let mut ended = closed(with_heartbeat(-10, "working"));
        ended.record.as_mut().unwrap().ended_at = Some(at(ended_at));
        assert_eq!(planned(&ended), planned_kinds, "{ended_at}");
    }
}

#[test]
fn a_suspension_ends_with_its_mission_even_if_its_label_remains() {
    let mut paused = suspended(with_heartbeat(-400, "working"));
    paused.issue.state = IssueState::Closed;
    let mut reopened = settled(paused);
    reopened.issue.state = IssueState::Open;
    reopened.issue.labels = labelled(&["kind/mission-proposal", "mission/suspended"]);
    let reopened = settled(reopened);
    assert!(reopened.record.as_ref().unwrap().suspension.is_none());
    assert!(reopened.issue.has(&Label::Phase(Phase::Active)));
}

#[test]
fn a_filled_worktree_is_never_recreated_in_an_existing_cell() {
    let book = [("Repository", "wizards/spellbook"), ("Ref", "main")];
    let mut lost = checked_out(&book);
    let CellObservation::Cell(cell) = &mut lost.sighting else { unreachable!() };
    cell.see(Part::Worktree, PartObservation::Missing);
    assert!(!planned(&lost).contains(&"restore-part") && !planned(&lost).contains(&"check-out"));
    // A cell that has vanished whole is made again with all that it had.
    let mut vanished = checked_out(&book);
    vanished.sighting = CellObservation::Absent;
    assert_eq!(planned(&vanished), ["check-out", "create-cell"]);
}

#[test]
fn a_checkout_is_allowed_by_repository_name_and_privacy() {
    let with = |origin, repository: &str| {
        let mut observation = proposal(&[("Repository", repository)]);
        observation.origin = origin;
        planned(&observation)
    };
    let public = Origin::Found { is_private: false };
    let private = Origin::Found { is_private: true };
    assert_eq!(with(public, "wizards/spellbook"), ["check-out", "create-cell"]);
    assert_eq!(with(private, "wizards/spellbook"), ["create-cell"], "a pattern lets in no private one");
    assert_eq!(with(Origin::NotFound, "wizards/spellbook"), ["create-cell"]);
    assert_eq!(with(Origin::NotFound, "owner/missions"), ["check-out", "create-cell"], "its own is always allowed");
}

#[test]
fn no_repository_is_queried_if_no_worktree_can_be_filled() {
    let mut asking = active(with_heartbeat(-10, "working"));
    edit(&mut asking, &body(&[("Repository", "wizards/spellbook")]));
    asking.origin = Origin::Unasked;
    assert_eq!(missing(&asking).origin.map(|name| name.to_string()).as_deref(), Some("wizards/spellbook"));
    for there in [CellObservation::NotADirectory(FileKind::File), CellObservation::Failed(ReadFailure::Io)] {
        asking.sighting = there;
        assert_eq!(missing(&asking).origin, None);
    }
}

/// The forge tells whole seconds; the request was shown at the second zero.
#[test]
fn an_approval_counts_only_from_the_second_after_its_request() {
    let asked = settled(in_label_mode(proposal(&[]), &[]));
    for (seconds, kinds) in [(-1, [].as_slice()), (0, &[]), (1, &["create-cell"])] {
        assert_eq!(planned(&clicked(asked.clone(), MAINTAINER, seconds)), kinds, "{seconds}");
    }
}

/// Zero is a deleted account, and what is less than that the forge itself.
#[test]
fn an_approval_by_no_person_or_by_an_own_account_does_not_count() {
    let asked = settled(in_label_mode(proposal(&[]), &[]));
    for (who, kinds) in
        [(MAINTAINER, ["create-cell"].as_slice()), (1, &["create-cell"]), (0, &[]), (-1, &[]), (3, &[]), (4, &[])]
    {
        assert_eq!(planned(&clicked(asked.clone(), who, 5)), kinds, "{who}");
    }
}

/// The forge's clock may be ahead of ours, and ids of comments and clicks are one sequence.
#[test]
fn a_preview_counts_no_approval_before_its_request_is_posted() {
    for seconds in [-30, 5] {
        let mut clicked = clicked(settled(in_label_mode(proposal(&[]), &[])), MAINTAINER, seconds);
        clicked.comments = Comments::Read(Vec::new());
        clicked.issue.updated_at = at(seconds);
        let simulation = simulate(&clicked);
        let kinds: Vec<&str> = simulation.changes.iter().map(Change::kind).collect();
        assert_eq!(kinds, ["add-labels", "post-comment", "write-record"], "{seconds}");
        assert!(matches!(simulation.lifecycle, Lifecycle::Waits(_)), "{seconds}: {:?}", simulation.lifecycle);
    }
}

/// In the second of its edit only a comment that was never edited tells by its id which of the two came first.
#[test]
fn an_approval_in_the_second_of_its_request_counts_only_after_a_post() {
    let asked = settled(in_label_mode(proposal(&[]), &[]));
    for (is_edited, edited_at, id, is_given) in
        [(false, 0, 100, true), (false, 0, 19, false), (true, 0, 100, false), (false, 1, 100, false)]
    {
        let mut clicked = clicked(asked.clone(), MAINTAINER, 0);
        let Comments::Read(comments) = &mut clicked.comments else { unreachable!() };
        (comments[0].created_at, comments[0].updated_at) = (at(0), at(edited_at));
        let Timeline::Read(events) = &mut clicked.timeline else { unreachable!() };
        events[0].id = id;
        clicked.record.as_mut().unwrap().comment.as_mut().unwrap().is_edited = is_edited;
        let kinds: &[&str] = if is_given { &["create-cell"] } else { &[] };
        assert_eq!(planned(&clicked), kinds, "{is_edited} {edited_at} {id}");
    }
}

/// A pass may die between the edit of the comment and the last word of its memory.
#[test]
fn an_approved_edit_is_recorded_before_the_comment_is_edited() {
    let mut edited = in_label_mode(active(with_heartbeat(-10, "working")), &[]);
    edit(&mut edited, &body(&[("Wizard", "circe")]));
    let approved = clicked(settled(edited), MAINTAINER, 5);
    assert_eq!(planned(&approved), ["bind-cell", "update-file"]);
    let after = project(&approved, &planned_cell(&approved));
    assert!(after.record.unwrap().approval.is_some());
    assert_eq!(preview(&settled(approved)), []);
}

#[test]
fn a_failed_checkout_waits_longer_each_time_but_not_for_another_ref() {
    let source = |git_ref: &str| {
        let answers = [("Repository", "wizards/spellbook"), ("Ref", git_ref)];
        lazarus::mission::cell::worktree::WorktreeSource::of(&proposal(&answers).proposal().unwrap().spec).unwrap()
    };
    let mut worktree = Worktree::default();
    let mut waits = Vec::new();
    for _ in 0..9 {
        worktree.fail(source("main"), "no".to_owned(), at(0));
        waits.push(worktree.retry_at(at(0)).unwrap().after(at(0)).num_minutes());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    worktree.fail(source("dev"), "no".to_owned(), at(0));
    assert_eq!(worktree.retry_at(at(0)), Some(at(60)));
}

/// A pass that dies after the comment was edited finds the approval in its memory, also where there is no room yet.
#[test]
fn an_approval_is_recorded_before_the_comment_is_edited() {
    let mut full = clicked(settled(in_label_mode(proposal(&[]), &[])), MAINTAINER, 5);
    full.admission = Admission::Full(CapacityLimit::Cells(1));
    assert_eq!(planned(&full), ["write-record"]);
    let after = project(&full, &planned_cell(&full));
    assert!(after.record.as_ref().is_some_and(|record| record.approval.is_some()));
    assert_eq!(planned(&after), [""; 0]);
}

/// What was decided once is not decided again, and costs nothing.
#[test]
fn every_lifecycle_step_settles_in_one_pass() {
    let asked = || settled(in_label_mode(proposal(&[]), &[]));
    let lives = vec![
        ("asked", in_label_mode(proposal(&[]), &[])),
        ("approved", clicked(asked(), MAINTAINER, 5)),
        ("denied", clicked(asked(), MAINTAINER, -30)),
        ("closed", closed(with_heartbeat(-400, "working"))),
        ("reopened", reopened()),
        ("suspended", suspended(with_heartbeat(-10, "working"))),
        ("active", active(with_heartbeat(-10, "working"))),
    ];
    for (name, observation) in lives {
        let once = settled(observation);
        assert_eq!(preview(&once), [], "{name}");
    }
}
