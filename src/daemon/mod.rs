//! The daemon: ticks and news put keys in line, a few workers look at them, and one snapshot tells how things are.
//!
//! Time comes in with the ticks and from nowhere else. Nothing here is needed for correctness that a restart would not do
//! as well: what must last is in the records, and what is kept in mind is rebuilt from them.

mod alarms;
mod allowed;
mod audit;
mod beaten;
mod fleet;
mod forge;
mod known;
mod passes;

use crate::caught::caught;
use crate::gateway;
use crate::metrics::Metrics;
use crate::mission::admission::shortage;
use crate::mission::time::Timestamp;
use crate::pass::enter;
use crate::queue::{Key, Queue};
use crate::settings::Settings;
use crate::snapshot::{GatewayView, Snapshot, Tick};
use crate::trouble::{Refusal, Trouble};
use crate::world::beats::{Beaten, Beats};
use crate::world::courier::Courier;
use crate::world::gitea::Traffic;
use crate::world::lock::{Access, Residence};
use crate::world::mutex::locked;
use crate::world::root::{Root, RootError};
use crate::world::watch::Watch;
use fleet::{Fleet, Ground};
use forge::Forge;
use passes::{Ended, PassBook};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// While many missions change, the snapshot is replaced no more often than this.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// A token that was replaced is used within this time.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);

/// So many beats may be unheard; more are seen with the next tick.
const BEATS_MAX: usize = 1_024;

/// A daemon, ready to run.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    queue: Arc<Queue>,
    fleet: Mutex<Fleet>,
    cells: Arc<Mutex<Watch>>,
    forge: Option<Forge>,
    /// One daemon a root.
    _residence: Option<Residence>,
    passes: Mutex<PassBook>,
    tick: Mutex<Tick>,
    gateways: Mutex<Vec<GatewayView>>,
    beats: Arc<Beats>,
    /// Until somebody hears them.
    beaten: Mutex<Option<mpsc::Receiver<Beaten>>>,
    root: Arc<Root>,
    metrics: Arc<Metrics>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    published: Mutex<Published>,
}

/// When the snapshot was replaced last, and whether something has changed since.
#[derive(Debug)]
struct Published {
    at: Instant,
    is_outdated: bool,
}

impl Daemon {
    /// Takes hold of the root, for as long as this lives, and recalls what the records say. Sends nothing to the forge.
    pub async fn start(settings: Settings, now: Timestamp) -> Result<Arc<Self>, Refusal> {
        let access = Access { lock_wait: settings.lock_wait, is_lasting: true, group: settings.group_id()? };
        let entry = enter(&settings, access).await?;
        let root = entry.root();
        let mut fleet = Fleet::default();
        for record in root.records()?.by_issue.values() {
            fleet.know(record);
        }
        let cells = Arc::new(Mutex::new(Watch::new(Arc::clone(&root))));
        let (listener, beaten) = mpsc::channel(BEATS_MAX);
        let beats = Arc::new(Beats::new(Arc::clone(&root)).heard_by(listener));
        let root_to_look = Arc::clone(&root);
        // On new ground the entry itself keeps everybody out, and a pit alone finds nothing there to keep.
        let residence = root.file().map(|_| Residence::take(&root)).transpose()?;
        let forge = match &settings.forge_url {
            Some(_) => Some(Forge::new(&settings, root, entry, access)?),
            // Whoever makes a cell beside it needs the writer's lock.
            None => None,
        };
        let tick = Tick::new(now);
        let passes = PassBook::new(now);
        let snapshot = Snapshot {
            tick,
            interval: settings.daemon.interval,
            missions_root: settings.missions_root.display().to_string(),
            host: settings.host.clone(),
            forge: settings.forge_url.clone(),
            public_url: settings.daemon.public_url.clone(),
            missions: Vec::new(),
            passes: passes.told(),
            gateways: settings.daemon.gateways.iter().map(gateway::unasked).collect(),
            traffic: Traffic::default(),
        };
        Ok(Arc::new(Self {
            queue: Arc::default(),
            fleet: Mutex::new(fleet),
            cells,
            forge,
            _residence: residence,
            passes: Mutex::new(passes),
            tick: Mutex::new(tick),
            gateways: Mutex::new(settings.daemon.gateways.iter().map(gateway::unasked).collect()),
            beats,
            beaten: Mutex::new(Some(beaten)),
            root: root_to_look,
            metrics: Arc::default(),
            snapshot: watch::Sender::new(Arc::new(snapshot)),
            published: Mutex::new(Published { at: Instant::now(), is_outdated: false }),
            settings,
        }))
    }

