//! What we say of a mission: the facts behind its labels and its comment, and when they became so.

use crate::mission::cell::Sighting;
use crate::mission::health::{Facts, Health, Place, Reason, Verdict, assess};
use crate::mission::heartbeat::{Heartbeat, WizardState};
use crate::mission::identity::{HostName, MissionId};
use crate::mission::label::Label;
use crate::mission::observation::Observation;
use crate::mission::papers::{CellPapers, IssuePapers};
use crate::mission::phase::Phase;
use crate::mission::problem::Problem;
use crate::mission::proposal::{self, Proposal, Spec};
use crate::mission::record::{Binding, Happened, IssueState, Record, Repair, Said};
use crate::mission::situation::{Active, Refused, Situation, Waiting};
use crate::mission::text::shell_word;
use crate::mission::time::Timestamp;
use serde::Serialize;

/// What the comment says, before it is put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// All that matters; a comment is written again only when this changes.
    pub meaning: Meaning,
    /// The last changes, oldest first.
    pub changes: Vec<Happened>,
}

/// The meaning of a status. Nothing in here changes by the mere passing of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// The phase.
    pub phase: Phase,
    /// The verdict; none without a cell.
    pub health: Option<Health>,
    /// The reason's word.
    pub reason: Option<&'static str>,
    /// The path that the reason speaks of, below the cell.
    pub place: Option<&'static str>,
    /// What is wrong there.
    pub flaw: Option<String>,
    /// Since when phase and health are what they are; with a cell.
    pub since: Option<Timestamp>,
    /// The last heartbeat, while the wizard is silent.
    pub heartbeat_at: Option<Timestamp>,
    /// What the wizard says of itself, once it has beaten.
    pub says: Option<WizardState>,
    /// The mission, once it has a cell.
    pub mission: Option<MissionId>,
    /// The cell's path: where it is, or would be.
    pub cell: Option<String>,
    /// This host.
    pub host: HostName,
    /// What was asked for, where it was understood.
    pub spec: Option<Spec>,
    /// The command that beats for this very cell.
    pub beat_command: Option<String>,
    /// The command that looks at every cell of this root.
    pub scan_command: String,
    /// What needs correcting.
    pub problems: Vec<Problem>,
    /// What a later edit asked for in vain.
    pub refused: Vec<Refused>,
    /// What the mission waits for.
    pub waiting: Option<Waiting>,
    /// How many invisible characters were removed.
    pub invisible: usize,
    /// What was made again.
    pub repair: Option<Repaired>,
}

/// What was made again, by paths below the cell; `.` is the whole cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// When.
    pub at: Timestamp,
    /// What.
    pub paths: Vec<&'static str>,
}

impl Status {
    /// The digest that tells whether the comment is up to date.
    #[must_use]
    pub fn digest(&self) -> String {
        // Half of the hash is plenty to tell two texts apart, and keeps the comment's first line short.
        let mut digest = proposal::digest(&self.meaning);
        digest.truncate(32);
        digest
    }

    /// The labels that the issue carries, of all those that are ours.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        let phase = Label::Phase(self.meaning.phase);
        let health = self.meaning.health.map(Label::Health);
        let wizard = self.meaning.says.map(Label::Wizard);
        [Some(Label::Proposal), Some(phase), health, wizard].into_iter().flatten().collect()
    }

    /// In a few words, for plans, logs and tables: `active, stale (silent)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let Meaning { phase, health, reason, place, .. } = &self.meaning;
        match (health, reason, place) {
            (Some(health), Some(reason), Some(place)) => format!("{phase}, {health} ({reason} {place})"),
            (Some(health), Some(reason), None) => format!("{phase}, {health} ({reason})"),
            (Some(health), None, _) => format!("{phase}, {health}"),
            (None, _, _) => phase.to_string(),
        }
    }
}

/// What is told of a cell's health and of its wizard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    verdict: Verdict,
    says: Option<WizardState>,
    heartbeat_at: Option<Timestamp>,
}

impl Told {
    /// What was told last, with a cell.
    fn before(record: &Record) -> Option<Self> {
        let Said { verdict, says, heartbeat_at, .. } = record.said?;
        Some(Self { verdict: verdict?, says, heartbeat_at })
    }

    /// A wizard's last word stands until it says another.
    fn new(verdict: Verdict, sighting: &Sighting, last: Option<WizardState>) -> Self {
        let heartbeat = match sighting {
            Sighting::Cell(cell) => cell.heartbeat.as_ref().map(|beat| &beat.heartbeat),
            Sighting::Absent | Sighting::NotADirectory(_) | Sighting::Failed(_) => None,
        };
        let known = heartbeat.filter(|heartbeat| heartbeat.timestamp.is_some());
        let is_silent = verdict.reason == Reason::Silent;
        let heartbeat_at = known.filter(|_| is_silent).and_then(|heartbeat| heartbeat.timestamp);
        Self { verdict, says: known.map(Heartbeat::says).or(last), heartbeat_at }
    }
}

