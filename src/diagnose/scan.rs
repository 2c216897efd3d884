//! The health report of a missions root: what every cell is like, without any forge.

use crate::config::Settings;
use crate::engine::report::counted;
use crate::mission::cell::health::{Facts, Health, Verdict, age, assess};
use crate::mission::cell::heartbeat::{ObservedHeartbeat, WizardState};
use crate::mission::cell::{CellObservation, ReadFailure};
use crate::mission::identity::{MissionId, WizardName};
use crate::mission::record::{IssueState, Published, Record};
use crate::mission::text::Printable;
use crate::mission::time::{Timestamp, format_age};
use crate::world::blocking_pool::{self, LOOK_PATIENCE};
use crate::world::cells::look;
use crate::world::store::root::{Root, RootError};
use crate::world::terminal::{Printed, Table, Terminal, Tone};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// The JSON document of `scan --json` and `lazarus-pit --json`.
#[derive(Clone, Debug, Serialize)]
pub struct HealthReport {
    /// When the cells were judged.
    pub generated_at: Timestamp,
    /// Where they are.
    pub missions_root: String,
    /// This host.
    pub host: String,
    /// How many there are of each health; every key is always there. Counts all cells, filtered or not.
    pub summary: BTreeMap<&'static str, usize>,
    /// The cells, by id.
    pub cells: Vec<CellReport>,
}

/// One cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellReport {
    /// Its id.
    pub mission_id: MissionId,
    /// The verdict.
    pub health: Health,
    /// Its reason.
    pub reason: String,
    /// What is wrong with the path that the reason speaks of, where its word does not tell: which field, what was found,
    /// and what is right.
    pub problem: Option<String>,
    /// Where it is.
    pub path: String,
    /// How old the last heartbeat is, by its stamp or by its file, whichever is older; null before the first, negative
    /// when both are ahead of the clock.
    pub heartbeat_age_seconds: Option<i64>,
    /// What the wizard says of itself, once it has beaten.
    pub state: Option<WizardState>,
    /// What is remarkable about the last heartbeat, which counts nevertheless.
    pub notes: Vec<String>,
    /// The phase; null for a cell without an issue.
    pub phase: Option<&'static str>,
    /// Who works in it.
    pub wizard: Option<WizardName>,
    /// Since when health is what our last pass said; null when it has changed since, or never said.
    pub since: Option<Timestamp>,
    /// The issue, as `owner/name#N`.
    pub issue: Option<String>,
}

/// Which cells are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this wizard.
    pub wizard: Option<WizardName>,
    /// Only those with this health.
    pub health: Option<Health>,
}

/// Looks at every cell in the root, and for those that open issues had in it and that have vanished. Takes no lock and
/// writes nothing.
pub fn scan(settings: &Settings, filter: &Filter, now: Timestamp) -> Result<HealthReport, RootError> {
    let root = Arc::new(settings.open_root()?);
    if root.file().is_none() {
        tracing::warn!("`{}` is no missions root yet; the first pass or `init` makes it one", root.path().display());
    }
    let mut ids: BTreeSet<MissionId> = root.cells()?.into_iter().collect();
    let records = root.records()?;
    for message in records.damaged.values() {
        tracing::warn!("{message}");
    }
    let bound: HashMap<_, _> = records
        .by_issue
        .into_values()
        .filter_map(|record| Some((record.binding.as_ref()?.mission_id, record)))
        .collect();
    ids.extend(bound.iter().filter(|(_, record)| had_a_cell(record)).map(|(id, _)| *id));
    let judge = Arc::new(Judge { root, bound, stale_after: settings.stale_after, now });
    let cells = judge_all(&judge, ids.into_iter().collect());
    let mut report =
        HealthReport::of(now, settings.missions_root.display().to_string(), settings.host.to_string(), cells);
    report.cells.retain(|cell| {
        filter.health.is_none_or(|health| cell.health == health)
            && filter.wizard.as_ref().is_none_or(|wizard| cell.wizard.as_ref() == Some(wizard))
    });
    Ok(report)
}

fn had_a_cell(record: &Record) -> bool {
    record.state == IssueState::Open && record.binding.as_ref().is_some_and(|binding| binding.was_complete)
}

fn judge_all(judge: &Arc<Judge>, ids: Vec<MissionId>) -> Vec<CellReport> {
    let ids: Arc<[MissionId]> = ids.into();
    let (at, judging) = (Arc::clone(&ids), Arc::clone(judge));
    let judged =
        blocking_pool::map_with_stall_timeout(ids.len(), LOOK_PATIENCE, move |index| judging.look_and_judge(at[index]));
    let unseen = CellObservation::Failed(ReadFailure::Timeout);
    judged.into_iter().zip(&*ids).map(|(cell, id)| cell.unwrap_or_else(|| judge.judge(*id, &unseen))).collect()
}