    /// Whether the forge takes the token. That it cannot be reached is no answer, and nothing to stop for.
    pub async fn check_token(&self) -> Result<(), Refusal> {
        match &self.forge {
            Some(forge) => forge.check_token().await,
            None => Ok(()),
        }
    }

    /// The way to ask for a look.
    #[must_use]
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// The way to replace a heartbeat.
    #[must_use]
    pub fn beats(&self) -> Arc<Beats> {
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

    fn ground(&self) -> Ground<'_> {
        Ground {
            missions_root: self.settings.missions_root.to_str().unwrap_or_default(),
            forge: self.settings.forge_url.as_ref(),
            stale_after: self.settings.stale_after,
            now: self.now(),
            close_grace: forge::span(self.settings.close_grace),
        }
    }

    /// Begins a pass, and leaves the rest of it to the workers.
    async fn hear(self: &Arc<Self>, now: Timestamp) {
        *locked(&self.tick) = Tick::new(now);
        self.close_pass(true);
        locked(&self.passes).open();
        locked(&self.fleet).begin_pass();
        let door = match &self.forge {
            Some(forge) => {
                forge.begin_anew(&self.settings);
                Some(if forge.is_audit_due(now, self.settings.daemon.audit_interval) {
                    Key::Audit
                } else {
                    Key::Listing
                })
            }
            None => None,
        };
        if door == Some(Key::Audit)
            && let Ok(mut cells) = self.cells.try_lock()
        {
            cells.forget();
        }
        // Without its root there is nothing to say about anything.
        let is_root_there = self.sweep().await;
        if is_root_there {
            self.muster().await;
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

    /// Looks at every cell, and puts in line what has to be looked at closer. Whether the root is there.
    async fn sweep(self: &Arc<Self>) -> bool {
        let daemon = Arc::clone(self);
        let swept = tokio::task::spawn_blocking(move || daemon.sweep_now()).await;
        match swept.expect("sweeping over cells never panics") {
            Ok(keys) if self.forge.is_some() => keys.into_iter().for_each(|key| self.queue.add(key)),
            Ok(_) => {}
            Err(error) => {
                let error = self.settings.refused_root(error);
                let (about, message) = (self.settings.missions_root.display().to_string(), error.to_string());
                self.note(&[Trouble { about, issue: None, kind: error.kind(), message, needs_a_token: false }]);
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

    /// Takes note of what went wrong; the pass that it belongs to is not complete then.
    fn note(&self, troubles: &[Trouble]) {
        for trouble in troubles {
            tracing::warn!(kind = trouble.kind, "{}", trouble.message_with_subject());
            self.metrics.error(trouble.kind);
        }
        locked(&self.passes).note(troubles);
    }

    /// Ends the pass if nothing is left to do in it, or if the next one is due.
    fn close_pass(&self, is_overdue: bool) {
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
            let how = if is_complete { "complete" } else { "incomplete" };
            let duration_ms = duration.as_millis();
            tracing::info!(duration_ms, delayed, "pass {number}: {how}, {duration_ms} ms");
            self.publish();
        }
    }

    /// Publishes, unless that was done just now; whoever finds nothing left in line will do it then. A thousand missions
    /// that change at once need no thousand snapshots.
    fn publish_soon(&self) {
        let is_due = {
            let mut published = locked(&self.published);
            published.is_outdated = true;
            published.at.elapsed() >= PUBLISH_INTERVAL
        };
        if is_due {
            self.publish();
        }
    }

    /// What was left to be published later.
    fn publish_rest(&self) {
        if self.queue.is_idle() && locked(&self.published).is_outdated {
            self.publish();
        }
    }

    fn publish(&self) {
        // Held to the end, so that no older snapshot follows a newer one.
        let mut published = locked(&self.published);
        *published = Published { at: Instant::now(), is_outdated: false };
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

    /// Asks one gateway again and again, for as long as this lives.
    async fn watch_gateway(self: Arc<Self>, at: usize) {
        let Some(gateway) = self.settings.daemon.gateways.get(at) else { return };
        let Ok(courier) = Courier::to(gateway.url.clone()) else { return };
        let mut beats = tokio::time::interval(gateway.interval);
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

    async fn work(self: Arc<Self>) {
        let Some(forge) = &self.forge else { return };
        loop {
            let key = self.queue.next().await;
            // A defect costs one look, and not the worker.
            let handled = Box::pin(caught(self.handle(forge, key))).await;
            let troubles = handled.unwrap_or_else(|()| vec![self.breakdown(key)]);
            self.note(&troubles);
            match (troubles.is_empty(), key) {
                (false, Key::Issue { .. }) if self.is_away(&troubles) => self.queue.put_off(key, self.now()),
                (false, Key::Issue { .. }) => self.queue.failed(key, self.now()),
                // The next tick asks for the others again.
                (true, _) | (false, Key::Audit | Key::Listing | Key::Alarms) => {
                    // What failed before and does no longer may be over for others as well.
                    if self.queue.done(key) {
                        self.queue.release_all();
                    }
                }
            }
            self.close_pass(false);
            self.publish_rest();
        }
    }

    /// Whether the forge as a whole is to blame, which one question a tick finds out to be over.
    fn is_away(&self, troubles: &[Trouble]) -> bool {
        troubles.iter().all(Trouble::is_outage) && locked(&self.passes).is_forge_away()
    }

    async fn handle(&self, forge: &Forge, key: Key) -> Vec<Trouble> {
        match key {
            Key::Audit => self.audit(forge).await,
            Key::Listing => self.list(forge).await,
            Key::Alarms => self.speak_for_many(forge).await,
            Key::Issue { repository, number } => self.look_at(forge, (repository, number)).await,
        }
    }

    fn breakdown(&self, key: Key) -> Trouble {
        let Key::Issue { repository, number } = key else {
            return Trouble::breakdown("a look at everything".to_owned());
        };
        match locked(&self.fleet).known_mut((repository, number)) {
            Some(known) => Trouble::defect(&known.issue),
            None => Trouble::breakdown(format!("issue {number} of repository {repository}")),
        }
    }

    /// Reads the token anew, also between ticks that are far apart.
    async fn renew_token(self: Arc<Self>) {
        let Some(forge) = &self.forge else { return };
        let mut beats = tokio::time::interval(TOKEN_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            forge.begin_anew(&self.settings);
        }
    }
}

/// Runs until told to stop or until no more ticks come. Stopping needs no time: whatever is under way is left, and the
/// next start goes on from the records.
pub async fn run(daemon: Arc<Daemon>, mut ticks: mpsc::Receiver<Timestamp>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut workers = JoinSet::new();
    workers.spawn(Arc::clone(&daemon).hear_beats());
    workers.spawn(Arc::clone(&daemon).renew_token());
    for at in 0..daemon.settings.daemon.gateways.len() {
        workers.spawn(Arc::clone(&daemon).watch_gateway(at));
    }
    // One more than missions, so that a long listing holds none of them up.
    for _ in 0..=daemon.settings.concurrent_missions {
        workers.spawn(Arc::clone(&daemon).work());
    }
    let hear = async {
        while let Some(now) = ticks.recv().await {
            daemon.hear(now).await;
        }
    };
    // A sweep that takes long, or hangs, is no reason to go on.
    tokio::select! {
        () = hear => {}
        () = &mut shutdown => {}
    }
    workers.shutdown().await;
}
