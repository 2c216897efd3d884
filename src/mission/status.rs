//! What we say of a mission: the facts behind its labels and its comment, and when they became so.

use crate::mission::approval::{Approval, Asking};
use crate::mission::archive::ArchiveName;
use crate::mission::cell::Sighting;
use crate::mission::checkout::{Wish, wish};
use crate::mission::consent::{Consent, consent};
use crate::mission::ending::Ending;
use crate::mission::health::{Health, Place, Reason, Verdict};
use crate::mission::heartbeat::{Heartbeat, WizardState};
use crate::mission::identity::{HostName, MissionId};
use crate::mission::label::Label;
use crate::mission::observation::Observation;
use crate::mission::papers::{CellPapers, IssuePapers};
use crate::mission::phase::Phase;
use crate::mission::problem::Problem;
use crate::mission::proposal::{self, Proposal, Spec};
use crate::mission::record::{Binding, Happened, Record, Repair, Said};
use crate::mission::situation::{Active, Edit, Refused, Situation, Waiting};
use crate::mission::text::shell_word;
use crate::mission::time::Timestamp;
use crate::mission::worktree::{CANNOT_BE_HAD, CheckedOut, Worktree, WorktreeSource};
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
    /// The approval that is asked for, of a new proposal or of an edit.
    pub asked: Option<Asked>,
    /// The approval that it rests on.
    pub approval: Option<Approval>,
    /// That a person has paused it.
    pub suspended: Option<Suspended>,
    /// What lies in the worktree, or is to.
    pub worktree: Option<WorktreeNews>,
    /// What becomes of the cell of a mission that has ended.
    pub ending: Option<Ended>,
    /// That the cell came back from the archive.
    pub restored: Option<Back>,
    /// The host's label, where issues carry it.
    pub host_label: Option<HostName>,
    /// How many invisible characters were removed.
    pub invisible: usize,
    /// What was made again.
    pub repair: Option<Repaired>,
}

/// An approval that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The digest of the spec, as `meta/mission.json` will have it.
    pub digest: String,
    /// The title.
    pub name: String,
    /// Whether it is another title than the mission's.
    pub name_differs: bool,
    /// The spec.
    pub spec: Spec,
    /// How long its objective is, in bytes.
    pub objective_bytes: usize,
    /// How many invisible characters are left out.
    pub invisible: usize,
    /// What is to be approved, and why the last approval does not count.
    pub asking: Asking,
    /// Whether `approval.approvers` names who may.
    pub has_approvers: bool,
    /// Whether it is an edit of a mission that goes on.
    pub is_edit: bool,
}

/// A pause, and when it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspended {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Until when, if the issue has a due date.
    pub until: Option<Timestamp>,
}

/// What lies in a worktree, or is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorktreeNews {
    /// It was asked for, and has not been tried yet.
    Wanted(WorktreeSource),
    /// It lies there.
    CheckedOut(CheckedOut),
    /// It was tried in vain, and why.
    Failed(WorktreeSource, String),
}

/// Where the cell of a mission that has ended is, as people type it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// There is none.
    NoCell,
    /// Still in its place, until its wizard is silent or this moment has come.
    StaysUntil(Timestamp),
    /// It is to be moved, and could not be yet.
    Due,
    /// There.
    Archived(String),
}

/// A cell that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Back {
    /// When.
    pub at: Timestamp,
    /// Where what stood in its way lies now.
    pub displaced: Option<String>,
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
        let approval = match (&self.meaning.asked, &self.meaning.approval) {
            (Some(_), _) => Some(Label::ApprovalNeeded),
            (None, Some(_)) => Some(Label::ApprovalGranted),
            (None, None) => None,
        };
        let host = self.meaning.host_label.clone().map(Label::Host);
        [Some(Label::Proposal), Some(phase), health, approval, wizard, host].into_iter().flatten().collect()
    }

    /// What it asks to be approved, as an approval is compared with it.
    #[must_use]
    pub fn asks(&self) -> Option<String> {
        self.meaning.asked.as_ref().map(|asked| asked.asking.digest.clone())
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
    let meaning = match situation {
        Situation::NotAProposal
        | Situation::ForAnotherHost
        | Situation::Elsewhere(..)
        | Situation::Missing
        | Situation::Gone(_)
        | Situation::Blocked(_) => return None,
        Situation::Closed(ending) => closed(observation, *ending, &mut record),
        Situation::Invalid(problems) => {
            say(&mut record, observation, Phase::Invalid, None, &[]);
            Meaning { problems: problems.clone(), ..blank(observation, Phase::Invalid) }
        }
        Situation::Waits(proposal, waiting) => waits(observation, proposal, waiting, &mut record),
        Situation::Active(active) => runs(observation, active, &mut record, is_held)?,
    };
    Some((Status { meaning, changes: record.changes.clone() }, record))
}

