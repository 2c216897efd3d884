//! What we say of a mission: the facts behind its labels and its comment, and when they became so.

use crate::mission::approval::{Asking, text_digest};
use crate::mission::cell::Sighting;
use crate::mission::checkout::{Wish, wish};
use crate::mission::consent::{Consent, consent, may_author_confirm};
use crate::mission::ending::Ending;
use crate::mission::fields::Notes;
use crate::mission::formless::form_help;
use crate::mission::health::{Place, Reason, Verdict};
use crate::mission::heartbeat::WizardState;
use crate::mission::meaning::{Asked, Back, Ended, Meaning, Repaired, Status, Suspended, WorktreeNews};
use crate::mission::mood::note_mood;
use crate::mission::observation::Observation;
use crate::mission::papers::{CellPapers, IssuePapers};
use crate::mission::paths::{archive_path, beat_command, cell_path, scan_command};
use crate::mission::phase::Phase;
use crate::mission::proposal::{self, Proposal, Spec};
use crate::mission::record::{Binding, IssueState, Record, Repair, Said};
use crate::mission::situation::{Active, Edit, Obstacle, Situation, Waiting, Waits};
use crate::mission::suspension::refusal;
use crate::mission::text;
use crate::mission::time::Timestamp;
use crate::mission::worktree::{CANNOT_BE_HAD, Worktree, WorktreeSource};

/// What is published of a cell's health and of its wizard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHealth {
    /// The verdict, damped.
    pub verdict: Verdict,
    /// What the wizard says of itself.
    pub says: Option<WizardState>,
    /// Its message, where it waits for people or has failed, as people read it.
    pub message: Option<String>,
    /// The last heartbeat, while the wizard is silent.
    pub heartbeat_at: Option<Timestamp>,
    /// The mistakes in how the heartbeat is written.
    pub notes: Notes,
}

impl PublishedHealth {
    /// What was published last, with a cell.
    #[must_use]
    pub fn before(record: &Record) -> Option<Self> {
        let Said { verdict, says, message, heartbeat_at, notes, .. } = record.said.as_ref()?;
        let (verdict, says, message) = ((*verdict)?, *says, message.clone());
        Some(Self { verdict, says, message, heartbeat_at: *heartbeat_at, notes: *notes })
    }

    /// What is to be published now. A wizard's last word stands until it says another.
    #[must_use]
    pub fn new(verdict: Verdict, sighting: &Sighting, last: Option<&Said>) -> Self {
        let beat = sighting.cell().and_then(|cell| cell.heartbeat.as_ref());
        let known = beat.map(|beat| &beat.heartbeat).filter(|heartbeat| heartbeat.timestamp.is_some());
        let is_silent = verdict.reason == Reason::Silent;
        let heartbeat_at = known.filter(|_| is_silent).and_then(|heartbeat| heartbeat.timestamp);
        let notes = beat.map_or(Notes::default(), |beat| beat.notes.of_mistakes());
        let (says, message) = match (known, last) {
            (Some(heartbeat), _) => (Some(heartbeat.says()), heartbeat.message_for_people()),
            (None, Some(last)) => (last.says, last.message.clone()),
            (None, None) => (None, None),
        };
        Self { verdict, says, message, heartbeat_at, notes }
    }
}

/// Whether a mission's health, its wizard's words or a repair are told otherwise than before, and nothing but that could
/// wait.
#[must_use]
pub fn is_news_of_health(before: Option<&Record>, after: &Record) -> bool {
    let Some(before) = before else { return false };
    PublishedHealth::before(before).is_some()
        && (PublishedHealth::before(before) != PublishedHealth::before(after) || before.repair != after.repair)
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
        | Situation::Gone(_) => return None,
        // Too many are closed at once: the next pass has to find the same.
        Situation::Closed(_) if observation.is_closing_held() => return None,
        Situation::Blocked(obstacle) => blocked(observation, obstacle, &mut record),
        Situation::Closed(ending) => closed(observation, *ending, &mut record),
        Situation::Invalid(problems) => {
            note_pause(&mut record, observation, Phase::Invalid);
            say(&mut record, observation, Phase::Invalid, None, &[]);
            let (form, pause_refused) = (form_help(observation), record.pause_refused);
            Meaning { problems: problems.clone(), form, pause_refused, ..blank(observation, Phase::Invalid) }
        }
        Situation::Waits(found) => waits(observation, found, &mut record),
        Situation::Active(active) => runs(observation, active, &mut record, is_held)?,
    };
    note_mood(&mut record, &observation.here);
    let obstructed = observation.obstructed.as_ref().map(|failure| failure.message.clone());
    let meaning = Meaning { obstructed: obstructed.or(meaning.obstructed), ..meaning };
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
        Ending::Deleted => {
            record.note_deleted_archive(here.now, "the archive of the cell was found deleted");
            record.archive = None;
            Ended::Deleted
        }
    };
    let mission = record.binding.as_ref().map(|binding| binding.mission_id);
    Meaning { mission, ending: Some(ended), ..blank(observation, Phase::Closed) }
}

