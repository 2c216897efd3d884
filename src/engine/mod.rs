//! The engine: ticks, listings and events put keys into a queue, a few workers process them, and a snapshot publishes
//! the state.
//!
//! `--once` is one tick and all work that follows ([`Engine::drain`]); the daemon is the same engine with a ticker,
//! listeners and permanent workers ([`run`]). Time comes in with the ticks. The state in memory can be lost at any
//! time: it is rebuilt from the records at a restart.

mod alerts;
mod comments;
mod daemon;
mod facts;
pub mod failure;
pub(crate) mod fleet;
mod forge;
mod gathered;
pub mod metrics;
pub mod notifiers;
pub mod pass;
mod passes;
pub mod queue;
pub mod reconcile;
pub mod report;
mod resync;
pub mod snapshot;
pub mod survey;
pub(crate) mod tracked;
mod turn;
mod views;
mod work;

pub use daemon::run;

use crate::config::Settings;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::metrics::Metrics;
use crate::engine::notifiers::gateway;
use crate::engine::queue::{Key, Queue};
use crate::engine::report::Report;
use crate::engine::snapshot::{GatewayView, Snapshot, Tick};
use crate::engine::survey::Scope;
use crate::mission::cell::starts::Starts;
use crate::mission::fleet::admission::shortage;
use crate::mission::fleet::host_clock::{ClockWatch, HostClock, newest};
use crate::mission::identity::ForgeUrl;
use crate::mission::status::comment_check::CommentEvent;
use crate::mission::time::Timestamp;
use crate::world::blocking_pool::blocking;
use crate::world::cells::cell_cache::CellCache;
use crate::world::cells::heartbeats::{HeartbeatEvent, HeartbeatReceiver};
use crate::world::checkout::Caller;
use crate::world::forge::{Requests, Traffic};
use crate::world::lock_unpoisoned::locked;
use crate::world::store::lock::{DaemonLock, LockOptions};
use crate::world::store::open::RootAccess;
use crate::world::store::root::{Root, RootError};
use crate::world::store::starts;
use fleet::{Fleet, ViewContext};
use forge::Forge;
use gathered::Gathered;
use passes::{PassBook, PublishTimes};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// The most heartbeat events that may be pending; the next tick finds further ones.
const BEATS_MAX: usize = 1_024;

/// The most comment events that may be pending; the next listing or audit finds further ones.
const COMMENT_EVENTS_MAX: usize = 1_024;

/// An engine over one missions root.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// The forge's address as recorded in the root, which mission ids are derived from.
    known_as: Option<ForgeUrl>,
    queue: Arc<Queue>,
    fleet: Mutex<Fleet>,
    cells: Arc<Mutex<CellCache>>,
    forge: Option<Forge>,
    /// Held to allow only one daemon per root.
    _daemon_lock: Option<DaemonLock>,
    passes: Mutex<PassBook>,
    tick: Mutex<Tick>,
    clock_watch: Mutex<ClockWatch>,
    /// The daemon's starts; empty in a single pass.
    starts: Arc<Starts>,
    gateways: Mutex<Vec<GatewayView>>,
    beats: Arc<HeartbeatReceiver>,
    /// Heartbeat events, until a worker receives them.
    heartbeat_events: Mutex<Option<mpsc::Receiver<HeartbeatEvent>>>,
    comment_events: mpsc::Sender<CommentEvent>,
    /// Comment events, until a worker receives them.
    comment_inbox: Mutex<Option<mpsc::Receiver<CommentEvent>>>,
    root: Arc<Root>,
    metrics: Arc<Metrics>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    published: Mutex<PublishTimes>,
    /// The results of a single pass; none for a daemon.
    gathered: Option<Gathered>,
}

impl Engine {
    /// Opens the root, locks it for the engine's lifetime and loads the records. Sends nothing to the forge.
    pub async fn start(settings: Settings, now: Timestamp) -> Result<Arc<Self>, FatalError> {
        let engine = Self::open(settings, None, now).await?;
        {
            let mut fleet = locked(&engine.fleet);
            for record in engine.root.records()?.by_issue.values() {
                fleet.track(record);
            }
        }
        Ok(engine)
    }

    /// An engine for one pass over everything in `scope`.
    pub async fn for_one_pass(settings: Settings, scope: Scope, now: Timestamp) -> Result<Arc<Self>, FatalError> {
        Self::open(settings, Some(Gathered::new(scope)), now).await
    }

