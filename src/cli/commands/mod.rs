//! Runs the commands of `lazarus-reconcile`. Each reads the clock here, and passes the time down.

pub mod man;
pub mod serve;

use crate::cli::arguments::{
    Command, ConfigCommand, Doctor, Gc, Install, Pass, Reconcile, Scan, SettingsFlags, StatusArguments,
};
use crate::cli::ci_job;
use crate::cli::commands::man::{completions, man_page, write_man_pages};
use crate::cli::commands::serve::{ServeError, serve, stopped};
use crate::cli::console::{Console, ProgressLine, start_logging};
use crate::cli::exit::Exit;
use crate::config::{Environment, Flags, SCHEMA, Settings, SettingsError, explain_config};
use crate::demo::{DemoError, Directory, demo};
use crate::diagnose::doctor::{Diagnosis, doctor};
use crate::diagnose::scan::{Filter, HealthReport, scan};
use crate::diagnose::status::explain::explain;
use crate::diagnose::status::fleet::fleet;
use crate::engine::pass;
use crate::engine::report::Report;
use crate::mission::identity::RootId;
use crate::mission::text::Printable;
use crate::provision::gc;
use crate::provision::init::{InitError, Initialised, init};
use crate::provision::install::report::InstallReport;
use crate::provision::install::{self, InstallError};
use crate::world::blocking_pool;
use crate::world::clock::now;
use crate::world::heaps;
use crate::world::limits::{self, Shortage};
use crate::world::store::root::RootError;
use crate::world::terminal::Terminal;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The maximum number of failures of one pass on standard error.
const PRINTED_FAILURES_MAX: usize = 50;

/// Threads of the daemon, besides those for missions, that scan the cells and write heartbeats.
const DISK_THREADS: usize = 4;

/// Threads of the runtime, besides those that wait for a disk.
const WORKERS: usize = 2;

/// Threads for rendering pages and for long blocking work.
const OTHER_THREADS: usize = 2;

/// Longer than any process lives.
pub(crate) const FOREVER: Duration = Duration::from_secs(1 << 32);

/// How long a stopping daemon waits for running work.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The most threads and processes of a demo, with its forge and what git starts.
const DEMO_PROCESSES: usize = 48;

/// The number of missions that the demo processes concurrently.
const DEMO_THREADS: usize = 4;

/// `lazarus-reconcile`
#[must_use]
pub fn reconcile(arguments: Reconcile) -> Exit {
    let Reconcile { command, pass } = arguments;
    match command {
        None => run_pass(pass),
        Some(Command::Init { replace, settings }) => run_init(settings, replace),
        Some(Command::Scan(arguments)) => run_scan(arguments),
        Some(Command::Install(arguments)) => run_install(arguments),
        Some(Command::Doctor(arguments)) => run_doctor(arguments),
        Some(Command::Status(arguments)) => run_status(arguments),
        Some(Command::Config { command: ConfigCommand::Show { json, settings } }) => run_config_show(settings, json),
        Some(Command::Config { command: ConfigCommand::Schema }) => Console::default().print(SCHEMA),
        Some(Command::Gc(arguments)) => run_gc(arguments),
        Some(Command::Demo { keep }) => run_demo(keep),
        Some(Command::Completions { shell, program }) => Console::default().print(&completions(shell, program)),
        Some(Command::Man { directory }) => run_man(directory.as_deref()),
    }
}

fn run_pass(arguments: Pass) -> Exit {
    if !arguments.once && !arguments.dry_run {
        return run_daemon(arguments);
    }
    let scope = arguments.scope();
    let Pass { once: _, dry_run, issue: _, json, exit_code, allow_archive, listen: _, settings } = arguments;
    let flags = Flags { allow_archive, ..settings.into() };
    with_settings(flags, |settings, environment, console| {
        let passed = match runtime(settings.concurrent_missions) {
            Ok(runtime) if dry_run => runtime.block_on(pass::preview(settings, &scope, now())),
            Ok(runtime) => {
                let progress = ProgressLine::begin();
                runtime.block_on(pass::once(settings, &scope, now, &|done, total| progress.show(done, total)))
            }
            Err(error) => return console.failed(&error),
        };
        match passed {
            Ok(report) => {
                let printed = if json { console.print_json(&report) } else { console.print(&report.to_string()) };
                print_failures(&report, console);
                if settings.is_job
                    && let Err(error) = ci_job::publish(&report, environment)
                {
                    return console.failed(&format!("cannot write the job's summary: {error}"));
                }
                if printed == Exit::Complete { exit_of(&report, exit_code) } else { printed }
            }
            Err(error) => console.manual_action(&error),
        }
    })
}

