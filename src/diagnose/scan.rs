//! The health report of a missions root: the health of every cell, without contacting Gitea.

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
    /// When the cells were checked.
    pub generated_at: Timestamp,
    /// The directory that holds the cells.
    pub missions_root: String,
    /// The name of this host.
    pub host: String,
    /// The number of cells with each health; every key is always present. Filters do not change it.
    pub summary: BTreeMap<&'static str, usize>,
    /// The cells, by id.
    pub cells: Vec<CellReport>,
}

/// One cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellReport {
    /// The mission's id, which names the cell's directory.
    pub mission_id: MissionId,
    /// The cell's health.
    pub health: Health,
    /// The reason of the health.
    pub reason: String,
    /// Details of the reason, if its fixed word is not enough: the field, what was found, and what is correct.
    pub problem: Option<String>,
    /// The cell's path.
    pub path: String,
    /// The age of the last heartbeat, by its timestamp or by its file, whichever is older; null before the first,
    /// negative if both are ahead of the clock.
    pub heartbeat_age_seconds: Option<i64>,
    /// The state that the agent reported last; null before the first heartbeat.
    pub agent_state: Option<WizardState>,
    /// Small mistakes in the last heartbeat, which was accepted.
    pub notes: Vec<String>,
    /// The mission's phase; null for a cell without an issue.
    pub phase: Option<&'static str>,
    /// The agent who works in the cell.
    pub wizard: Option<WizardName>,
    /// Since when the health is as last published; null if it has changed since, or was never published.
    pub since: Option<Timestamp>,
    /// The issue, as `owner/name#N`.
    pub issue: Option<String>,
}

/// Selects the cells to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only cells of this agent.
    pub wizard: Option<WizardName>,
    /// Only cells with this health.
    pub health: Option<Health>,
}

/// Checks every cell in the root, and those of open issues that have vanished. Takes no lock and writes nothing.
pub fn scan(settings: &Settings, filter: &Filter, now: Timestamp) -> Result<HealthReport, RootError> {
    let root = Arc::new(settings.open_root()?);
    if root.file().is_none() {
        tracing::warn!(
            "`{}` is not initialized as a missions root yet; the first pass or `init` does that",
            root.path().display()
        );
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
    let assessor = Arc::new(Assessor { root, bound, stale_after: settings.stale_after, now });
    let cells = assess_all(&assessor, ids.into_iter().collect());
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

fn assess_all(assessor: &Arc<Assessor>, ids: Vec<MissionId>) -> Vec<CellReport> {
    let ids: Arc<[MissionId]> = ids.into();
    let (listed, shared) = (Arc::clone(&ids), Arc::clone(assessor));
    let reports =
        blocking_pool::map_with_stall_timeout(ids.len(), LOOK_PATIENCE, move |index| shared.observe(listed[index]));
    let timed_out = CellObservation::Failed(ReadFailure::Timeout);
    reports.into_iter().zip(&*ids).map(|(cell, id)| cell.unwrap_or_else(|| assessor.assess(*id, &timed_out))).collect()
}

/// The facts that all cells are assessed with.
struct Assessor {
    root: Arc<Root>,
    bound: HashMap<MissionId, Record>,
    stale_after: Duration,
    now: Timestamp,
}

impl Assessor {
    fn observe(&self, id: MissionId) -> CellReport {
        self.assess(id, &look::look(&*self.root, id, self.root.resolver()))
    }

    fn assess(&self, id: MissionId, sighting: &CellObservation) -> CellReport {
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
        let observed = facts.and_then(|cell| cell.heartbeat.as_ref());
        let stamped = observed.and_then(|observed| Some((observed.heartbeat.timestamp?, observed)));
        let published = record.and_then(|record| record.published.as_ref());
        CellReport {
            mission_id: id,
            health: verdict.health,
            reason: verdict.reason.to_string(),
            problem: verdict.problem(),
            path: self.root.path().join(id.to_string()).display().to_string(),
            heartbeat_age_seconds: stamped.map(|(stamp, observed)| age(stamp, observed, self.now).num_seconds()),
            agent_state: stamped.map(|(_, observed)| observed.heartbeat.agent_state()),
            notes: observed.map_or_else(Vec::new, ObservedHeartbeat::remarks),
            phase: published.map(|published| published.phase.word()),
            wizard: binding.and_then(|binding| binding.spec.wizard.clone()),
            since: published.and_then(|published| since(published, verdict)),
            issue: record.map(|record| format!("{}#{}", record.issue.repository, record.issue.number)),
        }
    }
}

fn since(published: &Published, verdict: Verdict) -> Option<Timestamp> {
    let is_same = published.verdict.is_some_and(|known| known.health == verdict.health);
    is_same.then_some(published.since)
}

impl HealthReport {
    /// A report of these cells, with the summary counted.
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
    /// The report as a table.
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
                let name = cell.issue.clone().unwrap_or_else(|| cell.mission_id.to_string());
                let _ = writeln!(text, "{name}: {}", Printable::new(line));
            }
        }
        text
    }
}

/// The tone of a health in tables.
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
