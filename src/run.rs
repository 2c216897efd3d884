//! From a command line to an exit code: each command reads the clock here, and hands the time down.

use crate::arguments::{Command, ConfigCommand, Doctor, Gc, Install, Pass, Reconcile, Scan, SettingsFlags, Status};
use crate::console::{Console, Progress, start_logging};
use crate::demo::{DemoError, Directory, demo};
use crate::doctor::{Diagnosis, doctor};
use crate::exit::Exit;
use crate::gc;
use crate::init::{InitError, Initialised, init};
use crate::install::report::InstallReport;
use crate::install::{self, InstallError};
use crate::job;
use crate::manual::{completions, man_page, write_man_pages};
use crate::mission::identity::RootId;
use crate::mission::text::Printable;
use crate::pass;
use crate::report::Report;
use crate::scan::{Filter, HealthReport, scan};
use crate::screen::Screen;
use crate::serve::{ServeError, serve, stopped};
use crate::settings::{Environment, Flags, SCHEMA, Settings, SettingsError, shown};
use crate::status::fleet::fleet;
use crate::status::story::story;
use crate::world::clock::now;
use crate::world::heaps;
use crate::world::root::RootError;
use std::io::IsTerminal;
use std::path::Path;

/// The most troubles of one pass that standard error tells.
const TOLD_MAX: usize = 50;

/// Besides the missions, a daemon sweeps over the cells and takes heartbeats.
const DISK_THREADS: usize = 4;

/// How long a daemon that was told to stop waits for what is under way.
const STOP_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The demo works on so many missions at once.
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
                let progress = Progress::begin();
                runtime.block_on(pass::once(settings, &scope, now, &|done, total| progress.show(done, total)))
            }
            Err(error) => return console.failed(&format!("cannot start: {error}")),
        };
        match passed {
            Ok(report) => {
                let printed = if json { console.print_json(&report) } else { console.print(&report.to_string()) };
                tell_troubles(&report, console);
                if settings.is_job
                    && let Err(error) = job::publish(&report, environment)
                {
                    return console.failed(&format!("cannot write the job's summary: {error}"));
                }
                if printed == Exit::Complete { judged(&report, exit_code) } else { printed }
            }
            Err(refusal) => console.refused(&refusal),
        }
    })
}

fn run_daemon(arguments: Pass) -> Exit {
    let Pass { once: _, dry_run: _, issue, json, exit_code, allow_archive, listen, settings } = arguments;
    if issue.is_some() || json || exit_code || allow_archive.is_some() {
        let flags = "`--issue`, `--json`, `--exit-code` and `--allow-archive` go with `--once` or `--dry-run`";
        return Console::default().refused(&flags);
    }
    // Before anything is read that cannot be read twice.
    heaps::limit();
    let flags = Flags { listen, ..settings.into() };
    with_settings(flags, |settings, _, console| {
        let served = match runtime(settings.concurrent_missions + DISK_THREADS) {
            Ok(runtime) => {
                let served = runtime.block_on(serve(settings.clone(), now));
                // What hangs on a disk is left behind.
                runtime.shutdown_timeout(STOP_PATIENCE);
                served
            }
            Err(error) => return console.failed(&format!("cannot start: {error}")),
        };
        match served {
            Ok(()) => Exit::Complete,
            Err(error) if matches!(error, ServeError::Signals(_)) => console.failed(&error),
            Err(error) => console.refused(&error),
        }
    })
}

fn tell_troubles(report: &Report, console: Console) {
    for trouble in report.errors.iter().take(TOLD_MAX) {
        let message = trouble.message_with_subject();
        if trouble.is_permanent && !trouble.needs_a_token && !trouble.is_of_the_pass() {
            console.warn(&message);
        } else {
            console.announce(&message);
        }
    }
    if let Some(more) = report.errors.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        console.announce(&format!("… and {more} more; `--json` has them all"));
    }
}

/// What the pass was like, as an exit code.
fn judged(report: &Report, exit_code: bool) -> Exit {
    // What no other pass can help is told, and is nobody's reason to run this one again.
    let has_given_up = report.errors.iter().any(|trouble| trouble.is_permanent);
    if report.errors.iter().any(|trouble| trouble.needs_a_token) {
        Exit::Refused
    } else if !report.complete || report.errors.iter().any(|trouble| !trouble.is_permanent) {
        Exit::Failed
    } else if exit_code && report.is_preview && report.has_changes() {
        Exit::Changes
    } else if exit_code && (has_given_up || (!report.is_preview && report.has_alarm())) {
        Exit::Alarm
    } else {
        Exit::Complete
    }
}

fn run_init(flags: SettingsFlags, replaced: Option<RootId>) -> Exit {
    with_settings(flags, |settings, _, console| match init_named(settings, replaced) {
        Ok(done) => {
            let path = Printable::new(&settings.missions_root.to_string_lossy());
            let what = if done.is_new { "is a missions root now" } else { "is a missions root already" };
            let taken = replaced.map_or(String::new(), |old| format!(", in place of {old}"));
            let moved = done.moved_to.map_or(String::new(), |forge| format!(", of the forge `{forge}`"));
            console.print(&format!("{path} {what}: root {}{taken}{moved}\n", done.root_id))
        }
        Err(error) => console.refused(&error),
    })
}

