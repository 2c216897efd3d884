//! `lazarus-pit`, from its command line to its exit code.

use crate::agent::heartbeat_client::{HeartbeatClient, HeartbeatClientError, HeartbeatTarget};
use crate::agent::heartbeat_file::HeartbeatPayload;
use crate::agent::supervise::{SupervisedCommand, run_command};
use crate::cli::arguments::{BeatArguments, BeatFor, Pit, PitCommand, Run, Scan, StateArgument};
use crate::cli::commands::{FOREVER, print_scan, run_scan, with_settings};
use crate::cli::console::{Console, say_beside};
use crate::cli::exit::Exit;
use crate::config::SettingsError;
use crate::diagnose::scan::{Filter, HealthReport, scan};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::cell::heartbeat_fields::{MESSAGE_CHARS_MAX, bounded, session_name};
use crate::mission::fleet::job_status::{JobStatus, job_status};
use crate::mission::identity::MissionId;
use crate::mission::text::Printable;
use crate::provision::init::init_cell;
use crate::world::clock::now;
use crate::world::cron_heartbeat::{self, Job, Pulse};
use crate::world::limits;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// One for the cell's disk, and one to find the daemon by its name.
const DISK_THREADS: usize = 2;

/// `lazarus-pit`
#[must_use]
pub fn pit(arguments: Pit) -> ExitCode {
    let Pit { command, init_cell, write_heartbeat, every, scan } = arguments;
    match (command, init_cell) {
        (Some(PitCommand::Run(arguments)), _) => return run(arguments),
        (Some(PitCommand::Beat(arguments)), _) => beat_once(arguments),
        (None, Some(mission_id)) => make_cell(scan, mission_id),
        (None, None) if write_heartbeat => scan_and_beat(scan, every),
        (None, None) => run_scan(scan),
    }
    .into()
}

fn make_cell(arguments: Scan, mission_id: MissionId) -> Exit {
    let Scan { json, settings, wizard: _, health: _ } = arguments;
    with_settings(settings, |settings, _, console| match init_cell(settings, mission_id, now()) {
        Ok(scaffold) if json => console.print_json(&scaffold),
        Ok(scaffold) => {
            let what = match (scaffold.created, scaffold.restored.as_slice()) {
                (true, _) => "made".to_owned(),
                (false, []) => "was there already".to_owned(),
                (false, parts) => format!("was there already; made again: {}", parts.join(", ")),
            };
            console.print(&format!("{} {what}\n", Printable::new(&scaffold.path)))
        }
        Err(error) => console.refused(&error),
    })
}

/// The pit's own heartbeat tells of the scan, also that there was none.
fn scan_and_beat(arguments: Scan, every: Duration) -> Exit {
    let Scan { json, wizard, health, settings } = arguments;
    let filter = Filter { wizard, health: health.map(Into::into) };
    with_settings(settings, |settings, _, console| {
        let Some(directory) = &settings.daemon.heartbeat_directory else {
            return console.refused(&SettingsError::Missing {
                key: "daemon.heartbeat_directory",
                how: "set LAZARUS_HEARTBEAT_DIRECTORY or the settings file to the directory that the watcher reads",
            });
        };
        let scanned = scan(settings, &filter, now());
        let status = status(scanned.as_ref().ok());
        let written = cron_heartbeat::write(directory, &Pulse { job: Job::Pit, at: now(), interval: every, status });
        let printed = print_scan(scanned, json, console);
        match written {
            Ok(()) => printed,
            Err(error) if printed == Exit::Complete => console.failed(&error),
            Err(error) => {
                console.announce(&error);
                printed
            }
        }
    })
}

/// Which phases the cells' missions are in, a scan cannot know.
fn status(scanned: Option<&HealthReport>) -> JobStatus {
    let count = |health: Health| scanned.and_then(|report| report.summary.get(health.word())).copied();
    let is_there = |health: &Health| count(*health).is_some_and(|count| count > 0);
    let found = Health::ALL.into_iter().filter(is_there).map(|health| (None, Some(health)));
    job_status(scanned.is_some(), false, found)
}

fn beat_once(arguments: BeatArguments) -> Exit {
    let BeatArguments { beat_for, state, message, session } = arguments;
    let state = match state {
        StateArgument::Working => WizardState::Working,
        StateArgument::Waiting => WizardState::Waiting,
        StateArgument::Done => WizardState::Done,
        StateArgument::Failed => WizardState::Failed,
    };
    let message = message.map(|message| usable(&message));
    let session = session.and_then(|session| session_name(&decoded("--session", &session)));
    let word = HeartbeatPayload { state, session, sequence: None, message };
    let beaten = messenger(beat_for).and_then(|messenger| {
        let runtime = runtime()?;
        runtime.block_on(messenger.deliver(&word, now()))
    });
    beaten.map_or_else(|error| ended_by(&error), |()| Exit::Complete)
}

/// A message as a heartbeat carries it. What had to be changed for that is told; the heartbeat counts.
fn usable(message: &OsStr) -> String {
    let (message, is_cut) = bounded(&decoded("--message", message));
    if is_cut {
        say_beside(&format!("`--message` has more than {MESSAGE_CHARS_MAX} characters and is cut"));
    }
    message
}

fn decoded<'a>(flag: &str, text: &'a OsStr) -> Cow<'a, str> {
    if text.to_str().is_none() {
        say_beside(&format!("`{flag}` is not all UTF-8; what is not is replaced by `\u{fffd}`"));
    }
    text.to_string_lossy()
}

/// Refuses before the command is started, or ends as it does.
fn run(arguments: Run) -> ExitCode {
    let Run { every, beat_for, command } = arguments;
    let found = messenger(beat_for).and_then(|messenger| Ok((messenger, runtime()?)));
    let (messenger, runtime) = match found {
        Ok(found) => found,
        Err(error) => return ended_by(&error).into(),
    };
    let code = runtime.block_on(run_command(SupervisedCommand { messenger, every, command, tell: say_beside }, now));
    // A heartbeat that hangs on a dead disk holds up nobody.
    runtime.shutdown_background();
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => Console::default().failed(&format!("cannot watch over the command: {error}")).into(),
    }
}

fn ended_by(error: &HeartbeatClientError) -> Exit {
    let console = Console::default();
    if error.needs_a_person() { console.refused(error) } else { console.failed(error) }
}

fn messenger(beat_for: BeatFor) -> Result<HeartbeatClient, HeartbeatClientError> {
    let BeatFor { cell, url, token_file } = beat_for;
    let around = || std::env::var_os("MISSION_CELL").filter(|cell| !cell.is_empty()).map(PathBuf::from);
    let (cell, here) = (cell.or_else(around), std::env::current_dir().unwrap_or_default());
    HeartbeatClient::find(HeartbeatTarget {
        cell: cell.as_deref(),
        url: url.as_ref(),
        token_file: token_file.as_deref(),
        here: &here,
    })
}

fn runtime() -> Result<Runtime, HeartbeatClientError> {
    limits::threads(DISK_THREADS)?;
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(DISK_THREADS).thread_keep_alive(FOREVER);
    builder.enable_all().build().map_err(HeartbeatClientError::Start)
}
