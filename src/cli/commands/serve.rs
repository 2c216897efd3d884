//! From settings to a running service: listeners, ticks and signals, and whoever outside is told that we live.

use crate::config::{DaemonSettings, Settings, SettingsError};
use crate::engine::failure::FatalError;
use crate::engine::notifiers::ping::Ping;
use crate::engine::snapshot::Snapshot;
use crate::engine::{self, Engine};
use crate::http::server::ConnectionLimits;
use crate::http::{Web, serve_doors, serve_page};
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

/// So many intervals may go by without the end of a pass before the service manager starts us anew.
const WATCHDOG_INTERVALS: u32 = 4;

/// How long the start waits to hear whether the token is good.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);

/// How far the thread that serves the pages stands back: whoever brings news comes first.
const PAGES_NICENESS: i32 = 10;

/// How long answers under way may take when the end has come.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A person has to act.
    #[error(transparent)]
    Refused(#[from] FatalError),
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The watcher elsewhere.
    #[error("`daemon.ping_url`: {0}")]
    Ping(#[from] HttpClientError),
    /// An address cannot be listened on.
    #[error("`{key}`: cannot listen on `{address}`: {cause}; choose another address, or stop what is there")]
    Listen {
        /// The setting.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// There can be no thread for the pages.
    #[error("cannot start the thread that serves the pages: {0}; see how many threads and files this account may have")]
    Pages(std::io::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

/// Serves until SIGTERM or SIGINT. `clock` is read once a tick.
pub async fn serve(settings: Settings, clock: fn() -> Timestamp) -> Result<(), ServeError> {
    let DaemonSettings { interval, listen, page_listen, .. } = settings.daemon;
    let (webhook_secret, page_token) = (settings.daemon.webhook_secret()?, settings.daemon.page_token()?);
    let heralds = Notifiers {
        ping: settings.daemon.ping_url.as_ref().map(Ping::new).transpose()?,
        directory: settings.daemon.heartbeat_directory.clone(),
    };
    let doors = listen_on("daemon.listen", listen).await?;
    let pages = listen_on("daemon.page_listen", page_listen).await?;
    let daemon = Engine::start(settings, clock()).await?;
    // That the forge is slow is no reason not to begin.
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
    served.spawn(serve_doors(doors, Arc::clone(&web), is_closing.clone()));
    let page_served = serve_page_apart(pages, web, is_closing).await.map_err(ServeError::Pages)?;
    served.spawn(async move { page_served.await.unwrap_or_default() });
    let (ticks, heard) = mpsc::channel(1);
    let ticking = tokio::spawn(tick(ticks, interval, clock));
    let telling = tokio::spawn(tell(daemon.snapshots(), interval, heralds));
    notify(&[NotifyState::Ready, NotifyState::Status("started")]);
    tracing::info!("started; a pass every {} s", interval.as_secs());
    engine::run(daemon, heard, stopped).await;
    notify(&[NotifyState::Stopping]);
    ticking.abort();
    telling.abort();
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

/// Serves the pages on a thread of their own, which renders them too: however many look, they take no turn of those who
/// bring news or ask whether the daemon is well. What comes back is closed when it has ended.
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
        // Where the kernel does not allow it, it takes its share like the others.
        let _ = setpriority_process(None, PAGES_NICENESS);
        // Made here, since a runtime may not end where others wait.
        match runtime_with(listener) {
            Ok((runtime, listener)) => {
                let _ = begun.send(Ok(()));
                runtime.block_on(serve_page(listener, web, closing));
            }
            Err(error) => drop(begun.send(Err(error))),
        }
    })?;
    begins.await.unwrap_or_else(|_| Err(std::io::Error::other("it has ended at once")))?;
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

/// Ends with the first signal that asks for the end.
pub(crate) fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

/// The first tick comes at once; one that finds the last one still unheard waits for it.
async fn tick(ticks: mpsc::Sender<HostClock>, interval: Duration, clock: fn() -> Timestamp) {
    let mut beats = clock::interval(interval);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beats.tick().await;
        let reading = HostClock { wall: clock(), boot: Some(clock::since_boot()) };
        if ticks.send(reading).await.is_err() {
            return;
        }
    }
}

/// Who else is told after each pass.
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

/// Tells, after each pass, that we live and how it went.
async fn tell(mut snapshots: watch::Receiver<Arc<Snapshot>>, interval: Duration, mut heralds: Notifiers) {
    let patience = interval.saturating_mul(WATCHDOG_INTERVALS);
    if sd_notify::watchdog_enabled().is_some_and(|given| given < patience) {
        notify(&[NotifyState::WatchdogUsec(u32::try_from(patience.as_micros()).unwrap_or(u32::MAX))]);
    }
    let mut told = 0;
    while snapshots.changed().await.is_ok() {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let ended = snapshot.passes.complete + snapshot.passes.incomplete;
        if ended > told {
            told = ended;
            notify(&[NotifyState::Watchdog, NotifyState::Status(&summary(&snapshot))]);
            heralds.notify(&snapshot).await;
        }
    }
}

fn summary(snapshot: &Snapshot) -> String {
    let Snapshot { missions, passes, .. } = snapshot;
    let count = missions.len();
    match passes.errors.first() {
        Some(error) if !passes.last_complete => format!("{count} missions; the last pass was not complete: {error}"),
        Some(error) => format!("{count} missions; the last pass was complete, but: {error}"),
        None => format!("{count} missions; the last pass was complete"),
    }
}

/// Without a service manager there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
