//! From a command line to an exit code: the only place where the clock is read and anything is printed.

use crate::arguments::{Beat, Command, Pass, Pit, PitCommand, Reconcile, Scan, SettingsFlags, StateArgument};
use crate::beat::{beat, find_cell};
use crate::demo::{DemoError, Directory, demo};
use crate::init::{init, init_cell};
use crate::job;
use crate::mission::heartbeat::WizardState;
use crate::mission::identity::RootId;
use crate::mission::text;
use crate::mission::time::Timestamp;
use crate::pass;
use crate::report::Report;
use crate::scan::{Filter, scan};
use crate::settings::{Environment, LogFormat, Settings};
use chrono::Utc;
use serde::Serialize;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The most troubles of one pass that standard error tells.
const TOLD_MAX: usize = 50;

/// The demo works on so many missions at once.
const DEMO_THREADS: usize = 4;

/// A pass over fewer missions than this is over before anybody wonders.
const PROGRESS_MIN: usize = 50;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Complete, and everything it had to do is done.
    Complete = 0,
    /// Incomplete, or something failed.
    Failed = 1,
    /// A person must act. Nothing was written, but for what came before a token turned out to be too narrow.
    Refused = 2,
    /// `--exit-code`: an active mission is not well.
    Alarm = 3,
    /// `--exit-code`: a dry run has changes to make.
    Changes = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// `lazarus-reconcile`
#[must_use]
pub fn reconcile(arguments: Reconcile) -> Exit {
    let Reconcile { command, pass } = arguments;
    match command {
        None => run_pass(pass),
        Some(Command::Init { replace, settings }) => run_init(settings, replace),
        Some(Command::Scan(arguments)) => run_scan(arguments),
        Some(Command::Demo { keep }) => run_demo(keep),
    }
}

/// `lazarus-pit`
#[must_use]
pub fn pit(arguments: Pit) -> Exit {
    let Pit { command, init_cell: cell, scan } = arguments;
    match (command, cell) {
        (Some(PitCommand::Beat(arguments)), _) => run_beat(&arguments),
        (None, Some(mission_id)) => {
            let Scan { json, settings, wizard: _, health: _ } = scan;
            with_settings(settings, |settings, _| match init_cell(settings, mission_id, now()) {
                Ok(scaffold) if json => print_json(&scaffold),
                Ok(scaffold) => {
                    let what = match (scaffold.created, scaffold.restored.as_slice()) {
                        (true, _) => "made".to_owned(),
                        (false, []) => "was there already".to_owned(),
                        (false, parts) => format!("was there already; made again: {}", parts.join(", ")),
                    };
                    print(&format!("{} {what}\n", scaffold.path))
                }
                Err(error) => refused(&error),
            })
        }
        (None, None) => run_scan(scan),
    }
}

/// The one reading of the clock of a command. Whole seconds, as everything that is written has them.
fn now() -> Timestamp {
    Timestamp::from(chrono::SubsecRound::trunc_subsecs(Utc::now(), 0))
}

fn run_pass(arguments: Pass) -> Exit {
    if !arguments.once && !arguments.dry_run {
        return refused(
            &"nothing to do: give `--once` for a pass or `--dry-run` to see what it would do; the daemon is not built yet",
        );
    }
    let scope = arguments.scope();
    let Pass { once: _, dry_run, issue: _, json, exit_code, settings } = arguments;
    with_settings(settings, |settings, environment| {
        let passed = match runtime(settings.concurrent_missions) {
            Ok(runtime) if dry_run => runtime.block_on(pass::preview(settings, &scope, now())),
            Ok(runtime) => runtime.block_on(pass::once(settings, &scope, now, &show_progress)),
            Err(error) => return failed(&format!("cannot start: {error}")),
        };
        match passed {
            Ok(report) => conclude(&report, settings, environment, json, exit_code),
            Err(refusal) => {
                announce(&refusal, settings.is_job);
                Exit::Refused
            }
        }
    })
}

/// Long work shows on a terminal how far it is; the line is cleared at the end.
fn show_progress(done: usize, total: usize) {
    let mut err = std::io::stderr().lock();
    if total < PROGRESS_MIN || !err.is_terminal() {
        return;
    }
    let _ = if done == total { write!(err, "\r\x1b[K") } else { write!(err, "\r{done} of {total} missions\x1b[K") };
}

