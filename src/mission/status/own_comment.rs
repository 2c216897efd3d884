//! Classifies what happened to the status comment since this service wrote it.

use crate::mission::observation::{CommentFacts, Comments, Observation};
use crate::mission::record::StatusComment;

/// The status comment as it was read, compared with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnComment<'a> {
    /// The comments were not read.
    Unread,
    /// There is none, and none is recorded.
    Never,
    /// It was deleted.
    Deleted(&'a StatusComment),
    /// It is not the recorded one: another host posted it, or the record of it was lost.
    Found(&'a CommentFacts),
    /// An earlier version wrote it, without recording a hash of its text.
    Unproven(&'a CommentFacts),
    /// Byte for byte as written, and not edited since.
    AsLeft(&'a CommentFacts),
    /// Byte for byte the text of a write whose answer was lost.
    AsIntended(&'a CommentFacts),
    /// The same text, but edited since: changed, and changed back.
    ChangedBack(&'a CommentFacts),
    /// Probably written by another host with the same account, which has no cell for the issue either.
    AnotherHosts(&'a CommentFacts),
    /// Another account changed it.
    Changed(&'a CommentFacts),
}

/// Classifies the status comment by the observed facts.
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
    let has_recorded_digest = marker.is_some_and(|marker| marker.digest == known.digest);
    let is_claimed = observation.binding().is_some() || marker.is_none_or(|marker| marker.root.is_some());
    match &known.body_sha256 {
        Some(body) if *body == found.body_sha256 && known.updated_at == Some(found.updated_at) => {
            OwnComment::AsLeft(found)
        }
        Some(body) if *body == found.body_sha256 => OwnComment::ChangedBack(found),
        None if has_recorded_digest => OwnComment::Unproven(found),
        Some(_) | None if intended == Some(&found.body_sha256) => OwnComment::AsIntended(found),
        // If no cell is named, several hosts that share an account may write one comment in turn.
        Some(_) | None if !has_recorded_digest && !is_claimed => OwnComment::AnotherHosts(found),
        Some(_) | None => OwnComment::Changed(found),
    }
}

impl<'a> OwnComment<'a> {
    /// The comment as read, if it exists.
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

    /// Whether readers may have seen another text since this service wrote it.
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