fn waits(observation: &Observation, found: &Waits, record: &mut Record) -> Meaning {
    let Waits { proposal, waiting, approval } = found;
    let asking = match waiting {
        Waiting::Approval(asking) => Some(asking.clone()),
        Waiting::Host(_) | Waiting::Room(_) | Waiting::Checkout(_) => None,
    };
    let worktree = match waiting {
        Waiting::Checkout(under_way) => Some(WorktreeNews::UnderWay(under_way.clone())),
        Waiting::Host(_) | Waiting::Room(_) | Waiting::Approval(_) => {
            WorktreeSource::of(&proposal.spec).map(WorktreeNews::Wanted)
        }
    };
    record.approval.clone_from(approval);
    record.asking.clone_from(&asking);
    note_pause(record, observation, Phase::Pending);
    say(record, observation, Phase::Pending, None, &[]);
    Meaning {
        waiting: Some(waiting.clone()),
        asked: asking.map(|asking| asked(observation, proposal, asking)),
        approval: record.approval.clone(),
        pause_refused: record.pause_refused,
        spec: Some(proposal.spec.clone()),
        worktree,
        invisible: proposal.invisible,
        ..blank(observation, Phase::Pending)
    }
}

/// Something is in the place of the cell. Whose cell that is may be nobody's business here.
fn blocked(observation: &Observation, obstacle: &Obstacle, record: &mut Record) -> Meaning {
    record.asking = None;
    record.approval = match observation.proposal().ok().map(|proposal| consent(observation, proposal)) {
        Some(Consent::Given(approval)) => Some(approval),
        Some(Consent::NotNeeded | Consent::Asked(_)) | None => None,
    };
    note_pause(record, observation, Phase::Pending);
    say(record, observation, Phase::Pending, None, &[]);
    let what = match obstacle {
        Obstacle::NotADirectory(kind) => format!("{kind} is in its place"),
        Obstacle::Taken(_) => "it belongs to another issue".to_owned(),
        Obstacle::Unseen(failure) => format!("its place cannot be looked at ({failure})"),
    };
    let (approval, pause_refused) = (record.approval.clone(), record.pause_refused);
    Meaning { obstructed: Some(what), approval, pause_refused, ..blank(observation, Phase::Pending) }
}

