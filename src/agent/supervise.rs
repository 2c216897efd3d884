//! Sends heartbeats while a command lives, reports how it ended, and exits with its code: what `lazarus-pit run` does.

use crate::agent::foreground::{CommandEnd, Foreground};
use crate::agent::heartbeat_client::{HeartbeatClient, HeartbeatClientError};
use crate::agent::heartbeat_file::HeartbeatPayload;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::time::{Timestamp, format_length};
use crate::world::clock;
use crate::world::log_once::{LogChange, LogOnce};
use crate::world::random;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

/// The interval of heartbeats, unless the command line or the cell's *stale after* requires a shorter one.
const EVERY: Duration = Duration::from_secs(60);

/// The number of heartbeats within the cell's *stale after*, so that a late one does not make it stale.
const HEARTBEATS_WITHIN_STALE_AFTER: u32 = 3;

/// The number of attempts for the last heartbeat.
const LAST_TRIES: u32 = 5;

/// The delay before the second attempt for the last heartbeat; it doubles with each.
const LAST_DELAY: Duration = Duration::from_millis(200);

/// The time for all attempts of the last heartbeat. Supervisors kill ten seconds after SIGTERM.
const LAST_MAX: Duration = Duration::from_secs(8);

/// The variable that holds the cell's path for the command.
const CELL_VARIABLE: &str = "MISSION_CELL";

/// The command to run, and how its state is reported.
#[derive(Debug)]
pub struct SupervisedCommand {
    /// Delivers the heartbeats.
    pub client: HeartbeatClient,
    /// The interval of heartbeats, if the command line sets one.
    pub every: Option<Duration>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Prints notices for people.
    pub notify: fn(&str),
}

/// Runs the command to its end. Returns its exit code; no failed heartbeat changes it.
pub async fn run_command(supervised: SupervisedCommand, now: fn() -> Timestamp) -> std::io::Result<u8> {
    let SupervisedCommand { client, every, command, notify } = supervised;
    let every = interval(every, client.stale_after(), notify);
    let cell = client.cell().map(Path::to_owned);
    let variables: Vec<_> = cell.iter().map(|cell| (CELL_VARIABLE, cell.as_os_str())).collect();
    let heartbeats =
        HeartbeatLoop { client, session: session(now()), sequence: 0, failures: LogOnce::default(), now, notify };
    let mut foreground = Foreground::new()?;
    let ended = match foreground.start(&command, &variables) {
        Ok(child) => {
            let (end, last) = oneshot::channel();
            let sending = tokio::spawn(heartbeats.run_until(last, every));
            let ended = foreground.wait(child).await?;
            // A closed channel means that the task has panicked, which `finish` reports.
            let _ = end.send(last_payload(&ended, &command));
            finish(sending, notify).await;
            ended
        }
        Err(ended) => {
            notify(&ended.failure(&command).unwrap_or_default());
            finish(tokio::spawn(heartbeats.send_last(last_payload(&ended, &command))), notify).await;
            ended
        }
    };
    Ok(ended.code())
}

/// The interval of heartbeats. A notice warns of one that cannot keep the cell healthy.
fn interval(chosen: Option<Duration>, stale_after: Option<Duration>, notify: fn(&str)) -> Duration {
    let shortest =
        |stale_after: Duration| EVERY.min(stale_after / HEARTBEATS_WITHIN_STALE_AFTER).max(Duration::from_secs(1));
    if let (Some(chosen), Some(stale_after)) = (chosen, stale_after)
        && chosen >= stale_after
    {
        let (chosen, stale_after) = (format_length(chosen), format_length(stale_after));
        notify(&format!("`--every`: one heartbeat every {chosen} is too few: the cell is stale after {stale_after}"));
    }
    chosen.unwrap_or(stale_after.map_or(EVERY, shortest))
}

/// The name of one run: its start, and a random part against another run in the same second.
fn session(started_at: Timestamp) -> String {
    let id = random::id().simple().to_string();
    format!("{started_at}-{}", &id[..8])
}

/// The last heartbeat, which reports how the command ended.
struct LastHeartbeat {
    state: WizardState,
    message: Option<String>,
}

fn last_payload(ended: &CommandEnd, command: &[OsString]) -> LastHeartbeat {
    let message = ended.failure(command);
    LastHeartbeat { state: if message.is_none() { WizardState::Done } else { WizardState::Failed }, message }
}

/// Waits until the last heartbeat is sent, for a bounded time.
async fn finish(sending: tokio::task::JoinHandle<()>, notify: fn(&str)) {
    match clock::timeout(LAST_MAX, sending).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => notify(&format!("internal error: {error}")),
        Err(_) => notify(&format!("the last heartbeat was not delivered within {}", format_length(LAST_MAX))),
    }
}

/// The heartbeats of one command.
struct HeartbeatLoop {
    client: HeartbeatClient,
    session: String,
    /// The number of the last attempt.
    sequence: u64,
    failures: LogOnce,
    now: fn() -> Timestamp,
    notify: fn(&str),
}

impl HeartbeatLoop {
    /// Sends a heartbeat immediately and then at the interval. One that is being sent is finished before the last one,
    /// so that none can arrive after it.
    async fn run_until(mut self, mut last: oneshot::Receiver<LastHeartbeat>, every: Duration) {
        let mut ticks = clock::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick completes immediately, even if the command has already ended.
        ticks.tick().await;
        loop {
            let _ = self.send(WizardState::Working, None).await;
            tokio::select! {
                biased;
                last = &mut last => match last {
                    Ok(last) => return self.send_last(last).await,
                    // Waiting for the command failed, and that error is reported by the caller.
                    Err(_) => return,
                },
                _ = ticks.tick() => {}
            }
        }
    }

    async fn send_last(mut self, last: LastHeartbeat) {
        let LastHeartbeat { state, message } = last;
        let mut delay = LAST_DELAY;
        for _ in 1..LAST_TRIES {
            match self.send(state, message.clone()).await {
                Err(error) if !error.needs_manual_action() => clock::sleep(delay).await,
                Ok(()) | Err(_) => return,
            }
            delay *= 2;
        }
        let _ = self.send(state, message).await;
    }

    /// Sends one heartbeat. A failure is reported when it starts, changes and ends. Each attempt has a number of its
    /// own: one whose response was lost may have been accepted.
    async fn send(&mut self, state: WizardState, message: Option<String>) -> Result<(), HeartbeatClientError> {
        self.sequence += 1;
        let payload =
            HeartbeatPayload { state, session: Some(self.session.clone()), sequence: Some(self.sequence), message };
        let delivered = self.client.deliver(&payload, (self.now)()).await;
        match self.failures.observe(delivered.as_ref().err().map(ToString::to_string)) {
            Some(LogChange::Failing(why)) => (self.notify)(&format!("the heartbeat was not delivered: {why}")),
            Some(LogChange::Resolved) => (self.notify)("heartbeats are delivered again"),
            None => {}
        }
        delivered
    }
}
