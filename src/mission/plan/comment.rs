//! Plans the changes of the status comment: publish changes, repair edits and deletions by others.

use crate::mission::observation::{CommentFacts, Observation};
use crate::mission::plan::change::Change;
use crate::mission::record::StatusComment;
use crate::mission::status::comment::marker;
use crate::mission::status::own_comment::{OwnComment, own_comment};
use crate::mission::status::view::Status;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// The minimum time between two reposts of a deleted comment, since each post sends mail.
const REPOST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Publishes the status in the one comment, and deletes surplus ones.
#[must_use]
pub fn plan_comment(observation: &Observation, status: Status) -> Vec<Change> {
    let issue = || observation.issue.key.clone();
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let own = own_comment(observation);
    let status = Box::new(status);
    let mut changes = match (own, own.facts()) {
        (OwnComment::Deleted(known), _) => repost(observation, known, status),
        (_, Some(found)) => edit(observation, own, found, status).into_iter().collect(),
        (_, None) => match known {
            Some(known) if known.digest == status.digest() => Vec::new(),
            Some(known) => {
                let requested_at = shown_since(known, &status);
                vec![Change::EditComment { issue: issue(), id: known.id, status, is_claim: false, requested_at }]
            }
            None => vec![Change::PostComment { issue: issue(), status, is_repost: false }],
        },
    };
    let surplus = observation.our_comments().into_iter().skip(1);
    changes.extend(surplus.map(|comment| Change::RemoveComment { issue: issue(), id: comment.id }));
    changes
}

/// When an approval request that continues was first shown.
fn shown_since(known: &StatusComment, status: &Status) -> Option<Timestamp> {
    let requested_digest = status.requested_digest();
    known.requested_at.filter(|_| requested_digest.is_some() && known.requested_digest == requested_digest)
}

/// Posts a deleted comment again, unless that happened a short time ago; until then each audit checks for it.
fn repost(observation: &Observation, known: &StatusComment, status: Box<Status>) -> Vec<Change> {
    let (now, issue) = (observation.here.now, observation.issue.key.clone());
    let is_recent = |at| at <= now && now.after(at) < REPOST_PAUSE;
    if known.reposted_at.is_some_and(is_recent) {
        return doubted(observation).into_iter().collect();
    }
    vec![Change::PostComment { issue, status, is_repost: true }]
}

/// Marks the comment as unconfirmed, so that the next audit reads it again.
#[must_use]
pub fn doubted(observation: &Observation) -> Option<Change> {
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref())?;
    let comment = StatusComment { is_confirmed: false, ..known.clone() };
    known.is_confirmed.then(|| Change::RecordComment { issue: observation.issue.key.clone(), comment })
}

/// Edits the existing comment, or records it as it is.
fn edit(observation: &Observation, own: OwnComment<'_>, found: &CommentFacts, status: Box<Status>) -> Option<Change> {
    let (issue, id) = (observation.issue.key.clone(), found.id);
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let known = known.filter(|known| known.id == id);
    let requested_digest = status.requested_digest();
    let wanted = marker(&observation.here, &status);
    // A request must be shown by a text that this service certainly wrote.
    let (is_intact, is_proven) = match own {
        OwnComment::AsLeft(_) | OwnComment::AsIntended(_) | OwnComment::ChangedBack(_) => (true, true),
        OwnComment::Found(_) | OwnComment::Unproven(_) | OwnComment::AnotherHosts(_) => (true, false),
        OwnComment::Changed(_) => (false, false),
        OwnComment::Unread | OwnComment::Never | OwnComment::Deleted(_) => return None,
    };
    let record = observation.record.as_ref();
    // A pending write is settled by the record.
    let is_pending =
        record.is_some_and(|record| record.comment_intent.is_some() || record.comment_intent_body.is_some());
    if let (OwnComment::AnotherHosts(_), Some(known)) = (own, known.filter(|known| known.digest == status.digest())) {
        // Without a change of our status its text stays; otherwise two hosts would overwrite each other forever.
        let comment = StatusComment { is_confirmed: true, ..known.clone() };
        return (is_pending || !known.is_confirmed).then_some(Change::RecordComment { issue, comment });
    }
    let shown_at = known.and_then(|known| shown_since(known, &status)).filter(|_| matches!(own, OwnComment::AsLeft(_)));
    if found.marker.as_ref() != Some(&wanted) || !is_intact || (requested_digest.is_some() && !is_proven) {
        let root = found.marker.as_ref().and_then(|marker| marker.root);
        let is_ours = root.is_some_and(|root| observation.here.is_this_root(root));
        let is_claim = wanted.root.is_some() && !is_ours;
        return Some(Change::EditComment { issue, id, status, is_claim, requested_at: shown_at });
    }
    let comment = StatusComment {
        id,
        digest: status.digest(),
        is_confirmed: true,
        requested_at: shown_at.or(requested_digest.is_some().then_some(found.updated_at)),
        requested_digest,
        is_edited: known.is_none_or(|known| known.is_edited),
        body_sha256: Some(found.body_sha256.clone()),
        updated_at: Some(found.updated_at),
        reposted_at: known.and_then(|known| known.reposted_at),
    };
    (is_pending || known != Some(&comment)).then_some(Change::RecordComment { issue, comment })
}
