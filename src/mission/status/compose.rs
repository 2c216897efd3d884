//! What we say of a mission: the facts behind its labels and its comment, and when they became so.

use crate::mission::alert::condition::update_failing_since;
use crate::mission::approval::decision::{ApprovalState, approval_state, may_author_confirm};
use crate::mission::approval::policy::{ApprovalRequest, text_digest};
use crate::mission::approval::suspension::refusal;
use crate::mission::cell::CellObservation;
use crate::mission::cell::checkout::{CheckoutDecision, decide_checkout};
use crate::mission::cell::health::{CellPath, Reason, Verdict};
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::cell::heartbeat_fields::Notes;
use crate::mission::cell::manifest::{CellManifest, IssueManifest};
use crate::mission::cell::teardown::Teardown;
use crate::mission::cell::worktree::{CANNOT_BE_HAD, Worktree, WorktreeSource};
use crate::mission::observation::Observation;
use crate::mission::paths::{archive_path, cell_path, heartbeat_command, scan_command};
use crate::mission::proposal::formless::form_help;
use crate::mission::proposal::{self, Proposal, Spec};
use crate::mission::record::{Binding, IssueState, Published, Record, Repair};
use crate::mission::status::lifecycle::{Active, Edit, Lifecycle, Obstacle, Waiting, Waits};
use crate::mission::status::phase::Phase;
use crate::mission::status::view::{
    ApprovalPrompt, Repaired, RestoredView, Status, StatusView, SuspensionView, TeardownView, WorktreeNews,
};
use crate::mission::text;
use crate::mission::time::Timestamp;

/// What is published of a cell's health and of its wizard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHealth {
    /// The verdict, damped.
    pub verdict: Verdict,
    /// What the wizard says of itself.
    pub agent_state: Option<WizardState>,
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
        let Published { verdict, agent_state: says, message, heartbeat_at, notes, .. } = record.published.as_ref()?;
        let (verdict, says, message) = ((*verdict)?, *says, message.clone());
        Some(Self { verdict, agent_state: says, message, heartbeat_at: *heartbeat_at, notes: *notes })
    }

    /// What is to be published now. A wizard's last word stands until it says another.
    #[must_use]
    pub fn new(verdict: Verdict, sighting: &CellObservation, last: Option<&Published>) -> Self {
        let beat = sighting.cell().and_then(|cell| cell.heartbeat.as_ref());
        let known = beat.map(|beat| &beat.heartbeat).filter(|heartbeat| heartbeat.timestamp.is_some());
        let is_silent = verdict.reason == Reason::HeartbeatTimeout;
        let heartbeat_at = known.filter(|_| is_silent).and_then(|heartbeat| heartbeat.timestamp);
        let notes = beat.map_or(Notes::default(), |beat| beat.notes.of_mistakes());
        let (says, message) = match (known, last) {
            (Some(heartbeat), _) => (Some(heartbeat.agent_state()), heartbeat.message_for_people()),
            (None, Some(last)) => (last.agent_state, last.message.clone()),
            (None, None) => (None, None),
        };
        Self { verdict, agent_state: says, message, heartbeat_at, notes }
    }
}

/// Whether a mission's health, its wizard's words or a repair are told otherwise than before, and nothing but that could
/// wait.
#[must_use]
pub fn is_health_event(before: Option<&Record>, after: &Record) -> bool {
    let Some(before) = before else { return false };
    PublishedHealth::before(before).is_some()
        && (PublishedHealth::before(before) != PublishedHealth::before(after) || before.repair != after.repair)
}

/// What is to be said of a mission, and what is then to be remembered; none where we have nothing to say.
#[must_use]
pub fn status(observation: &Observation, situation: &Lifecycle) -> Option<(Status, Record)> {
    compose_status(observation, situation, observation.is_held)
}

/// The same, but health and the wizard's words stay as they were told last.
#[must_use]
pub fn status_with_published_health(observation: &Observation, situation: &Lifecycle) -> Option<(Status, Record)> {
    compose_status(observation, situation, true)
}

