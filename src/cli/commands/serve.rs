//! Runs the service: listeners, ticks, signals, and the notification of watchers after each pass.

use crate::config::{DaemonSettings, Settings, SettingsError};
use crate::engine::failure::FatalError;
use crate::engine::notifiers::ping::Ping;
use crate::engine::snapshot::Snapshot;
use crate::engine::{self, Engine};
use crate::http::server::ConnectionLimits;
use crate::http::{Web, serve_endpoints, serve_page};
use crate::mission::fleet::host_clock::HostClock;
use crate::mission::fleet::job_status::{JobStatus, job_status};
use crate::mission::time::Timestamp;
use crate::world::blocking_pool::blocking;
use crate::world::clock;
use crate::world::cron_heartbeat::{self, Job, Pulse};
use crate::world::http_client::HttpClientError;
use rustix::process::setpriority_process;
use sd_notify::NotifyState;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The number of intervals without the end of a pass after which the service manager restarts the service.
const WATCHDOG_INTERVALS: u32 = 4;

/// How long the start waits for the check of the token.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);

/// The niceness of the thread that serves the dashboard: events have priority.
const PAGES_NICENESS: i32 = 10;

/// How long responses may take after the stop.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Manual action is required.
    #[error(transparent)]
    Refused(#[from] FatalError),
    /// The configuration is unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The watcher's address cannot be used.
    #[error("`daemon.ping_url`: {0}")]
    Ping(#[from] HttpClientError),
    /// An address cannot be listened on.
    #[error(
        "`{key}`: cannot listen on `{address}`: {cause}; choose another address, or stop the program that listens there"
    )]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// The reason.
        cause: std::io::Error,
    },
    /// The thread for the dashboard cannot start.
    #[error(
        "cannot start the thread that serves the dashboard: {0}; check how many threads and files this account may have"
    )]
    Pages(std::io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
}

/// Serves until SIGTERM or SIGINT. `clock` is read once a tick.
pub async fn serve(settings: Settings, clock: fn() -> Timestamp) -> Result<(), ServeError> {
    let DaemonSettings { interval, listen, page_listen, .. } = settings.daemon;
    let (webhook_secret, page_token) = (settings.daemon.webhook_secret()?, settings.daemon.page_token()?);
    let notifiers = Notifiers {
        ping: settings.daemon.ping_url.as_ref().map(Ping::new).transpose()?,
        directory: settings.daemon.heartbeat_directory.clone(),
    };
    let ingress = listen_on("daemon.listen", listen).await?;
    let pages = listen_on("daemon.page_listen", page_listen).await?;
    let daemon = Engine::start(settings, clock()).await?;
    // A slow forge does not delay the start.
    if let Ok(checked) = clock::timeout(TOKEN_PATIENCE, daemon.check_token()).await {
        checked?;
    }
    let stopped = stopped().map_err(ServeError::Signals)?;
    let web = Arc::new(Web {
        snapshot: daemon.snapshots(),
        queue: daemon.queue(),
        comments: daemon.comment_events(),
        beats: daemon.beats(),
        metrics: daemon.metrics(),
        webhook_secret,
        page_token,
        limits: ConnectionLimits::default(),
    });
    let (closing, is_closing) = watch::channel(false);
    let mut served = JoinSet::new();
    served.spawn(serve_endpoints(ingress, Arc::clone(&web), is_closing.clone()));
    let page_served = serve_page_apart(pages, web, is_closing).await.map_err(ServeError::Pages)?;
    served.spawn(async move { page_served.await.unwrap_or_default() });
    let (ticks, received) = mpsc::channel(1);
    let ticking = tokio::spawn(tick(ticks, interval, clock));
    let notifying = tokio::spawn(notify_after_passes(daemon.snapshots(), interval, notifiers));
    notify(&[NotifyState::Ready, NotifyState::Status("started")]);
    tracing::info!("started; a pass every {} s", interval.as_secs());
    engine::run(daemon, received, stopped).await;
    notify(&[NotifyState::Stopping]);
    ticking.abort();
    notifying.abort();
    let _ = closing.send(true);
    let _ = clock::timeout(CLOSE_PATIENCE, served.join_all()).await;
    tracing::info!("stopped");
    Ok(())
}

