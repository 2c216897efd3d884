//! Prints results on standard output, and errors, warnings and the log on standard error.

use crate::cli::ci_job;
use crate::cli::exit::Exit;
use crate::config::{LogFormat, Settings};
use crate::diagnose::document::Document;
use crate::mission::text;
use crate::world::terminal::Printed;
use crate::world::{clock, limits};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Work that takes less time shows no progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// Formats errors: as log lines, as workflow commands in a job, or as plain text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    is_job: bool,
    is_logged: bool,
}

impl Console {
    /// A console in the format of the configuration.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { is_job: settings.is_job, is_logged: settings.log_format == LogFormat::Json || is_journal() }
    }

    /// A console without a configuration.
    #[must_use]
    pub fn without_settings(is_job: bool) -> Self {
        Self { is_job, is_logged: false }
    }

    /// Prints a result. A reader that closes the pipe early is no failure.
    #[must_use]
    pub fn print(self, text: impl Into<Printed>) -> Exit {
        let (text, mut out) = (text.into(), std::io::stdout().lock());
        match out.write_all(text.as_str().as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Exit::Complete,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Complete,
            Err(error) => {
                self.failed(&format!("cannot write to standard output: {error}; changes that were made stay"))
            }
        }
    }

    /// Prints a result as one JSON document, with the version of its schema. The result is an object.
    #[must_use]
    pub fn print_json(self, content: &impl Serialize) -> Exit {
        match serde_json::to_string(&Document::new(content)) {
            Ok(text) => self.print(&format!("{}\n", text::printable_json(&text))),
            Err(error) => self.failed(&error),
        }
    }

    /// Prints an error.
    pub fn error(self, error: &impl Display) {
        let message = one_line(&error.to_string());
        if self.is_job {
            to_stderr(&ci_job::error_line(&message));
        } else if self.is_logged {
            tracing::error!("{message}");
        } else {
            to_stderr(&format!("error: {message}"));
        }
    }

    /// Prints a failure that no later run can fix, and that does not fail this one.
    pub fn warn(self, warning: &impl Display) {
        let message = one_line(&warning.to_string());
        if self.is_job {
            to_stderr(&ci_job::warning_line(&message));
        } else if self.is_logged {
            tracing::warn!("{message}");
        } else {
            to_stderr(&format!("warning: {message}"));
        }
    }

    /// Prints an error that requires manual action.
    #[must_use]
    pub fn manual_action(self, error: &impl Display) -> Exit {
        self.error(error);
        Exit::ManualAction
    }

    /// Prints an error that a later run may fix.
    #[must_use]
    pub fn failed(self, error: &impl Display) -> Exit {
        self.error(error);
        Exit::Failed
    }
}

/// Checks that the process limits suffice; if not, prints why and returns the exit code.
#[must_use]
pub fn started() -> Option<ExitCode> {
    limits::check().err().map(|shortage| Console::default().failed(&shortage).into())
}

/// Prints a notice on standard error, which a supervised command uses too.
pub fn print_notice(message: &str) {
    to_stderr(&format!("lazarus-pit: {}", one_line(message)));
}

fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Removes control characters: a message may quote untrusted users, and must not steer a terminal.
fn one_line(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(|line| text::without_invisible(line).0).collect();
    lines.join("\n  ")
}

/// Sends the log to the journal with all its fields, if standard error is connected to it and the format is text;
/// otherwise to standard error.
pub fn start_logging(format: LogFormat) {
    let registry = tracing_subscriber::registry().with(EnvFilter::new("lazarus=info"));
    let layer = tracing_subscriber::fmt::layer().with_writer(|| OneLine(std::io::stderr()));
    // A log line that cannot be written must not panic.
    let layer = layer.log_internal_errors(false);
    match (format, journal()) {
        (LogFormat::Json, _) => registry.with(layer.json()).init(),
        (LogFormat::Text, Some(journal)) => registry.with(journal).init(),
        (LogFormat::Text, None) => registry.with(layer.without_time().with_target(false).with_ansi(false)).init(),
    }
}

/// The layer that writes to the journal. Its fields begin with `LAZARUS_`.
fn journal() -> Option<tracing_journald::Layer> {
    let journal = is_journal().then(tracing_journald::layer)?.ok()?;
    Some(journal.with_field_prefix(Some("LAZARUS".to_owned())))
}

/// Whether standard error is still the stream that the service manager connected to the journal.
fn is_journal() -> bool {
    let Ok(stderr) = rustix::fs::fstat(std::io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Keeps each log event, which is one write, on one line: text of untrusted users can neither start a line nor steer a
/// terminal.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text::without_invisible(text.trim_end_matches('\n')).0.replace('\n', r"\n");
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The progress of long work on a terminal; the line is cleared at the end.
#[derive(Debug)]
pub struct ProgressLine {
    started: Instant,
}

impl ProgressLine {
    /// Starts the clock.
    #[must_use]
    pub fn begin() -> Self {
        Self { started: clock::instant() }
    }

    /// Shows how many of all missions are done.
    pub fn show(&self, done: usize, total: usize) {
        let mut err = std::io::stderr().lock();
        if let Some(line) = progress(clock::instant() - self.started, done, total).filter(|_| err.is_terminal()) {
            let _ = write!(err, "{line}");
        }
    }
}

/// The text that a terminal shows after this time; none for short work.
#[must_use]
pub fn progress(elapsed: Duration, done: usize, total: usize) -> Option<String> {
    let line = if done == total { "\r\x1b[K".to_owned() } else { format!("\r{done} of {total} missions\x1b[K") };
    (elapsed >= PROGRESS_AFTER).then_some(line)
}
