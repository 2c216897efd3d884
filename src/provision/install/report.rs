//! The report of an installation, as text and JSON.

use crate::mission::text::Printable;
use crate::provision::install::plan::InstallStep;
use crate::world::forge::ForgeError;
use serde::Serialize;
use std::fmt;

/// One step and its result.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The fixed word for this kind of step.
    pub kind: &'static str,
    /// The step, in one line.
    pub text: String,
    /// The error, and what the step needs; null if it succeeded or was not tried.
    pub error: Option<String>,
    /// The address of the created pull request; null for other steps.
    pub url: Option<String>,
}

/// What `install` did in one repository, or would do: an entry of `repositories` in `install --json`.
#[derive(Clone, Debug, Serialize)]
pub struct InstallReport {
    /// Whether this is a dry run.
    #[serde(rename = "dry_run")]
    pub is_preview: bool,
    /// `owner/name`
    pub repository: String,
    /// The steps that were made, or would be.
    pub steps: Vec<StepReport>,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

impl InstallReport {
    /// The errors of all steps.
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

/// The error, and what the step needs if access is missing.
fn describe(step: &InstallStep, error: &ForgeError) -> String {
    match error {
        ForgeError::MissingScope { required, .. } => {
            format!("the token lacks `{required}`; this needs {}", step.needs())
        }
        ForgeError::Forbidden { message, .. } => {
            let reason = if message.is_empty() { String::new() } else { format!("; Gitea's reason: {message}") };
            format!("the account lacks access; this needs {}{reason}", step.needs())
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

/// One line per step.
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
        // The plan was printed before, so only errors and addresses are printed after it.
        for step in steps.iter().filter(|step| *is_preview || step.error.is_some() || step.url.is_some()) {
            let mark = if step.error.is_some() { "failed: " } else { "" };
            let url = step.url.as_ref().map_or(String::new(), |url| format!(" ({})", Printable::new(url)));
            writeln!(f, "  {mark}{}{url}", Printable::new(&step.text))?;
        }
        notes.iter().filter(|_| *is_preview).try_for_each(|note| writeln!(f, "  note: {}", Printable::new(note)))
    }
}
