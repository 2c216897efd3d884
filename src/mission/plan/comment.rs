//! Decides what our one comment on an issue needs: news are said, and what somebody has changed or deleted is repaired.

use crate::mission::observation::{CommentFacts, Observation};
use crate::mission::plan::change::Change;
use crate::mission::record::StatusComment;
use crate::mission::status::comment::marker;
use crate::mission::status::own_comment::{OwnComment, own_comment};
use crate::mission::status::view::Status;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// A comment that was deleted is posted again at most once within this time.
const REPOST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Says it in our one comment, and removes surplus ones.
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
                let requested_at = since(known, &status);
                vec![Change::EditComment { issue: issue(), id: known.id, status, is_claim: false, requested_at }]
            }
            None => vec![Change::PostComment { issue: issue(), status, is_repost: false }],
        },
    };
    let surplus = observation.our_comments().into_iter().skip(1);
    changes.extend(surplus.map(|comment| Change::RemoveComment { issue: issue(), id: comment.id }));
    changes
}

/// Since when a request that goes on has been shown.
fn since(known: &StatusComment, status: &Status) -> Option<Timestamp> {
    let asks = status.requested_digest();
    known.requested_at.filter(|_| asks.is_some() && known.requested_digest == asks)
}

/// Somebody has deleted it. Each post sends mail, so it waits where it was posted again a short while ago; until then
/// each audit looks for it.
fn repost(observation: &Observation, known: &StatusComment, status: Box<Status>) -> Vec<Change> {
    let (now, issue) = (observation.here.now, observation.issue.key.clone());
    let is_recent = |at| at <= now && now.after(at) < REPOST_PAUSE;
    if known.reposted_at.is_some_and(is_recent) {
        return doubted(observation).into_iter().collect();
    }
    vec![Change::PostComment { issue, status, is_repost: true }]
}

/// Remembers that the comment is not as it should be, so that the next audit reads it again.
#[must_use]
pub fn doubted(observation: &Observation) -> Option<Change> {
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref())?;
    let comment = StatusComment { is_confirmed: false, ..known.clone() };
    known.is_confirmed.then(|| Change::RecordComment { issue: observation.issue.key.clone(), comment })
}

/// Our comment is there: it is edited, or it is remembered as it stands.
fn edit(observation: &Observation, own: OwnComment<'_>, found: &CommentFacts, status: Box<Status>) -> Option<Change> {
    let (issue, id) = (observation.issue.key.clone(), found.id);
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let known = known.filter(|known| known.id == id);
    let asks = status.requested_digest();
    let wanted = marker(&observation.here, &status);
    // What is asked for is shown by a text that is ours for certain.
    let (is_good, is_proven) = match own {
        OwnComment::AsLeft(_) | OwnComment::AsIntended(_) | OwnComment::ChangedBack(_) => (true, true),
        OwnComment::Found(_) | OwnComment::Unproven(_) | OwnComment::AnotherHosts(_) => (true, false),
        OwnComment::Changed(_) => (false, false),
        OwnComment::Unread | OwnComment::Never | OwnComment::Deleted(_) => return None,
    };
    let record = observation.record.as_ref();
    // What was meant to be written is not waited for any more.
    let is_meant = record.is_some_and(|record| record.comment_intent.is_some() || record.comment_intent_body.is_some());
    if let (OwnComment::AnotherHosts(_), Some(known)) = (own, known.filter(|known| known.digest == status.digest())) {
        // Without news of ours its words stand, or two hosts would write by turns forever.
        let comment = StatusComment { is_confirmed: true, ..known.clone() };
        return (is_meant || !known.is_confirmed).then_some(Change::RecordComment { issue, comment });
    }
    let goes_on = known.and_then(|known| since(known, &status)).filter(|_| matches!(own, OwnComment::AsLeft(_)));
    if found.marker.as_ref() != Some(&wanted) || !is_good || (asks.is_some() && !is_proven) {
        let root = found.marker.as_ref().and_then(|marker| marker.root);
        let is_ours = root.is_some_and(|root| observation.here.is_this_root(root));
        let is_claim = wanted.root.is_some() && !is_ours;
        return Some(Change::EditComment { issue, id, status, is_claim, requested_at: goes_on });
    }
    let comment = StatusComment {
        id,
        digest: status.digest(),
        is_confirmed: true,
        requested_at: goes_on.or(asks.is_some().then_some(found.updated_at)),
        requested_digest: asks,
        is_edited: known.is_none_or(|known| known.is_edited),
        body_sha256: Some(found.body_sha256.clone()),
        updated_at: Some(found.updated_at),
        reposted_at: known.and_then(|known| known.reposted_at),
    };
    (is_meant || known != Some(&comment)).then_some(Change::RecordComment { issue, comment })
}
