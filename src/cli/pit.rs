//! Runs the commands of `lazarus-pit`, from the command line to the exit code.

use crate::agent::heartbeat_client::{HeartbeatClient, HeartbeatClientError, HeartbeatTarget};
use crate::agent::heartbeat_file::HeartbeatPayload;
use crate::agent::supervise::{SupervisedCommand, run_command};
use crate::cli::arguments::{BeatArguments, Pit, PitCommand, Run, Scan, StateArgument, TargetFlags};
use crate::cli::commands::{FOREVER, print_scan, run_scan, with_settings};
use crate::cli::console::{Console, print_notice};
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
        (None, Some(mission_id)) => create_cell(scan, mission_id),
        (None, None) if write_heartbeat => scan_and_pulse(scan, every),
        (None, None) => run_scan(scan),
    }
    .into()
}

fn create_cell(arguments: Scan, mission_id: MissionId) -> Exit {
    let Scan { json, settings, wizard: _, health: _ } = arguments;
    with_settings(settings, |settings, _, console| match init_cell(settings, mission_id, now()) {
        Ok(scaffold) if json => console.print_json(&scaffold),
        Ok(scaffold) => {
            let outcome = match (scaffold.created, scaffold.restored.as_slice()) {
                (true, _) => "created".to_owned(),
                (false, []) => "already complete".to_owned(),
                (false, parts) => format!("already exists; recreated: {}", parts.join(", ")),
            };
            console.print(&format!("{}: {outcome}\n", Printable::new(&scaffold.path)))
        }
        Err(error) => console.manual_action(&error),
    })
}

/// Scans, and writes the cron heartbeat, which also reports a scan that failed.
fn scan_and_pulse(arguments: Scan, every: Duration) -> Exit {
    let Scan { json, wizard, health, settings } = arguments;
    let filter = Filter { wizard, health: health.map(Into::into) };
    with_settings(settings, |settings, _, console| {
        let Some(directory) = &settings.daemon.heartbeat_directory else {
            return console.manual_action(&SettingsError::Missing {
                key: "daemon.heartbeat_directory",
                how: "set it in the configuration file, or by LAZARUS_HEARTBEAT_DIRECTORY, to the directory that the watcher reads",
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
                console.error(&error);
                printed
            }
        }
    })
}

/// A scan knows no phases, so only the health counts.
fn status(scanned: Option<&HealthReport>) -> JobStatus {
    let count = |health: Health| scanned.and_then(|report| report.summary.get(health.word())).copied();
    let is_found = |health: &Health| count(*health).is_some_and(|count| count > 0);
    let found = Health::ALL.into_iter().filter(is_found).map(|health| (None, Some(health)));
    job_status(scanned.is_some(), false, found)
}

fn beat_once(arguments: BeatArguments) -> Exit {
    let BeatArguments { target, state, message, session } = arguments;
    let state = match state {
        StateArgument::Working => WizardState::Working,
        StateArgument::Waiting => WizardState::Waiting,
        StateArgument::Done => WizardState::Done,
        StateArgument::Failed => WizardState::Failed,
    };
    let message = message.map(|message| usable(&message));
    let session = session.and_then(|session| session_name(&decoded("--session", &session)));
    let payload = HeartbeatPayload { state, session, sequence: None, message };
    let delivered = client(target).and_then(|client| {
        let runtime = runtime()?;
        runtime.block_on(client.deliver(&payload, now()))
    });
    delivered.map_or_else(|error| report(&error), |()| Exit::Complete)
}

/// A message that fits into a heartbeat. A notice names what was changed; the heartbeat is sent anyway.
fn usable(message: &OsStr) -> String {
    let (message, is_cut) = bounded(&decoded("--message", message));
    if is_cut {
        print_notice(&format!("`--message` has more than {MESSAGE_CHARS_MAX} characters and is cut"));
    }
    message
}

fn decoded<'a>(flag: &str, text: &'a OsStr) -> Cow<'a, str> {
    if text.to_str().is_none() {
        print_notice(&format!("`{flag}` has bytes that are not UTF-8; they are replaced by `\u{fffd}`"));
    }
    text.to_string_lossy()
}

/// Fails before the command starts, or exits with its code.
fn run(arguments: Run) -> ExitCode {
    let Run { every, target, command } = arguments;
    let prepared = client(target).and_then(|client| Ok((client, runtime()?)));
    let (client, runtime) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return report(&error).into(),
    };
    let supervised = SupervisedCommand { client, every, command, notify: print_notice };
    let code = runtime.block_on(run_command(supervised, now));
    // A heartbeat that hangs on a dead disk must not delay the exit.
    runtime.shutdown_background();
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => Console::default().failed(&format!("cannot supervise the command: {error}")).into(),
    }
}

fn report(error: &HeartbeatClientError) -> Exit {
    let console = Console::default();
    if error.needs_manual_action() { console.manual_action(error) } else { console.failed(error) }
}

fn client(target: TargetFlags) -> Result<HeartbeatClient, HeartbeatClientError> {
    let TargetFlags { cell, url, token_file } = target;
    let variable = || std::env::var_os("MISSION_CELL").filter(|cell| !cell.is_empty()).map(PathBuf::from);
    let (cell, working_directory) = (cell.or_else(variable), std::env::current_dir().unwrap_or_default());
    HeartbeatClient::find(HeartbeatTarget {
        cell: cell.as_deref(),
        url: url.as_ref(),
        token_file: token_file.as_deref(),
        working_directory: &working_directory,
    })
}

fn runtime() -> Result<Runtime, HeartbeatClientError> {
    limits::threads(DISK_THREADS)?;
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(DISK_THREADS).thread_keep_alive(FOREVER);
    builder.enable_all().build().map_err(HeartbeatClientError::Start)
}
