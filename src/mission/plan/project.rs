//! Projects the observation after planned changes, for previews and for the second half of a turn.

use crate::mission::alert::message::AlertMessage;
use crate::mission::cell::health::CellPath;
use crate::mission::cell::heartbeat::{Heartbeat, ObservedHeartbeat};
use crate::mission::cell::heartbeat_fields::Notes;
use crate::mission::cell::json_file::parse_object;
use crate::mission::cell::manifest::CellManifest;
use crate::mission::cell::manifest::updated;
use crate::mission::cell::{CellFacts, CellObservation, Part, PartObservation};
use crate::mission::observation::{CommentFacts, Comments, Observation, Timeline};
use crate::mission::plan::change::Change;
use crate::mission::record::Record;
use crate::mission::status::comment::{marker, render};
use crate::mission::status::view::Status;
use crate::mission::status::written::Written;
use crate::mission::text::sha256;
use crate::mission::time::Timestamp;

/// The observation after `changes`, as a preview uses it in place of a second observation.
#[must_use]
pub fn project(observation: &Observation, changes: &[Change]) -> Observation {
    let mut after = observation.clone();
    for change in changes {
        apply(&mut after, change);
    }
    after
}

fn apply(after: &mut Observation, change: &Change) {
    match change {
        Change::CreateCell { manifest, worktree: _, record } => {
            if after.binding().is_some_and(|binding| binding.was_complete) {
                after.repaired.push(CellPath::Whole);
            }
            after.sighting = CellObservation::Cell(Box::new(new_cell(after, manifest)));
            let mut record = with_worktree_of(after, record);
            record.worktree.checked_out = None;
            after.record = Some(record);
        }
        Change::BindCell { record } => after.record = Some(with_worktree_of(after, record)),
        Change::CheckOut { issue, mission_id: _, source } => {
            // The commit is unknown until the checkout; what is known is that it is not retried immediately.
            let now = after.here.now;
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.worktree.fail(source.clone(), String::new(), now);
        }
        Change::ArchiveCell { manifest: _, name, record } => {
            after.archive.kept = Some(std::mem::replace(&mut after.sighting, CellObservation::Absent));
            after.archive.free = name.next();
            after.record = Some(with_worktree_of(after, record));
        }
        Change::RestoreCell { manifest, name: _, displaced: _, missing, record } => {
            after.sighting = after.archive.kept.take().unwrap_or(CellObservation::Absent);
            for part in missing {
                after.repaired.extend(part.is_required().then_some(CellPath::Part(*part)));
                restore(after, manifest, *part);
            }
            update_files(after, manifest);
            after.record = Some(with_worktree_of(after, record));
        }
        Change::RestorePart { manifest, part } => {
            after.repaired.extend(part.is_required().then_some(CellPath::Part(*part)));
            restore(after, manifest, *part);
        }
        Change::UpdateFile { mission_id: _, part, contents } => {
            if let CellObservation::Cell(cell) = &mut after.sighting {
                fill(cell, *part, contents);
            }
        }
        Change::InitialiseRoot { .. }
        | Change::UpdateRoot { .. }
        | Change::CreateLabel { .. }
        | Change::CorrectLabel { .. }
        | Change::AddLabels { .. }
        | Change::RemoveLabel { .. }
        | Change::ReplaceLabels { .. }
        | Change::PostFleetAlert { .. }
        | Change::RecordFleetAlert { .. } => {}
        Change::PostComment { issue: _, status, is_repost } => post(after, status, *is_repost),
        Change::EditComment { issue: _, id, status, is_claim, requested_at } => {
            edit(after, *id, status, (!is_claim, *requested_at));
        }
        Change::RemoveComment { issue: _, id } => {
            if let Comments::Read(comments) = &mut after.comments {
                comments.retain(|comment| comment.id != *id);
            }
        }
        Change::RecordComment { issue, comment } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.remember_comment(comment.clone());
        }
        Change::RecordFailure { issue, failure } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.failure.clone_from(failure);
        }
        Change::WriteRecord { record } => {
            let known = after.record.take().unwrap_or_else(|| Record::new(record.issue.clone()));
            after.record = Some((**record).clone().with_publish_state_of(known));
        }
        Change::PostAlert { issue, alert_message, memory } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.alert = memory.posted_now(alert_message.intent);
            post_alert(after, alert_message);
        }
        Change::RecordAlert { issue, memory } => {
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.alert = (**memory).clone();
        }
    }
}

/// The id of a new comment, after all comments and timeline events: they share one sequence of ids
/// (go-gitea/gitea `models/issues/comment.go`).
fn next_id(after: &Observation) -> i64 {
    let events = if let Timeline::Read(events) = &after.timeline { events.as_slice() } else { &[] };
    let comments = if let Comments::Read(comments) = &after.comments { comments.as_slice() } else { &[] };
    let ids = comments.iter().map(|comment| comment.id).chain(events.iter().map(|event| event.id));
    ids.max().unwrap_or_default() + 1
}

