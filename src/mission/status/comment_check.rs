//! Whether our comment may be other than we left it, by what a listing, a webhook or a single answer shows of it.

use crate::mission::identity::RepositoryId;
use crate::mission::observation::{CommentCheck, Comments, Observation, PassContext};
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueState, Record, StatusComment};
use crate::mission::status::marker::Marker;
use crate::mission::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};

/// Each audit asks for one comment in so many by its id, so that after so many audits each was asked for.
pub const SHARES: i64 = 24;

/// An odd number whose digits have no pattern: 2⁶⁴ divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// What is seen of a comment without its issue having been asked for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenComment {
    /// Its id on the forge.
    pub id: i64,
    /// Who posted it.
    pub poster: i64,
    /// The number of its issue, where that is told.
    pub number: Option<i64>,
    /// Its first line, where that is a marker of ours.
    pub marker: Option<Marker>,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was last edited; else when it was posted.
    pub updated_at: Timestamp,
}

/// What a webhook tells of a comment that was edited or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentEvent {
    /// The repository of its issue.
    pub repository_id: RepositoryId,
    /// The comment as it is now, or was before it was deleted.
    pub comment: SeenComment,
    /// The account that did it.
    pub sender: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

/// Whether a comment is as we left it. Of one that an earlier version wrote nobody knows before it was read.
#[must_use]
pub fn is_as_left(known: &StatusComment, seen: &SeenComment) -> bool {
    known.body_sha256.as_ref() == Some(&seen.body_sha256) && known.updated_at == Some(seen.updated_at)
}

/// Whether a comment in a listing makes a mission's comment suspect. A comment of ours that is not the one that we remember
/// is one of two.
#[must_use]
pub fn is_suspect(record: &Record, here: &PassContext, seen: &SeenComment) -> bool {
    if !is_mended(record) {
        return false;
    }
    match &record.comment {
        Some(known) if known.id == seen.id => !is_as_left(known, seen),
        Some(_) | None => is_another_of_ours(record, here, seen),
    }
}

fn is_another_of_ours(record: &Record, here: &PassContext, seen: &SeenComment) -> bool {
    let root = seen.marker.as_ref().and_then(|marker| marker.root);
    seen.number == Some(record.issue.number)
        && here.is_ours(seen.poster)
        && root.is_some_and(|root| here.is_this_root(root))
}

/// Whether an event makes a mission's comment suspect: what this service did itself does not, nor what it left so.
#[must_use]
pub fn is_suspect_by(record: &Record, here: &PassContext, event: &CommentEvent) -> bool {
    if event.sender == here.me || !is_mended(record) {
        return false;
    }
    match record.comment.as_ref().filter(|known| known.id == event.comment.id) {
        Some(known) => event.is_deleted || !is_as_left(known, &event.comment),
        // What was posted a moment ago is not in mind yet.
        None => event.comment.number == Some(record.issue.number) && here.is_ours(event.comment.poster),
    }
}

/// Whether a mission has a comment of ours that is this root's to mend.
#[must_use]
pub fn has_comment(record: &Record) -> bool {
    record.comment.is_some() && is_mended(record)
}

/// Whether the comment of a mission is this root's to mend.
fn is_mended(record: &Record) -> bool {
    record.other_owner.is_none() && record.state != IssueState::Deleted
}

/// The share of all comments that a single pass asks for: another one each hour, and another order each day.
#[must_use]
pub fn share_at(now: Timestamp) -> i64 {
    let since = now.after(Timestamp::from(DateTime::<Utc>::UNIX_EPOCH));
    (since.num_hours() + since.num_days()).rem_euclid(SHARES)
}

/// Which comments an audit asks for by their ids, though nothing speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// None of them.
    None,
    /// Those of this share.
    Of(i64),
    /// Those of this share that nobody has written for a day.
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

/// The share that a comment is in. Its id alone would not do, since the ids of all issues' events are one sequence.
fn share_of(id: i64) -> i64 {
    let spread = id.cast_unsigned().wrapping_mul(SPREAD) >> 32;
    i64::try_from(spread).unwrap_or_default().rem_euclid(SHARES)
}

/// How far back the first listing of comments reaches.
#[must_use]
pub fn look_back(now: Timestamp) -> Timestamp {
    now.plus(-TimeDelta::days(1))
}

impl Observation {
    /// An audit sees whether our comment is to be asked for by its id: because the issue has another number of comments than
    /// we remember, or because it is among this audit's share.
    pub fn audit_comment(&mut self, share: Share) {
        let Some(record) = &self.record else { return };
        let has_other_count = record.comments.is_some_and(|count| count != self.issue.comments);
        let now = self.here.now;
        let is_in_share = record.comment.as_ref().is_some_and(|known| share.holds(known, now));
        if has_other_count || is_in_share {
            self.check_comment();
        }
    }

    /// Our comment is to be asked for by its id, if there is one. An issue without comments need not be asked for it.
    pub fn check_comment(&mut self) {
        let is_there = self.record.as_ref().is_some_and(has_comment);
        match self.issue.comments {
            _ if !is_there => {}
            0 => self.take_checked_comment(None),
            _ => self.comment_check = CommentCheck::Due,
        }
    }

    /// The id of our comment, where it is to be asked for.
    #[must_use]
    pub fn comment_to_check(&self) -> Option<i64> {
        let is_due = self.comment_check == CommentCheck::Due && self.comments == Comments::Unread;
        let known = self.record.as_ref().and_then(|record| record.comment.as_ref());
        known.filter(|_| is_due && !self.is_comment_suspect).map(|known| known.id)
    }

    /// Takes what the forge answered when it was asked for our comment by its id; none where there is none.
    pub fn take_checked_comment(&mut self, found: Option<&SeenComment>) {
        self.comment_check = CommentCheck::Done;
        let known = self.record.as_ref().and_then(|record| record.comment.as_ref());
        let is_well = known.is_some_and(|known| found.is_some_and(|found| is_as_left(known, found)));
        self.is_comment_suspect |= !is_well;
    }

    /// How many comments the issue has once these changes are made, as far as that is known.
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
