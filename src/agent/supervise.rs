//! Beats for a wizard while it lives, says how it ended, and ends as it did: what `lazarus-pit run` does.

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

/// How often to beat where neither the command line nor the cell's limit asks for more.
const EVERY: Duration = Duration::from_secs(60);

/// So many heartbeats go out within the cell's limit, so that a late one is no alarm.
const BEATS_WITHIN_LIMIT: u32 = 3;

/// How often the last heartbeat is tried.
const LAST_TRIES: u32 = 5;

/// Before the second try of the last heartbeat; doubles with each.
const LAST_DELAY: Duration = Duration::from_millis(200);

/// How long the last heartbeat may take in all. Supervisors kill ten seconds after they have asked.
const LAST_MAX: Duration = Duration::from_secs(8);

/// Tells the command which cell it works in.
const CELL_VARIABLE: &str = "MISSION_CELL";

/// What is to be run, and how it is told of.
#[derive(Debug)]
pub struct SupervisedCommand {
    /// Delivers the heartbeats.
    pub messenger: HeartbeatClient,
    /// How often to beat, if that was said.
    pub every: Option<Duration>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Tells people of trouble.
    pub tell: fn(&str),
}

/// Runs the command to its end. Returns the exit code to end with; no trouble with a heartbeat changes it.
pub async fn run_command(errand: SupervisedCommand, now: fn() -> Timestamp) -> std::io::Result<u8> {
    let SupervisedCommand { messenger, every, command, tell } = errand;
    let every = interval(every, messenger.stale_after(), tell);
    let cell = messenger.cell().map(Path::to_owned);
    let variables: Vec<_> = cell.iter().map(|cell| (CELL_VARIABLE, cell.as_os_str())).collect();
    let beats = HeartbeatLoop { messenger, session: session(now()), sequence: 0, told: LogOnce::default(), now, tell };
    let mut foreground = Foreground::new()?;
    let ended = match foreground.start(&command, &variables) {
        Ok(child) => {
            let (say, last) = oneshot::channel();
            let beating = tokio::spawn(beats.run_until(last, every));
            let ended = foreground.wait(child).await?;
            // Whoever listens no more has broken down, which `finish` tells.
            let _ = say.send(last_payload(&ended, &command));
            finish(beating, tell).await;
            ended
        }
        Err(ended) => {
            tell(&ended.trouble(&command).unwrap_or_default());
            finish(tokio::spawn(beats.send_last(last_payload(&ended, &command))), tell).await;
            ended
        }
    };
    Ok(ended.code())
}

/// How often to beat; an interval of the user's own that cannot keep the cell well is told.
fn interval(said: Option<Duration>, limit: Option<Duration>, tell: fn(&str)) -> Duration {
    let fitting = limit.map_or(EVERY, |limit| EVERY.min(limit / BEATS_WITHIN_LIMIT).max(Duration::from_secs(1)));
    if let (Some(said), Some(limit)) = (said, limit)
        && said >= limit
    {
        let (said, limit) = (format_length(said), format_length(limit));
        tell(&format!("`--every`: a heartbeat each {said} is too late for this cell, whose limit is {limit}"));
    }
    said.unwrap_or(fitting)
}

/// The name of one run: when it began, and what tells it from another one in that second.
fn session(started_at: Timestamp) -> String {
    let chance = random::id().simple().to_string();
    format!("{started_at}-{}", &chance[..8])
}

/// What is said of the command's end.
struct Last {
    state: WizardState,
    message: Option<String>,
}

fn last_payload(ended: &CommandEnd, command: &[OsString]) -> Last {
    let message = ended.trouble(command);
    Last { state: if message.is_none() { WizardState::Done } else { WizardState::Failed }, message }
}

/// Waits until the last word is said, but not for ever.
async fn finish(speaking: tokio::task::JoinHandle<()>, tell: fn(&str)) {
    match clock::timeout(LAST_MAX, speaking).await {
        Ok(Ok(())) => {}
        Ok(Err(defect)) => tell(&format!("a defect of this program: {defect}")),
        Err(_) => tell(&format!("the last heartbeat was not delivered within {}", format_length(LAST_MAX))),
    }
}

/// The heartbeats of one command.
struct HeartbeatLoop {
    messenger: HeartbeatClient,
    session: String,
    /// The number of the last one that was tried.
    sequence: u64,
    told: LogOnce,
    now: fn() -> Timestamp,
    tell: fn(&str),
}

impl HeartbeatLoop {
    /// Beats at once and every so often. A heartbeat under way is finished before the last word, so that none can
    /// arrive after it.
    async fn run_until(mut self, mut last: oneshot::Receiver<Last>, every: Duration) {
        let mut ticks = clock::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one comes at once, also where the command has ended already.
        ticks.tick().await;
        loop {
            let _ = self.send(WizardState::Working, None).await;
            tokio::select! {
                biased;
                last = &mut last => match last {
                    Ok(last) => return self.send_last(last).await,
                    // The command was lost sight of, which its own error tells.
                    Err(_) => return,
                },
                _ = ticks.tick() => {}
            }
        }
    }

    async fn send_last(mut self, last: Last) {
        let Last { state, message } = last;
        let mut delay = LAST_DELAY;
        for _ in 1..LAST_TRIES {
            match self.send(state, message.clone()).await {
                Err(error) if !error.needs_a_person() => clock::sleep(delay).await,
                Ok(()) | Err(_) => return,
            }
            delay *= 2;
        }
        let _ = self.send(state, message).await;
    }

    /// Says one word. Trouble is told when it comes, changes and goes. Each try has a number of its own: one whose answer
    /// was lost may have been accepted.
    async fn send(&mut self, state: WizardState, message: Option<String>) -> Result<(), HeartbeatClientError> {
        self.sequence += 1;
        let word =
            HeartbeatPayload { state, session: Some(self.session.clone()), sequence: Some(self.sequence), message };
        let said = self.messenger.deliver(&word, (self.now)()).await;
        match self.told.observe(said.as_ref().err().map(ToString::to_string)) {
            Some(LogChange::Failing(why)) => (self.tell)(&format!("the heartbeat was not delivered: {why}")),
            Some(LogChange::Resolved) => (self.tell)("heartbeats are delivered again"),
            None => {}
        }
        said
    }
}
