//! The workers: each takes keys from the queue, processes them, and records the results.

use crate::engine::Engine;
use crate::engine::failure::Failure;
use crate::engine::forge::Forge;
use crate::engine::queue::Key;
use crate::world::catch_unwind::catch_unwind;
use crate::world::lock_unpoisoned::locked;
use std::sync::Arc;

impl Engine {
    pub(super) async fn work(self: Arc<Self>) {
        let Some(forge) = &self.forge else { return };
        loop {
            let key = self.queue.next().await;
            // An internal error ends one run, and not the worker.
            let handled = Box::pin(catch_unwind(self.handle(forge, key))).await;
            let failures = handled.unwrap_or_else(|()| vec![self.breakdown(key)]);
            self.note_look(key, &failures);
            match (failures.is_empty(), key) {
                (false, Key::Issue { .. }) if self.is_away(&failures) => self.queue.put_off(key, self.now()),
                (false, Key::Issue { .. }) => self.queue.failed(key, self.now()),
                // The next tick enqueues the others again.
                (true, _) | (false, Key::Resync | Key::Listing | Key::Alerts) => {
                    // The cause of a failure that has ended may have ended for other keys, too.
                    if self.queue.done(key) {
                        self.queue.release_all();
                    }
                }
            }
            self.close_pass(false);
            self.publish_rest();
            if let Some(gathered) = &self.gathered {
                gathered.step(self.has_ended(key));
            }
        }
    }

    /// Whether the forge is down; the request of each tick detects when it is back.
    fn is_away(&self, failures: &[Failure]) -> bool {
        failures.iter().all(Failure::is_outage) && locked(&self.passes).summary.forge_error.is_some()
    }

    /// Whether a mission's turn has ended for good, and does not wait for a checkout.
    fn has_ended(&self, key: Key) -> bool {
        let Key::Issue { repository, number } = key else { return false };
        self.forge.as_ref().is_none_or(|forge| !forge.checkouts.is_known((repository, number)))
    }

    async fn handle(&self, forge: &Forge, key: Key) -> Vec<Failure> {
        match key {
            Key::Resync => self.resync(forge).await,
            Key::Listing => self.list(forge).await,
            Key::Alerts => self.post_fleet_alert(forge).await,
            Key::Issue { repository, number } => self.reconcile_issue(forge, (repository, number)).await,
        }
    }

    fn breakdown(&self, key: Key) -> Failure {
        let Key::Issue { repository, number } = key else {
            return Failure::breakdown("the audit of everything".to_owned());
        };
        match self.forge.as_ref().and_then(|forge| forge.repository(repository)) {
            Some(known) => Failure::defect(&known.name, number),
            None => Failure::breakdown(format!("issue {number} of repository {repository}")),
        }
    }
}
