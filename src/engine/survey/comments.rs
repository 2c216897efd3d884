//! Which of our comments somebody may have changed or deleted since we wrote them.

use crate::engine::failure::Failure;
use crate::engine::survey::{Scope, Surveyor};
use crate::mission::identity::RepositoryId;
use crate::mission::observation::Observation;
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::comment_check::{Share, look_back, share_at};
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::forge::ForgeError;
use crate::world::lock_unpoisoned::locked;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Which comments a survey asks for.
#[derive(Clone, Debug)]
pub(crate) struct CommentScope {
    /// The share of all comments that is asked for by their ids.
    pub(crate) share: Share,
    /// From when on each repository's comments are asked for.
    pub(crate) since: BTreeMap<RepositoryId, Timestamp>,
    /// When the survey began.
    pub(crate) asked_at: Instant,
}

impl CommentScope {
    /// Of a single survey, which nothing came before.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { share: Share::OfTheOld(share_at(now)), since: BTreeMap::new(), asked_at: clock::instant() }
    }
}

impl Surveyor<'_> {
    /// The numbers of the missions whose comments were edited; deletions do not show in a listing.
    pub(super) async fn find_changed_comments(&mut self, repository: &RepositoryRef) -> Vec<i64> {
        if !locked(self.fleet).has_comments(repository.id) {
            return Vec::new();
        }
        let since = self.comments.since.get(&repository.id).copied();
        let since = since.unwrap_or_else(|| look_back(self.here.now));
        match self.observer.comments_since(repository, since).await {
            Ok(listed) => {
                let begun_at = listed.begun_at.filter(|_| listed.is_complete || listed.has_more);
                self.comments_begun_at.extend(begun_at.map(|begun_at| (repository.id, begun_at)));
                let seen = (&*self.here, self.comments.asked_at);
                let suspect = locked(self.fleet).suspect_listed(repository.id, seen, &listed.comments);
                suspect.into_iter().map(|(_, number)| number).collect()
            }
            // Whoever posts enormous comments keeps nothing else from being read.
            Err(error @ ForgeError::TooLarge { .. }) => {
                tracing::warn!("{}: the comments that have changed are not looked at: {error}", repository.name);
                Vec::new()
            }
            Err(error) => {
                self.failures.push(Failure::of_listing(&repository.name, &error));
                Vec::new()
            }
        }
    }

    /// Says of a mission what is known of its comment without asking for it.
    pub(super) fn suspect(&self, seen: &mut Observation, scope: &Scope) {
        let place = (seen.issue.key.repository_id, seen.issue.key.number);
        seen.is_comment_suspect = locked(self.fleet).is_comment_suspect(place);
        match scope {
            Scope::Everything => seen.audit_comment(self.comments.share),
            Scope::Issue { .. } => seen.check_comment(),
        }
    }
}
