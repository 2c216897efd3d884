//! The report of a pass: as text for people, as a JSON document for programs, as an exit code for scripts.

use crate::engine::failure::Failure;
use crate::engine::reconcile::TurnOutcome;
use crate::mission::cell::ReadFailure;
use crate::mission::cell::health::Health;
use crate::mission::fleet::job_status::fails_a_run;
use crate::mission::observation::{Observation, PassContext};
use crate::mission::paths::cell_path;
use crate::mission::plan::change::Change;
use crate::mission::status::compose::status;
use crate::mission::status::lifecycle::{Lifecycle, Obstacle};
use crate::mission::status::phase::Phase;
use crate::world::forge::Requests;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The JSON document of `--once --json` and `--dry-run --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing was changed.
    #[serde(rename = "dry_run")]
    pub is_preview: bool,
    /// Whether the service worked and every listed repository could be read.
    pub complete: bool,
    /// Changes without an issue: of the root and labels.
    pub changes: Vec<ChangeReport>,
    /// Every proposal, by repository and number.
    pub missions: Vec<MissionReport>,
    /// The errors.
    pub errors: Vec<Failure>,
    /// Counts by phase and health.
    pub summary: Summary,
    /// Requests sent to the forge.
    pub requests: Requests,
    /// The duration of the pass in milliseconds.
    pub duration_ms: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// The fixed kind.
    pub kind: &'static str,
    /// One line with labels, paths and health, but without times.
    pub text: String,
}

/// One mission.
#[derive(Clone, Debug, Serialize, Default)]
pub struct MissionReport {
    /// Its repository.
    pub repository: String,
    /// Its issue's number.
    pub issue: i64,
    /// Its id, with a cell.
    pub mission_id: Option<String>,
    /// One of the five phases, or `other-host`; null if the issue is not open or could not be read.
    pub phase: Option<&'static str>,
    /// The health, with a cell of this root.
    pub health: Option<Health>,
    /// The reason of the health: a fixed word, and the path that it is about.
    pub reason: Option<String>,
    /// The problem with that path, if the reason alone is not enough.
    pub problem: Option<String>,
    /// The host of the cell.
    pub host: Option<String>,
    /// The changes that were applied, or would be.
    pub changes: Vec<ChangeReport>,
    /// The first error.
    pub error: Option<ErrorReport>,
}

/// The error of a mission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// The fixed kind.
    pub kind: &'static str,
    /// What was tried, what happened, what to do.
    pub message: String,
}

/// Counts by phase and by health; all keys are always present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The five phases, and `other-host`.
    pub phase: BTreeMap<&'static str, usize>,
    /// The five healths.
    pub health: BTreeMap<&'static str, usize>,
}

/// The phase of a mission that another root owns.
const OTHER_HOST: &str = "other-host";

impl Report {
    /// Assembles a report.
    #[must_use]
    pub fn new(changes: &[Change], results: Vec<MissionResult>, mut failures: Vec<Failure>) -> Self {
        let mut missions: Vec<MissionReport> = Vec::new();
        for result in results {
            failures.extend(result.failures);
            missions.push(result.mission);
        }
        for failure in &failures {
            if let Some((repository, issue)) = &failure.issue {
                let repository = repository.to_string();
                if !missions.iter().any(|known| known.repository == repository && known.issue == *issue) {
                    missions.push(unseen_mission(repository, *issue, failure));
                }
            }
        }
        missions.sort_by(|a, b| (&a.repository, a.issue).cmp(&(&b.repository, b.issue)));
        Self {
            is_preview: false,
            complete: !failures.iter().any(Failure::is_of_the_pass),
            changes: changes.iter().map(ChangeReport::of).collect(),
            summary: Summary::of(&missions),
            missions,
            requests: Requests::default(),
            duration_ms: 0,
            errors: failures,
        }
    }

    /// Adds the requests and the duration, which are known only at the end.
    pub fn finish(&mut self, requests: Requests, duration: Duration) {
        self.requests = requests;
        self.duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    }

    /// The counts in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let mut phases = BTreeMap::new();
        for mission in &self.missions {
            *phases.entry(mission.phase_or_why_none()).or_default() += 1;
        }
        let phases = counted(&phases);
        let missions = match self.missions.len() {
            0 if self.complete => "no proposals".to_owned(),
            0 => "no proposals seen".to_owned(),
            1 => format!("1 proposal: {phases}"),
            several => format!("{several} proposals: {phases}"),
        };
        let health = counted(&self.summary.health);
        let health = if health.is_empty() { health } else { format!("; health: {health}") };
        let verb = if self.is_preview { "would change" } else { "changed" };
        let of_missions: usize = self.missions.iter().map(|mission| mission.changes.len()).sum();
        let (read, wrote, failed) = (self.requests.get, self.requests.accepted, self.requests.failed());
        let changes = self.changes.len() + of_missions;
        let plural = if read == 1 { "" } else { "s" };
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        format!(
            "{missions}{health}; {verb} {changes}; {read} request{plural} read, {wrote} wrote{failed}; {} ms",
            self.duration_ms
        )
    }

    /// Whether anything was changed, or would be.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.missions.iter().any(|mission| !mission.changes.is_empty())
    }

    /// Whether a mission is failing, for `--exit-code`.
    #[must_use]
    pub fn has_alert(&self) -> bool {
        let phase = |mission: &MissionReport| mission.phase.and_then(Phase::named);
        self.missions.iter().any(|mission| fails_a_run(phase(mission), mission.health))
    }
}

impl ChangeReport {
    fn of(change: &Change) -> Self {
        Self { kind: change.kind(), text: change.to_string() }
    }
}

impl Summary {
    fn of(missions: &[MissionReport]) -> Self {
        let phases = Phase::ALL.map(Phase::word).into_iter().chain([OTHER_HOST]);
        let mut summary = Self {
            phase: phases.map(|phase| (phase, 0)).collect(),
            health: Health::ALL.map(|health| (health.word(), 0)).into_iter().collect(),
        };
        for mission in missions {
            if let Some(phase) = mission.phase {
                *summary.phase.entry(phase).or_default() += 1;
            }
            if let Some(health) = mission.health {
                *summary.health.entry(health.word()).or_default() += 1;
            }
        }
        summary
    }
}

/// `2 active, 1 invalid`; zero counts are left out.
pub(crate) fn counted(counts: &BTreeMap<&'static str, usize>) -> String {
    let some = counts.iter().filter(|(_, count)| **count > 0);
    some.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// The result of a mission's turn, for the report.
#[derive(Clone, Debug)]
pub struct MissionResult {
    /// The mission's entry.
    pub mission: MissionReport,
    /// Its failures.
    pub failures: Vec<Failure>,
}

impl MissionResult {
    /// The result of an outcome.
    #[must_use]
    pub fn of(context: &PassContext, outcome: &TurnOutcome) -> Self {
        let mission = mission_report(context, outcome);
        let failures = mission_failures(&mission, outcome);
        Self { mission, failures }
    }
}

fn mission_report(context: &PassContext, outcome: &TurnOutcome) -> MissionReport {
    let TurnOutcome { observation, lifecycle, .. } = outcome;
    let key = &observation.issue.key;
    let mut report = MissionReport {
        repository: key.repository.to_string(),
        issue: key.number,
        changes: outcome.changes.iter().map(ChangeReport::of).collect(),
        ..MissionReport::default()
    };
    if let Lifecycle::OwnedByOtherRoot(owner, _) = lifecycle {
        report.phase = Some(OTHER_HOST);
        report.mission_id = Some(owner.mission_id.to_string());
        report.host = owner.host.as_ref().map(ToString::to_string);
    } else if let Some((status, record)) = status(observation, lifecycle) {
        let view = status.view;
        report.problem = record.published.as_ref().and_then(|published| published.verdict?.problem());
        report.phase = Some(view.phase.word());
        report.mission_id = view.mission.map(|id| id.to_string());
        report.host = view.mission.map(|_| context.host.to_string());
        report.health = view.health;
        report.reason = view.reason.map(|reason| match view.place {
            Some(place) => format!("{reason} {place}"),
            None => reason.to_owned(),
        });
    }
    let first = outcome.errors.first();
    report.error = first.map(|error| ErrorReport { kind: error.kind(), message: error.to_string() });
    if let Lifecycle::Blocked(obstacle) = lifecycle {
        report.error.get_or_insert(blocked(observation, context, obstacle));
    }
    report
}

pub(crate) fn blocked(observation: &Observation, context: &PassContext, obstacle: &Obstacle) -> ErrorReport {
    let path = cell_path(&context.missions_root, observation.mission_id);
    let message = match obstacle {
        Obstacle::NotADirectory(kind) => {
            format!(
                "cannot create the cell `{path}`: {kind} is at this path; move it away, and the next pass creates the cell"
            )
        }
        Obstacle::Taken(owner) => format!("cannot create the cell `{path}`: it belongs to {owner}; check that issue"),
        Obstacle::Unseen(failure) => {
            format!("cannot read the path of the cell `{path}` ({failure}); nothing was created")
        }
    };
    ErrorReport { kind: "cell-in-the-way", message }
}

fn mission_failures(mission: &MissionReport, outcome: &TurnOutcome) -> Vec<Failure> {
    let key = &outcome.observation.issue.key;
    match (outcome.errors.as_slice(), &mission.error) {
        ([], Some(error)) => {
            let blocked = Failure::mission(&key.repository, key.number, error.kind, error.message.clone());
            vec![Failure { is_permanent: !is_passing(&outcome.lifecycle), ..blocked }]
        }
        (errors, _) => errors.iter().map(|error| Failure::of_turn(&key.repository, key.number, error)).collect(),
    }
}

/// Whether the obstacle of a mission may be gone at the next pass.
fn is_passing(lifecycle: &Lifecycle) -> bool {
    matches!(lifecycle, Lifecycle::Blocked(Obstacle::Unseen(ReadFailure::Io | ReadFailure::Timeout)))
}

fn unseen_mission(repository: String, issue: i64, failure: &Failure) -> MissionReport {
    let error = Some(ErrorReport { kind: failure.kind, message: failure.message.clone() });
    MissionReport { repository, issue, error, ..MissionReport::default() }
}

/// The text for people: every change, then the counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{}", change.text)?;
        }
        for mission in self.missions.iter().filter(|mission| !mission.changes.is_empty()) {
            writeln!(f, "{}#{}: {}", mission.repository, mission.issue, mission.state())?;
            for change in &mission.changes {
                writeln!(f, "  {}", change.text)?;
            }
        }
        writeln!(f, "{}", self.headline())
    }
}

impl MissionReport {
    /// Whether both are about one issue.
    pub(crate) fn is_of_issue_of(&self, other: &Self) -> bool {
        self.repository == other.repository && self.issue == other.issue
    }

    fn phase_or_why_none(&self) -> &'static str {
        self.phase.unwrap_or(if self.error.is_some() { "failed" } else { "not open" })
    }

    /// `active, stale (heartbeat-timeout)`
    #[must_use]
    pub fn state(&self) -> String {
        let phase = self.phase_or_why_none();
        match (self.health, &self.reason) {
            (Some(health), Some(reason)) => format!("{phase}, {health} ({reason})"),
            (Some(health), None) => format!("{phase}, {health}"),
            (None, _) => phase.to_owned(),
        }
    }
}
