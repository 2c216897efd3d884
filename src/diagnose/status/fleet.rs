//! The fleet of this root: every issue that is remembered and every cell, without asking the forge.

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

/// The kind of failure of a repository that refuses every write.
const ARCHIVED: &str = "repository-archived";

/// A pause that lasts longer may have been forgotten.
const SUSPENDED_LONG: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// The JSON document of `status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct FleetTable {
    /// When it was looked at.
    pub generated_at: Timestamp,
    /// Where the cells are.
    pub missions_root: String,
    /// This host.
    pub host: String,
    /// How many missions there are in each phase; every key is always there, as are `elsewhere`, `gone` and `none`.
    pub summary: BTreeMap<&'static str, usize>,
    /// Every issue that is remembered, by repository and number, and then the cells without one.
    pub missions: Vec<MissionRow>,
    /// Issues and cells whose mission has been paused for more than a week.
    pub suspended_long: Vec<Paused>,
    /// What failed for a mission in its last turn, and stays so until a person does something.
    pub failures: Vec<Failing>,
    /// Records that cannot be read, in words.
    pub damaged: Vec<String>,
}

/// What fails for a mission.
#[derive(Clone, Debug, Serialize)]
pub struct Failing {
    /// `owner/name#12`
    pub issue: String,
    /// The fixed word.
    pub kind: String,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it is that our comment could not be written, so that it does not say what is so.
    pub comment_out_of_date: bool,
}

/// One mission.
#[derive(Clone, Debug, Serialize)]
pub struct MissionRow {
    /// `owner/name#12`; null for a cell without an issue.
    pub issue: Option<String>,
    /// The title, as accepted, or as it was read last; null for a cell without an issue.
    pub title: Option<String>,
    /// Its id, where it has a cell or had one.
    pub mission_id: Option<MissionId>,
    /// One of the five phases, `elsewhere`, `gone`, or `none` for a cell without an issue.
    pub phase: &'static str,
    /// The verdict of this moment, with a cell.
    pub health: Option<Health>,
    /// Its reason.
    pub reason: Option<String>,
    /// What is wrong with the path that the reason speaks of, where its word does not tell.
    pub problem: Option<String>,
    /// How old the last heartbeat is.
    pub heartbeat_age_seconds: Option<i64>,
    /// What is remarkable about the last heartbeat, which counts nevertheless.
    pub notes: Vec<String>,
    /// What its wizard wants people to read, where it waits for them or has failed, as it was published last.
    pub for_people: Option<String>,
    /// Who works in it.
    pub wizard: Option<WizardName>,
    /// Since when phase and health are as they were told last.
    pub since: Option<Timestamp>,
    /// Where it is, when that is elsewhere.
    pub elsewhere: Option<HostName>,
}

/// A pause that may have been forgotten.
#[derive(Clone, Debug, Serialize)]
pub struct Paused {
    /// `owner/name#12`
    pub issue: String,
    /// Since when.
    pub since: Timestamp,
    /// By whom, by the login at that time.
    pub by: String,
}

/// Looks at everything in the root. Takes no lock, asks nobody and writes nothing.
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
    let words = Phase::ALL.map(Phase::word).into_iter().chain(["elsewhere", "gone", "none"]);
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
        let said = record.published.as_ref();
        let phase = match (&record.other_owner, record.state, said) {
            (Some(_), _, _) => "elsewhere",
            (None, IssueState::Deleted, _) => "gone",
            (None, IssueState::Open | IssueState::Closed, Some(said)) => said.phase.word(),
            (None, IssueState::Closed, None) => Phase::Closed.word(),
            (None, IssueState::Open, None) => Phase::Pending.word(),
        };
        // A cell that was never seen whole is about to be made, and is no news yet.
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
            since: said.map(|said| said.since),
            elsewhere: record.other_owner.as_ref().and_then(|elsewhere| elsewhere.host.clone()),
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
            elsewhere: None,
        }
    }

    fn who(&self) -> Option<String> {
        self.issue.clone().or(self.mission_id.map(|id| id.to_string()))
    }

    fn row(&self) -> [String; 8] {
        let age = self.heartbeat_age_seconds.map_or("-".to_owned(), format_age);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let phase = self.elsewhere.as_ref().map_or(self.phase.to_owned(), |host| format!("{} on {host}", self.phase));
        [
            or_dash(self.health.map(|health| health.to_string())),
            phase,
            or_dash(self.reason.clone()),
            age,
            or_dash(self.wizard.as_ref().map(ToString::to_string)),
            or_dash(self.since.map(Timestamp::formatted)),
            or_dash(self.who()),
            or_dash(self.title.as_deref().map(shown)),
        ]
    }
}

impl Failing {
    /// Where nothing can be written at all, the comment is out of date as soon as the cell is in another state of health.
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
    /// For people.
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
                let _ = writeln!(text, "{}: {}", mission.who().unwrap_or_default(), Printable::new(line));
            }
        }
        for Failing { issue, kind: _, message, since, comment_out_of_date } in &self.failures {
            let line = without_invisible(message).0.split_whitespace().collect::<Vec<_>>().join(" ");
            let outdated = if *comment_out_of_date { "its comment is out of date: " } else { "" };
            let _ = writeln!(text, "{issue} fails since {}: {outdated}{line}", since.formatted());
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