async fn listen_on(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen = async || {
        let listener = TcpListener::bind(address).await?;
        let found = listener.local_addr()?;
        tracing::info!("{key}: listening on {found}");
        Ok(listener)
    };
    listen().await.map_err(|cause| ServeError::Listen { key, address, cause })
}

/// Serves the dashboard on its own thread, which renders it too, so that readers do not delay webhooks, heartbeats and
/// health checks. The returned channel closes when the thread has ended.
async fn serve_page_apart(
    listener: TcpListener,
    web: Arc<Web>,
    closing: watch::Receiver<bool>,
) -> std::io::Result<oneshot::Receiver<()>> {
    let listener = listener.into_std()?;
    let (begun, begins) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("pages".to_owned()).spawn(move || {
        let _ended: oneshot::Sender<()> = ended;
        // If the kernel denies it, the thread runs at normal priority.
        let _ = setpriority_process(None, PAGES_NICENESS);
        // Created here, since a runtime must not be dropped in an asynchronous context.
        match runtime_with(listener) {
            Ok((runtime, listener)) => {
                let _ = begun.send(Ok(()));
                runtime.block_on(serve_page(listener, web, closing));
            }
            Err(error) => drop(begun.send(Err(error))),
        }
    })?;
    begins.await.unwrap_or_else(|_| Err(std::io::Error::other("it ended immediately")))?;
    Ok(end)
}

fn runtime_with(listener: std::net::TcpListener) -> std::io::Result<(Runtime, TcpListener)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

/// Completes with the first SIGINT or SIGTERM.
pub(crate) fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

/// Sends ticks, the first one immediately. A tick waits until the previous one has been received.
async fn tick(ticks: mpsc::Sender<HostClock>, interval: Duration, clock: fn() -> Timestamp) {
    let mut ticker = clock::interval(interval);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticker.tick().await;
        let reading = HostClock { wall: clock(), boot: Some(clock::since_boot()) };
        if ticks.send(reading).await.is_err() {
            return;
        }
    }
}

/// The watchers that are notified after each pass.
#[derive(Debug)]
struct Notifiers {
    /// `daemon.ping_url`
    ping: Option<Ping>,
    /// `daemon.heartbeat_directory`
    directory: Option<PathBuf>,
}

impl Notifiers {
    async fn notify(&mut self, snapshot: &Snapshot) {
        let is_complete = snapshot.passes.last_complete;
        if let Some(directory) = self.directory.clone() {
            let pulse = Pulse {
                job: Job::Reconcile,
                at: snapshot.tick.now(),
                interval: snapshot.interval,
                status: status(snapshot),
            };
            if let Err(error) = blocking(move || cron_heartbeat::write(&directory, &pulse)).await {
                tracing::warn!("{error}");
            }
        }
        if let Some(ping) = &mut self.ping {
            ping.send(is_complete).await;
        }
    }
}

fn status(snapshot: &Snapshot) -> JobStatus {
    let missions = snapshot.missions.iter().map(|view| (view.phase, view.health));
    job_status(snapshot.readiness().is_ok(), !snapshot.passes.last_complete, missions)
}

/// Notifies the service manager and the watchers after each pass.
async fn notify_after_passes(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    interval: Duration,
    mut notifiers: Notifiers,
) {
    let patience = interval.saturating_mul(WATCHDOG_INTERVALS);
    if sd_notify::watchdog_enabled().is_some_and(|given| given < patience) {
        notify(&[NotifyState::WatchdogUsec(u32::try_from(patience.as_micros()).unwrap_or(u32::MAX))]);
    }
    let mut notified = 0;
    while snapshots.changed().await.is_ok() {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let ended = snapshot.passes.complete + snapshot.passes.incomplete;
        if ended > notified {
            notified = ended;
            notify(&[NotifyState::Watchdog, NotifyState::Status(&summary(&snapshot))]);
            notifiers.notify(&snapshot).await;
        }
    }
}

fn summary(snapshot: &Snapshot) -> String {
    let Snapshot { missions, passes, .. } = snapshot;
    let count = missions.len();
    match passes.errors.first() {
        Some(error) if !passes.last_complete => format!("{count} missions; the last pass was incomplete: {error}"),
        Some(error) => format!("{count} missions; the last pass was complete, with a failure: {error}"),
        None => format!("{count} missions; the last pass was complete"),
    }
}

/// Notifies the service manager, if there is one.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot notify the service manager: {error}");
    }
}