fn closed(observation: &Observation, ending: Ending, record: &mut Record) -> Meaning {
    say(record, observation, Phase::Closed, None, &[]);
    let here = &observation.here;
    let ended = match ending {
        Ending::NoCell => Ended::NoCell,
        Ending::StaysUntil(end) => Ended::StaysUntil(end),
        Ending::Due => Ended::Due,
        Ending::Archived(name) => Ended::Archived(archive_path(&here.missions_root, name)),
    };
    let mission = record.binding.as_ref().map(|binding| binding.mission_id);
    Meaning { mission, ending: Some(ended), ..blank(observation, Phase::Closed) }
}

fn waits(observation: &Observation, proposal: &Proposal, waiting: &Waiting, record: &mut Record) -> Meaning {
    let asking = match waiting {
        Waiting::Approval(asking) => Some(asking.clone()),
        Waiting::Host(_) | Waiting::Room(_) => None,
    };
    // That it is only room that it waits for now says that it was approved.
    record.approval = approval_of(observation, proposal).filter(|_| asking.is_none());
    record.asking.clone_from(&asking);
    say(record, observation, Phase::Pending, None, &[]);
    Meaning {
        waiting: Some(waiting.clone()),
        asked: asking.map(|asking| asked(observation, proposal, asking, false)),
        approval: record.approval.clone(),
        spec: Some(proposal.spec.clone()),
        worktree: WorktreeSource::of(&proposal.spec).map(WorktreeNews::Wanted),
        invisible: proposal.invisible,
        ..blank(observation, Phase::Pending)
    }
}

fn asked(observation: &Observation, proposal: &Proposal, asking: Asking, is_edit: bool) -> Asked {
    Asked {
        digest: proposal.spec.digest(),
        name: proposal.name.clone(),
        name_differs: observation.binding().is_some_and(|binding| binding.name != proposal.name),
        spec: proposal.spec.clone(),
        objective_bytes: proposal.spec.objective.len(),
        invisible: proposal.invisible,
        asking,
        has_approvers: !observation.here.approval.approvers.is_empty(),
        is_edit,
    }
}

fn runs(observation: &Observation, active: &Active, record: &mut Record, is_held: bool) -> Option<Meaning> {
    let Active { proposal, refused, edit, approval, suspension } = active;
    let binding = record.binding.as_mut()?;
    accept(binding, proposal, &observation.sighting);
    if observation.sighting == Sighting::Absent && !binding.seen_whole {
        // It could not be made, and was never there: nothing is true to say but what was said before.
        return None;
    }
    let mission_id = binding.mission_id;
    if observation.archive.kept.is_none() {
        record.archive = None;
    }
    record.approval.clone_from(approval);
    record.asking = edit.as_ref().map(|edit| edit.asking.clone());
    record.suspension.clone_from(suspension);
    let phase = phase(active);
    note_worktree(observation, &proposal.spec, record);
    let told = tell(observation, record, phase, is_held)?;
    let verdict = told.verdict;
    let asking = |edit: &Edit| asked(observation, &edit.proposal, edit.asking.clone(), true);
    let here = &observation.here;
    Some(Meaning {
        health: Some(verdict.health),
        reason: Some(verdict.reason.word()),
        place: verdict.reason.place().map(Place::path),
        flaw: flaw(verdict),
        since: record.said.map(|said| said.since),
        heartbeat_at: told.heartbeat_at,
        says: told.says,
        mission: Some(mission_id),
        spec: Some(proposal.spec.clone()),
        beat_command: Some(beat_command(&here.missions_root, mission_id)),
        refused: refused.clone(),
        asked: edit.as_ref().map(asking),
        approval: approval.clone(),
        suspended: suspension.as_ref().map(|suspension| Suspended {
            since: suspension.since,
            by: suspension.by.login.clone(),
            until: suspension.until,
        }),
        worktree: worktree_news(&record.worktree, &proposal.spec),
        invisible: proposal.invisible,
        repair: record.repair.as_ref().map(repaired),
        restored: record.restored.map(|restored| Back {
            at: restored.at,
            displaced: restored.displaced.map(|name| archive_path(&here.missions_root, name)),
        }),
        host_label: here.has_label.then(|| here.host.clone()),
        ..blank(observation, phase)
    })
}