    async fn open(settings: Settings, gathered: Option<Gathered>, now: Timestamp) -> Result<Arc<Self>, FatalError> {
        let is_lasting = gathered.is_none();
        let access = LockOptions { lock_wait: settings.lock_wait, is_lasting, group: settings.group_id()? };
        let entry = enter(&settings, access).await?;
        let root = entry.root();
        let cells = Arc::new(Mutex::new(CellCache::new(Arc::clone(&root))));
        let (listener, heartbeat_events) = mpsc::channel(BEATS_MAX);
        let (comment_events, comment_inbox) = mpsc::channel(COMMENT_EVENTS_MAX);
        let beats = Arc::new(HeartbeatReceiver::new(Arc::clone(&root)).heard_by(listener));
        // The access to an uninitialized root is exclusive already, and a daemon without a forge has nothing to lock
        // there.
        let daemon_lock = root.file().filter(|_| is_lasting).map(|_| DaemonLock::take(&root)).transpose()?;
        let remembered = root.file().and_then(|file| file.manifest.forge.clone());
        let known_as = settings.forge_url.clone().map(|configured| remembered.unwrap_or(configured));
        let starts = if is_lasting { note_start(&entry, now) } else { Starts::default() };
        let queue = Arc::<Queue>::default();
        let forge = match &settings.forge_url {
            Some(_) => Some(Forge::new(&settings, Arc::clone(&root), entry, access, caller(&queue))?),
            None if !is_lasting => {
                settings.gitea()?;
                None
            }
            // Commands that create cells next to it need the writer's lock.
            None => {
                settings.check_without_forge()?;
                None
            }
        };
        let (tick, passes) = (Tick::new(now), PassBook::new(now));
        let gateways: Vec<GatewayView> = settings.daemon.gateways.iter().map(gateway::unasked).collect();
        let snapshot = Snapshot {
            tick,
            interval: settings.daemon.interval,
            missions_root: settings.missions_root.display().to_string(),
            host: settings.host.clone(),
            forge: known_as.clone(),
            public_url: settings.daemon.public_url.clone(),
            missions: Vec::new(),
            passes: passes.summary.clone(),
            gateways: gateways.clone(),
            traffic: Traffic::default(),
            clock_offset: None,
        };
        Ok(Arc::new(Self {
            known_as,
            queue,
            fleet: Mutex::default(),
            cells,
            forge,
            _daemon_lock: daemon_lock,
            passes: Mutex::new(passes),
            tick: Mutex::new(tick),
            clock_watch: Mutex::default(),
            starts: Arc::new(starts),
            gateways: Mutex::new(gateways),
            beats,
            heartbeat_events: Mutex::new(Some(heartbeat_events)),
            comment_events,
            comment_inbox: Mutex::new(Some(comment_inbox)),
            root,
            metrics: Arc::default(),
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            published: Mutex::new(PublishTimes::now()),
            gathered,
            settings,
        }))
    }

    /// Checks that the forge accepts the token. An unreachable forge is not an error here.
    pub async fn check_token(&self) -> Result<(), FatalError> {
        match &self.forge {
            Some(forge) => forge.check_token().await,
            None => Ok(()),
        }
    }

    /// The queue, to request turns.
    #[must_use]
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// The receiver of heartbeats.
    #[must_use]
    pub fn beats(&self) -> Arc<HeartbeatReceiver> {
        Arc::clone(&self.beats)
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The current and all future snapshots.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    fn now(&self) -> Timestamp {
        locked(&self.tick).now()
    }

    fn view_context(&self) -> ViewContext<'_> {
        ViewContext {
            missions_root: self.settings.missions_root.to_str().unwrap_or_default(),
            forge: self.known_as.as_ref(),
            stale_after: self.settings.stale_after,
            now: self.now(),
            starts: &self.starts,
            close_grace: forge::span(self.settings.close_grace),
        }
    }

