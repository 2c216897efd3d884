//! The engine: ticks, listings and events put keys in line, a few workers take turns over them, and one snapshot tells how
//! things are.
//!
//! `--once` is one tick and all that it leads to ([`Engine::drain`]); the daemon is the same engine with a ticker, listeners
//! and workers that stay ([`run`]). Time comes in with the ticks. Nothing here is needed for correctness that a restart
//! would not do as well: what must last is in the records, and what is kept in mind is rebuilt from them.

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

/// So many heartbeats may wait to be noticed; more are seen with the next tick.
const BEATS_MAX: usize = 1_024;

/// So many events of comments may wait to be heard; more are found by the next listing or audit.
const COMMENT_EVENTS_MAX: usize = 1_024;

/// An engine that holds its root.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// The forge's address that the root remembers, which missions are known by.
    known_as: Option<ForgeUrl>,
    queue: Arc<Queue>,
    fleet: Mutex<Fleet>,
    cells: Arc<Mutex<CellCache>>,
    forge: Option<Forge>,
    /// One daemon a root.
    _residence: Option<DaemonLock>,
    passes: Mutex<PassBook>,
    tick: Mutex<Tick>,
    clock_watch: Mutex<ClockWatch>,
    /// None in a single pass.
    starts: Arc<Starts>,
    gateways: Mutex<Vec<GatewayView>>,
    beats: Arc<HeartbeatReceiver>,
    /// Until somebody hears them.
    beaten: Mutex<Option<mpsc::Receiver<HeartbeatEvent>>>,
    comment_events: mpsc::Sender<CommentEvent>,
    /// Until somebody hears them.
    commented: Mutex<Option<mpsc::Receiver<CommentEvent>>>,
    root: Arc<Root>,
    metrics: Arc<Metrics>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    published: Mutex<PublishTimes>,
    /// What its one pass comes to; none for a daemon, which passes again and again.
    gathered: Option<Gathered>,
}