/// Suspended while a person says so.
#[must_use]
pub fn phase(active: &Active) -> Phase {
    if active.suspension.is_some() { Phase::Suspended } else { Phase::Active }
}

fn approval_of(observation: &Observation, proposal: &Proposal) -> Option<Approval> {
    match consent(observation, proposal) {
        Consent::Given(approval) => Some(approval),
        Consent::NotNeeded | Consent::Asked(_) => None,
    }
}

/// Takes note of a repository that may not be used. Whoever tries to check one out takes note of what comes of that.
fn note_worktree(observation: &Observation, spec: &Spec, record: &mut Record) {
    let is_new = observation.sighting == Sighting::Absent;
    if let Wish::Refused(source) = wish(observation, spec, is_new) {
        record.worktree.fail(source, CANNOT_BE_HAD.to_owned(), observation.here.now);
    }
}

fn worktree_news(worktree: &Worktree, spec: &Spec) -> Option<WorktreeNews> {
    if let Some(checked_out) = &worktree.checked_out {
        return Some(WorktreeNews::CheckedOut(checked_out.clone()));
    }
    let source = WorktreeSource::of(spec)?;
    let failed = worktree.failed.as_ref().filter(|failed| failed.source == source);
    Some(match failed {
        Some(failed) => WorktreeNews::Failed(source, failed.why.clone()),
        None => WorktreeNews::Wanted(source),
    })
}

/// Settles what is told of health, and notes it.
fn tell(observation: &Observation, record: &mut Record, phase: Phase, is_held: bool) -> Option<Told> {
    let now = observation.here.now;
    let assessed = observation.judge(record.binding.as_ref()?);
    record.is_unconfirmed = observation.is_braked;
    let verdict = if observation.is_braked { assessed } else { record.flapping.watch(assessed, now) };
    let last = record.said.and_then(|said| said.says);
    let told = Told::before(record).filter(|_| is_held);
    let repaired = if told.is_some() { [].as_slice() } else { &observation.repaired };
    let told = told.unwrap_or_else(|| Told::new(verdict, &observation.sighting, last));
    say(record, observation, phase, Some(told), repaired);
    Some(told)
}

fn repaired(repair: &Repair) -> Repaired {
    Repaired { at: repair.at, paths: repair.places.iter().map(|place| place.path()).collect() }
}

/// What we remember, brought up to date with where the issue is now.
pub(crate) fn current(observation: &Observation) -> Record {
    let key = observation.issue.key.clone();
    let mut record = observation.record.clone().unwrap_or_else(|| Record::new(key.clone()));
    record.issue = key;
    record.state = observation.issue.state;
    record.elsewhere = None;
    record.yielded_at = None;
    record.misses = 0;
    if observation.issue.is_open() {
        record.ended_at = None;
    } else {
        record.ended_at.get_or_insert(observation.here.now);
        // A pause does not outlive the mission's end.
        record.suspension = None;
    }
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
    if moved && before.is_some_and(|said| said.phase != Phase::Closed) {
        record.restored = None;
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
        cell: Some(cell_path(&here.missions_root, observation.mission_id)),
        host: here.host.clone(),
        spec: None,
        beat_command: None,
        scan_command: scan_command(&here.missions_root),
        problems: Vec::new(),
        refused: Vec::new(),
        waiting: None,
        asked: None,
        approval: None,
        suspended: None,
        worktree: None,
        ending: None,
        restored: None,
        host_label: None,
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

/// Where an archive is, as people type it.
#[must_use]
pub fn archive_path(missions_root: &str, name: ArchiveName) -> String {
    format!("{}/.lazarus/archive/{name}", missions_root.trim_end_matches('/'))
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
pub fn papers(observation: &Observation, proposal: &Proposal, phase: Phase) -> CellPapers {
    let here = &observation.here;
    let issue = &observation.issue;
    let mission_id = observation.mission_id;
    let worktree = observation.record.as_ref().and_then(|record| record.worktree.checked_out.as_ref());
    CellPapers {
        mission_id,
        created_at: observation.binding().map_or(here.now, |binding| binding.created_at),
        phase,
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
        commit: worktree.map(|checked_out| checked_out.commit.clone()),
        spec: Some(proposal.spec.clone()),
        stale_after_seconds: proposal.spec.stale_after_seconds,
        beat_command: beat_command(&here.missions_root, mission_id),
    }
}
