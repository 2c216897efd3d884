//! Finds our comments that others may have changed or deleted.

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

/// Which comments a survey reads.
#[derive(Clone, Debug)]
pub(crate) struct CommentScope {
    /// The share of comments to read by id.
    pub(crate) share: Share,
    /// The start of the listing of each repository's comments.
    pub(crate) since: BTreeMap<RepositoryId, Timestamp>,
    /// When the survey began.
    pub(crate) asked_at: Instant,
}

impl CommentScope {
    /// The scope of a single survey.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { share: Share::OfTheOld(share_at(now)), since: BTreeMap::new(), asked_at: clock::instant() }
    }
}

impl Surveyor<'_> {
    /// The issue numbers of missions whose comments were edited; a listing does not show deletions.
    pub(super) async fn find_changed_comments(&mut self, repository: &RepositoryRef) -> Vec<i64> {
        if !locked(self.fleet).has_comments(repository.id) {
            return Vec::new();
        }
        let since = self.comments.since.get(&repository.id).copied();
        let since = since.unwrap_or_else(|| look_back(self.context.now));
        match self.observer.comments_since(repository, since).await {
            Ok(listed) => {
                let begun_at = listed.begun_at.filter(|_| listed.is_complete || listed.has_more);
                self.comments_begun_at.extend(begun_at.map(|begun_at| (repository.id, begun_at)));
                let seen = (&*self.context, self.comments.asked_at);
                let suspect = locked(self.fleet).suspect_listed(repository.id, seen, &listed.comments);
                suspect.into_iter().map(|(_, number)| number).collect()
            }
            // Huge comments must not prevent other reads.
            Err(error @ ForgeError::TooLarge { .. }) => {
                tracing::warn!("{}: skipped the changed comments: {error}", repository.name);
                Vec::new()
            }
            Err(error) => {
                self.failures.push(Failure::of_listing(&repository.name, &error));
                Vec::new()
            }
        }
    }

    /// Marks whether a mission's comment may have been changed, and whether this pass reads it by id.
    pub(super) fn suspect(&self, seen: &mut Observation, scope: &Scope) {
        let place = (seen.issue.key.repository_id, seen.issue.key.number);
        seen.is_comment_suspect = locked(self.fleet).is_comment_suspect(place);
        match scope {
            Scope::Everything => seen.audit_comment(self.comments.share),
            Scope::Issue { .. } => seen.check_comment(),
        }
    }
}
