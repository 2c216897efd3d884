//! Lists the missions of this root: every recorded issue and every cell, without contacting Gitea.

use crate::config::Settings;
use crate::diagnose::scan::{CellReport, Filter, scan, tone};
use crate::diagnose::status::for_people::for_people;
use crate::engine::report::counted;
use crate::mission::cell::health::Health;
use crate::mission::failure::MissionFailure;
use crate::mission::identity::{HostName, MissionId, WizardName};
use crate::mission::record::{IssueState, Record};
use crate::mission::status::phase::Phase;
use crate::mission::text::{Printable, shown, without_invisible};
use crate::mission::time::{Timestamp, format_age};
use crate::world::store::root::RootError;
use crate::world::terminal::{Printed, Table, Terminal, Tone};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// The kind of failure of a repository that refuses all writes.
const ARCHIVED: &str = "repository-archived";

/// A longer suspension may have been forgotten, so it is reported.
const SUSPENDED_LONG: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// The JSON document of `status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct FleetTable {
    /// When the root was read.
    pub generated_at: Timestamp,
    /// The directory that holds the cells.
    pub missions_root: String,
    /// The name of this host.
    pub host: String,
    /// The number of missions in each phase; every key is always present, `deleted`, `none` and `other-host` included.
    pub summary: BTreeMap<&'static str, usize>,
    /// Every recorded issue, by repository and number, then the cells without an issue.
    pub missions: Vec<MissionRow>,
    /// Missions that have been suspended for more than a week.
    pub suspended_long: Vec<Paused>,
    /// Permanent failures of missions, from their last turn.
    pub failures: Vec<Failing>,
    /// The error of each record that cannot be read.
    pub damaged: Vec<String>,
}

/// A permanent failure of a mission.
#[derive(Clone, Debug, Serialize)]
pub struct Failing {
    /// `owner/name#12`
    pub issue: String,
    /// The fixed word for this kind of failure.
    pub kind: String,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// The time of the first failure.
    pub since: Timestamp,
    /// Whether the status comment could not be updated.
    pub comment_out_of_date: bool,
}

/// One mission, a row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct MissionRow {
    /// `owner/name#12`; null for a cell without an issue.
    pub issue: Option<String>,
    /// The accepted title, otherwise the last one read; null for a cell without an issue.
    pub title: Option<String>,
    /// The mission's id, if it has a cell or had one.
    pub mission_id: Option<MissionId>,
    /// One of the five phases, `other-host`, `deleted`, or `none` for a cell without an issue.
    pub phase: &'static str,
    /// The current health; null without a cell.
    pub health: Option<Health>,
    /// The reason of the health.
    pub reason: Option<String>,
    /// Details of the reason, if its fixed word is not enough.
    pub problem: Option<String>,
    /// The age of the last heartbeat; null before the first.
    pub heartbeat_age_seconds: Option<i64>,
    /// Small mistakes in the last heartbeat, which was accepted.
    pub notes: Vec<String>,
    /// The agent's message, if it waits for a person or has failed, as last published.
    pub for_people: Option<String>,
    /// The agent who works in the cell.
    pub wizard: Option<WizardName>,
    /// Since when phase and health are as last published.
    pub since: Option<Timestamp>,
    /// The host that owns the mission, if it is another one.
    pub other_host: Option<HostName>,
}

/// A suspension that may have been forgotten.
#[derive(Clone, Debug, Serialize)]
pub struct Paused {
    /// `owner/name#12`
    pub issue: String,
    /// When it was suspended.
    pub since: Timestamp,
    /// The login, at that time, of the account that suspended it.
    pub by: String,
}

/// Reads all records and cells of the root. Takes no lock, sends no request and writes nothing.
pub fn fleet(settings: &Settings, now: Timestamp) -> Result<FleetTable, RootError> {
    let scanned = scan(settings, &Filter::default(), now)?;
    let records = settings.open_root()?.records()?;
    let mut cells: HashMap<MissionId, CellReport> =
        scanned.cells.into_iter().map(|cell| (cell.mission_id, cell)).collect();
    let mut by_issue: Vec<&Record> = records.by_issue.values().collect();
    by_issue.sort_by_key(|record| (record.issue.repository.to_string(), record.issue.number));
    let mut missions: Vec<MissionRow> = by_issue.iter().map(|record| MissionRow::of(record, &mut cells)).collect();
    let failures =
        by_issue.iter().zip(&missions).filter_map(|(record, mission)| Failing::of(record, mission)).collect();
    let mut left: Vec<CellReport> = cells.into_values().collect();
    left.sort_by_key(|cell| cell.mission_id);
    missions.extend(left.into_iter().map(MissionRow::without_issue));
    let words = Phase::ALL.map(Phase::word).into_iter().chain(["deleted", "none", "other-host"]);
    let mut summary: BTreeMap<&'static str, usize> = words.map(|word| (word, 0)).collect();
    for mission in &missions {
        *summary.entry(mission.phase).or_default() += 1;
    }
    Ok(FleetTable {
        generated_at: now,
        missions_root: scanned.missions_root,
        host: scanned.host,
        summary,
        missions,
        failures,
        suspended_long: by_issue.into_iter().filter_map(|record| Paused::of(record, now)).collect(),
        damaged: records.damaged.into_values().collect(),
    })
}

