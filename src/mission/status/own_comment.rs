//! What became of our status comment since we wrote it.

use crate::mission::observation::{CommentFacts, Comments, Observation};
use crate::mission::record::StatusComment;

/// Our status comment as it was read, compared with what we remember of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnComment<'a> {
    /// The comments were not read.
    Unread,
    /// There is none, and we remember none.
    Never,
    /// Somebody has deleted it.
    Deleted(&'a StatusComment),
    /// It is not the one that we remember, if we remember any: another host's, or our own that was forgotten.
    Found(&'a CommentFacts),
    /// An earlier version wrote it, and kept nothing to compare its text with.
    Unproven(&'a CommentFacts),
    /// Byte for byte as we left it, and not edited since.
    AsLeft(&'a CommentFacts),
    /// Byte for byte what we were about to write when the answer was lost.
    AsIntended(&'a CommentFacts),
    /// The same text, but somebody has edited it since: changed, and changed back.
    ChangedBack(&'a CommentFacts),
    /// Another host of ours seems to have written it, which says that it has no cell for the issue either.
    AnotherHosts(&'a CommentFacts),
    /// Somebody has changed it.
    Changed(&'a CommentFacts),
}

/// Our status comment, by the facts at hand.
#[must_use]
pub fn own_comment(observation: &Observation) -> OwnComment<'_> {
    if observation.comments == Comments::Unread {
        return OwnComment::Unread;
    }
    let record = observation.record.as_ref();
    let known = record.and_then(|record| record.comment.as_ref());
    match (observation.our_comments().first().copied(), known) {
        (None, None) => OwnComment::Never,
        (None, Some(known)) => OwnComment::Deleted(known),
        (Some(found), Some(known)) if found.id == known.id => compare(observation, found, known),
        (Some(found), None | Some(_)) => OwnComment::Found(found),
    }
}

fn compare<'a>(observation: &Observation, found: &'a CommentFacts, known: &StatusComment) -> OwnComment<'a> {
    let record = observation.record.as_ref();
    let intended = record.and_then(|record| record.comment_intent_body.as_ref());
    let marker = found.marker.as_ref();
    let is_as_meant = marker.is_some_and(|marker| marker.digest == known.digest);
    let is_claimed = observation.binding().is_some() || marker.is_none_or(|marker| marker.root.is_some());
    match &known.body_sha256 {
        Some(body) if *body == found.body_sha256 && known.updated_at == Some(found.updated_at) => {
            OwnComment::AsLeft(found)
        }
        Some(body) if *body == found.body_sha256 => OwnComment::ChangedBack(found),
        None if is_as_meant => OwnComment::Unproven(found),
        Some(_) | None if intended == Some(&found.body_sha256) => OwnComment::AsIntended(found),
        // Where no cell is named, several hosts with one account may write one comment by turns.
        Some(_) | None if !is_as_meant && !is_claimed => OwnComment::AnotherHosts(found),
        Some(_) | None => OwnComment::Changed(found),
    }
}

impl<'a> OwnComment<'a> {
    /// The comment, where it is there.
    #[must_use]
    pub fn facts(self) -> Option<&'a CommentFacts> {
        match self {
            Self::Unread | Self::Never | Self::Deleted(_) => None,
            Self::Found(found)
            | Self::Unproven(found)
            | Self::AsLeft(found)
            | Self::AsIntended(found)
            | Self::ChangedBack(found)
            | Self::AnotherHosts(found)
            | Self::Changed(found) => Some(found),
        }
    }

    /// Whether nobody can know what was read there since we wrote it.
    #[must_use]
    pub fn was_changed(self) -> bool {
        match self {
            Self::ChangedBack(_) | Self::Changed(_) => true,
            Self::Unread
            | Self::Never
            | Self::Deleted(_)
            | Self::Found(_)
            | Self::Unproven(_)
            | Self::AsLeft(_)
            | Self::AsIntended(_)
            | Self::AnotherHosts(_) => false,
        }
    }
}