/// Whether a mission's health, its wizard's words or a repair are told otherwise than before, and nothing but that could
/// wait.
#[must_use]
pub fn is_news_of_health(before: Option<&Record>, after: &Record) -> bool {
    let Some(before) = before else { return false };
    Told::before(before).is_some() && (Told::before(before) != Told::before(after) || before.repair != after.repair)
}

/// What is to be said of a mission, and what is then to be remembered; none where we have nothing to say.
#[must_use]
pub fn status(observation: &Observation, situation: &Situation) -> Option<(Status, Record)> {
    compose(observation, situation, observation.is_braked)
}

/// The same, but health and the wizard's words stay as they were told last.
#[must_use]
pub fn held_status(observation: &Observation, situation: &Situation) -> Option<(Status, Record)> {
    compose(observation, situation, true)
}

fn compose(observation: &Observation, situation: &Situation, is_held: bool) -> Option<(Status, Record)> {
    let mut record = current(observation);
    match situation {
        Situation::NotAProposal | Situation::NotOpen | Situation::Elsewhere(_) | Situation::Blocked(_) => None,
        Situation::Invalid(problems) => {
            say(&mut record, observation, Phase::Invalid, None, &[]);
            let meaning = Meaning { problems: problems.clone(), ..blank(observation, Phase::Invalid) };
            Some((Status { meaning, changes: record.changes.clone() }, record))
        }
        Situation::Waits(proposal, waiting) => {
            say(&mut record, observation, Phase::Pending, None, &[]);
            let meaning = Meaning {
                waiting: Some(waiting.clone()),
                spec: Some(proposal.spec.clone()),
                invisible: proposal.invisible,
                ..blank(observation, Phase::Pending)
            };
            Some((Status { meaning, changes: record.changes.clone() }, record))
        }
        Situation::Active(active) => active_status(observation, active, record, is_held),
    }
}

fn active_status(
    observation: &Observation,
    active: &Active,
    mut record: Record,
    is_held: bool,
) -> Option<(Status, Record)> {
    let Active { proposal, refused } = active;
    let binding = record.binding.as_mut()?;
    accept(binding, proposal, &observation.sighting);
    if observation.sighting == Sighting::Absent && !binding.seen_whole {
        // It could not be made, and was never there: nothing is true to say but what was said before.
        return None;
    }
    let mission_id = binding.mission_id;
    let told = tell(observation, &mut record, is_held)?;
    let verdict = told.verdict;
    let meaning = Meaning {
        health: Some(verdict.health),
        reason: Some(verdict.reason.word()),
        place: verdict.reason.place().map(Place::path),
        flaw: flaw(verdict),
        since: record.said.map(|said| said.since),
        heartbeat_at: told.heartbeat_at,
        says: told.says,
        mission: Some(mission_id),
        spec: Some(proposal.spec.clone()),
        beat_command: Some(beat_command(&observation.here.missions_root, mission_id)),
        refused: refused.clone(),
        invisible: proposal.invisible,
        repair: record.repair.as_ref().map(repaired),
        ..blank(observation, Phase::Active)
    };
    Some((Status { meaning, changes: record.changes.clone() }, record))
}

/// Settles what is told of health, and notes it.
fn tell(observation: &Observation, record: &mut Record, is_held: bool) -> Option<Told> {
    let now = observation.here.now;
    let assessed = judge(observation, record.binding.as_ref()?);
    record.is_unconfirmed = observation.is_braked;
    let verdict = if observation.is_braked { assessed } else { record.flapping.watch(assessed, now) };
    let last = record.said.and_then(|said| said.says);
    let told = Told::before(record).filter(|_| is_held);
    let repaired = if told.is_some() { [].as_slice() } else { &observation.repaired };
    let told = told.unwrap_or_else(|| Told::new(verdict, &observation.sighting, last));
    say(record, observation, Phase::Active, Some(told), repaired);
    Some(told)
}

/// The verdict on a cell that an issue is bound to, before anything is held back.
#[must_use]
pub fn assessed(observation: &Observation) -> Option<Verdict> {
    observation.binding().map(|binding| judge(observation, binding))
}

fn judge(observation: &Observation, binding: &Binding) -> Verdict {
    assess(&Facts {
        sighting: &observation.sighting,
        bound: true,
        ever_beat: binding.ever_beat,
        stale_after: binding.spec.stale_after(),
        now: observation.here.now,
    })
}

fn repaired(repair: &Repair) -> Repaired {
    Repaired { at: repair.at, paths: repair.places.iter().map(|place| place.path()).collect() }
}

/// What we remember, brought up to date with where the issue is now.
pub(crate) fn current(observation: &Observation) -> Record {
    let key = observation.issue.key.clone();
    let mut record = observation.record.clone().unwrap_or_else(|| Record::new(key.clone()));
    record.issue = key;
    record.state = IssueState::Open;
    record.elsewhere = None;
    record
}

