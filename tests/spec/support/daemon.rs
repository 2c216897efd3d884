//! A daemon in this process, whose time the test decides.

use crate::support::host::Host;
use crate::support::repository::Repository;
use crate::support::{PATIENCE, soon};
use chrono::{TimeDelta, Utc};
use lazarus::config::{Environment, Flags, Settings};
use lazarus::engine::failure::FatalError;
use lazarus::engine::queue::Queue;
use lazarus::engine::snapshot::Snapshot;
use lazarus::engine::{self, Engine};
use lazarus::mission::fleet::host_clock::HostClock;
use lazarus::mission::status::comment_check::CommentEvent;
use lazarus::mission::time::Timestamp;
use lazarus::world::store::root::RootError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A daemon that has begun.
pub(crate) struct Running {
    ticks: mpsc::Sender<HostClock>,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) comments: mpsc::Sender<CommentEvent>,
    shutdown: oneshot::Sender<()>,
    end: JoinHandle<()>,
    pub(crate) now: Timestamp,
}

/// The settings of a host for a repository, with more of them as a JSON document.
pub(crate) fn settings(host: &Host, repository: Option<&Repository>, more: &str) -> Settings {
    let config = host.path().join("daemon.json");
    std::fs::write(&config, more).unwrap();
    let token_file = host.path().join("token");
    if let Some(repository) = repository {
        std::fs::write(&token_file, repository.forge.token("bot")).unwrap();
    }
    let flags = Flags {
        config: Some(config),
        missions_root: Some(host.root()),
        gitea_url: repository.map(|repository| repository.forge.url.clone()),
        token_file: repository.map(|_| token_file),
        repositories: repository.iter().map(|repository| repository.name.clone()).collect(),
        allow_archive: None,
        listen: None,
        log_format: None,
    };
    let environment = Environment::from([("LAZARUS_HOST".to_owned(), "alpha".to_owned())]);
    Settings::load(&flags, &environment).unwrap()
}

/// Starts one. What was just dropped in this process may hold the root for a moment longer: by a thread that looks at the
/// disk, or by a child of another test that has not become its own program yet.
pub(crate) async fn begin(settings: Settings, now: Timestamp) -> Arc<Engine> {
    let mut started = None;
    soon("the root is free", async || {
        let start = Engine::start(settings.clone(), now).await;
        let is_held = matches!(&start, Err(FatalError::Root(RootError::Locked { .. })));
        started = (!is_held).then(|| start.unwrap());
        started.is_some()
    })
    .await;
    started.unwrap()
}

impl Running {
    /// Begins now; no tick has come yet.
    pub(crate) async fn new(settings: Settings) -> Self {
        let now = Timestamp::from(Utc::now());
        let daemon = begin(settings, now).await;
        let (ticks, heard) = mpsc::channel(1);
        let (shutdown, is_over) = oneshot::channel();
        let (snapshots, queue) = (daemon.snapshots(), daemon.queue());
        let comments = daemon.comment_events();
        let end = tokio::spawn(engine::run(daemon, heard, async { is_over.await.unwrap_or_default() }));
        Self { ticks, snapshots, queue, comments, shutdown, end, now }
    }

    /// A tick, so many seconds after the last one, and all that it leads to.
    pub(crate) async fn tick(&mut self, seconds: i64) -> Arc<Snapshot> {
        let count = |snapshot: &Snapshot| snapshot.passes.complete + snapshot.passes.incomplete;
        let before = count(&self.snapshots.borrow());
        self.send_tick(seconds).await;
        self.shows(|snapshot| count(snapshot) > before).await
    }

    /// A tick, so many seconds after the last one, whatever it leads to.
    pub(crate) async fn send_tick(&mut self, seconds: i64) {
        self.now = self.now.plus(TimeDelta::seconds(seconds));
        self.ticks.send(self.now.into()).await.unwrap();
    }

    /// The same with a reading of the time since the host was started; `jump` is by how many seconds the wall clock moves
    /// beyond what has passed.
    pub(crate) async fn tick_with(&mut self, boot: Duration, jump: i64) -> Arc<Snapshot> {
        let count = |snapshot: &Snapshot| snapshot.passes.complete + snapshot.passes.incomplete;
        let before = count(&self.snapshots.borrow());
        self.now = self.now.plus(TimeDelta::seconds(30 + jump));
        self.ticks.send(HostClock { wall: self.now, boot: Some(boot) }).await.unwrap();
        self.shows(|snapshot| count(snapshot) > before).await
    }

    /// The first snapshot from now on that is as wanted.
    pub(crate) async fn shows(&mut self, is_it: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let shown = tokio::time::timeout(PATIENCE, self.snapshots.wait_for(|snapshot| is_it(snapshot)));
        Arc::clone(&*shown.await.expect("what is to be shown is shown in a moment").unwrap())
    }

    /// Stops it, as a service manager does.
    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.end.await.unwrap();
    }
}
