//! What people and programs are told: results on standard output, trouble on standard error.

use crate::cli::ci_job;
use crate::cli::exit::Exit;
use crate::config::{LogFormat, Settings};
use crate::diagnose::document::Document;
use crate::mission::text;
use crate::world::clock;
use crate::world::terminal::Printed;
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is over before is over before anybody wonders.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How errors look: as the log does, and in a job such that its log marks them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    is_job: bool,
    is_logged: bool,
}

impl Console {
    /// As the settings have it.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { is_job: settings.is_job, is_logged: settings.log_format == LogFormat::Json || leads_to_journal() }
    }

    /// Before there are settings.
    #[must_use]
    pub fn without_settings(is_job: bool) -> Self {
        Self { is_job, is_logged: false }
    }

    /// Prints a result. Whoever reads it may have seen enough and gone, which is no failure.
    #[must_use]
    pub fn print(self, text: impl Into<Printed>) -> Exit {
        let (text, mut out) = (text.into(), std::io::stdout().lock());
        match out.write_all(text.as_str().as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Exit::Complete,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Complete,
            Err(error) => self.failed(&format!("cannot write to standard output: {error}; what was done stays done")),
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

    /// Says what went wrong.
    pub fn announce(self, error: &impl Display) {
        let message = one_line(&error.to_string());
        if self.is_job {
            to_stderr(&ci_job::error_line(&message));
        } else if self.is_logged {
            tracing::error!("{message}");
        } else {
            to_stderr(&format!("error: {message}"));
        }
    }

    /// Says what went wrong that no other run mends, and that is no failure of this one.
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

    /// Says why a person must act.
    #[must_use]
    pub fn refused(self, error: &impl Display) -> Exit {
        self.announce(error);
        Exit::Refused
    }

    /// Says what failed.
    #[must_use]
    pub fn failed(self, error: &impl Display) -> Exit {
        self.announce(error);
        Exit::Failed
    }
}

/// Says something beside a command that has standard error too.
pub fn say_beside(message: &str) {
    to_stderr(&format!("lazarus-pit: {}", one_line(message)));
}

fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Messages may quote what strangers wrote: no control character of theirs reaches a terminal.
fn one_line(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(|line| text::without_invisible(line).0).collect();
    lines.join("\n  ")
}

/// Sends the log to the journal with all its fields, where standard error leads there and nobody asked for JSON lines;
/// else to standard error.
pub fn start_logging(format: LogFormat) {
    let registry = tracing_subscriber::registry().with(EnvFilter::new("lazarus=info"));
    let layer = tracing_subscriber::fmt::layer().with_writer(|| OneLine(std::io::stderr()));
    // That a line cannot be written must not end what it tells of.
    let layer = layer.log_internal_errors(false);
    match (format, journal()) {
        (LogFormat::Json, _) => registry.with(layer.json()).init(),
        (LogFormat::Text, Some(journal)) => registry.with(journal).init(),
        (LogFormat::Text, None) => registry.with(layer.without_time().with_target(false).with_ansi(false)).init(),
    }
}

/// The journal, under the name of this program. Fields of ours begin with `LAZARUS_`.
fn journal() -> Option<tracing_journald::Layer> {
    let journal = leads_to_journal().then(tracing_journald::layer)?.ok()?;
    Some(journal.with_field_prefix(Some("LAZARUS".to_owned())))
}

/// Whether standard error is what the service manager has connected with the journal, and nobody has led it elsewhere.
fn leads_to_journal() -> bool {
    let Ok(stderr) = rustix::fs::fstat(std::io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Takes the events of a log, each by one write, and keeps each on one line: what strangers wrote can neither begin a
/// line of its own nor steer a terminal.
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

/// Work that takes its time shows on a terminal how far it is; the line is cleared at the end.
#[derive(Debug)]
pub struct ProgressLine {
    started: Instant,
}

impl ProgressLine {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { started: clock::instant() }
    }

    /// Says that so much of all is done.
    pub fn show(&self, done: usize, total: usize) {
        let mut err = std::io::stderr().lock();
        if let Some(line) = progress(clock::instant() - self.started, done, total).filter(|_| err.is_terminal()) {
            let _ = write!(err, "{line}");
        }
    }
}

/// What a terminal is told after so long; nothing of what is over before anybody wonders.
#[must_use]
pub fn progress(elapsed: Duration, done: usize, total: usize) -> Option<String> {
    let line = if done == total { "\r\x1b[K".to_owned() } else { format!("\r{done} of {total} missions\x1b[K") };
    (elapsed >= PROGRESS_AFTER).then_some(line)
}
