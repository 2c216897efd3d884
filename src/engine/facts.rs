//! Fetches the facts that a plan depends on and puts them into the observation.

use crate::mission::observation::{Comments, Observation, Origin, Timeline};
use crate::mission::plan::missing_facts::MissingFacts;
use crate::mission::status::comment_check::SeenComment;
use crate::world::forge::ForgeError;
use crate::world::observer::{IssueThread, Observer, OwnComments};

/// What the forge answered.
#[derive(Debug)]
pub(crate) struct FetchedFacts {
    said: Option<Result<IssueThread, ForgeError>>,
    comment: Option<Result<Option<SeenComment>, ForgeError>>,
    origin: Option<Result<Origin, ForgeError>>,
}

/// Asks the forge; our own record is not its business.
pub(crate) async fn fetch(observer: &Observer, whose: &OwnComments, missing: &MissingFacts) -> FetchedFacts {
    let MissingFacts { comments, comment, timeline, origin, record: _ } = missing;
    let mut fetched = FetchedFacts { said: None, comment: None, origin: None };
    if *comments {
        fetched.said = Some(observer.said_on(whose, *timeline).await);
    }
    // All of them tell of the one.
    if let Some(id) = comment.filter(|_| !comments) {
        fetched.comment = Some(observer.comment(&whose.issue, id).await);
    }
    if let Some(repository) = origin {
        fetched.origin = Some(observer.origin(repository).await);
    }
    fetched
}

impl FetchedFacts {
    /// Puts it where it belongs, or says why the issue cannot be judged. A repository that could not be asked about holds up
    /// nothing but its worktree.
    pub(crate) fn fill(self, seen: &mut Observation) -> Result<(), ForgeError> {
        if let Some(origin) = self.origin {
            seen.origin = origin.unwrap_or_else(|error| {
                tracing::warn!("{}: its worktree has to wait: {error}", seen.issue.key);
                Origin::Unanswered
            });
        }
        if let Some(found) = self.comment {
            seen.take_checked_comment(found?.as_ref());
        }
        let Some(said) = self.said else { return Ok(()) };
        let IssueThread { comments, count, timeline } = said?;
        // A comment of ours may be newer than the listing that the issue came from.
        let ours = i64::try_from(comments.len()).unwrap_or(i64::MAX);
        (seen.issue.comments, seen.other_comments) = (count, count.saturating_sub(ours).max(0));
        seen.comments = Comments::Read(comments);
        if timeline != Timeline::Unread {
            seen.timeline = timeline;
        }
        Ok(())
    }
}
