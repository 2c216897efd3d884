//! From settings to a running service: listeners, ticks and signals, and whoever outside is told that we live.

use crate::daemon::{self, Daemon};
use crate::mission::time::Timestamp;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::trouble::Refusal;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// So many intervals may go by without the end of a pass before the service manager starts us anew.
const WATCHDOG_INTERVALS: u32 = 4;

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A person has to act.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

/// Serves until SIGTERM or SIGINT. `clock` is read once a tick.
pub async fn serve(settings: Settings, clock: fn() -> Timestamp) -> Result<(), ServeError> {
    let interval = settings.daemon.interval;
    let daemon = Daemon::start(settings, clock()).await?;
    daemon.check_token().await?;
    let stopped = stopped().map_err(ServeError::Signals)?;
    let (ticks, heard) = mpsc::channel(1);
    let ticking = tokio::spawn(tick(ticks, interval, clock));
    let telling = tokio::spawn(tell(daemon.snapshots(), interval));
    notify(&[NotifyState::Ready, NotifyState::Status("started")]);
    tracing::info!("started; a pass every {} s", interval.as_secs());
    daemon::run(daemon, heard, stopped).await;
    notify(&[NotifyState::Stopping]);
    ticking.abort();
    telling.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Ends with the first signal that asks for the end.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

/// The first tick comes at once; one that finds the last one still unheard waits for it.
async fn tick(ticks: mpsc::Sender<Timestamp>, interval: Duration, clock: fn() -> Timestamp) {
    let mut beats = tokio::time::interval(interval);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if ticks.send(clock()).await.is_err() {
            return;
        }
    }
}

/// Tells the service manager, after each pass, that we live and how it went.
async fn tell(mut snapshots: watch::Receiver<Arc<Snapshot>>, interval: Duration) {
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
        }
    }
}

fn summary(snapshot: &Snapshot) -> String {
    let Snapshot { missions, passes, .. } = snapshot;
    match passes.errors.first() {
        Some(error) => format!("{} missions; the last pass was not complete: {error}", missions.len()),
        None => format!("{} missions; the last pass was complete", missions.len()),
    }
}

/// Without a service manager there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
