//! Checks everything that a pass depends on, and names the cause of each problem and the next command.

mod accounts;
mod alerts;
mod check;
mod daemon;
mod forge;
mod host;
mod labels;
mod repository;
mod root;
mod token;
mod worktrees;

pub use check::{CODES, Check, CheckOutcome};

use crate::config::{Settings, SettingsError};
use crate::mission::time::Timestamp;
use crate::world::forge::Gitea;
use crate::world::terminal::{Printed, Terminal};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The JSON document of `doctor --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// Whether no check failed; warnings do not count.
    pub healthy: bool,
    /// The number of checks with each outcome; every key is always present.
    pub summary: BTreeMap<&'static str, usize>,
    /// The checks, in the order in which they ran.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    fn of(checks: Vec<Check>) -> Self {
        let mut summary: BTreeMap<_, _> = CheckOutcome::ALL.map(|outcome| (outcome.word(), 0)).into_iter().collect();
        for check in &checks {
            *summary.entry(check.outcome.word()).or_default() += 1;
        }
        let healthy = checks.iter().all(|check| check.outcome != CheckOutcome::Failure);
        Self { healthy, summary, checks }
    }

    /// The diagnosis if the configuration cannot be used, so that nothing else can be checked.
    #[must_use]
    pub fn without_settings(error: &SettingsError) -> Self {
        let next = "fix it; `lazarus-reconcile config schema` prints all keys and their values";
        Self::of(vec![Check::failure("config", "configuration-unusable", error.to_string(), next)])
    }
}

impl Diagnosis {
    /// One line per check, and the counts.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let mut text = Printed::default();
        self.checks.iter().for_each(|check| text.append(&check.render(screen)));
        let [passed, skipped, warnings, failures] = CheckOutcome::ALL.map(|outcome| self.summary[outcome.word()]);
        let counts = format!("{passed} passed, {skipped} skipped, {warnings} warnings, {failures} failed");
        let _ = writeln!(text, "{counts}");
        text
    }
}

/// Runs all checks. Writes nothing to the forge, and in the root only one file, which is renamed and removed again.
/// `clock` is read together with the forge's clock.
pub async fn doctor(settings: &Settings, clock: fn() -> Timestamp) -> Diagnosis {
    let source = settings.source.as_ref().map_or("defaults, environment and flags".to_owned(), |source| {
        format!("`{}`, then environment and flags", source.display())
    });
    let mut checks = vec![Check::pass("config", source)];
    let root = root::check(settings, &mut checks);
    host::check(settings, &mut checks);
    if let Some(gitea) = check_forge(settings, clock, &mut checks).await {
        let manifest = root.as_ref().and_then(|root| root.file()).map(|file| &file.manifest);
        repository::check(settings, &gitea, manifest, &mut checks).await;
        worktrees::check(settings, &gitea, &mut checks).await;
        alerts::check(settings, &gitea, &mut checks).await;
    }
    daemon::check(settings, root.as_ref(), &mut checks).await;
    Diagnosis::of(checks)
}

/// A client for the forge, if the token works.
async fn check_forge(settings: &Settings, clock: fn() -> Timestamp, checks: &mut Vec<Check>) -> Option<Gitea> {
    let gitea = forge::check(settings, clock, checks).await?;
    token::check(settings, gitea, checks).await
}