fn compose_status(observation: &Observation, situation: &Lifecycle, is_held: bool) -> Option<(Status, Record)> {
    let mut record = current(observation);
    let meaning = match situation {
        Lifecycle::NotAProposal
        | Lifecycle::NotForThisHost
        | Lifecycle::OwnedByOtherRoot(..)
        | Lifecycle::Missing
        | Lifecycle::Deleted(_) => return None,
        // Too many are closed at once: the next pass has to find the same.
        Lifecycle::Closed(_) if observation.is_closing_held() => return None,
        Lifecycle::Blocked(obstacle) => blocked_status(observation, obstacle, &mut record),
        Lifecycle::Closed(ending) => closed_status(observation, *ending, &mut record),
        Lifecycle::Invalid(problems) => {
            note_pause(&mut record, observation, Phase::Invalid);
            record_published(&mut record, observation, Phase::Invalid, None, &[]);
            let (form, pause_refused) = (form_help(observation), record.pause_refused);
            StatusView { problems: problems.clone(), form, pause_refused, ..empty_view(observation, Phase::Invalid) }
        }
        Lifecycle::Waits(found) => pending_status(observation, found, &mut record),
        Lifecycle::Active(active) => active_status(observation, active, &mut record, is_held)?,
    };
    update_failing_since(&mut record, &observation.here);
    let obstructed = observation.obstructed.as_ref().map(|failure| failure.message.clone());
    let meaning = StatusView { obstructed: obstructed.or(meaning.obstructed), ..meaning };
    Some((Status { view: meaning, changes: record.changes.clone() }, record))
}

fn closed_status(observation: &Observation, ending: Teardown, record: &mut Record) -> StatusView {
    record_published(record, observation, Phase::Closed, None, &[]);
    let here = &observation.here;
    let ended = match ending {
        Teardown::NoCell => TeardownView::NoCell,
        Teardown::GraceUntil(end) => TeardownView::StaysUntil(end),
        Teardown::Ready => TeardownView::Due,
        Teardown::Archived(name) => TeardownView::Archived(archive_path(&here.missions_root, name)),
        Teardown::Deleted => {
            record.note_deleted_archive(here.now, "the archive of the cell was found deleted");
            record.archive = None;
            TeardownView::Deleted
        }
    };
    let mission = record.binding.as_ref().map(|binding| binding.mission_id);
    StatusView { mission, teardown: Some(ended), ..empty_view(observation, Phase::Closed) }
}

fn pending_status(observation: &Observation, found: &Waits, record: &mut Record) -> StatusView {
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
    record.approval_request.clone_from(&asking);
    note_pause(record, observation, Phase::Pending);
    record_published(record, observation, Phase::Pending, None, &[]);
    StatusView {
        waiting: Some(waiting.clone()),
        approval_prompt: asking.map(|asking| approval_prompt(observation, proposal, asking)),
        approval: record.approval.clone(),
        pause_refused: record.pause_refused,
        spec: Some(proposal.spec.clone()),
        worktree,
        invisible: proposal.invisible,
        ..empty_view(observation, Phase::Pending)
    }
}

/// Something is in the place of the cell. Whose cell that is may be nobody's business here.
fn blocked_status(observation: &Observation, obstacle: &Obstacle, record: &mut Record) -> StatusView {
    record.approval_request = None;
    record.approval = match observation.proposal().ok().map(|proposal| approval_state(observation, proposal)) {
        Some(ApprovalState::Approved(approval)) => Some(approval),
        Some(ApprovalState::NotRequired | ApprovalState::Requested(_)) | None => None,
    };
    note_pause(record, observation, Phase::Pending);
    record_published(record, observation, Phase::Pending, None, &[]);
    let what = match obstacle {
        Obstacle::NotADirectory(kind) => format!("{kind} is in its place"),
        Obstacle::Taken(_) => "it belongs to another issue".to_owned(),
        Obstacle::Unseen(failure) => format!("its place cannot be looked at ({failure})"),
    };
    let (approval, pause_refused) = (record.approval.clone(), record.pause_refused);
    StatusView { obstructed: Some(what), approval, pause_refused, ..empty_view(observation, Phase::Pending) }
}

fn approval_prompt(observation: &Observation, proposal: &Proposal, asking: ApprovalRequest) -> ApprovalPrompt {
    ApprovalPrompt {
        digest: proposal.spec.digest(),
        name: proposal.name.clone(),
        name_differs: observation.binding().is_some_and(|binding| binding.name != proposal.name),
        spec: proposal.spec.clone(),
        invisible: proposal.invisible,
        outside: proposal.outside,
        request: asking,
        has_approvers: !observation.here.approval.approvers.is_empty(),
        trusted_author: may_author_confirm(observation, proposal).then_some(observation.issue.key.author_id),
    }
}