fn conclude(report: &Report, settings: &Settings, environment: &Environment, json: bool, exit_code: bool) -> Exit {
    let printed = if json { print_json(report) } else { print(&report.to_string()) };
    for trouble in report.errors.iter().take(TOLD_MAX) {
        announce(&trouble.message_with_subject(), settings.is_job);
    }
    if let Some(more) = report.errors.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        announce(&format!("… and {more} more; `--json` has them all"), settings.is_job);
    }
    if settings.is_job
        && let Err(error) = job::publish(report, environment)
    {
        announce(&format!("cannot write the job's summary: {error}"), true);
        return Exit::Failed;
    }
    if report.errors.iter().any(|trouble| trouble.needs_a_token) {
        Exit::Refused
    } else if printed != Exit::Complete || !report.complete {
        Exit::Failed
    } else if exit_code && report.is_preview && report.has_changes() {
        Exit::Changes
    } else if exit_code && !report.is_preview && report.has_alarm() {
        Exit::Alarm
    } else {
        Exit::Complete
    }
}

fn run_init(flags: SettingsFlags, replaced: Option<RootId>) -> Exit {
    with_settings(flags, |settings, _| match init(settings, replaced, now()) {
        Ok(done) => {
            let path = settings.missions_root.display();
            let what = if done.is_new { "is a missions root now" } else { "is a missions root already" };
            let taken = replaced.map_or(String::new(), |old| format!(", in place of {old}"));
            print(&format!("{path} {what}: root {}{taken}\n", done.root_id))
        }
        Err(error) => refused(&error),
    })
}

fn run_demo(keep: bool) -> Exit {
    match tell_demo(keep) {
        Ok(()) => Exit::Complete,
        // Whoever reads standard output may have seen enough.
        Err(DemoError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Complete,
        Err(error) => failed(&error),
    }
}

/// Whoever interrupts it finds nothing left behind: signals are waited for before anything is made, and the directory
/// goes only when nothing writes in it any more.
fn tell_demo(keep: bool) -> Result<(), DemoError> {
    let runtime = runtime(DEMO_THREADS)?;
    let interrupted = {
        let _inside = runtime.enter();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        async move {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        }
    };
    let directory = Directory::new(keep)?;
    let out = std::io::stdout();
    let has_colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let told = runtime.block_on(async {
        tokio::select! {
            told = demo(out.lock(), has_colours, &directory, now) => told,
            () = interrupted => Err(DemoError::Io(std::io::ErrorKind::Interrupted.into())),
        }
    });
    drop(runtime);
    told
}

fn run_scan(arguments: Scan) -> Exit {
    let Scan { json, wizard, health, settings } = arguments;
    let filter = Filter { wizard, health: health.map(Into::into) };
    with_settings(settings, |settings, _| match scan(settings, &filter, now()) {
        Ok(report) if json => print_json(&report),
        Ok(report) => print(&report.to_string()),
        Err(error) => refused(&error),
    })
}

fn run_beat(arguments: &Beat) -> Exit {
    let state = match arguments.state {
        StateArgument::Working => WizardState::Working,
        StateArgument::Waiting => WizardState::Waiting,
        StateArgument::Done => WizardState::Done,
        StateArgument::Failed => WizardState::Failed,
    };
    let here = std::env::current_dir().unwrap_or_default();
    let beaten = find_cell(arguments.cell.as_deref(), &here)
        .and_then(|cell| beat(&cell, state, arguments.message.as_deref(), now()));
    match beaten {
        Ok(()) => Exit::Complete,
        Err(error) if error.needs_a_person() => refused(&error),
        Err(error) => failed(&error),
    }
}

fn with_settings(flags: SettingsFlags, run: impl FnOnce(&Settings, &Environment) -> Exit) -> Exit {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match Settings::load(&flags.into(), &environment) {
        Ok(settings) => {
            start_logging(settings.log_format);
            if let Some(source) = &settings.source {
                tracing::info!("settings: `{}`", source.display());
            }
            run(&settings, &environment)
        }
        Err(error) => {
            announce(&error, environment.get("GITEA_ACTIONS").is_some_and(|value| value == "true"));
            Exit::Refused
        }
    }
}

fn runtime(concurrent_missions: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(concurrent_missions)
        .enable_all()
        .build()
}

fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::new("lazarus=info");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.without_time().with_target(false).with_ansi(false).init(),
    }
}

fn print_json(document: &impl Serialize) -> Exit {
    match serde_json::to_string(document) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => failed(&error),
    }
}

/// Whoever reads standard output may have gone; that is no reason to panic.
fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Complete,
        Err(_) => Exit::Failed,
    }
}

/// Says on standard error what went wrong; in a job such that its log marks it.
fn announce(error: &impl Display, is_job: bool) {
    let message = one_line(&error.to_string());
    let line = if is_job { job::error_line(&message) } else { format!("error: {message}") };
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Messages may quote what strangers wrote: no control character of theirs reaches a terminal.
fn one_line(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(|line| text::without_invisible(line).0).collect();
    lines.join("\n  ")
}

fn refused(error: &impl Display) -> Exit {
    announce(error, false);
    Exit::Refused
}

fn failed(error: &impl Display) -> Exit {
    announce(error, false);
    Exit::Failed
}
