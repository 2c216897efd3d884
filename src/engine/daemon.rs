//! The engine as a daemon: ticks come from outside, workers and listeners run until shutdown.

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

/// How often the token file is read again.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);

/// How often the trash is emptied.
const TRASH_INTERVAL: Duration = Duration::from_secs(600);

/// The most heartbeats that are processed in one batch.
const BEATS_MAX: usize = 256;

impl Engine {
    /// Polls one gateway until the engine stops.
    async fn watch_gateway(self: Arc<Self>, at: usize) {
        let Some(gateway) = self.settings.daemon.gateways.get(at) else { return };
        let Ok(client) = HttpClient::to(gateway.url.clone()) else { return };
        let mut interval = clock::interval(gateway.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let (state, answer) = gateway::ask(&client).await;
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

    /// Reads the token again regularly, also between ticks that are far apart.
    async fn renew_token(self: Arc<Self>) {
        let Some(forge) = &self.forge else { return };
        let mut interval = clock::interval(TOKEN_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            forge.begin_anew(&self.settings);
        }
    }

    /// Empties the trash regularly until the engine stops: on a thread of its own, since agents determine how long that
    /// takes.
    async fn keep_trash_empty(self: Arc<Self>) {
        let mut interval = clock::interval(TRASH_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.empty_trash(BUDGET).await;
        }
    }

    /// Empties the trash for at most `budget`, and logs what is left.
    pub(crate) async fn empty_trash(&self, budget: Duration) {
        let root = Arc::clone(&self.root);
        for left in apart(move || trash::empty(&root, budget)).await.unwrap_or_default() {
            tracing::warn!("{left}");
        }
    }

    /// Receives heartbeat events until the engine stops.
    pub(super) async fn receive_heartbeats(self: Arc<Self>) {
        let Some(mut events) = locked(&self.heartbeat_events).take() else { return };
        let mut received = Vec::new();
        while events.recv_many(&mut received, BEATS_MAX).await > 0 {
            let changed = self.changed_by(&mut received);
            if !changed.is_empty() {
                self.recheck(changed).await;
            }
        }
    }

    /// The cells whose shown state differs from their heartbeats. Most heartbeats change nothing.
    fn changed_by(&self, received: &mut Vec<HeartbeatEvent>) -> BTreeSet<MissionId> {
        let fleet = locked(&self.fleet);
        received.drain(..).filter(|(id, state)| !fleet.is_shown(*id, *state)).map(|(id, _)| id).collect()
    }

    async fn recheck(self: &Arc<Self>, ids: BTreeSet<MissionId>) {
        let root = Arc::clone(&self.root);
        let observe =
            move || ids.into_iter().map(|id| (id, look::look(&*root, id, root.resolver()))).collect::<Vec<_>>();
        let Ok(sightings) = tokio::task::spawn_blocking(observe).await else { return };
        let context = self.view_context();
        let mut keys: Vec<Key> = Vec::new();
        {
            let mut fleet = locked(&self.fleet);
            keys.extend(sightings.iter().filter_map(|(id, sighting)| fleet.observe(*id, sighting, &context)));
        }
        for key in keys {
            self.queue.add(key);
        }
        self.publish();
    }
}

/// Runs until shutdown or until no more ticks come. Shutdown is immediate: work in progress is dropped, and the next
/// start continues from the records.
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
    // One more than concurrent missions, so that a long listing delays none of them.
    for _ in 0..=engine.settings.concurrent_missions {
        workers.spawn(Arc::clone(&engine).work());
    }
    let ticking = async {
        while let Some(now) = ticks.recv().await {
            engine.tick(now).await;
        }
    };
    // Shutdown does not wait for a scan that takes long or hangs.
    tokio::select! {
        () = ticking => {}
        () = &mut shutdown => {}
    }
    workers.shutdown().await;
}
