//! Keeps the book of passes up to date, and publishes how things are.

use crate::engine::Engine;
use crate::engine::forge::Forge;
use crate::engine::passes::Ended;
use crate::snapshot::Snapshot;
use crate::trouble::Trouble;
use crate::world::clock;
use crate::world::mutex::locked;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// While many missions change, the snapshot is replaced no more often than this.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// When the snapshot was replaced last, and whether something has changed since.
#[derive(Debug)]
pub(super) struct Published {
    at: Instant,
    is_outdated: bool,
}

impl Published {
    pub(super) fn now() -> Self {
        Self { at: clock::instant(), is_outdated: false }
    }
}

impl Engine {
    /// Takes note of what went wrong; the pass that it belongs to is not complete then.
    pub(super) fn note(&self, troubles: &[Trouble]) {
        if let Some(gathered) = &self.gathered {
            gathered.troubled(troubles);
            return;
        }
        for trouble in troubles {
            tracing::warn!(kind = trouble.kind, "{}", trouble.message_with_subject());
            self.metrics.error(trouble.kind);
        }
        locked(&self.passes).note(troubles);
    }

    /// Ends the pass if nothing is left to do in it, or if the next one is due.
    pub(super) fn close_pass(&self, is_overdue: bool) {
        let now = self.now();
        let ended = {
            let mut passes = locked(&self.passes);
            let is_idle = self.queue.is_idle();
            if is_overdue && !is_idle {
                passes.give_up(self.queue.depth());
            }
            // One in which nothing at all has moved for so long is stuck, and whoever watches us has to see that.
            let moved = self.queue.ended() + self.forge.as_ref().map_or(0, |forge| forge.traffic().total());
            let is_stuck = !passes.is_moving(now, is_idle, moved);
            let is_over = (is_overdue && !is_stuck) || (passes.is_swept && is_idle);
            is_over.then(|| passes.close(now, self.queue.delayed())).flatten()
        };
        if let Some(Ended { number, is_complete, duration, delayed }) = ended {
            self.metrics.pass_ended(is_complete, duration);
            if self.gathered.is_some() {
                return;
            }
            let how = if is_complete { "complete" } else { "incomplete" };
            let duration_ms = duration.as_millis();
            tracing::info!(duration_ms, delayed, "pass {number}: {how}, {duration_ms} ms");
            self.publish();
        }
    }

    /// Publishes, unless that was done just now; whoever finds nothing left in line will do it then. A thousand missions
    /// that change at once need no thousand snapshots.
    pub(super) fn publish_soon(&self) {
        let is_due = {
            let mut published = locked(&self.published);
            published.is_outdated = true;
            clock::instant() - published.at >= PUBLISH_INTERVAL
        };
        if is_due {
            self.publish();
        }
    }

    /// What was left to be published later.
    pub(super) fn publish_rest(&self) {
        if self.queue.is_idle() && locked(&self.published).is_outdated {
            self.publish();
        }
    }

    pub(super) fn publish(&self) {
        // Held to the end, so that no older snapshot follows a newer one.
        let mut published = locked(&self.published);
        *published = Published::now();
        let before = Arc::clone(&self.snapshot.borrow());
        // Of the others, one lock at a time.
        let tick = *locked(&self.tick);
        let missions = locked(&self.fleet).views();
        let passes = locked(&self.passes).told();
        let gateways = locked(&self.gateways).clone();
        let traffic = self.forge.as_ref().map(Forge::traffic).unwrap_or_default();
        let snapshot = Snapshot { tick, missions, passes, gateways, traffic, ..(*before).clone() };
        self.snapshot.send_replace(Arc::new(snapshot));
    }
}