fn post(after: &mut Observation, status: &Status, is_repost: bool) {
    let id = if after.comments == Comments::Unread { 0 } else { next_id(after) };
    let written = write(after, id, status);
    let reposted_at = is_repost.then_some(after.here.now);
    let comment = written.posted(status, reposted_at);
    let record = after.record.get_or_insert_with(|| Record::new(after.issue.key.clone()));
    (record.comment, record.comment_intent, record.comment_intent_body) = (Some(comment), None, None);
}

fn edit(after: &mut Observation, id: i64, status: &Status, (is_confirmed, requested_at): (bool, Option<Timestamp>)) {
    let written = write(after, id, status);
    let record = after.record.get_or_insert_with(|| Record::new(after.issue.key.clone()));
    let comment = written.edited(status, is_confirmed, requested_at, record.comment.as_ref());
    (record.comment, record.comment_intent, record.comment_intent_body) = (Some(comment), None, None);
}

/// The comment as written to the issue.
fn write(after: &mut Observation, id: i64, status: &Status) -> Written {
    // Gitea's clock may be ahead of this host's.
    let now = after.here.now.max(after.issue.updated_at);
    let (poster, marker) = (after.here.me, Some(marker(&after.here, status)));
    let body_sha256 = sha256(&render(&after.here, status));
    if let Comments::Read(comments) = &mut after.comments {
        if let Some(found) = comments.iter_mut().find(|comment| comment.id == id) {
            (found.marker, found.updated_at) = (marker, now);
            found.body_sha256.clone_from(&body_sha256);
        } else {
            let (alert, body_sha256) = (None, body_sha256.clone());
            comments.push(CommentFacts { id, poster, marker, alert, body_sha256, created_at: now, updated_at: now });
        }
    }
    Written { id, body_sha256, updated_at: now }
}

/// Adds an alert, which is a separate comment.
fn post_alert(after: &mut Observation, message: &AlertMessage) {
    let now = after.here.now.max(after.issue.updated_at);
    let (id, poster, alert) = (next_id(after), after.here.me, Some(message.marker()));
    if let Comments::Read(comments) = &mut after.comments {
        let body_sha256 = String::new();
        let (marker, created_at, updated_at) = (None, now, now);
        comments.push(CommentFacts { id, poster, marker, alert, body_sha256, created_at, updated_at });
    }
}

/// Keeps the recorded worktree, which only checkouts change.
fn with_worktree_of(after: &Observation, record: &Record) -> Record {
    let worktree = after.record.as_ref().map(|known| known.worktree.clone());
    Record { worktree: worktree.unwrap_or_default(), ..record.clone() }
}

fn update_files(after: &mut Observation, manifest: &CellManifest) {
    let CellObservation::Cell(cell) = &mut after.sighting else { return };
    for (part, wanted) in [(Part::Mission, manifest.mission_file()), (Part::Cell, manifest.cell_file())] {
        let found = if part == Part::Mission { &cell.mission } else { &cell.config };
        if let Some(contents) = found.as_ref().and_then(|found| updated(found, &wanted)) {
            fill(cell, part, &contents);
        }
    }
}

fn new_cell(observation: &Observation, manifest: &CellManifest) -> CellFacts {
    let mut cell = CellFacts::empty();
    for part in Part::ALL {
        cell.see(part, PartObservation::Present);
        fill(&mut cell, part, &manifest.contents(part).unwrap_or_default());
    }
    cell.heartbeat = Some(empty_heartbeat(observation.here.now));
    cell
}

fn restore(after: &mut Observation, manifest: &CellManifest, part: Part) {
    let now = after.here.now;
    let CellObservation::Cell(cell) = &mut after.sighting else { return };
    // Recreating a file also recreates its directory.
    for created in part.parent().into_iter().chain([part]) {
        cell.see(created, PartObservation::Present);
    }
    fill(cell, part, &manifest.contents(part).unwrap_or_default());
    if part == Part::Heartbeat {
        cell.heartbeat = Some(empty_heartbeat(now));
    }
}

fn empty_heartbeat(now: Timestamp) -> ObservedHeartbeat {
    ObservedHeartbeat { heartbeat: Heartbeat::empty(), notes: Notes::default(), written_at: now, seen_at: now }
}

fn fill(cell: &mut CellFacts, part: Part, contents: &str) {
    let object = parse_object(contents.as_bytes()).ok();
    if part == Part::Mission {
        cell.mission = object;
    } else if part == Part::Cell {
        cell.config = object;
    }
}