fn accept(binding: &mut Binding, proposal: &Proposal, sighting: &Sighting) {
    let Proposal { name, spec, invisible } = proposal.clone();
    binding.name = name;
    binding.spec = spec;
    binding.invisible = invisible;
    if let Sighting::Cell(cell) = sighting {
        binding.seen_whole |= cell.is_whole();
        binding.ever_beat |= cell.heartbeat.as_ref().is_some_and(|beat| beat.heartbeat.timestamp.is_some());
    }
}

/// Notes what is said now, since when, and what happened.
fn say(record: &mut Record, observation: &Observation, phase: Phase, told: Option<Told>, repaired: &[Place]) {
    let now = observation.here.now;
    let before = record.said;
    let verdict = told.map(|told| told.verdict);
    let says = told.and_then(|told| told.says);
    let health = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.health);
    let is_same = |said: &Said| said.phase == phase && health(said.verdict) == health(verdict);
    let since = before.filter(is_same).map_or(now, |said| said.since);
    let moved = before.is_none_or(|said| said.phase != phase || said.verdict != verdict);
    let heartbeat_at = told.and_then(|told| told.heartbeat_at);
    record.said = Some(Said { phase, verdict, since, says, heartbeat_at });
    if !repaired.is_empty() {
        let places = outermost(repaired);
        let paths: Vec<_> = places.iter().map(|place| format!("`{}`", place.path())).collect();
        record.note(now, format!("made again: {}", paths.join(", ")));
        record.repair = Some(Repair { at: now, places });
    } else if moved {
        record.repair = None;
    }
    let words = says.filter(|_| before.is_some_and(|said| said.says != says));
    if moved {
        let what = match verdict {
            Some(Verdict { health, reason }) => format!("`mission/{phase}`, `health/{health}`: {reason}"),
            None => format!("`mission/{phase}`"),
        };
        record.note(now, what);
    } else if let Some(says) = words {
        record.note(now, format!("the wizard says `{says}`"));
    }
}

/// A directory that was made again speaks for the files of ours in it.
fn outermost(places: &[Place]) -> Vec<Place> {
    let parent = |place: &Place| match place {
        Place::Whole => None,
        Place::Part(part) => part.parent().map(Place::Part),
    };
    let is_told = |place: &&Place| parent(place).is_none_or(|parent| !places.contains(&parent));
    places.iter().filter(is_told).copied().collect()
}

fn blank(observation: &Observation, phase: Phase) -> Meaning {
    let here = &observation.here;
    Meaning {
        phase,
        health: None,
        reason: None,
        place: None,
        flaw: None,
        since: None,
        heartbeat_at: None,
        says: None,
        mission: None,
        cell: Some(cell_path(&here.missions_root, observation.mission_id())),
        host: here.host.clone(),
        spec: None,
        beat_command: None,
        scan_command: scan_command(&here.missions_root),
        problems: Vec::new(),
        refused: Vec::new(),
        waiting: None,
        invisible: 0,
        repair: None,
    }
}

fn flaw(verdict: Verdict) -> Option<String> {
    match verdict.reason {
        Reason::WrongType(_, kind) => Some(format!("it is {kind}")),
        Reason::Unreadable(_, flaw) => Some(flaw.to_string()),
        Reason::Permission => Some("permission denied".to_owned()),
        Reason::Io => Some("a read error".to_owned()),
        Reason::Timeout => Some("reading took too long".to_owned()),
        Reason::NotScaffolded
        | Reason::NeverBeaten
        | Reason::Missing(_)
        | Reason::Silent
        | Reason::StampInFuture
        | Reason::Flapping
        | Reason::Finished
        | Reason::Beating => None,
    }
}

/// Where a cell is, as people type it.
#[must_use]
pub fn cell_path(missions_root: &str, mission_id: MissionId) -> String {
    format!("{}/{mission_id}", missions_root.trim_end_matches('/'))
}

/// The shell command that beats for a cell.
#[must_use]
pub fn beat_command(missions_root: &str, mission_id: MissionId) -> String {
    format!("lazarus-pit beat --cell {}", shell_word(&cell_path(missions_root, mission_id)))
}

/// The command that looks at every cell.
#[must_use]
pub fn scan_command(missions_root: &str) -> String {
    format!("lazarus-reconcile scan --root {}", shell_word(missions_root))
}

/// What the cell's own files say of the mission.
#[must_use]
pub fn papers(observation: &Observation, proposal: &Proposal) -> CellPapers {
    let here = &observation.here;
    let issue = &observation.issue;
    let mission_id = observation.mission_id();
    CellPapers {
        mission_id,
        created_at: observation.binding().map_or(here.now, |binding| binding.created_at),
        phase: Phase::Active,
        name: Some(proposal.name.clone()),
        host: here.host.clone(),
        issue: Some(IssuePapers {
            forge: here.forge.clone(),
            repository_id: issue.key.repository_id,
            repository: issue.key.repository.clone(),
            number: issue.key.number,
            id: issue.key.issue_id,
            url: issue.url.clone(),
            author_id: issue.key.author_id,
        }),
        spec: Some(proposal.spec.clone()),
        stale_after_seconds: proposal.spec.stale_after_seconds,
        beat_command: beat_command(&here.missions_root, mission_id),
    }
}
