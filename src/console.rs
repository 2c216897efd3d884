//! What people and programs are told: results on standard output, trouble on standard error.

use crate::exit::Exit;
use crate::job;
use crate::mission::text;
use crate::settings::{LogFormat, Settings};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

/// A pass over fewer missions than this is over before anybody wonders.
const PROGRESS_MIN: usize = 50;

/// How errors look: as the log does, and in a job such that its log marks them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    is_job: bool,
    is_json: bool,
}

impl Console {
    /// As the settings have it.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { is_job: settings.is_job, is_json: settings.log_format == LogFormat::Json }
    }

    /// Before there are settings.
    #[must_use]
    pub fn without_settings(is_job: bool) -> Self {
        Self { is_job, is_json: false }
    }

    /// Prints a result. Whoever reads it may have seen enough and gone, which is no failure.
    #[must_use]
    pub fn print(self, text: &str) -> Exit {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Exit::Complete,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Complete,
            Err(error) => self.failed(&format!("cannot write to standard output: {error}; what was done stays done")),
        }
    }

    /// Prints a result as one JSON document.
    #[must_use]
    pub fn print_json(self, document: &impl Serialize) -> Exit {
        match serde_json::to_string(document) {
            Ok(text) => self.print(&format!("{text}\n")),
            Err(error) => self.failed(&error),
        }
    }

    /// Says what went wrong.
    pub fn announce(self, error: &impl Display) {
        let message = one_line(&error.to_string());
        if self.is_job {
            to_stderr(&job::error_line(&message));
        } else if self.is_json {
            tracing::error!("{message}");
        } else {
            to_stderr(&format!("error: {message}"));
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

fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Messages may quote what strangers wrote: no control character of theirs reaches a terminal.
fn one_line(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(|line| text::without_invisible(line).0).collect();
    lines.join("\n  ")
}

/// Sends the log to standard error.
pub fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::new("lazarus=info");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // That a line cannot be written must not end what it tells of.
    let builder = builder.log_internal_errors(false);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.without_time().with_target(false).with_ansi(false).init(),
    }
}

/// Long work shows on a terminal how far it is; the line is cleared at the end.
pub fn show_progress(done: usize, total: usize) {
    let mut err = std::io::stderr().lock();
    if total < PROGRESS_MIN || !err.is_terminal() {
        return;
    }
    let _ = if done == total { write!(err, "\r\x1b[K") } else { write!(err, "\r{done} of {total} missions\x1b[K") };
}
