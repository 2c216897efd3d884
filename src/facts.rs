//! Fetches the facts that a plan depends on and puts them into the observation.

use crate::mission::comment_check::SeenComment;
use crate::mission::missing::MissingFacts;
use crate::mission::observation::{Comments, Observation, Origin, Timeline};
use crate::mission::record::IssueKey;
use crate::world::gitea::ForgeError;
use crate::world::observer::Observer;

/// What the forge answered.
#[derive(Debug)]
pub(crate) struct FetchedFacts {
    said: Option<Result<(Comments, Timeline), ForgeError>>,
    comment: Option<Result<Option<SeenComment>, ForgeError>>,
    origin: Option<Result<Origin, ForgeError>>,
}

/// Asks the forge; our own record is not its business.
pub(crate) async fn fetch(observer: &Observer, issue: &IssueKey, missing: &MissingFacts) -> FetchedFacts {
    let MissingFacts { comments, comment, timeline, origin, record: _ } = missing;
    let mut fetched = FetchedFacts { said: None, comment: None, origin: None };
    if *comments {
        let said = observer.said_on(issue, *timeline).await;
        fetched.said = Some(said.map(|(comments, timeline)| (Comments::Read(comments), timeline)));
    }
    // All of them tell of the one.
    if let Some(id) = comment.filter(|_| !comments) {
        fetched.comment = Some(observer.comment(issue, id).await);
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
        let (comments, timeline) = said?;
        if let Comments::Read(comments) = &comments {
            // A comment of ours may be newer than the listing that the issue came from.
            seen.issue.comments = i64::try_from(comments.len()).unwrap_or(i64::MAX);
        }
        seen.comments = comments;
        if timeline != Timeline::Unread {
            seen.timeline = timeline;
        }
        Ok(())
    }
}