fn run_daemon(arguments: Pass) -> Exit {
    let Pass { once: _, dry_run: _, issue, json, exit_code, allow_archive, listen, settings } = arguments;
    if issue.is_some() || json || exit_code || allow_archive.is_some() {
        let flags = "`--issue`, `--json`, `--exit-code` and `--allow-archive` require `--once` or `--dry-run`";
        return Console::default().manual_action(&flags);
    }
    // Before anything is read that cannot be read twice.
    heaps::limit();
    let flags = Flags { listen, ..settings.into() };
    with_settings(flags, |settings, _, console| {
        let served = match runtime(settings.concurrent_missions + DISK_THREADS) {
            Ok(runtime) => {
                let served = runtime.block_on(serve(settings.clone(), now));
                // Threads that hang on a disk are abandoned.
                runtime.shutdown_timeout(STOP_PATIENCE);
                served
            }
            Err(error) => return console.failed(&error),
        };
        match served {
            Ok(()) => Exit::Complete,
            Err(error) if matches!(error, ServeError::Signals(_)) => console.failed(&error),
            Err(error) => console.manual_action(&error),
        }
    })
}

fn print_failures(report: &Report, console: Console) {
    for failure in report.errors.iter().take(PRINTED_FAILURES_MAX) {
        let message = failure.message_with_subject();
        if failure.is_permanent && !failure.needs_a_token && !failure.is_of_the_pass() {
            console.warn(&message);
        } else {
            console.error(&message);
        }
    }
    if let Some(more) = report.errors.len().checked_sub(PRINTED_FAILURES_MAX).filter(|more| *more > 0) {
        console.error(&format!("… and {more} more; `--json` lists all"));
    }
}

/// The exit code of a pass.
fn exit_of(report: &Report, exit_code: bool) -> Exit {
    // A permanent failure is printed, but is no reason to run the pass again.
    let has_permanent = report.errors.iter().any(|failure| failure.is_permanent);
    if report.errors.iter().any(|failure| failure.needs_a_token) {
        Exit::ManualAction
    } else if !report.complete || report.errors.iter().any(|failure| !failure.is_permanent) {
        Exit::Failed
    } else if exit_code && report.is_preview && report.has_changes() {
        Exit::Changes
    } else if exit_code && (has_permanent || (!report.is_preview && report.has_alert())) {
        Exit::Unhealthy
    } else {
        Exit::Complete
    }
}

fn run_init(flags: SettingsFlags, replaced: Option<RootId>) -> Exit {
    with_settings(flags, |settings, _, console| match init_named(settings, replaced) {
        Ok(done) => {
            let path = Printable::new(&settings.missions_root.to_string_lossy());
            let state = if done.is_new { "is initialized" } else { "is already initialized" };
            let taken = replaced.map_or(String::new(), |old| format!(", replaces {old}"));
            let moved = done.moved_to.map_or(String::new(), |forge| format!(", now for `{forge}`"));
            console.print(&format!("{path} {state}: root {}{taken}{moved}\n", done.root_id))
        }
        Err(error) => console.manual_action(&error),
    })
}

/// Creates a root only where the user names one, never at the default path.
fn init_named(settings: &Settings, replaced: Option<RootId>) -> Result<Initialised, InitError> {
    if settings.is_root_named {
        return init(settings, replaced, now());
    }
    let how = "name the directory to initialize: pass `--root /var/missions`, or set it in LAZARUS_MISSIONS_ROOT or the \
               configuration file";
    Err(InitError::Settings(SettingsError::Missing { key: "missions_root", how }))
}

