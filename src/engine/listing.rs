//! Asks each repository what was touched since it was asked last.

use crate::engine::Engine;
use crate::engine::forge::{Forge, OVERLAP};
use crate::mission::observation::IssueFacts;
use crate::queue::Key;
use crate::trouble::Trouble;
use crate::world::clock;
use crate::world::gitea::ForgeError;
use crate::world::mutex::locked;
use tokio::time::Instant;

impl Engine {
    pub(super) fn hear_of_forge(&self, error: Option<String>) {
        let mut passes = locked(&self.passes);
        let is_back = error.is_none() && passes.is_forge_away();
        passes.note_forge(error);
        drop(passes);
        if is_back {
            tracing::info!("the forge is back");
            self.queue.release_all();
        }
    }

    /// Asks each repository what was touched since it was asked last: one request, where nothing was.
    pub(super) async fn list(&self, forge: &Forge) -> Vec<Trouble> {
        let (repositories, since) = {
            let hold = locked(&forge.hold);
            (hold.repositories.clone(), hold.since.clone())
        };
        let mut troubles = Vec::new();
        for repository in repositories {
            // Until an audit has seen all of it, there is nothing to begin from.
            let Some(since) = since.get(&repository.id) else { continue };
            let asked_at = clock::instant();
            match forge.observer.issues_since(&repository, *since).await {
                Ok(listed) => {
                    let begun_at = listed.begun_at.filter(|_| listed.is_complete);
                    if let Some(begun_at) = begun_at {
                        locked(&forge.hold).since.insert(repository.id, begun_at.plus(-OVERLAP));
                    }
                    self.offer(listed.issues, asked_at);
                }
                Err(error) => {
                    // It was renamed, or is gone: an audit finds out.
                    if matches!(error, ForgeError::Moved { .. } | ForgeError::NotFound { .. }) {
                        self.queue.add(Key::Audit);
                    }
                    troubles.push(Trouble::forge(repository.name.to_string(), &error));
                }
            }
        }
        self.hear_of_forge(troubles.first().map(|trouble| trouble.message.clone()));
        troubles
    }

    fn offer(&self, issues: Vec<IssueFacts>, asked_at: Instant) {
        let mut fleet = locked(&self.fleet);
        for facts in issues {
            let key = Key::Issue { repository: facts.key.repository_id, number: facts.key.number };
            if fleet.offer(facts, asked_at) {
                self.queue.add(key);
            }
        }
    }
}
