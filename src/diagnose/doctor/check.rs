//! The result of one check of `doctor`: a pass, or a problem with its code and the next command.

use crate::mission::text::Printable;
use crate::world::forge::ForgeError;
use crate::world::terminal::{Printed, Terminal, Tone};
use serde::Serialize;
use std::fmt::Write;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// No problem.
    Pass,
    /// Not checked: an earlier check failed, or the feature is not configured.
    Skipped,
    /// It works, but not as reliably or safely as it should.
    Warning,
    /// It does not work.
    Failure,
}

impl CheckOutcome {
    /// All outcomes, in the order of the summary.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Skipped, Self::Warning, Self::Failure];

    /// The fixed word in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The subject of the check: a fixed word.
    pub check: &'static str,
    /// The outcome.
    pub outcome: CheckOutcome,
    /// The code of the problem, one of [`CODES`]; null without one.
    pub code: Option<&'static str>,
    /// The finding, in one sentence.
    pub found: String,
    /// The next command or step; null without a problem.
    pub next: Option<String>,
}

/// Every code, in the order of the reference.
pub const CODES: [&str; 69] = [
    "configuration-unusable",
    "forge-not-set",
    "forge-unresolved",
    "forge-refused",
    "forge-unreachable",
    "forge-silent",
    "forge-unavailable",
    "forge-not-gitea",
    "forge-too-old",
    "forge-version-unknown",
    "request-refused",
    "tls-ca-unknown",
    "tls-expired",
    "tls-wrong-name",
    "tls-not-spoken",
    "tls-failed",
    "http-not-spoken",
    "tls-ca-file",
    "token-missing",
    "token-refused",
    "token-scope-missing",
    "token-scope-excess",
    "token-of-admin",
    "account-barred",
    "account-unknown",
    "approver-is-bot",
    "clock-off",
    "repositories-not-set",
    "repository-missing",
    "repository-moved",
    "repository-taken-over",
    "repository-archived",
    "repository-no-issues",
    "repository-external-tracker",
    "repository-read-only",
    "strangers-may-file",
    "form-missing",
    "form-invalid",
    "form-differs",
    "worktree-unavailable",
    "label-missing",
    "label-not-exclusive",
    "label-scope-shared",
    "notify-issue-missing",
    "notify-issue-archived",
    "notify-mention-unknown",
    "root-missing",
    "root-unusable",
    "root-not-initialised",
    "root-occupied",
    "root-damaged",
    "root-owner",
    "root-open",
    "root-readable",
    "root-foreign",
    "root-full",
    "root-unwritable",
    "record-damaged",
    "group-missing",
    "git-missing",
    "heartbeat-directory",
    "service-failed",
    "daemon-not-ready",
    "webhook-not-set-up",
    "webhook-unsigned",
    "webhook-silent",
    "ping-redirects",
    "ping-fails",
    "webhook-events-missing",
];

impl Check {
    /// A check without a problem.
    #[must_use]
    pub fn pass(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, outcome: CheckOutcome::Pass, code: None, found: found.into(), next: None }
    }

    /// A check that was not made, and the reason.
    #[must_use]
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, outcome: CheckOutcome::Skipped, code: None, found: why.into(), next: None }
    }

    /// A problem that does not stop the service.
    #[must_use]
    pub fn warning(check: &'static str, code: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { outcome: CheckOutcome::Warning, ..Self::failure(check, code, found, next) }
    }

    /// A problem that stops the service, or a part of it.
    #[must_use]
    pub fn failure(check: &'static str, code: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        let (found, next) = (found.into(), Some(next.into()));
        Self { check, outcome: CheckOutcome::Failure, code: Some(code), found, next }
    }
}

impl Check {
    /// A failed request to the forge, with the texts that a pass uses too.
    #[must_use]
    pub fn of_forge(check: &'static str, error: &ForgeError) -> Self {
        Self::failure(check, error.fault(), error.found(), error.next())
    }

    /// One line, and the next step below it.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let Self { check, outcome, code, found, next } = self;
        let tone = match outcome {
            CheckOutcome::Pass => Tone::Good,
            CheckOutcome::Skipped => Tone::Plain,
            CheckOutcome::Warning => Tone::Doubtful,
            CheckOutcome::Failure => Tone::Bad,
        };
        let code = code.map_or(String::new(), |code| format!(" [{code}]"));
        let mut text = Printed::default();
        text.paint(&format!("{:8}", outcome.word()), tone, screen);
        let _ = writeln!(text, " {check:11} {}{code}", Printable::new(found));
        if let Some(next) = next {
            let _ = writeln!(text, "{:20} → {}", "", Printable::new(next));
        }
        text
    }
}