/// Everything that cells are judged by.
struct Judge {
    root: Arc<Root>,
    bound: HashMap<MissionId, Record>,
    stale_after: Duration,
    now: Timestamp,
}

impl Judge {
    fn look_and_judge(&self, id: MissionId) -> CellReport {
        self.judge(id, &look::look(&*self.root, id, self.root.resolver()))
    }

    fn judge(&self, id: MissionId, sighting: &CellObservation) -> CellReport {
        let record = self.bound.get(&id);
        let binding = record.and_then(|record| record.binding.as_ref());
        let facts = sighting.cell();
        let own_limit = facts.and_then(|cell| cell.config.as_ref()?.get("stale_after_seconds")?.as_u64());
        let stale_after = binding.map(|binding| binding.spec.stale_after());
        let verdict = assess(&Facts {
            sighting,
            bound: binding.is_some(),
            ever_heartbeat: binding.is_some_and(|binding| binding.ever_heartbeat),
            stale_after: stale_after.or(own_limit.map(Duration::from_secs)).unwrap_or(self.stale_after),
            now: self.now,
        });
        let beat = facts.and_then(|cell| cell.heartbeat.as_ref());
        let stamped = beat.and_then(|beat| Some((beat.heartbeat.timestamp?, beat)));
        let said = record.and_then(|record| record.published.as_ref());
        CellReport {
            mission_id: id,
            health: verdict.health,
            reason: verdict.reason.to_string(),
            problem: verdict.problem(),
            path: self.root.path().join(id.to_string()).display().to_string(),
            heartbeat_age_seconds: stamped.map(|(stamp, beat)| age(stamp, beat, self.now).num_seconds()),
            state: stamped.map(|(_, beat)| beat.heartbeat.agent_state()),
            notes: beat.map_or_else(Vec::new, ObservedHeartbeat::remarks),
            phase: said.map(|said| said.phase.word()),
            wizard: binding.and_then(|binding| binding.spec.wizard.clone()),
            since: said.and_then(|said| since(said, verdict)),
            issue: record.map(|record| format!("{}#{}", record.issue.repository, record.issue.number)),
        }
    }
}

fn since(said: &Published, verdict: Verdict) -> Option<Timestamp> {
    let is_same = said.verdict.is_some_and(|known| known.health == verdict.health);
    is_same.then_some(said.since)
}

impl HealthReport {
    /// The report of all these cells; they are counted here.
    #[must_use]
    pub fn of(generated_at: Timestamp, missions_root: String, host: String, cells: Vec<CellReport>) -> Self {
        let mut summary: BTreeMap<_, _> = Health::ALL.map(|health| (health.word(), 0)).into_iter().collect();
        for cell in &cells {
            *summary.entry(cell.health.word()).or_default() += 1;
        }
        Self { generated_at, missions_root, host, summary, cells }
    }
}

impl HealthReport {
    /// A table for people.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let rows = self.cells.iter().map(|cell| (tone(cell.health), cell.row())).collect();
        let mut text = Table { head: ["HEALTH", "REASON", "HEARTBEAT", "WIZARD", "CELL"], rows }.render(screen);
        let counts = counted(&self.summary);
        let total: usize = self.summary.values().sum();
        let counts = if counts.is_empty() { counts } else { format!(": {counts}") };
        let plural = if total == 1 { "" } else { "s" };
        let _ = writeln!(text, "{total} cell{plural} in {}{counts}", Printable::new(&self.missions_root));
        for cell in &self.cells {
            for line in cell.problem.iter().chain(&cell.notes) {
                let whose = cell.issue.clone().unwrap_or_else(|| cell.mission_id.to_string());
                let _ = writeln!(text, "{whose}: {}", Printable::new(line));
            }
        }
        text
    }
}

/// The colour of a verdict.
#[must_use]
pub fn tone(health: Health) -> Tone {
    match health {
        Health::Healthy => Tone::Good,
        Health::Uninitialized | Health::Unknown => Tone::Doubtful,
        Health::Stale | Health::Incomplete => Tone::Bad,
    }
}

impl CellReport {
    fn row(&self) -> [String; 5] {
        let age = self.heartbeat_age_seconds.map_or("never".to_owned(), format_age);
        let wizard = self.wizard.as_ref().map_or("-".to_owned(), ToString::to_string);
        let cell = match &self.issue {
            Some(issue) => format!("{} {issue}", self.mission_id),
            None => self.mission_id.to_string(),
        };
        [self.health.to_string(), self.reason.clone(), age, wizard, cell]
    }
}
