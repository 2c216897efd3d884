//! Our comment is repaired like a label: what somebody has changed or deleted, without waiting for other news.

use crate::life::scenes::{AUTHOR, MAINTAINER, as_left, clicked, event, here, in_label_mode};
use crate::support::cells::{at, seconds, with_heartbeat};
use crate::support::missions::{active, missing, proposal, settled};
use lazarus::mission::approval::policy::Denial;
use lazarus::mission::cell::CellObservation;
use lazarus::mission::observation::{CommentFacts, Comments, Observation, Timeline};
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::step::preview;
use lazarus::mission::record::{Record, StatusComment};
use lazarus::mission::status::label::Label;
use lazarus::mission::text::sha256;

fn spoken(observation: &Observation) -> &StatusComment {
    observation.record.as_ref().unwrap().comment.as_ref().unwrap()
}

/// The comments were read, and ours is as this makes it.
fn read(mut observation: Observation, change: impl FnOnce(&mut CommentFacts)) -> Observation {
    let mut ours = as_left(&observation, spoken(&observation));
    change(&mut ours);
    observation.comments = Comments::Read(vec![ours]);
    observation
}

/// Another text under our first line.
fn forge(comment: &mut CommentFacts) {
    comment.body_sha256 = sha256("forged");
    comment.updated_at = comment.updated_at.plus(seconds(3));
}

/// Somebody has changed it, and changed it back.
fn touch(comment: &mut CommentFacts) {
    comment.updated_at = comment.updated_at.plus(seconds(3));
}

fn later(observation: Observation, shift: i64) -> Observation {
    here(observation, |here| here.now = here.now.plus(seconds(shift)))
}

/// What is written on the issue.
fn written(observation: &Observation) -> Vec<String> {
    preview(observation).iter().filter(|change| !change.is_record_only()).map(ToString::to_string).collect()
}

fn record(observation: &mut Observation) -> &mut Record {
    observation.record.as_mut().unwrap()
}

#[test]
fn an_unchanged_status_comment_is_left_alone() {
    let observation = read(active(with_heartbeat(-10, "working")), |_| {});
    assert_eq!(preview(&observation), []);
}

#[test]
fn a_comment_changed_by_another_account_is_restored_without_an_event() {
    let healthy = ["edit the comment: active, healthy (heartbeat-ok)"];
    for change in [forge, |comment: &mut CommentFacts| (comment.marker, comment.body_sha256) = (None, sha256("x"))] {
        let observation = read(active(with_heartbeat(-10, "working")), change);
        assert_eq!(written(&observation), healthy);
    }
    let touched = read(active(with_heartbeat(-10, "working")), touch);
    assert_eq!(written(&touched), [""; 0], "its text is ours");
    assert_eq!(spoken(&settled(touched)).updated_at, Some(at(3)), "and that it was edited is remembered");
}

#[test]
fn comment_repairs_count_against_the_six_edits_an_hour() {
    let mut observation = active(with_heartbeat(-10, "working"));
    let mut repairs = 0;
    for _ in 0..10 {
        let forged = read(observation, forge);
        repairs += written(&forged).len();
        observation = settled(forged);
    }
    let before = 1;
    assert_eq!(repairs, 6 - before, "the first beat was told, too");
    observation.comments = Comments::Unread;
    assert!(missing(&observation).comments, "it is looked at again");
    let mut next = later(read(observation, forge), 3_700);
    if let CellObservation::Cell(cell) = &mut next.sighting {
        cell.heartbeat = with_heartbeat(3_690, "working").heartbeat;
    }
    assert_eq!(written(&next).len(), 1);
}

#[test]
fn a_comment_that_was_deleted_is_posted_again_at_most_once_an_hour() {
    let deleted = |mut observation: Observation| {
        observation.comments = Comments::Read(Vec::new());
        observation
    };
    let observation = deleted(active(with_heartbeat(-10, "working")));
    let again = ["post the comment again: active, healthy (heartbeat-ok)"];
    assert_eq!(written(&observation), again);
    let posted = settled(observation);
    assert_eq!(spoken(&posted).reposted_at, Some(at(0)));
    let mut once_more = deleted(posted);
    assert_eq!(written(&once_more), [""; 0]);
    // Also for news.
    once_more.sighting = CellObservation::Cell(Box::new(with_heartbeat(-400, "working")));
    assert_eq!(written(&once_more), ["add `health/stale`"]);
    let mut waiting = settled(once_more);
    waiting.comments = Comments::Unread;
    assert!(missing(&waiting).comments, "the next audit looks for it");
    let over = later(deleted(waiting), 3_601);
    assert!(written(&over).contains(&"post the comment again: active, stale (heartbeat-timeout)".to_owned()));
}

#[test]
fn the_recorded_comment_stays_managed_after_a_change_of_account() {
    let former = |comment: &mut CommentFacts| comment.poster = 77;
    assert_eq!(preview(&read(active(with_heartbeat(-10, "working")), former)), []);
    let mut stale = read(active(with_heartbeat(-10, "working")), former);
    stale.sighting = CellObservation::Cell(Box::new(with_heartbeat(-400, "working")));
    let written = written(&stale);
    assert!(written.contains(&"edit the comment: active, stale (heartbeat-timeout)".to_owned()), "{written:?}");
    assert!(!written.iter().any(|change| change.starts_with("post")), "{written:?}");
}