impl MissionRow {
    fn of(record: &Record, cells: &mut HashMap<MissionId, CellReport>) -> Self {
        let binding = record.binding.as_ref();
        let published = record.published.as_ref();
        let phase = match (&record.other_owner, record.state, published) {
            (Some(_), _, _) => "other-host",
            (None, IssueState::Deleted, _) => "deleted",
            (None, IssueState::Open | IssueState::Closed, Some(published)) => published.phase.word(),
            (None, IssueState::Closed, None) => Phase::Closed.word(),
            (None, IssueState::Open, None) => Phase::Pending.word(),
        };
        // A cell that was never complete is about to be created, and is not missing yet.
        let cell = binding.and_then(|binding| cells.remove(&binding.mission_id));
        Self {
            issue: Some(record.issue.to_string()),
            title: record.name().map(ToOwned::to_owned),
            mission_id: binding.map(|binding| binding.mission_id),
            phase,
            health: cell.as_ref().map(|cell| cell.health),
            reason: cell.as_ref().map(|cell| cell.reason.clone()),
            problem: cell.as_ref().and_then(|cell| cell.problem.clone()),
            heartbeat_age_seconds: cell.as_ref().and_then(|cell| cell.heartbeat_age_seconds),
            notes: cell.map(|cell| cell.notes).unwrap_or_default(),
            for_people: for_people(record).filter(|_| record.is_served_here()),
            wizard: binding.and_then(|binding| binding.spec.wizard.clone()),
            since: published.map(|published| published.since),
            other_host: record.other_owner.as_ref().and_then(|owner| owner.host.clone()),
        }
    }

    fn without_issue(cell: CellReport) -> Self {
        Self {
            issue: None,
            title: None,
            mission_id: Some(cell.mission_id),
            phase: "none",
            health: Some(cell.health),
            reason: Some(cell.reason),
            problem: cell.problem,
            heartbeat_age_seconds: cell.heartbeat_age_seconds,
            notes: cell.notes,
            for_people: None,
            wizard: cell.wizard,
            since: cell.since,
            other_host: None,
        }
    }

    fn name(&self) -> Option<String> {
        self.issue.clone().or(self.mission_id.map(|id| id.to_string()))
    }

    fn row(&self) -> [String; 8] {
        let age = self.heartbeat_age_seconds.map_or("-".to_owned(), format_age);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let phase = self.other_host.as_ref().map_or(self.phase.to_owned(), |host| format!("{} on {host}", self.phase));
        [
            or_dash(self.health.map(|health| health.to_string())),
            phase,
            or_dash(self.reason.clone()),
            age,
            or_dash(self.wizard.as_ref().map(ToString::to_string)),
            or_dash(self.since.map(Timestamp::formatted)),
            or_dash(self.name()),
            or_dash(self.title.as_deref().map(shown)),
        ]
    }
}

impl Failing {
    /// If nothing can be written to the issue, the comment is out of date as soon as the health has changed.
    fn of(record: &Record, mission: &MissionRow) -> Option<Self> {
        let MissionFailure { kind, message, is_permanent: _, since, is_of_comment } = *record.failure.clone()?;
        let issue = record.issue.to_string();
        let published = record.published().map(|verdict| verdict.health);
        let comment_out_of_date = is_of_comment || (kind == ARCHIVED && mission.health != published);
        Some(Self { issue, kind, message, since, comment_out_of_date })
    }
}

impl Paused {
    fn of(record: &Record, now: Timestamp) -> Option<Self> {
        let suspension = record.suspension.as_ref().filter(|_| record.state == IssueState::Open)?;
        let is_long = now.after(suspension.since) > SUSPENDED_LONG;
        let by = shown(&suspension.by.login);
        is_long.then(|| Self { issue: record.issue.to_string(), since: suspension.since, by })
    }
}

impl FleetTable {
    /// The table as text.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let rows =
            self.missions.iter().map(|mission| (mission.health.map_or(Tone::Plain, tone), mission.row())).collect();
        let head = ["HEALTH", "PHASE", "REASON", "HEARTBEAT", "WIZARD", "SINCE", "ISSUE", "TITLE"];
        let mut text = if self.missions.is_empty() { Printed::default() } else { Table { head, rows }.render(screen) };
        let count = self.missions.len();
        let root = Printable::new(&self.missions_root);
        let (plural, counts) = (if count == 1 { "" } else { "s" }, counted(&self.summary));
        let counts = if counts.is_empty() { counts } else { format!(": {counts}") };
        let _ = writeln!(text, "{count} mission{plural} of host {} in {root}{counts}", self.host);
        for mission in &self.missions {
            for line in mission.for_people.iter().chain(&mission.problem).chain(&mission.notes) {
                let _ = writeln!(text, "{}: {}", mission.name().unwrap_or_default(), Printable::new(line));
            }
        }
        for Failing { issue, kind: _, message, since, comment_out_of_date } in &self.failures {
            let line = without_invisible(message).0.split_whitespace().collect::<Vec<_>>().join(" ");
            let outdated = if *comment_out_of_date { "its comment is out of date: " } else { "" };
            let _ = writeln!(text, "{issue} has been failing since {}: {outdated}{line}", since.formatted());
        }
        for Paused { issue, since, by } in &self.suspended_long {
            let _ =
                writeln!(text, "{issue} has been suspended since {} by {by}, for more than a week", since.formatted());
        }
        for message in &self.damaged {
            let _ = writeln!(text, "{}", Printable::new(message));
        }
        text
    }
}
