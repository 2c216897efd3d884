//! Looks at everything that a pass depends on, and names the cause of what is wrong and the next command.

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

pub use check::{Check, CheckOutcome, FAULTS};

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
    /// Whether nothing fails; warnings may be left.
    pub healthy: bool,
    /// How many checks came out how; every key is always there.
    pub summary: BTreeMap<&'static str, usize>,
    /// What was looked at, in this order.
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

    /// The settings cannot be used, so nothing else can be looked at.
    #[must_use]
    pub fn without_settings(error: &SettingsError) -> Self {
        let next = "put that right; `lazarus-reconcile config schema` says what may stand there";
        Self::of(vec![Check::failure("settings", "configuration-unusable", error.to_string(), next)])
    }
}

impl Diagnosis {
    /// One line a check, and the counts.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let mut text = Printed::default();
        self.checks.iter().for_each(|check| text.append(&check.render(screen)));
        let [passed, skipped, warnings, failures] = CheckOutcome::ALL.map(|outcome| self.summary[outcome.word()]);
        let counts = format!("{passed} passed, {skipped} skipped, {warnings} to look at, {failures} failed");
        let _ = writeln!(text, "{counts}");
        text
    }
}

/// Looks at everything. Nothing is written but a file that is renamed within the root and removed again, and nothing on
/// the forge. `clock` is read when the forge's clock is.
pub async fn doctor(settings: &Settings, clock: fn() -> Timestamp) -> Diagnosis {
    let source = settings.source.as_ref().map_or("defaults, environment and flags alone".to_owned(), |source| {
        format!("`{}`, then environment and flags", source.display())
    });
    let mut checks = vec![Check::pass("settings", source)];
    let root = root::look(settings, &mut checks);
    host::look(settings, &mut checks);
    if let Some(gitea) = look_at_forge(settings, clock, &mut checks).await {
        let manifest = root.as_ref().and_then(|root| root.file()).map(|file| &file.manifest);
        repository::look(settings, &gitea, manifest, &mut checks).await;
        worktrees::look(settings, &gitea, &mut checks).await;
        alerts::look(settings, &gitea, &mut checks).await;
    }
    daemon::look(settings, root.as_ref(), &mut checks).await;
    Diagnosis::of(checks)
}

/// A client that the forge answers to, if there is one.
async fn look_at_forge(settings: &Settings, clock: fn() -> Timestamp, checks: &mut Vec<Check>) -> Option<Gitea> {
    let gitea = forge::look(settings, clock, checks).await?;
    token::look(settings, gitea, checks).await
}
