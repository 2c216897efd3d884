//! Detects changes and deletions of our comments by others, and enqueues their issues.

use crate::engine::Engine;
use crate::engine::fleet::{Fleet, IssueRef};
use crate::engine::forge::{Forge, OVERLAP};
use crate::engine::queue::Key;
use crate::mission::identity::RepositoryId;
use crate::mission::observation::PassContext;
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::status::comment_check::{
    CommentEvent, SeenComment, has_comment, is_suspect, is_suspect_by, look_back,
};
use crate::world::applier::Applier;
use crate::world::clock;
use crate::world::forge::ForgeError;
use crate::world::lock_unpoisoned::locked;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

impl Fleet {
    /// Marks the missions whose comments differ from their records, by a listing requested at the given time.
    pub(crate) fn suspect_listed(
        &mut self,
        repository: RepositoryId,
        (context, asked_at): (&PassContext, Instant),
        comments: &[SeenComment],
    ) -> Vec<IssueRef> {
        if comments.is_empty() {
            return Vec::new();
        }
        let of_repository = || self.known.range((repository, i64::MIN)..=(repository, i64::MAX));
        let recorded = of_repository().filter_map(|(place, known)| Some((known.record.comment.as_ref()?.id, *place)));
        let recorded: HashMap<i64, IssueRef> = recorded.collect();
        let mut suspect = Vec::new();
        for seen in comments {
            let marked = seen.number.filter(|_| seen.marker.is_some()).map(|number| (repository, number));
            let Some(place) = recorded.get(&seen.id).copied().or(marked) else { continue };
            if self.known.get(&place).is_some_and(|known| is_suspect(&known.record, context, seen)) {
                suspect.push(place);
            }
        }
        self.suspect(&suspect, asked_at);
        suspect
    }

    /// Whether a repository has a comment of ours.
    pub(crate) fn has_comments(&self, repository: RepositoryId) -> bool {
        let mut known = self.known.range((repository, i64::MIN)..=(repository, i64::MAX));
        known.any(|(_, known)| has_comment(&known.record))
    }

    fn suspect(&mut self, places: &[IssueRef], at: Instant) {
        for place in places {
            if let Some(known) = self.known.get_mut(place) {
                known.suspect_at = known.suspect_at.max(Some(at));
            }
        }
    }

    /// Whether a mission's comment may have been changed by others.
    pub(crate) fn is_comment_suspect(&self, place: IssueRef) -> bool {
        self.known.get(&place).is_some_and(|known| known.suspect_at.is_some())
    }

    /// The mission whose comment an event marks as possibly changed.
    fn suspect_by(&self, context: &PassContext, event: &CommentEvent) -> Option<IssueRef> {
        let repository = event.repository_id;
        let mut known = self.known.range((repository, i64::MIN)..=(repository, i64::MAX));
        known.find(|(_, known)| is_suspect_by(&known.record, context, event)).map(|(place, _)| *place)
    }
}

impl Engine {
    /// Lists the comments of a repository that changed since the last listing. Those of missions with a turn in
    /// progress are compared with the record on the disk.
    pub(super) async fn find_changed_comments(
        &self,
        forge: &Forge,
        repository: &RepositoryRef,
    ) -> Result<(), ForgeError> {
        let Some(applier) = forge.applier() else { return Ok(()) };
        let has_comments = locked(&self.fleet).has_comments(repository.id);
        if !has_comments {
            return Ok(());
        }
        let since = locked(&forge.hold).comments_since.get(&repository.id).copied();
        let since = since.unwrap_or_else(|| look_back(self.now()));
        let asked_at = clock::instant();
        let listed = match forge.observer.comments_since(repository, since).await {
            Ok(listed) => listed,
            // Huge comments must not prevent other reads: the next audit finds the changes.
            Err(error @ ForgeError::TooLarge { .. }) => {
                tracing::warn!("{}: left the changed comments to the next audit: {error}", repository.name);
                locked(&forge.hold).comments_since.insert(repository.id, self.now().plus(-OVERLAP));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let begun_at = listed.begun_at.filter(|_| listed.is_complete || listed.has_more);
        if let Some(begun_at) = begun_at {
            locked(&forge.hold).comments_since.insert(repository.id, begun_at.plus(-OVERLAP));
        }
        if listed.has_more {
            tracing::warn!("{}: more comments have changed than one listing reads; enqueued an audit", repository.name);
            self.queue.add(Key::Resync);
        }
        self.record_comments(&applier, repository.id, &listed.comments).await;
        let context = applier.here();
        let suspect = locked(&self.fleet).suspect_listed(repository.id, (&context, asked_at), &listed.comments);
        for (repository, number) in suspect {
            self.queue.add(Key::Issue { repository, number });
        }
        Ok(())
    }

    /// Reads again the records of differing comments: a turn in progress writes to the disk before it updates the
    /// memory.
    async fn record_comments(&self, applier: &Applier, repository: RepositoryId, comments: &[SeenComment]) {
        let context = applier.here();
        let differing = {
            let fleet = locked(&self.fleet);
            let known = fleet.known.range((repository, i64::MIN)..=(repository, i64::MAX));
            let known: HashMap<i64, _> =
                known.filter_map(|(_, known)| Some((known.record.comment.as_ref()?.id, &known.record))).collect();
            let differs =
                |seen: &&SeenComment| known.get(&seen.id).is_some_and(|record| is_suspect(record, &context, seen));
            let differing = comments.iter().filter(differs).filter_map(|seen| known.get(&seen.id));
            differing.map(|record| record.issue.clone()).collect::<Vec<_>>()
        };
        for issue in differing {
            if let Ok(Some(record)) = applier.remembered(&issue).await {
                locked(&self.fleet).note_comment(&record);
            }
        }
    }

    /// Receives comment events of webhooks until the engine stops.
    pub(super) async fn receive_comments(self: Arc<Self>) {
        let Some(mut events) = locked(&self.comment_inbox).take() else { return };
        while let Some(event) = events.recv().await {
            let context = self.forge.as_ref().and_then(|forge| forge.context(self.now()));
            let Some(context) = context else { continue };
            let at = clock::instant();
            let suspect = {
                let mut fleet = locked(&self.fleet);
                let suspect = fleet.suspect_by(&context, &event);
                fleet.suspect(suspect.as_slice(), at);
                suspect
            };
            if let Some((repository, number)) = suspect {
                self.queue.add_urgent(Key::Issue { repository, number });
            }
        }
    }

    /// The channel for comment events of webhooks.
    #[must_use]
    pub fn comment_events(&self) -> mpsc::Sender<CommentEvent> {
        self.comment_events.clone()
    }
}