impl Engine {
    /// Takes hold of the root, for as long as this lives, and recalls what the records say. Sends nothing to the forge.
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
        let (listener, beaten) = mpsc::channel(BEATS_MAX);
        let (comment_events, commented) = mpsc::channel(COMMENT_EVENTS_MAX);
        let beats = Arc::new(HeartbeatReceiver::new(Arc::clone(&root)).heard_by(listener));
        // On new ground the entry itself keeps everybody out, and a pit alone finds nothing there to keep.
        let residence = root.file().filter(|_| is_lasting).map(|_| DaemonLock::take(&root)).transpose()?;
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
            // Whoever makes a cell beside it needs the writer's lock.
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
            passes: passes.told.clone(),
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
            _residence: residence,
            passes: Mutex::new(passes),
            tick: Mutex::new(tick),
            clock_watch: Mutex::default(),
            starts: Arc::new(starts),
            gateways: Mutex::new(gateways),
            beats,
            beaten: Mutex::new(Some(beaten)),
            comment_events,
            commented: Mutex::new(Some(commented)),
            root,
            metrics: Arc::default(),
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            published: Mutex::new(PublishTimes::now()),
            gathered,
            settings,
        }))
    }

    /// Whether the forge takes the token. That it cannot be reached is no answer, and nothing to stop for.
    pub async fn check_token(&self) -> Result<(), FatalError> {
        match &self.forge {
            Some(forge) => forge.check_token().await,
            None => Ok(()),
        }
    }

    /// The way to ask for a turn.
    #[must_use]
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// The way to replace a heartbeat.
    #[must_use]
    pub fn beats(&self) -> Arc<HeartbeatReceiver> {
        Arc::clone(&self.beats)
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// How things are, from now on.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    fn now(&self) -> Timestamp {
        locked(&self.tick).now()
    }

    fn ground(&self) -> ViewContext<'_> {
        ViewContext {
            missions_root: self.settings.missions_root.to_str().unwrap_or_default(),
            forge: self.known_as.as_ref(),
            stale_after: self.settings.stale_after,
            now: self.now(),
            starts: &self.starts,
            close_grace: forge::span(self.settings.close_grace),
        }
    }

    /// How many requests were sent to the forge.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.forge.as_ref().map(|forge| forge.gitea.requests()).unwrap_or_default()
    }

    /// What the one pass came to.
    ///
    /// # Errors
    ///
    /// What kept it from taking place, which only a person can mend.
    pub fn report(&self) -> Result<Report, FatalError> {
        self.gathered.as_ref().map_or_else(|| Ok(Report::new(&[], Vec::new(), Vec::new())), Gathered::report)
    }

    /// Begins a pass, and leaves the rest of it to the workers.
    pub async fn tick(self: &Arc<Self>, now: impl Into<HostClock>) {
        let reading: HostClock = now.into();
        let now = reading.wall;
        *locked(&self.tick) = Tick::new(now);
        self.close_pass(true);
        locked(&self.passes).open();
        let confirmed = locked(&self.fleet).begin_pass();
        let has_jumped = self.watch_clock(reading);
        let door = self.forge.as_ref().map(|forge| self.door(forge, now));
        if door == Some(Key::Resync)
            && let Ok(mut cells) = self.cells.try_lock()
        {
            cells.forget();
        }
        // A pass that is the only one looks at each mission's cell itself. Without its root there is nothing to say about
        // anything.
        let is_root_there = self.gathered.is_some() || self.sweep().await;
        if is_root_there && self.gathered.is_none() && !has_jumped {
            self.decide_alerts().await;
        }
        for key in confirmed {
            self.queue.add(key);
        }
        // One that takes longer than a tick is not asked for again.
        if let Some(key) = door.filter(|key| is_root_there && !self.queue.is_asked(*key)) {
            self.queue.add(key);
        }
        // After what is asked first, so that those that fail again do not keep it from being asked.
        self.queue.release(now);
        if let (Some(forge), Some(Key::Listing)) = (&self.forge, door) {
            locked(&self.passes).note(&forge.standing());
        }
        locked(&self.passes).is_swept = true;
        self.close_pass(false);
        self.publish();
    }

    /// Whether this host's clock has jumped since the last pass; then this one believes nothing that rests on it.
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

    /// Everything, or only what is new.
    fn door(&self, forge: &Forge, now: Timestamp) -> Key {
        forge.begin_anew(&self.settings);
        let is_due = forge.is_audit_due(now, self.settings.daemon.audit_interval);
        if is_due { Key::Resync } else { Key::Listing }
    }

    /// Works until nothing is left in line; `progress` is told how many turns of how many have ended, each time one does.
    pub async fn drain(self: &Arc<Self>, progress: &(dyn Fn(usize, usize) + Sync)) {
        let mut workers = JoinSet::new();
        for _ in 0..self.settings.concurrent_missions {
            workers.spawn(Arc::clone(self).work());
        }
        let told = self.gathered.as_ref().map(Gathered::progress);
        let running = self.forge.as_ref().map(|forge| forge.checkouts.running());
        let mut watched = told.zip(running);
        loop {
            while let Some((told, running)) = &mut watched {
                // Whoever ends has put its mission in line before.
                let is_checking_out = *running.borrow_and_update() > 0;
                if !is_checking_out && self.queue.is_idle() {
                    break;
                }
                tokio::select! {
                    _ = told.changed() => {
                        let (done, total) = *told.borrow_and_update();
                        progress(done, total);
                    }
                    _ = running.changed() => {}
                }
            }
            // What is said for many comes after what is said of each.
            let change = self.gathered.as_ref().and_then(|gathered| locked(&gathered.found).alert.take());
            let Some(change) = change else { break };
            locked(&self.fleet).alerts.task = Some(fleet::Task::Do(change));
            self.queue.add(Key::Alerts);
        }
        workers.shutdown().await;
    }

    /// Looks at every cell, and puts in line what has to be looked at closer. Whether the root is there.
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
        let ground = self.ground();
        let expected = locked(&self.fleet).expected();
        let mut cells = locked(&self.cells);
        cells.sweep(expected)?;
        let short = self.root.space().and_then(|space| shortage(space, self.settings.limits));
        let mut fleet = locked(&self.fleet);
        fleet.shortage = short;
        let mut keys = fleet.judge(&cells, &ground);
        keys.extend(fleet.admitted(self.settings.limits));
        Ok(keys)
    }
}

/// A mission whose checkout has ended is looked at again, and so is one whose checkout takes long.
fn caller(queue: &Arc<Queue>) -> Caller {
    let queue = Arc::clone(queue);
    Caller::new(move |issue| queue.add_now(Key::Issue { repository: issue.repository_id, number: issue.number }))
}

/// A root that is made only by the first pass has no agents yet.
fn note_start(entry: &RootAccess, now: Timestamp) -> Starts {
    let RootAccess::Known(writer) = entry else { return Starts::default() };
    starts::note_start(writer, now).unwrap_or_else(|error| {
        tracing::warn!("{error}; no agent is spared for having been silent while this was away");
        Starts::default()
    })
}

/// Waiting for another writer to end blocks.
async fn enter(settings: &Settings, access: LockOptions) -> Result<RootAccess, FatalError> {
    let path = settings.missions_root.clone();
    let entered = blocking(move || RootAccess::to(&path, access)).await;
    Ok(entered.map_err(|error| settings.refused_root(error))?)
}
