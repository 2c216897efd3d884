//! What an installation comes to, for people and for programs.

use crate::mission::text::Printable;
use crate::provision::install::plan::InstallStep;
use crate::world::forge::ForgeError;
use serde::Serialize;
use std::fmt;

/// One step, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// A fixed word.
    pub kind: &'static str,
    /// One line.
    pub text: String,
    /// What went wrong, and what it would need; null where nothing did, or nothing was tried.
    pub error: Option<String>,
    /// The page of what was made, where it has one.
    pub url: Option<String>,
}

/// What `install` did in one repository, or would do: an entry of `repositories` in `install --json`.
#[derive(Clone, Debug, Serialize)]
pub struct InstallReport {
    /// Whether nothing was changed.
    #[serde(rename = "dry_run")]
    pub is_preview: bool,
    /// `owner/name`
    pub repository: String,
    /// What was done, or would be.
    pub steps: Vec<StepReport>,
    /// For the person who reads.
    pub notes: Vec<String>,
}

impl InstallReport {
    /// Everything that went wrong.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.steps
            .iter()
            .filter_map(|step| Some(format!("{}: {}: {}", self.repository, step.text, step.error.as_ref()?)))
    }
}

impl StepReport {
    pub(super) fn of(step: &InstallStep, outcome: Result<Option<String>, ForgeError>) -> Self {
        let (url, error) = match outcome {
            Ok(url) => (url, None),
            Err(error) => (None, Some(describe(step, &error))),
        };
        Self { kind: step.kind(), text: step.to_string(), error, url }
    }
}

/// What went wrong, and what it needs where that is what is missing.
fn describe(step: &InstallStep, error: &ForgeError) -> String {
    match error {
        ForgeError::MissingScope { required, .. } => {
            format!("the token lacks `{required}`; this needs {}", step.needs())
        }
        ForgeError::Forbidden { message, .. } => {
            let reason = if message.is_empty() { String::new() } else { format!("; the forge says: {message}") };
            format!("the account may not do it; this needs {}{reason}", step.needs())
        }
        ForgeError::NotFound { .. } => format!("{}; this needs {}", error.found(), step.needs()),
        ForgeError::Unreachable { .. }
        | ForgeError::TimedOut { .. }
        | ForgeError::Unavailable { .. }
        | ForgeError::Unauthorized { .. }
        | ForgeError::Barred { .. }
        | ForgeError::Moved { .. }
        | ForgeError::Refused { .. }
        | ForgeError::Protocol { .. }
        | ForgeError::TooLarge { .. }
        | ForgeError::GivenUp { .. } => error.to_string(),
    }
}

/// For people: a line a step.
impl fmt::Display for InstallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_preview, repository, steps, notes } = self;
        let verb = if *is_preview { "to do" } else { "done" };
        let failed = steps.iter().filter(|step| step.error.is_some()).count();
        match (steps.len(), failed) {
            (0, _) => writeln!(f, "{repository}: nothing to do")?,
            (count, 0) => writeln!(f, "{repository}: {verb}: {count}")?,
            (count, failed) => writeln!(f, "{repository}: {verb}: {} of {count}", count - failed)?,
        }
        // What was to be done was told before; only what is news is told again.
        for step in steps.iter().filter(|step| *is_preview || step.error.is_some() || step.url.is_some()) {
            let mark = if step.error.is_some() { "failed: " } else { "" };
            let url = step.url.as_ref().map_or(String::new(), |url| format!(" ({})", Printable::new(url)));
            writeln!(f, "  {mark}{}{url}", Printable::new(&step.text))?;
        }
        notes.iter().filter(|_| *is_preview).try_for_each(|note| writeln!(f, "  note: {}", Printable::new(note)))
    }
}