fn run_demo(keep: bool) -> Exit {
    let has_capacity = limits::threads(DEMO_PROCESSES).map_err(StartError::from);
    let runtime = match has_capacity.and_then(|()| runtime(DEMO_THREADS)) {
        Ok(runtime) => runtime,
        Err(error) => return Console::default().failed(&error),
    };
    match play_demo(runtime, keep) {
        Ok(()) => Exit::Complete,
        // A reader that closes the pipe early is no failure.
        Err(DemoError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Complete,
        Err(error) => Console::default().failed(&error),
    }
}

/// Plays the demo so that an interrupt leaves nothing behind: signals are caught before anything is created, and the
/// directory is deleted after the last writer has ended.
fn play_demo(runtime: Runtime, keep: bool) -> Result<(), DemoError> {
    let interrupted = {
        let _inside = runtime.enter();
        stopped()?
    };
    let directory = Directory::new(keep)?;
    let out = std::io::stdout();
    let has_colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let played = runtime.block_on(async {
        tokio::select! {
            played = demo(out.lock(), has_colours, &directory, now) => played,
            () = interrupted => Err(DemoError::Io(std::io::ErrorKind::Interrupted.into())),
        }
    });
    drop(runtime);
    played
}

fn run_man(directory: Option<&Path>) -> Exit {
    let console = Console::default();
    let Some(directory) = directory else { return console.print(&man_page()) };
    match write_man_pages(directory) {
        Ok(()) => Exit::Complete,
        Err(error) => console.failed(&format!("cannot write man pages into `{}`: {error}", directory.display())),
    }
}

fn run_status(arguments: StatusArguments) -> Exit {
    let StatusArguments { mission, json, settings } = arguments;
    with_settings(settings, |settings, _, console| {
        let Some(selector) = mission else {
            return match fleet(settings, now()) {
                Ok(fleet) if json => console.print_json(&fleet),
                Ok(fleet) => console.print(fleet.render(screen())),
                Err(error) => console.manual_action(&error),
            };
        };
        let explained = match runtime(settings.concurrent_missions) {
            Ok(runtime) => runtime.block_on(explain(settings, &selector, now())),
            Err(error) => return console.failed(&error),
        };
        match explained {
            Ok(explanation) if json => console.print_json(&explanation),
            Ok(explanation) => console.print(&explanation.to_string()),
            Err(error) => console.manual_action(&error),
        }
    })
}

fn run_config_show(flags: SettingsFlags, json: bool) -> Exit {
    let environment = environment();
    let is_job = environment.get("GITEA_ACTIONS").is_some_and(|value| value == "true");
    match explain_config(&flags.into(), &environment) {
        Ok(config) if json => Console::default().print_json(&config),
        Ok(config) => Console::default().print(config.render(screen())),
        Err(error) => Console::without_settings(is_job).manual_action(&error),
    }
}

fn screen() -> Terminal {
    Terminal::of_stdout(std::env::var("NO_COLOR").ok().as_deref())
}

fn run_install(arguments: Install) -> Exit {
    let Install { dry_run, only, reset_secret, json, settings } = arguments;
    with_settings(settings, |settings, _, console| {
        let runtime = match runtime(settings.concurrent_missions) {
            Ok(runtime) => runtime,
            Err(error) => return console.failed(&error),
        };
        // The JSON document at the end holds everything.
        let show = |report: &InstallReport| if json { Exit::Complete } else { console.print(&report.to_string()) };
        let installed = runtime.block_on(async {
            let (gitea, secret) = (settings.gitea()?, settings.daemon.webhook_secret()?);
            let mut reports = Vec::new();
            for prepared in install::prepare(settings, &gitea, (&only, reset_secret)).await? {
                let preview = prepared.preview();
                let mut printed = show(&preview);
                let report = if dry_run || printed != Exit::Complete {
                    preview
                } else if preview.steps.is_empty() {
                    // Nothing was left to do, but this is no dry run.
                    InstallReport { is_preview: false, ..preview }
                } else {
                    let done = prepared.apply(&gitea, secret.as_ref()).await;
                    printed = show(&done);
                    done
                };
                reports.push((printed, report));
            }
            Ok::<_, InstallError>(reports)
        });
        let (printed, reports): (Vec<Exit>, Vec<InstallReport>) = match installed {
            Ok(reports) => reports.into_iter().unzip(),
            Err(error) => return console.manual_action(&error),
        };
        let errors: Vec<String> = reports.iter().flat_map(InstallReport::errors).collect();
        for error in &errors {
            console.error(error);
        }
        let printed =
            if json { console.print_json(&InstallDocument { repositories: &reports }) } else { all_printed(&printed) };
        if errors.is_empty() { printed } else { Exit::Failed }
    })
}

/// The JSON document of `install --json`.
#[derive(Serialize)]
struct InstallDocument<'a> {
    repositories: &'a [InstallReport],
}