/// A directory is made on purpose, and so where somebody has said.
fn init_named(settings: &Settings, replaced: Option<RootId>) -> Result<Initialised, InitError> {
    if settings.is_root_named {
        return init(settings, replaced, now());
    }
    let how = "say which directory is to become a root: give `--root /var/missions`, or set LAZARUS_MISSIONS_ROOT or the \
               settings file";
    Err(InitError::Settings(SettingsError::Missing { key: "missions_root", how }))
}

fn run_demo(keep: bool) -> Exit {
    match tell_demo(keep) {
        Ok(()) => Exit::Complete,
        // Whoever reads standard output may have seen enough.
        Err(DemoError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Complete,
        Err(error) => Console::default().failed(&error),
    }
}

/// Whoever interrupts it finds nothing left behind: signals are waited for before anything is made, and the directory
/// goes only when nothing writes in it any more.
fn tell_demo(keep: bool) -> Result<(), DemoError> {
    let runtime = runtime(DEMO_THREADS)?;
    let interrupted = {
        let _inside = runtime.enter();
        stopped()?
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

fn run_man(directory: Option<&Path>) -> Exit {
    let console = Console::default();
    let Some(directory) = directory else { return console.print(&man_page()) };
    match write_man_pages(directory) {
        Ok(()) => Exit::Complete,
        Err(error) => console.failed(&format!("cannot write man pages into `{}`: {error}", directory.display())),
    }
}

fn run_status(arguments: Status) -> Exit {
    let Status { mission, json, settings } = arguments;
    with_settings(settings, |settings, _, console| {
        let Some(subject) = mission else {
            return match fleet(settings, now()) {
                Ok(fleet) if json => console.print_json(&fleet),
                Ok(fleet) => console.print(fleet.render(screen())),
                Err(error) => console.refused(&error),
            };
        };
        let told = match runtime(settings.concurrent_missions) {
            Ok(runtime) => runtime.block_on(story(settings, &subject, now())),
            Err(error) => return console.failed(&format!("cannot start: {error}")),
        };
        match told {
            Ok(story) if json => console.print_json(&story),
            Ok(story) => console.print(&story.to_string()),
            Err(error) => console.refused(&error),
        }
    })
}

fn run_config_show(flags: SettingsFlags, json: bool) -> Exit {
    let environment = environment();
    let is_job = environment.get("GITEA_ACTIONS").is_some_and(|value| value == "true");
    match shown(&flags.into(), &environment) {
        Ok(shown) if json => Console::default().print_json(&shown),
        Ok(shown) => Console::default().print(shown.render(screen())),
        Err(error) => Console::without_settings(is_job).refused(&error),
    }
}

fn screen() -> Screen {
    Screen::of_stdout(std::env::var("NO_COLOR").ok().as_deref())
}

fn run_install(arguments: Install) -> Exit {
    let Install { dry_run, only, reset_secret, json, settings } = arguments;
    with_settings(settings, |settings, _, console| {
        let runtime = match runtime(settings.concurrent_missions) {
            Ok(runtime) => runtime,
            Err(error) => return console.failed(&format!("cannot start: {error}")),
        };
        // For programs, what was done is enough.
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
                    // Nothing was to be done, and that is no dry run.
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
            Err(error) => return console.refused(&error),
        };
        let errors: Vec<String> = reports.iter().flat_map(InstallReport::errors).collect();
        for error in &errors {
            console.announce(error);
        }
        let printed = if json { console.print_json(&reports) } else { all_printed(&printed) };
        if errors.is_empty() { printed } else { Exit::Failed }
    })
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
            Err(error) => return Console::default().failed(&format!("cannot start: {error}")),
        },
        Err(error) => Diagnosis::without_settings(error),
    };
    let console = Console::default();
    let printed = if json { console.print_json(&diagnosis) } else { console.print(diagnosis.render(screen())) };
    match settings {
        Err(_) => Exit::Refused,
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
            Err(error) => return console.refused(&error),
        };
        let printed = if json { console.print_json(&report) } else { console.print(&report.to_string()) };
        report.errors().for_each(|error| console.announce(&error));
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
        Err(error) => console.refused(&error),
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
                tracing::info!("settings: `{}`", source.display());
            }
            let console = Console::new(&settings);
            settings.warnings.iter().for_each(|warning| console.warn(warning));
            run(&settings, &environment, console)
        }
        Err(error) => {
            let is_job = environment.get("GITEA_ACTIONS").is_some_and(|value| value == "true");
            Console::without_settings(is_job).refused(&error)
        }
    }
}

fn environment() -> Environment {
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

fn runtime(concurrent_missions: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(concurrent_missions)
        .enable_all()
        .build()
}
