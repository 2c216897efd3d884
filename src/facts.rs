//! What the plan for one issue depends on and nobody has asked the forge yet.

use crate::mission::identity::RepositoryName;
use crate::mission::observation::{Comments, Observation, Origin, Timeline};
use crate::mission::plan::{needs_comments, needs_origin, needs_timeline};
use crate::mission::record::IssueKey;
use crate::world::gitea::ForgeError;
use crate::world::observer::Observer;

/// What is to be asked.
#[derive(Debug)]
pub(crate) struct Question {
    issue: IssueKey,
    /// Where an issue has no comments, that is known.
    has_comments: bool,
    comments: bool,
    timeline: bool,
    origin: Option<RepositoryName>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    said: Option<Result<(Comments, Timeline), ForgeError>>,
    origin: Option<Result<Origin, ForgeError>>,
}

impl Question {
    pub(crate) fn about(observation: &Observation) -> Self {
        let timeline = needs_timeline(observation);
        Self {
            issue: observation.issue.key.clone(),
            has_comments: observation.issue.comments > 0,
            comments: timeline || needs_comments(observation),
            timeline,
            origin: needs_origin(observation),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        !self.comments && self.origin.is_none()
    }

    pub(crate) async fn ask(&self, observer: &Observer) -> Answer {
        let mut answer = Answer { said: None, origin: None };
        if self.comments && !self.timeline && !self.has_comments {
            answer.said = Some(Ok((Comments::Read(Vec::new()), Timeline::Unread)));
        } else if self.comments {
            let said = observer.said_on(&self.issue, self.timeline).await;
            answer.said = Some(said.map(|(comments, timeline)| (Comments::Read(comments), timeline)));
        }
        if let Some(repository) = &self.origin {
            answer.origin = Some(observer.origin(repository).await);
        }
        answer
    }
}

impl Answer {
    /// Puts it where it belongs; what went wrong, if the issue cannot be judged for it. A repository that could not be asked
    /// about holds up nothing but its worktree.
    pub(crate) fn fill(self, observation: &mut Observation) -> Option<ForgeError> {
        if let Some(origin) = self.origin {
            observation.origin = origin.unwrap_or_else(|error| {
                tracing::warn!("{}: its worktree has to wait: {error}", observation.issue.key);
                Origin::Unanswered
            });
        }
        match self.said? {
            Ok((comments, timeline)) => {
                observation.comments = comments;
                if timeline != Timeline::Unread {
                    observation.timeline = timeline;
                }
                None
            }
            Err(error) => Some(error),
        }
    }
}
