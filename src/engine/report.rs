//! What a pass came to: for people as text, for programs as one JSON document, for scripts as an exit code.

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
    /// Changes that belong to no single issue: root and labels.
    pub changes: Vec<ChangeReport>,
    /// Every proposal, by repository and number.
    pub missions: Vec<MissionReport>,
    /// What went wrong, one entry each.
    pub errors: Vec<Failure>,
    /// How many there are of each kind.
    pub summary: Summary,
    /// Requests sent to the forge.
    pub requests: Requests,
    /// How long it took.
    pub duration_ms: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// A fixed word.
    pub kind: &'static str,
    /// One line that names labels, paths and verdicts, never a time.
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
    /// One of the five phases, or `other-host`; null where the issue is not open, or could not be seen.
    pub phase: Option<&'static str>,
    /// The verdict, with a cell of this root.
    pub health: Option<Health>,
    /// Its reason: a fixed word, and the path that it speaks of.
    pub reason: Option<String>,
    /// What is wrong with that path, where the reason does not tell.
    pub problem: Option<String>,
    /// Where the cell is.
    pub host: Option<String>,
    /// What was done, or would be.
    pub changes: Vec<ChangeReport>,
    /// What went wrong first.
    pub error: Option<ErrorReport>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// A fixed word.
    pub kind: &'static str,
    /// What was tried, what happened, what to do.
    pub message: String,
}

/// Counts by phase and by health; every key is always there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The five phases, and `other-host`.
    pub phase: BTreeMap<&'static str, usize>,
    /// The five verdicts.
    pub health: BTreeMap<&'static str, usize>,
}

/// The word for a mission that another root serves.
const OTHER_HOST: &str = "other-host";

impl Report {
    /// Puts a report together.
    #[must_use]
    pub fn new(changes: &[Change], results: Vec<MissionResult>, mut troubles: Vec<Failure>) -> Self {
        let mut missions: Vec<MissionReport> = Vec::new();
        for result in results {
            troubles.extend(result.failures);
            missions.push(result.mission);
        }
        for trouble in &troubles {
            if let Some((repository, issue)) = &trouble.issue {
                let repository = repository.to_string();
                if !missions.iter().any(|known| known.repository == repository && known.issue == *issue) {
                    missions.push(unseen_mission(repository, *issue, trouble));
                }
            }
        }
        missions.sort_by(|a, b| (&a.repository, a.issue).cmp(&(&b.repository, b.issue)));
        Self {
            is_preview: false,
            complete: !troubles.iter().any(Failure::is_of_the_pass),
            changes: changes.iter().map(ChangeReport::of).collect(),
            summary: Summary::of(&missions),
            missions,
            requests: Requests::default(),
            duration_ms: 0,
            errors: troubles,
        }
    }

    /// Adds what is known only at the end.
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

    /// Whether an active mission is not well.
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

/// `2 active, 1 invalid`; what there is none of is left out.
pub(crate) fn counted(counts: &BTreeMap<&'static str, usize>) -> String {
    let some = counts.iter().filter(|(_, count)| **count > 0);
    some.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// What a turn over one mission came to, for the report.
#[derive(Clone, Debug)]
pub struct MissionResult {
    /// The mission's entry.
    pub mission: MissionReport,
    /// What went wrong with it.
    pub failures: Vec<Failure>,
}

impl MissionResult {
    /// What an outcome comes to.
    #[must_use]
    pub fn of(here: &PassContext, outcome: &TurnOutcome) -> Self {
        let mission = mission_report(here, outcome);
        let troubles = mission_failures(&mission, outcome);
        Self { mission, failures: troubles }
    }
}

fn mission_report(here: &PassContext, outcome: &TurnOutcome) -> MissionReport {
    let TurnOutcome { observation, lifecycle: situation, .. } = outcome;
    let key = &observation.issue.key;
    let mut report = MissionReport {
        repository: key.repository.to_string(),
        issue: key.number,
        changes: outcome.changes.iter().map(ChangeReport::of).collect(),
        ..MissionReport::default()
    };
    if let Lifecycle::OwnedByOtherRoot(elsewhere, _) = situation {
        report.phase = Some(OTHER_HOST);
        report.mission_id = Some(elsewhere.mission_id.to_string());
        report.host = elsewhere.host.as_ref().map(ToString::to_string);
    } else if let Some((status, record)) = status(observation, situation) {
        let meaning = status.view;
        report.problem = record.published.as_ref().and_then(|said| said.verdict?.problem());
        report.phase = Some(meaning.phase.word());
        report.mission_id = meaning.mission.map(|id| id.to_string());
        report.host = meaning.mission.map(|_| here.host.to_string());
        report.health = meaning.health;
        report.reason = meaning.reason.map(|reason| match meaning.place {
            Some(place) => format!("{reason} {place}"),
            None => reason.to_owned(),
        });
    }
    let first = outcome.errors.first();
    report.error = first.map(|error| ErrorReport { kind: error.kind(), message: error.to_string() });
    if let Lifecycle::Blocked(obstacle) = situation {
        report.error.get_or_insert(blocked(observation, here, obstacle));
    }
    report
}

pub(crate) fn blocked(observation: &Observation, here: &PassContext, obstacle: &Obstacle) -> ErrorReport {
    let path = cell_path(&here.missions_root, observation.mission_id);
    let message = match obstacle {
        Obstacle::NotADirectory(kind) => {
            format!(
                "cannot make the cell `{path}`: {kind} is in its place; move that away, the next pass makes the cell"
            )
        }
        Obstacle::Taken(owner) => format!("cannot make the cell `{path}`: it belongs to {owner}; look at that issue"),
        Obstacle::Unseen(failure) => {
            format!("cannot look at the place of the cell `{path}` ({failure}); nothing was made")
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

/// Whether what is in the way of a mission may be over with the next look.
fn is_passing(situation: &Lifecycle) -> bool {
    matches!(situation, Lifecycle::Blocked(Obstacle::Unseen(ReadFailure::Io | ReadFailure::Timeout)))
}

fn unseen_mission(repository: String, issue: i64, trouble: &Failure) -> MissionReport {
    let error = Some(ErrorReport { kind: trouble.kind, message: trouble.message.clone() });
    MissionReport { repository, issue, error, ..MissionReport::default() }
}

/// For people: every change, then the counts.
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

    /// `active, stale (silent)`
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
