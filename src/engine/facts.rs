//! Fetches the facts that a plan depends on and puts them into the observation.

use crate::mission::observation::{Comments, Observation, Origin, Timeline};
use crate::mission::plan::missing_facts::MissingFacts;
use crate::mission::status::comment_check::SeenComment;
use crate::world::forge::ForgeError;
use crate::world::observer::{IssueThread, Observer, OwnComments};

/// The forge's answers.
#[derive(Debug)]
pub(crate) struct FetchedFacts {
    thread: Option<Result<IssueThread, ForgeError>>,
    comment: Option<Result<Option<SeenComment>, ForgeError>>,
    origin: Option<Result<Origin, ForgeError>>,
}

/// Fetches the missing facts from the forge; the record is read elsewhere.
pub(crate) async fn fetch(observer: &Observer, whose: &OwnComments, missing: &MissingFacts) -> FetchedFacts {
    let MissingFacts { comments, comment, timeline, origin, record: _ } = missing;
    let mut fetched = FetchedFacts { thread: None, comment: None, origin: None };
    if *comments {
        fetched.thread = Some(observer.said_on(whose, *timeline).await);
    }
    // A listing of all comments contains this one.
    if let Some(id) = comment.filter(|_| !comments) {
        fetched.comment = Some(observer.comment(&whose.issue, id).await);
    }
    if let Some(repository) = origin {
        fetched.origin = Some(observer.origin(repository).await);
    }
    fetched
}

impl FetchedFacts {
    /// Adds the facts to the observation, or returns why the issue cannot be assessed. A failed request about a
    /// worktree's repository delays only the checkout.
    pub(crate) fn fill(self, seen: &mut Observation) -> Result<(), ForgeError> {
        if let Some(origin) = self.origin {
            seen.origin = origin.unwrap_or_else(|error| {
                tracing::warn!("{}: postponed the checkout of its worktree: {error}", seen.issue.key);
                Origin::Unanswered
            });
        }
        if let Some(found) = self.comment {
            seen.take_checked_comment(found?.as_ref());
        }
        let Some(thread) = self.thread else { return Ok(()) };
        let IssueThread { comments, count, timeline } = thread?;
        // Our comment may be newer than the listing that the issue is from.
        let ours = i64::try_from(comments.len()).unwrap_or(i64::MAX);
        (seen.issue.comments, seen.other_comments) = (count, count.saturating_sub(ours).max(0));
        seen.comments = Comments::Read(comments);
        if timeline != Timeline::Unread {
            seen.timeline = timeline;
        }
        Ok(())
    }
}