fn all_printed(printed: &[Exit]) -> Exit {
    printed.iter().copied().find(|exit| *exit != Exit::Complete).unwrap_or(Exit::Complete)
}

fn run_doctor(arguments: Doctor) -> Exit {
    let Doctor { json, settings } = arguments;
    let (environment, flags) = (environment(), settings.into());
    let settings = Settings::load(&flags, &environment);
    let diagnosis = match &settings {
        Ok(settings) => match runtime(settings.concurrent_missions) {
            Ok(runtime) => runtime.block_on(doctor(settings, now)),
            Err(error) => return Console::default().failed(&error),
        },
        Err(error) => Diagnosis::without_settings(error),
    };
    let console = Console::default();
    let printed = if json { console.print_json(&diagnosis) } else { console.print(diagnosis.render(screen())) };
    match settings {
        Err(_) => Exit::ManualAction,
        Ok(_) if !diagnosis.healthy => Exit::Failed,
        Ok(_) => printed,
    }
}

fn run_gc(arguments: Gc) -> Exit {
    let Gc { older_than, yes, json, settings } = arguments;
    with_settings(settings, |settings, environment, console| {
        let swept = match older_than.filter(|_| yes) {
            Some(age) => gc::sweep(settings, age, environment.get("SUDO_USER").map(String::as_str), now()),
            None => gc::list(settings, older_than, now()).map_err(gc::GcError::from),
        };
        let report = match swept {
            Ok(report) => report,
            Err(error) => return console.manual_action(&error),
        };
        let printed = if json { console.print_json(&report) } else { console.print(&report.to_string()) };
        report.errors().for_each(|error| console.error(&error));
        if report.errors().next().is_some() { Exit::Failed } else { printed }
    })
}

pub(crate) fn run_scan(arguments: Scan) -> Exit {
    let Scan { json, wizard, health, settings } = arguments;
    let filter = Filter { wizard, health: health.map(Into::into) };
    with_settings(settings, |settings, _, console| print_scan(scan(settings, &filter, now()), json, console))
}

pub(crate) fn print_scan(scanned: Result<HealthReport, RootError>, json: bool, console: Console) -> Exit {
    match scanned {
        Ok(report) if json => console.print_json(&report),
        Ok(report) => console.print(report.render(screen())),
        Err(error) => console.manual_action(&error),
    }
}

pub(crate) fn with_settings(
    flags: impl Into<Flags>,
    run: impl FnOnce(&Settings, &Environment, Console) -> Exit,
) -> Exit {
    let environment = environment();
    match Settings::load(&flags.into(), &environment) {
        Ok(settings) => {
            start_logging(settings.log_format);
            if let Some(source) = &settings.source {
                tracing::info!("configuration: `{}`", source.display());
            }
            let console = Console::new(&settings);
            settings.warnings.iter().for_each(|warning| console.warn(warning));
            run(&settings, &environment, console)
        }
        Err(error) => {
            let is_job = environment.get("GITEA_ACTIONS").is_some_and(|value| value == "true");
            Console::without_settings(is_job).manual_action(&error)
        }
    }
}

fn environment() -> Environment {
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Threads that are there are kept: later there may be none to be had.
fn runtime(concurrent_missions: usize) -> Result<Runtime, StartError> {
    limits::threads(WORKERS + concurrent_missions + blocking_pool::THREADS_MAX + OTHER_THREADS)?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(WORKERS).max_blocking_threads(concurrent_missions).thread_keep_alive(FOREVER);
    Ok(builder.enable_all().build()?)
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// Threads.
    #[error(transparent)]
    Shortage(#[from] Shortage),
    /// The runtime.
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}