/// A version that kept no digest of it: it is adopted as it stands, once it is read.
#[test]
fn a_comment_of_the_version_before_is_adopted_as_it_stands() {
    let mut observation = active(with_heartbeat(-10, "working"));
    let ours = as_left(&observation, spoken(&observation));
    let comment = record(&mut observation).comment.as_mut().unwrap();
    (comment.body_sha256, comment.updated_at, comment.requested_at) = (None, None, None);
    assert!(!missing(&observation).comments && preview(&observation).is_empty(), "a quiet world stays so");
    observation.comments = Comments::Read(vec![CommentFacts { body_sha256: sha256("as it stands"), ..ours }]);
    assert_eq!(written(&observation), [""; 0]);
    assert_eq!(spoken(&settled(observation)).body_sha256, Some(sha256("as it stands")));
}

/// A record as it was written before anything of the comment's text was kept.
#[test]
fn a_record_of_the_version_before_is_read() {
    let record = serde_json::to_value(active(with_heartbeat(-10, "working")).record.unwrap()).unwrap();
    let mut old = record;
    for key in ["intended_body", "first_text"] {
        old.as_object_mut().unwrap().remove(key);
    }
    old["comment"] =
        serde_json::json!({ "id": 20, "digest": "abc", "is_confirmed": true, "asks": null, "is_edited": true });
    let read: Record = serde_json::from_value(old).unwrap();
    let comment = read.comment.unwrap();
    assert_eq!((comment.id, comment.body_sha256, comment.updated_at, comment.requested_at), (20, None, None, None));
}

fn asked() -> Observation {
    settled(in_label_mode(proposal(&[]), &[]))
}

fn denial(observation: &Observation) -> Option<Denial> {
    settled(observation.clone()).record.unwrap().approval_request.unwrap().denial
}

#[test]
fn a_request_of_the_version_before_is_published_again() {
    let mut old = asked();
    let ours = as_left(&old, spoken(&old));
    let comment = record(&mut old).comment.as_mut().unwrap();
    (comment.body_sha256, comment.updated_at, comment.requested_at) = (None, None, None);
    assert!(missing(&old).comments);
    let mut old = later(old, 60);
    old.comments = Comments::Read(vec![ours]);
    assert_eq!(written(&old), ["edit the comment: pending"]);
    let after = settled(old);
    assert_eq!(spoken(&after).requested_at, Some(at(60)));
    assert!(!missing(&after).comments && preview(&after).is_empty(), "once");
}

#[test]
fn an_approval_of_a_forged_comment_is_refused_with_the_reason() {
    for change in [forge, touch] {
        let observation = clicked(asked(), MAINTAINER, 5);
        let mut forged = read(observation, change);
        forged.timeline = Timeline::Read(vec![event(Label::ApprovalGranted, MAINTAINER, 5)]);
        let forged = later(forged, 10);
        assert!(matches!(denial(&forged), Some(Denial::Changed(Some(by))) if by.id == MAINTAINER));
        assert!(written(&forged).contains(&"edit the comment: pending".to_owned()));
        let mut after = settled(forged);
        assert_eq!(spoken(&after).requested_at, Some(at(10)), "the request begins with the repair");
        // In the second of the repair: not; later: yes.
        for (seconds, cells) in [(10, 0), (11, 1)] {
            after = clicked(after, MAINTAINER, seconds);
            let made = preview(&after).iter().filter(|change| matches!(change, Change::CreateCell { .. })).count();
            assert_eq!(made, cells, "{seconds}");
        }
    }
}

#[test]
fn a_forged_request_is_repaired_and_renewed_before_any_approval() {
    let forged = later(read(asked(), forge), 10);
    assert_eq!(denial(&forged), Some(Denial::Changed(None)));
    let after = settled(forged);
    assert_eq!(spoken(&after).requested_at, Some(at(10)));
    // Again, with nothing new to say.
    let again = later(read(after, forge), 10);
    assert_eq!(written(&again), ["edit the comment: pending"]);
    assert_eq!(spoken(&settled(again)).requested_at, Some(at(20)));
}

/// A running mission whose edit waits for approval.
fn edited() -> Observation {
    let approved = settled(clicked(asked(), MAINTAINER, 5));
    let mut observation = later(settled(approved), 100);
    crate::support::missions::retitle(&mut observation, "Mission: something else");
    settled(observation)
}

fn beat(mut observation: Observation, shift: i64) -> Observation {
    if let CellObservation::Cell(cell) = &mut observation.sighting {
        cell.heartbeat = with_heartbeat(shift, "working").heartbeat;
    }
    observation
}

#[test]
fn own_edits_for_health_do_not_expire_an_approval() {
    let mut observation = edited();
    let requested_at = spoken(&observation).requested_at.unwrap();
    // Well and silent by turns, every ten minutes.
    for round in 1..6 {
        observation = later(observation, 600);
        let now = observation.here.now;
        let age = if round % 2 == 0 { -400 } else { -1 };
        observation = beat(observation, now.after(at(0)).num_seconds() + age);
        assert!(missing(&observation).comments, "it is read before each edit of our own");
        observation = settled(read(observation, |_| {}));
        assert_eq!(spoken(&observation).requested_at, Some(requested_at), "round {round}");
    }
    // In the second of our last edit, long after the request was shown.
    let now = observation.here.now.after(at(0)).num_seconds();
    let approved = settled(clicked(observation, MAINTAINER, now));
    assert_eq!(approved.binding().unwrap().name, "something else");
}

#[test]
fn a_forgery_between_two_own_edits_is_found_before_the_second() {
    let mut observation = beat(later(edited(), 600), 690);
    assert!(missing(&observation).comments);
    observation = read(observation, forge);
    assert_eq!(denial(&observation), Some(Denial::Changed(None)));
    let now = observation.here.now;
    assert_eq!(spoken(&settled(observation)).requested_at, Some(now));
}

#[test]
fn an_untrusted_author_cannot_approve_their_own_request() {
    let own = clicked(asked(), AUTHOR, 5);
    assert!(matches!(denial(&own), Some(Denial::Author(by)) if by.id == AUTHOR));
}
