//! The engine as a daemon: ticks come from outside, workers and listeners run until it is told to stop.

use crate::engine::Engine;
use crate::engine::notifiers::gateway;
use crate::engine::queue::Key;
use crate::engine::snapshot::GatewayView;
use crate::mission::fleet::host_clock::HostClock;
use crate::mission::identity::MissionId;
use crate::world::blocking_pool::apart;
use crate::world::cells::heartbeats::HeartbeatEvent;
use crate::world::cells::look;
use crate::world::clock;
use crate::world::http_client::HttpClient;
use crate::world::lock_unpoisoned::locked;
use crate::world::store::removal::BUDGET;
use crate::world::store::trash;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// A token that was replaced is used within this time.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is seen whether something is to be removed.
const TRASH_INTERVAL: Duration = Duration::from_secs(600);

/// So many beats are taken at once, at most.
const BEATS_MAX: usize = 256;

impl Engine {
    /// Asks one gateway again and again, for as long as this lives.
    async fn watch_gateway(self: Arc<Self>, at: usize) {
        let Some(gateway) = self.settings.daemon.gateways.get(at) else { return };
        let Ok(courier) = HttpClient::to(gateway.url.clone()) else { return };
        let mut beats = clock::interval(gateway.interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let (state, answer) = gateway::ask(&courier).await;
            let asked_at = Some(self.now());
            let before = {
                let mut views = locked(&self.gateways);
                std::mem::replace(&mut views[at], GatewayView { name: gateway.name.clone(), state, asked_at, answer })
            };
            if before.state != state {
                tracing::info!("gateway {}: {}", gateway.name, state.word());
            }
            self.publish();
        }
    }

    /// Reads the token anew, also between ticks that are far apart.
    async fn renew_token(self: Arc<Self>) {
        let Some(forge) = &self.forge else { return };
        let mut beats = clock::interval(TOKEN_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            forge.begin_anew(&self.settings);
        }
    }

    /// Removes, as long as this lives, what nobody needs: on a thread of its own, since a stranger decides how long it
    /// takes.
    async fn keep_trash_empty(self: Arc<Self>) {
        let mut beats = clock::interval(TRASH_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.empty_trash(BUDGET).await;
        }
    }

    /// Removes what is in the trash, for so long at most, and says what is left.
    pub(crate) async fn empty_trash(&self, budget: Duration) {
        let root = Arc::clone(&self.root);
        for left in apart(move || trash::empty(&root, budget)).await.unwrap_or_default() {
            tracing::warn!("{left}");
        }
    }

    /// Hears for as long as this lives.
    pub(super) async fn receive_heartbeats(self: Arc<Self>) {
        let Some(mut beats) = locked(&self.beaten).take() else { return };
        let mut heard = Vec::new();
        while beats.recv_many(&mut heard, BEATS_MAX).await > 0 {
            let news = self.news_of(&mut heard);
            if !news.is_empty() {
                self.recheck(news).await;
            }
        }
    }

    /// The cells of which something else is shown than what was heard. Most beats only say that all is as it was.
    fn news_of(&self, heard: &mut Vec<HeartbeatEvent>) -> BTreeSet<MissionId> {
        let fleet = locked(&self.fleet);
        heard.drain(..).filter(|(id, says)| !fleet.is_shown(*id, *says)).map(|(id, _)| id).collect()
    }

    async fn recheck(self: &Arc<Self>, ids: BTreeSet<MissionId>) {
        let root = Arc::clone(&self.root);
        let look = move || ids.into_iter().map(|id| (id, look::look(&*root, id, root.resolver()))).collect::<Vec<_>>();
        let Ok(sightings) = tokio::task::spawn_blocking(look).await else { return };
        let ground = self.ground();
        let mut keys: Vec<Key> = Vec::new();
        {
            let mut fleet = locked(&self.fleet);
            keys.extend(sightings.iter().filter_map(|(id, sighting)| fleet.observe(*id, sighting, &ground)));
        }
        for key in keys {
            self.queue.add(key);
        }
        self.publish();
    }
}

/// Runs until told to stop or until no more ticks come. Stopping needs no time: whatever is under way is left, and the
/// next start goes on from the records.
pub async fn run<T: Into<HostClock>>(
    engine: Arc<Engine>,
    mut ticks: mpsc::Receiver<T>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut workers = JoinSet::new();
    workers.spawn(Arc::clone(&engine).receive_heartbeats());
    workers.spawn(Arc::clone(&engine).receive_comments());
    workers.spawn(Arc::clone(&engine).renew_token());
    workers.spawn(Arc::clone(&engine).keep_trash_empty());
    for at in 0..engine.settings.daemon.gateways.len() {
        workers.spawn(Arc::clone(&engine).watch_gateway(at));
    }
    // One more than missions, so that a long listing holds none of them up.
    for _ in 0..=engine.settings.concurrent_missions {
        workers.spawn(Arc::clone(&engine).work());
    }
    let ticking = async {
        while let Some(now) = ticks.recv().await {
            engine.tick(now).await;
        }
    };
    // A sweep that takes long, or hangs, is no reason to go on.
    tokio::select! {
        () = ticking => {}
        () = &mut shutdown => {}
    }
    workers.shutdown().await;
}