fn active_status(observation: &Observation, active: &Active, record: &mut Record, is_held: bool) -> Option<StatusView> {
    let Active { proposal, refused, edit, approval, suspension } = active;
    let binding = record.binding.as_mut()?;
    accept(binding, proposal, &observation.sighting);
    if observation.sighting == CellObservation::Absent && !binding.was_complete {
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
    record.approval_request = edit.as_ref().map(|edit| edit.request.clone());
    record.suspension.clone_from(suspension);
    let phase = phase(active);
    note_worktree(observation, &proposal.spec, record);
    note_pause(record, observation, phase);
    let told = publish_health(observation, record, phase, is_held)?;
    let verdict = told.verdict;
    let asking = |edit: &Edit| approval_prompt(observation, &edit.proposal, edit.request.clone());
    let here = &observation.here;
    Some(StatusView {
        health: Some(verdict.health),
        reason: Some(verdict.reason.word()),
        place: verdict.reason.place().map(CellPath::path),
        flaw: flaw(verdict),
        since: record.published.as_ref().map(|said| said.since),
        heartbeat_at: told.heartbeat_at,
        agent_state: told.agent_state,
        agent_state_since: record
            .published
            .as_ref()
            .and_then(|said| said.agent_state_since)
            .filter(|_| is_for_people(told.agent_state)),
        message: told.message,
        mission: Some(mission_id),
        spec: Some(proposal.spec.clone()),
        beat_command: Some(heartbeat_command(&here.missions_root, mission_id)),
        refused: refused.clone(),
        approval_prompt: edit.as_ref().map(asking),
        approval: approval.clone(),
        suspended: suspension.as_ref().map(|suspension| SuspensionView {
            since: suspension.since,
            by: suspension.by.login.clone(),
            until: suspension.until,
        }),
        pause_refused: record.pause_refused,
        worktree: worktree_news(&record.worktree, &proposal.spec),
        invisible: proposal.invisible,
        repair: record.repair.as_ref().map(repaired),
        restored: record.restored.map(|restored| RestoredView {
            at: restored.at,
            displaced: restored.displaced.map(|name| archive_path(&here.missions_root, name)),
        }),
        host_label: here.has_label.then(|| here.host.clone()),
        notes: told.notes.lines(),
        ..empty_view(observation, phase)
    })
}

/// Suspended while a person says so.
#[must_use]
pub fn phase(active: &Active) -> Phase {
    if active.suspension.is_some() { Phase::Suspended } else { Phase::Active }
}

/// Takes note of a label that does not pause the mission, so that it does not vanish without a word.
fn note_pause(record: &mut Record, observation: &Observation, phase: Phase) {
    let is_as_before = record.published.as_ref().is_some_and(|said| said.phase == phase);
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
    let is_new = observation.sighting == CellObservation::Absent;
    if let CheckoutDecision::Refused(source) = decide_checkout(observation, spec, is_new) {
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
fn publish_health(
    observation: &Observation,
    record: &mut Record,
    phase: Phase,
    is_held: bool,
) -> Option<PublishedHealth> {
    let now = observation.here.now;
    let assessed = observation.judge(record.binding.as_ref()?);
    record.awaits_confirmation = observation.is_held;
    let verdict = if observation.is_held { assessed } else { record.flap_damping.observe(assessed, now) };
    let told = PublishedHealth::before(record).filter(|_| is_held);
    let repaired = if told.is_some() { [].as_slice() } else { &observation.repaired };
    let new = || PublishedHealth::new(verdict, &observation.sighting, record.published.as_ref());
    let told = told.unwrap_or_else(new);
    record_published(record, observation, phase, Some(&told), repaired);
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
    if observation.issue.state != IssueState::Deleted {
        record.title = record.binding.is_none().then(|| proposal::title(&observation.issue.title)).flatten();
    }
    record.worktree.under_way = observation.slow_checkout().cloned().map(Box::new);
    record.other_owner = None;
    record.is_closing = false;
    record.deferred_at = None;
    record.not_found_count = 0;
    let issue = &observation.issue;
    if record.binding.is_some() {
        record.first_text = None;
    } else if issue.state != IssueState::Deleted {
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

fn accept(binding: &mut Binding, proposal: &Proposal, sighting: &CellObservation) {
    let Proposal { name, spec, invisible, outside: _ } = proposal.clone();
    binding.name = name;
    binding.spec = spec;
    binding.invisible = invisible;
    if let CellObservation::Cell(cell) = sighting {
        binding.was_complete |= cell.is_whole();
        binding.ever_heartbeat |= cell.heartbeat.as_ref().is_some_and(|beat| beat.heartbeat.timestamp.is_some());
    }
}

/// Notes what is said now, since when, and what happened.
fn record_published(
    record: &mut Record,
    observation: &Observation,
    phase: Phase,
    told: Option<&PublishedHealth>,
    repaired: &[CellPath],
) {
    let now = observation.here.now;
    let before = record.published.take();
    let verdict = told.map(|told| told.verdict);
    let says = told.and_then(|told| told.agent_state);
    let health = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.health);
    let is_same = |said: &&Published| said.phase == phase && health(said.verdict) == health(verdict);
    let since = before.as_ref().filter(is_same).map_or(now, |said| said.since);
    let moved = before.as_ref().is_none_or(|said| said.phase != phase || said.verdict != verdict);
    let heartbeat_at = told.and_then(|told| told.heartbeat_at);
    let notes = told.map_or(Notes::default(), |told| told.notes);
    let message = told.and_then(|told| told.message.clone());
    let says_since = agent_state_since(before.as_ref(), says, now);
    let words = words(before.as_ref(), says, message.as_deref());
    record.published = Some(Published {
        phase,
        verdict,
        since,
        agent_state: says,
        agent_state_since: says_since,
        message,
        heartbeat_at,
        notes,
    });
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
fn agent_state_since(before: Option<&Published>, says: Option<WizardState>, now: Timestamp) -> Option<Timestamp> {
    let is_same = before.filter(|before| before.agent_state == says);
    says.map(|_| is_same.map_or(now, |before| before.agent_state_since.unwrap_or(before.since)))
}

/// What the wizard says now and did not say before, for the last changes.
fn words(before: Option<&Published>, says: Option<WizardState>, message: Option<&str>) -> Option<String> {
    let is_new = before.is_some_and(|said| said.agent_state != says || said.message.as_deref() != message);
    let says = says.filter(|_| is_new)?;
    let message = message.map(|message| format!(": {}", text::message_span(message)));
    Some(format!("the wizard says `{says}`{}", message.unwrap_or_default()))
}

/// Whether the wizard says something that somebody should read.
fn is_for_people(says: Option<WizardState>) -> bool {
    says.is_some_and(WizardState::is_for_people)
}

/// A directory that was made again speaks for the files of ours in it.
fn outermost(places: &[CellPath]) -> Vec<CellPath> {
    let parent = |place: &CellPath| match place {
        CellPath::Whole => None,
        CellPath::Part(part) => part.parent().map(CellPath::Part),
    };
    let is_told = |place: &&CellPath| parent(place).is_none_or(|parent| !places.contains(&parent));
    places.iter().filter(is_told).copied().collect()
}

fn empty_view(observation: &Observation, phase: Phase) -> StatusView {
    let here = &observation.here;
    StatusView {
        phase,
        health: None,
        reason: None,
        place: None,
        flaw: None,
        since: None,
        heartbeat_at: None,
        agent_state: None,
        agent_state_since: None,
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
        approval_prompt: None,
        approval: None,
        suspended: None,
        pause_refused: None,
        worktree: None,
        teardown: None,
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
        Reason::NotInitialized
        | Reason::NoHeartbeat
        | Reason::Missing(_)
        | Reason::AgentFailed
        | Reason::HeartbeatTimeout
        | Reason::ClockSkew
        | Reason::Flapping
        | Reason::Completed
        | Reason::HeartbeatOk => None,
    }
}

/// What the cell's own files say of the mission.
#[must_use]
pub fn manifest(observation: &Observation, proposal: &Proposal, phase: Phase) -> CellManifest {
    let here = &observation.here;
    let issue = &observation.issue;
    let mission_id = observation.mission_id;
    let worktree = observation.record.as_ref().and_then(|record| record.worktree.checked_out.as_ref());
    CellManifest {
        mission_id,
        created_at: observation.binding().map_or(here.now, |binding| binding.created_at),
        phase,
        name: Some(proposal.name.clone()),
        host: here.host.clone(),
        issue: Some(IssueManifest {
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
        beat_command: heartbeat_command(&here.missions_root, mission_id),
    }
}