fn asked(observation: &Observation, proposal: &Proposal, asking: Asking) -> Asked {
    Asked {
        digest: proposal.spec.digest(),
        name: proposal.name.clone(),
        name_differs: observation.binding().is_some_and(|binding| binding.name != proposal.name),
        spec: proposal.spec.clone(),
        invisible: proposal.invisible,
        outside: proposal.outside,
        asking,
        has_approvers: !observation.here.approval.approvers.is_empty(),
        trusted_author: may_author_confirm(observation, proposal).then_some(observation.issue.key.author_id),
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
    if observation.checkout.is_some() && observation.slow_checkout().is_none() {
        // In a moment it has ended, and then all is said at once.
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
    note_pause(record, observation, phase);
    let told = tell(observation, record, phase, is_held)?;
    let verdict = told.verdict;
    let asking = |edit: &Edit| asked(observation, &edit.proposal, edit.asking.clone());
    let here = &observation.here;
    Some(Meaning {
        health: Some(verdict.health),
        reason: Some(verdict.reason.word()),
        place: verdict.reason.place().map(Place::path),
        flaw: flaw(verdict),
        since: record.said.as_ref().map(|said| said.since),
        heartbeat_at: told.heartbeat_at,
        says: told.says,
        says_since: record.said.as_ref().and_then(|said| said.says_since).filter(|_| is_for_people(told.says)),
        message: told.message,
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
        pause_refused: record.pause_refused,
        worktree: worktree_news(&record.worktree, &proposal.spec),
        invisible: proposal.invisible,
        repair: record.repair.as_ref().map(repaired),
        restored: record.restored.map(|restored| Back {
            at: restored.at,
            displaced: restored.displaced.map(|name| archive_path(&here.missions_root, name)),
        }),
        host_label: here.has_label.then(|| here.host.clone()),
        notes: told.notes.lines(),
        ..blank(observation, phase)
    })
}

/// Suspended while a person says so.
#[must_use]
pub fn phase(active: &Active) -> Phase {
    if active.suspension.is_some() { Phase::Suspended } else { Phase::Active }
}

/// Takes note of a label that does not pause the mission, so that it does not vanish without a word.
fn note_pause(record: &mut Record, observation: &Observation, phase: Phase) {
    let is_as_before = record.said.as_ref().is_some_and(|said| said.phase == phase);
    let refused = refusal(observation, phase == Phase::Active);
    record.pause_refused = match phase {
        Phase::Suspended => None,
        Phase::Pending | Phase::Invalid | Phase::Active | Phase::Closed => {
            refused.or(record.pause_refused.filter(|_| is_as_before))
        }
    };
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
    if let Some(under_way) = &worktree.under_way {
        return Some(WorktreeNews::UnderWay((**under_way).clone()));
    }
    let source = WorktreeSource::of(spec)?;
    // One that is only imagined to have been tried, as in a preview, has no reason to tell.
    let failed = worktree.failed.as_ref().filter(|failed| failed.source == source && !failed.why.is_empty());
    Some(match failed {
        Some(failed) => WorktreeNews::Failed(source, failed.why.clone()),
        None => WorktreeNews::Wanted(source),
    })
}

/// Settles what is told of health, and notes it.
fn tell(observation: &Observation, record: &mut Record, phase: Phase, is_held: bool) -> Option<PublishedHealth> {
    let now = observation.here.now;
    let assessed = observation.judge(record.binding.as_ref()?);
    record.is_unconfirmed = observation.is_braked;
    let verdict = if observation.is_braked { assessed } else { record.flapping.watch(assessed, now) };
    let told = PublishedHealth::before(record).filter(|_| is_held);
    let repaired = if told.is_some() { [].as_slice() } else { &observation.repaired };
    let new = || PublishedHealth::new(verdict, &observation.sighting, record.said.as_ref());
    let told = told.unwrap_or_else(new);
    say(record, observation, phase, Some(&told), repaired);
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
    if observation.issue.state != IssueState::Gone {
        record.title = record.binding.is_none().then(|| proposal::title(&observation.issue.title)).flatten();
    }
    record.worktree.under_way = observation.slow_checkout().cloned().map(Box::new);
    record.elsewhere = None;
    record.is_closing = false;
    record.yielded_at = None;
    record.misses = 0;
    let issue = &observation.issue;
    if record.binding.is_some() {
        record.first_text = None;
    } else if issue.state != IssueState::Gone {
        record.first_text.get_or_insert_with(|| text_digest(&issue.title, &issue.body));
    }
    if observation.issue.is_open() {
        (record.ended_at, record.archive_deleted_at) = (None, None);
    } else {
        record.ended_at.get_or_insert(observation.here.now);
        // A pause does not outlive the mission's end.
        record.suspension = None;
    }
    record
}

fn accept(binding: &mut Binding, proposal: &Proposal, sighting: &Sighting) {
    let Proposal { name, spec, invisible, outside: _ } = proposal.clone();
    binding.name = name;
    binding.spec = spec;
    binding.invisible = invisible;
    if let Sighting::Cell(cell) = sighting {
        binding.seen_whole |= cell.is_whole();
        binding.ever_beat |= cell.heartbeat.as_ref().is_some_and(|beat| beat.heartbeat.timestamp.is_some());
    }
}

/// Notes what is said now, since when, and what happened.
fn say(
    record: &mut Record,
    observation: &Observation,
    phase: Phase,
    told: Option<&PublishedHealth>,
    repaired: &[Place],
) {
    let now = observation.here.now;
    let before = record.said.take();
    let verdict = told.map(|told| told.verdict);
    let says = told.and_then(|told| told.says);
    let health = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.health);
    let is_same = |said: &&Said| said.phase == phase && health(said.verdict) == health(verdict);
    let since = before.as_ref().filter(is_same).map_or(now, |said| said.since);
    let moved = before.as_ref().is_none_or(|said| said.phase != phase || said.verdict != verdict);
    let heartbeat_at = told.and_then(|told| told.heartbeat_at);
    let notes = told.map_or(Notes::default(), |told| told.notes);
    let message = told.and_then(|told| told.message.clone());
    let says_since = says_since(before.as_ref(), says, now);
    let words = words(before.as_ref(), says, message.as_deref());
    record.said = Some(Said { phase, verdict, since, says, says_since, message, heartbeat_at, notes });
    if !repaired.is_empty() {
        let places = outermost(repaired);
        let paths: Vec<_> = places.iter().map(|place| format!("`{}`", place.path())).collect();
        record.note(now, format!("made again: {}", paths.join(", ")));
        record.repair = Some(Repair { at: now, places });
    } else if moved {
        record.repair = None;
    }
    if moved && before.as_ref().is_some_and(|said| said.phase != Phase::Closed) {
        record.restored = None;
    }
    if moved {
        let what = match verdict {
            Some(Verdict { health, reason }) => format!("`mission/{phase}`, `health/{health}`: {reason}"),
            None => format!("`mission/{phase}`"),
        };
        record.note(now, what);
    } else if let Some(words) = words {
        record.note(now, words);
    }
}

/// Since when the wizard says what it says now.
fn says_since(before: Option<&Said>, says: Option<WizardState>, now: Timestamp) -> Option<Timestamp> {
    let is_same = before.filter(|before| before.says == says);
    says.map(|_| is_same.map_or(now, |before| before.says_since.unwrap_or(before.since)))
}

/// What the wizard says now and did not say before, for the last changes.
fn words(before: Option<&Said>, says: Option<WizardState>, message: Option<&str>) -> Option<String> {
    let is_new = before.is_some_and(|said| said.says != says || said.message.as_deref() != message);
    let says = says.filter(|_| is_new)?;
    let message = message.map(|message| format!(": {}", text::message_span(message)));
    Some(format!("the wizard says `{says}`{}", message.unwrap_or_default()))
}

/// Whether the wizard says something that somebody should read.
fn is_for_people(says: Option<WizardState>) -> bool {
    says.is_some_and(WizardState::is_for_people)
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
        says_since: None,
        message: None,
        mission: None,
        cell: Some(cell_path(&here.missions_root, observation.mission_id)),
        host: here.host.clone(),
        spec: None,
        beat_command: None,
        scan_command: scan_command(&here.missions_root),
        problems: Vec::new(),
        form: None,
        refused: Vec::new(),
        waiting: None,
        asked: None,
        approval: None,
        suspended: None,
        pause_refused: None,
        worktree: None,
        ending: None,
        obstructed: None,
        restored: None,
        host_label: None,
        invisible: 0,
        repair: None,
        notes: Vec::new(),
    }
}

/// What is wrong with the path that a verdict speaks of, or with our reading.
#[must_use]
pub fn flaw(verdict: Verdict) -> Option<String> {
    match verdict.reason {
        Reason::WrongType(_, kind) => Some(format!("it is {kind}")),
        Reason::Unreadable(_, flaw) => Some(flaw.to_string()),
        Reason::Permission => Some("permission denied".to_owned()),
        Reason::Io => Some("a read error".to_owned()),
        Reason::Timeout => Some("reading took too long".to_owned()),
        Reason::NotScaffolded
        | Reason::NeverBeaten
        | Reason::Missing(_)
        | Reason::AgentFailed
        | Reason::Silent
        | Reason::StampInFuture
        | Reason::Flapping
        | Reason::Finished
        | Reason::Beating => None,
    }
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
            url: here.page_of(&issue.key),
            author_id: issue.key.author_id,
        }),
        commit: worktree.map(|checked_out| checked_out.commit.clone()),
        spec: Some(proposal.spec.clone()),
        stale_after_seconds: proposal.spec.stale_after_seconds,
        beat_command: beat_command(&here.missions_root, mission_id),
    }
}
