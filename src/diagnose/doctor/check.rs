//! What `doctor` says of one thing: that it is well, or what is wrong with it and what to do.

use crate::mission::text::Printable;
use crate::world::forge::ForgeError;
use crate::world::terminal::{Printed, Terminal, Tone};
use serde::Serialize;
use std::fmt::Write;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// It is as it should be.
    Pass,
    /// It could not be looked at, since something before it is wrong or nothing asks for it.
    Skipped,
    /// It works, but not as well or as safely as it should.
    Warning,
    /// It does not work.
    Failure,
}

impl CheckOutcome {
    /// All of them, as the summary counts them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Skipped, Self::Warning, Self::Failure];

    /// The word that people and programs read.
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

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a fixed word.
    pub check: &'static str,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What is wrong: a fixed word, one of [`FAULTS`]; null where nothing is.
    pub fault: Option<&'static str>,
    /// What was found.
    pub found: String,
    /// What to do next.
    pub next: Option<String>,
}

/// Every fault that is found by name, in the order of the documents.
pub const FAULTS: [&str; 69] = [
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
    /// All is well.
    #[must_use]
    pub fn pass(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, outcome: CheckOutcome::Pass, fault: None, found: found.into(), next: None }
    }

    /// It could not be looked at, and why.
    #[must_use]
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, outcome: CheckOutcome::Skipped, fault: None, found: why.into(), next: None }
    }

    /// Not as good as it should be.
    #[must_use]
    pub fn warning(
        check: &'static str,
        fault: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { outcome: CheckOutcome::Warning, ..Self::failure(check, fault, found, next) }
    }

    /// It does not work.
    #[must_use]
    pub fn failure(
        check: &'static str,
        fault: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let (found, next) = (found.into(), Some(next.into()));
        Self { check, outcome: CheckOutcome::Failure, fault: Some(fault), found, next }
    }
}

impl Check {
    /// A call to the forge that failed, in the words that a pass has for it too.
    #[must_use]
    pub fn of_forge(check: &'static str, error: &ForgeError) -> Self {
        Self::failure(check, error.fault(), error.found(), error.next())
    }

    /// One line, and below it what to do.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let Self { check, outcome, fault, found, next } = self;
        let tone = match outcome {
            CheckOutcome::Pass => Tone::Good,
            CheckOutcome::Skipped => Tone::Plain,
            CheckOutcome::Warning => Tone::Doubtful,
            CheckOutcome::Failure => Tone::Bad,
        };
        let fault = fault.map_or(String::new(), |fault| format!(" [{fault}]"));
        let mut text = Printed::default();
        text.paint(&format!("{:8}", outcome.word()), tone, screen);
        let _ = writeln!(text, " {check:11} {}{fault}", Printable::new(found));
        if let Some(next) = next {
            let _ = writeln!(text, "{:20} → {}", "", Printable::new(next));
        }
        text
    }
}
