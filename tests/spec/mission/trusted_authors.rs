//! Trusted authors: their text as it was first read needs no approval, and every other one does, since nobody knows who
//! edited it.

use crate::life::scenes::{AUTHOR, MAINTAINER, clicked, here, in_label_mode};
use crate::support::missions::{body, edit, proposal, retitle, settled};
use lazarus::mission::approval::policy::Denial;
use lazarus::mission::cell::{CellObservation, FileKind};
use lazarus::mission::fleet::admission::{Admission, CapacityLimit};
use lazarus::mission::observation::{Comments, Observation};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::status::comment::render;
use lazarus::mission::status::compose::status;
use lazarus::mission::status::lifecycle::{Lifecycle, Waiting};

/// A proposal whose author is trusted; approvers are named where some are.
fn trusted(answers: &[(&str, &str)], approvers: &[i64]) -> Observation {
    here(in_label_mode(proposal(answers), approvers), |here| here.approval.authors = [AUTHOR].into())
}

fn edited(mut observation: Observation) -> Observation {
    edit(&mut observation, &body(&[("Objective", "```text\nDelete everything.\n```")]));
    observation
}

fn is_made(observation: &Observation) -> bool {
    preview(observation).iter().any(|change| matches!(change, Change::CreateCell { .. }))
}

fn denial(observation: &Observation) -> Option<Denial> {
    settled(observation.clone()).record.unwrap().approval_request.unwrap().denial
}

fn comment(observation: &Observation) -> String {
    let (status, _) = status(observation, &Lifecycle::of(observation)).unwrap();
    render(&observation.here, &status)
}

#[test]
fn the_first_text_of_a_trusted_author_needs_no_approval() {
    let first = trusted(&[], &[MAINTAINER]);
    assert!(is_made(&first));
    assert_eq!(preview(&settled(first)), []);
}

#[test]
fn an_edit_of_a_trusted_author_waits_and_the_comment_gives_the_reason() {
    let running = settled(trusted(&[], &[]));
    let after = settled(edited(running));
    assert_eq!(after.binding().unwrap().spec.objective, "Raise the dead.");
    let reported = comment(&after);
    assert!(
        reported.contains("Gitea does not report who edited it: the author confirms it, or another person approves it"),
        "{reported}"
    );
    let labels: Vec<&str> = after.issue.labels.iter().map(|label| label.name.as_str()).collect();
    assert!(labels.contains(&"approval/needed"), "{labels:?}");
    let back = {
        let mut back = after;
        edit(&mut back, &body(&[]));
        settled(back)
    };
    assert!(back.record.unwrap().approval_request.is_none(), "it is as it was accepted");
}

#[test]
fn a_trusted_author_can_confirm_their_own_edit() {
    for approvers in [&[][..], &[MAINTAINER]] {
        let asked = settled(edited(settled(trusted(&[], approvers))));
        let confirmed = settled(clicked(asked.clone(), AUTHOR, 5));
        assert_eq!(confirmed.binding().unwrap().spec.objective, "Delete everything.");
        assert_eq!(confirmed.record.unwrap().approval.unwrap().by.id, AUTHOR);
        let approved = settled(clicked(asked, MAINTAINER, 5));
        assert_eq!(approved.binding().unwrap().spec.objective, "Delete everything.");
    }
}

#[test]
fn only_the_first_text_is_trusted_after_a_wait_or_a_correction() {
    let mut full = trusted(&[], &[]);
    full.admission = Admission::Full(CapacityLimit::Cells(1));
    let mut room = settled(full);
    room.admission = Admission::Admitted;
    room.comments = Comments::Read(Vec::new());
    assert!(is_made(&room), "it is as it was filed");
    let changed = edited(room.clone());
    assert!(!is_made(&changed) && waits_for_approval(&changed));
    retitle(&mut room, "Mission: something else");
    assert!(waits_for_approval(&room), "the title is a part of it");
    let mut wrong = settled(trusted(&[("Stale after", "soon")], &[]));
    edit(&mut wrong, &body(&[]));
    assert!(waits_for_approval(&wrong), "nobody knows who has corrected it");
    let mut blocked = trusted(&[], &[]);
    blocked.sighting = CellObservation::NotADirectory(FileKind::File);
    let mut free = settled(blocked);
    free.sighting = CellObservation::Absent;
    free.comments = Comments::Read(Vec::new());
    assert!(is_made(&free) && waits_for_approval(&edited(free)));
}

fn waits_for_approval(observation: &Observation) -> bool {
    let waiting = |waits: &lazarus::mission::status::lifecycle::Waits| matches!(waits.waiting, Waiting::Approval(_));
    matches!(Lifecycle::of(observation), Lifecycle::Waits(waits) if waiting(&waits))
}

#[test]
fn a_trusted_author_cannot_approve_an_adoption_alone() {
    let existing = [("Existing cell", "123e4567-e89b-12d3-a456-426614174000")];
    let mut asked = trusted(&existing, &[]);
    asked.mission_id = asked.proposal().unwrap().spec.cell.unwrap();
    asked.sighting = CellObservation::Cell(Box::new(crate::support::cells::whole()));
    let own = clicked(settled(asked), AUTHOR, 5);
    assert!(matches!(denial(&own), Some(Denial::Author(by)) if by.id == AUTHOR));
}

#[test]
fn without_approvals_an_edit_of_a_trusted_author_is_applied() {
    let open = here(proposal(&[]), |here| here.approval.authors = [AUTHOR].into());
    let after = settled(edited(settled(open)));
    assert_eq!(after.binding().unwrap().spec.objective, "Delete everything.");
}
