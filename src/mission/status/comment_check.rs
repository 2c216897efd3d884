//! Detects changes of the status comment by other accounts, from listings, webhooks and single requests.

use crate::mission::identity::RepositoryId;
use crate::mission::observation::{CommentCheck, Comments, Observation, PassContext};
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueState, Record, StatusComment};
use crate::mission::status::marker::Marker;
use crate::mission::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};

/// Each audit requests one share of the comments by their ids, so that this many audits request all of them.
pub const SHARES: i64 = 24;

/// An odd number whose digits have no pattern: 2⁶⁴ divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A comment seen outside a listing of all comments of its issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenComment {
    /// The comment's id in Gitea.
    pub id: i64,
    /// The account that posted it.
    pub poster: i64,
    /// The number of its issue, if the source reports it.
    pub number: Option<i64>,
    /// Its first line, if that is a lazarus marker.
    pub marker: Option<Marker>,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was last edited; if never, when it was posted.
    pub updated_at: Timestamp,
}

/// A webhook's report that a comment was edited or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentEvent {
    /// The repository of its issue.
    pub repository_id: RepositoryId,
    /// The comment now, or before its deletion.
    pub comment: SeenComment,
    /// The account that edited or deleted it.
    pub sender: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// Whether a comment is as this service wrote it; false for one that an earlier version wrote, until it was read.
#[must_use]
pub fn is_as_left(known: &StatusComment, seen: &SeenComment) -> bool {
    known.body_sha256.as_ref() == Some(&seen.body_sha256) && known.updated_at == Some(seen.updated_at)
}

/// Whether a listed comment shows that the mission's comment may have changed: it differs, or is a second one.
#[must_use]
pub fn is_suspect(record: &Record, context: &PassContext, seen: &SeenComment) -> bool {
    if !is_repaired_here(record) {
        return false;
    }
    match &record.comment {
        Some(known) if known.id == seen.id => !is_as_left(known, seen),
        Some(_) | None => is_second_comment(record, context, seen),
    }
}

fn is_second_comment(record: &Record, context: &PassContext, seen: &SeenComment) -> bool {
    let root = seen.marker.as_ref().and_then(|marker| marker.root);
    seen.number == Some(record.issue.number)
        && context.is_ours(seen.poster)
        && root.is_some_and(|root| context.is_this_root(root))
}

/// Whether an event shows that another account may have changed the mission's comment.
#[must_use]
pub fn is_suspect_by(record: &Record, context: &PassContext, event: &CommentEvent) -> bool {
    if event.sender == context.me || !is_repaired_here(record) {
        return false;
    }
    match record.comment.as_ref().filter(|known| known.id == event.comment.id) {
        Some(known) => event.is_deleted || !is_as_left(known, &event.comment),
        // A comment posted a moment ago may not be recorded yet.
        None => event.comment.number == Some(record.issue.number) && context.is_ours(event.comment.poster),
    }
}

/// Whether a mission has a status comment that this root repairs.
#[must_use]
pub fn has_comment(record: &Record) -> bool {
    record.comment.is_some() && is_repaired_here(record)
}

/// Whether this root repairs the comment of a mission.
fn is_repaired_here(record: &Record) -> bool {
    record.other_owner.is_none() && record.state != IssueState::Deleted
}

/// The share of all comments that a single pass requests: it changes each hour, and its order each day.
#[must_use]
pub fn share_at(now: Timestamp) -> i64 {
    let since = now.after(Timestamp::from(DateTime::<Utc>::UNIX_EPOCH));
    (since.num_hours() + since.num_days()).rem_euclid(SHARES)
}

/// The comments that an audit requests by their ids without any sign of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// No comment.
    None,
    /// All comments of this share.
    Of(i64),
    /// The comments of this share that were last written a day ago or earlier.
    OfTheOld(i64),
}

impl Share {
    fn holds(self, known: &StatusComment, now: Timestamp) -> bool {
        match self {
            Self::None => false,
            Self::Of(share) => share_of(known.id) == share,
            Self::OfTheOld(share) => {
                let is_old = known.updated_at.is_none_or(|at| now.after(at) >= TimeDelta::days(1));
                is_old && share_of(known.id) == share
            }
        }
    }
}

/// The share of a comment. The id is spread first, since one sequence of ids serves all comments and events.
fn share_of(id: i64) -> i64 {
    let spread = id.cast_unsigned().wrapping_mul(SPREAD) >> 32;
    i64::try_from(spread).unwrap_or_default().rem_euclid(SHARES)
}

/// The start of the first listing of comments: one day ago.
#[must_use]
pub fn look_back(now: Timestamp) -> Timestamp {
    now.plus(-TimeDelta::days(1))
}

impl Observation {
    /// Decides whether an audit requests our comment by its id: the number of comments on the issue has changed, or the
    /// comment is in this audit's share.
    pub fn audit_comment(&mut self, share: Share) {
        let Some(record) = &self.record else { return };
        let has_changed_count = record.comments.is_some_and(|count| count != self.issue.comments);
        let now = self.here.now;
        let is_in_share = record.comment.as_ref().is_some_and(|known| share.holds(known, now));
        if has_changed_count || is_in_share {
            self.check_comment();
        }
    }

    /// Marks our comment, if there is one, to be requested by its id. An issue without comments needs no request.
    pub fn check_comment(&mut self) {
        let is_there = self.record.as_ref().is_some_and(has_comment);
        match self.issue.comments {
            _ if !is_there => {}
            0 => self.take_checked_comment(None),
            _ => self.comment_check = CommentCheck::Due,
        }
    }

    /// The id of our comment, if it is to be requested.
    #[must_use]
    pub fn comment_to_check(&self) -> Option<i64> {
        let is_due = self.comment_check == CommentCheck::Due && self.comments == Comments::Unread;
        let known = self.record.as_ref().and_then(|record| record.comment.as_ref());
        known.filter(|_| is_due && !self.is_comment_suspect).map(|known| known.id)
    }

    /// Takes Gitea's answer to the request for our comment by its id; none if the comment does not exist.
    pub fn take_checked_comment(&mut self, found: Option<&SeenComment>) {
        self.comment_check = CommentCheck::Done;
        let known = self.record.as_ref().and_then(|record| record.comment.as_ref());
        let is_unchanged = known.is_some_and(|known| found.is_some_and(|found| is_as_left(known, found)));
        self.is_comment_suspect |= !is_unchanged;
    }

    /// The number of comments on the issue after these changes, if it is known.
    #[must_use]
    pub fn counted_comments(&self, changes: &[Change]) -> Option<i64> {
        let before = match &self.comments {
            Comments::Read(ours) => i64::try_from(ours.len()).ok().map(|ours| ours + self.other_comments),
            Comments::Unread if self.comment_check == CommentCheck::Done => Some(self.issue.comments),
            Comments::Unread => self.record.as_ref().and_then(|record| record.comments),
        };
        let posts = |change: &&Change| matches!(change, Change::PostComment { .. } | Change::PostAlert { .. });
        let removes = |change: &&Change| matches!(change, Change::RemoveComment { .. });
        let count = |is_it: &dyn Fn(&&Change) -> bool| i64::try_from(changes.iter().filter(is_it).count()).unwrap_or(0);
        before.map(|before| before + count(&posts) - count(&removes))
    }
}