    /// The number of requests sent to the forge.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.forge.as_ref().map(|forge| forge.gitea.requests()).unwrap_or_default()
    }

    /// The report of a single pass.
    ///
    /// # Errors
    ///
    /// The error that prevented the pass, which only a person can fix.
    pub fn report(&self) -> Result<Report, FatalError> {
        self.gathered.as_ref().map_or_else(|| Ok(Report::new(&[], Vec::new(), Vec::new())), Gathered::report)
    }

    /// Begins a pass; the workers do the rest.
    pub async fn tick(self: &Arc<Self>, now: impl Into<HostClock>) {
        let reading: HostClock = now.into();
        let now = reading.wall;
        *locked(&self.tick) = Tick::new(now);
        self.close_pass(true);
        locked(&self.passes).open();
        let confirmed = locked(&self.fleet).begin_pass();
        let has_jumped = self.watch_clock(reading);
        let request = self.forge.as_ref().map(|forge| self.next_request(forge, now));
        if request == Some(Key::Resync)
            && let Ok(mut cells) = self.cells.try_lock()
        {
            cells.forget();
        }
        // A single pass observes each mission's cell itself. Without the root there is nothing to do.
        let is_root_there = self.gathered.is_some() || self.sweep().await;
        if is_root_there && self.gathered.is_none() && !has_jumped {
            self.decide_alerts().await;
        }
        for key in confirmed {
            self.queue.add(key);
        }
        // A listing that takes longer than a tick is not requested again.
        if let Some(key) = request.filter(|key| is_root_there && !self.queue.is_asked(*key)) {
            self.queue.add(key);
        }
        // After the listing, so that issues that fail again do not delay it.
        self.queue.release(now);
        if let (Some(forge), Some(Key::Listing)) = (&self.forge, request) {
            locked(&self.passes).note(&forge.standing());
        }
        locked(&self.passes).is_swept = true;
        self.close_pass(false);
        self.publish();
    }

    /// Whether this host's clock has jumped since the last pass; then this pass publishes no health that depends on it.
    fn watch_clock(&self, reading: HostClock) -> bool {
        let mut fleet = locked(&self.fleet);
        let newest = newest(fleet.known.values().map(|known| &*known.record));
        let jump = locked(&self.clock_watch).observe(reading, newest);
        fleet.is_clock_unsure = jump.is_some();
        if let Some(jump) = jump {
            tracing::warn!("{jump}");
        }
        jump.is_some()
    }

    /// Whether this pass needs an audit or only a listing.
    fn next_request(&self, forge: &Forge, now: Timestamp) -> Key {
        forge.begin_anew(&self.settings);
        let is_due = forge.is_audit_due(now, self.settings.daemon.audit_interval);
        if is_due { Key::Resync } else { Key::Listing }
    }

    /// Works until the queue is empty; calls `progress` with the number of finished turns and their total.
    pub async fn drain(self: &Arc<Self>, progress: &(dyn Fn(usize, usize) + Sync)) {
        let mut workers = JoinSet::new();
        for _ in 0..self.settings.concurrent_missions {
            workers.spawn(Arc::clone(self).work());
        }
        let turns = self.gathered.as_ref().map(Gathered::progress);
        let running = self.forge.as_ref().map(|forge| forge.checkouts.running());
        let mut watched = turns.zip(running);
        loop {
            while let Some((turns, running)) = &mut watched {
                // A checkout enqueues its mission before it stops counting as running.
                let is_checking_out = *running.borrow_and_update() > 0;
                if !is_checking_out && self.queue.is_idle() {
                    break;
                }
                tokio::select! {
                    _ = turns.changed() => {
                        let (done, total) = *turns.borrow_and_update();
                        progress(done, total);
                    }
                    _ = running.changed() => {}
                }
            }
            // The fleet alert is posted after all turns.
            let change = self.gathered.as_ref().and_then(|gathered| locked(&gathered.found).alert.take());
            let Some(change) = change else { break };
            locked(&self.fleet).alerts.task = Some(fleet::Task::Do(change));
            self.queue.add(Key::Alerts);
        }
        workers.shutdown().await;
    }

    /// Scans every cell and enqueues the missions that need a turn. Returns whether the root is available.
    async fn sweep(self: &Arc<Self>) -> bool {
        let engine = Arc::clone(self);
        match blocking(move || engine.sweep_now()).await {
            Ok(keys) if self.forge.is_some() => keys.into_iter().for_each(|key| self.queue.add(key)),
            Ok(_) => {}
            Err(error) => {
                let error = self.settings.refused_root(error);
                let about = self.settings.missions_root.display().to_string();
                self.note(&[Failure::service(about, error.kind(), error.to_string())]);
                return false;
            }
        }
        true
    }

    fn sweep_now(&self) -> Result<Vec<Key>, RootError> {
        let context = self.view_context();
        let expected = locked(&self.fleet).expected();
        let mut cells = locked(&self.cells);
        cells.sweep(expected)?;
        let short = self.root.space().and_then(|space| shortage(space, self.settings.limits));
        let mut fleet = locked(&self.fleet);
        fleet.shortage = short;
        let mut keys = fleet.judge(&cells, &context);
        keys.extend(fleet.admitted(self.settings.limits));
        Ok(keys)
    }
}

/// Enqueues the mission of a checkout that has ended or takes long.
fn caller(queue: &Arc<Queue>) -> Caller {
    let queue = Arc::clone(queue);
    Caller::new(move |issue| queue.add_now(Key::Issue { repository: issue.repository_id, number: issue.number }))
}

/// Records this start. A root that the first pass creates has no agents yet.
fn note_start(entry: &RootAccess, now: Timestamp) -> Starts {
    let RootAccess::Known(writer) = entry else { return Starts::default() };
    starts::note_start(writer, now).unwrap_or_else(|error| {
        tracing::warn!("{error}; agents get no grace period for the downtime of this service");
        Starts::default()
    })
}

/// Opens the root on a blocking thread, since waiting for another writer blocks.
async fn enter(settings: &Settings, access: LockOptions) -> Result<RootAccess, FatalError> {
    let path = settings.missions_root.clone();
    let entered = blocking(move || RootAccess::to(&path, access)).await;
    Ok(entered.map_err(|error| settings.refused_root(error))?)
}
