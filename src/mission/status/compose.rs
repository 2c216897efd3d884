//! Composes the status of a mission: the facts for its labels and comment, and the record of what is published.

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
use crate::mission::cell::worktree::{UNAVAILABLE, Worktree, WorktreeSource};
use crate::mission::observation::Observation;
use crate::mission::paths::{archive_path, cell_path, heartbeat_command, scan_command};
use crate::mission::proposal::formless::form_help;
use crate::mission::proposal::{self, Proposal, Spec};
use crate::mission::record::{Binding, IssueState, Published, Record, Repair};
use crate::mission::status::lifecycle::{Active, Edit, Lifecycle, Obstacle, Waiting, Waits};
use crate::mission::status::phase::Phase;
use crate::mission::status::view::{
    ApprovalPrompt, Repaired, RestoredView, Status, StatusView, SuspensionView, TeardownView, WorktreeView,
};
use crate::mission::text;
use crate::mission::time::Timestamp;

/// The published health of a cell and the published state of its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHealth {
    /// Health and reason, after flap damping.
    pub verdict: Verdict,
    /// The state that the agent reports.
    pub agent_state: Option<WizardState>,
    /// Its message, formatted for people, if it waits for them or has failed.
    pub message: Option<String>,
    /// The last heartbeat, after a heartbeat timeout.
    pub heartbeat_at: Option<Timestamp>,
    /// The mistakes in how the heartbeat is written.
    pub notes: Notes,
}

impl PublishedHealth {
    /// What was published last; none if that was without a cell.
    #[must_use]
    pub fn before(record: &Record) -> Option<Self> {
        let Published { verdict, agent_state, message, heartbeat_at, notes, .. } = record.published.as_ref()?;
        let (verdict, message) = ((*verdict)?, message.clone());
        Some(Self { verdict, agent_state: *agent_state, message, heartbeat_at: *heartbeat_at, notes: *notes })
    }

    /// What to publish now. The state that an agent reported last stays until it reports another one.
    #[must_use]
    pub fn new(verdict: Verdict, sighting: &CellObservation, last: Option<&Published>) -> Self {
        let observed = sighting.cell().and_then(|cell| cell.heartbeat.as_ref());
        let known = observed.map(|observed| &observed.heartbeat).filter(|heartbeat| heartbeat.timestamp.is_some());
        let is_timeout = verdict.reason == Reason::HeartbeatTimeout;
        let heartbeat_at = known.filter(|_| is_timeout).and_then(|heartbeat| heartbeat.timestamp);
        let notes = observed.map_or(Notes::default(), |observed| observed.notes.of_mistakes());
        let (agent_state, message) = match (known, last) {
            (Some(heartbeat), _) => (Some(heartbeat.agent_state()), heartbeat.message_for_people()),
            (None, Some(last)) => (last.agent_state, last.message.clone()),
            (None, None) => (None, None),
        };
        Self { verdict, agent_state, message, heartbeat_at, notes }
    }
}

/// Whether published health, agent state or repair changes; such changes may wait for the hourly write budget.
#[must_use]
pub fn is_health_event(before: Option<&Record>, after: &Record) -> bool {
    let Some(before) = before else { return false };
    PublishedHealth::before(before).is_some()
        && (PublishedHealth::before(before) != PublishedHealth::before(after) || before.repair != after.repair)
}

/// The status to publish and the record to write with it; none if nothing is published about the mission.
#[must_use]
pub fn status(observation: &Observation, lifecycle: &Lifecycle) -> Option<(Status, Record)> {
    compose_status(observation, lifecycle, observation.is_held)
}

/// The same, but health and agent state stay as published last.
#[must_use]
pub fn status_with_published_health(observation: &Observation, lifecycle: &Lifecycle) -> Option<(Status, Record)> {
    compose_status(observation, lifecycle, true)
}

fn compose_status(observation: &Observation, lifecycle: &Lifecycle, is_held: bool) -> Option<(Status, Record)> {
    let mut record = current(observation);
    let view = match lifecycle {
        Lifecycle::NotAProposal
        | Lifecycle::NotForThisHost
        | Lifecycle::OwnedByOtherRoot(..)
        | Lifecycle::Missing
        | Lifecycle::Deleted(_) => return None,
        // The mass change guard holds closings until a second pass confirms them.
        Lifecycle::Closed(_) if observation.is_closing_held() => return None,
        Lifecycle::Blocked(obstacle) => blocked_status(observation, obstacle, &mut record),
        Lifecycle::Closed(teardown) => closed_status(observation, *teardown, &mut record),
        Lifecycle::Invalid(problems) => {
            note_pause(&mut record, observation, Phase::Invalid);
            record_published(&mut record, observation, Phase::Invalid, None, &[]);
            let (form, pause_refused) = (form_help(observation), record.pause_refused);
            StatusView { problems: problems.clone(), form, pause_refused, ..empty_view(observation, Phase::Invalid) }
        }
        Lifecycle::Waits(waits) => pending_status(observation, waits, &mut record),
        Lifecycle::Active(active) => active_status(observation, active, &mut record, is_held)?,
    };
    update_failing_since(&mut record, &observation.here);
    let obstructed = observation.obstructed.as_ref().map(|failure| failure.message.clone());
    let view = StatusView { obstructed: obstructed.or(view.obstructed), ..view };
    Some((Status { view, changes: record.changes.clone() }, record))
}

fn closed_status(observation: &Observation, teardown: Teardown, record: &mut Record) -> StatusView {
    record_published(record, observation, Phase::Closed, None, &[]);
    let context = &observation.here;
    let view = match teardown {
        Teardown::NoCell => TeardownView::NoCell,
        Teardown::GraceUntil(end) => TeardownView::StaysUntil(end),
        Teardown::Ready => TeardownView::Due,
        Teardown::Archived(name) => TeardownView::Archived(archive_path(&context.missions_root, name)),
        Teardown::Deleted => {
            record.note_deleted_archive(context.now, "the archive of the cell was found deleted");
            record.archive = None;
            TeardownView::Deleted
        }
    };
    let mission = record.binding.as_ref().map(|binding| binding.mission_id);
    StatusView { mission, teardown: Some(view), ..empty_view(observation, Phase::Closed) }
}

fn pending_status(observation: &Observation, waits: &Waits, record: &mut Record) -> StatusView {
    let Waits { proposal, waiting, approval } = waits;
    let request = match waiting {
        Waiting::Approval(request) => Some(request.clone()),
        Waiting::Host(_) | Waiting::Room(_) | Waiting::Checkout(_) => None,
    };
    let worktree = match waiting {
        Waiting::Checkout(under_way) => Some(WorktreeView::UnderWay(under_way.clone())),
        Waiting::Host(_) | Waiting::Room(_) | Waiting::Approval(_) => {
            WorktreeSource::of(&proposal.spec).map(WorktreeView::Wanted)
        }
    };
    record.approval.clone_from(approval);
    record.approval_request.clone_from(&request);
    note_pause(record, observation, Phase::Pending);
    record_published(record, observation, Phase::Pending, None, &[]);
    StatusView {
        waiting: Some(waiting.clone()),
        approval_prompt: request.map(|request| approval_prompt(observation, proposal, request)),
        approval: record.approval.clone(),
        pause_refused: record.pause_refused,
        spec: Some(proposal.spec.clone()),
        worktree,
        invisible: proposal.invisible,
        ..empty_view(observation, Phase::Pending)
    }
}

/// Something else is at the cell's path. The comment does not name the owner, whose issue readers may not see.
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

fn approval_prompt(observation: &Observation, proposal: &Proposal, request: ApprovalRequest) -> ApprovalPrompt {
    ApprovalPrompt {
        digest: proposal.spec.digest(),
        name: proposal.name.clone(),
        name_differs: observation.binding().is_some_and(|binding| binding.name != proposal.name),
        spec: proposal.spec.clone(),
        invisible: proposal.invisible,
        outside: proposal.outside,
        request,
        has_approvers: !observation.here.approval.approvers.is_empty(),
        trusted_author: may_author_confirm(observation, proposal).then_some(observation.issue.key.author_id),
    }
}

fn active_status(observation: &Observation, active: &Active, record: &mut Record, is_held: bool) -> Option<StatusView> {
    let Active { proposal, refused, edit, approval, suspension } = active;
    let binding = record.binding.as_mut()?;
    accept(binding, proposal, &observation.sighting);
    if observation.sighting == CellObservation::Absent && !binding.was_complete {
        // The cell could not be created and never existed: what was published before is still true.
        return None;
    }
    if observation.checkout.is_some() && observation.slow_checkout().is_none() {
        // The checkout ends in a moment, and one write then publishes everything.
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
    let published = publish_health(observation, record, phase, is_held)?;
    let verdict = published.verdict;
    let prompt = |edit: &Edit| approval_prompt(observation, &edit.proposal, edit.request.clone());
    let context = &observation.here;
    Some(StatusView {
        health: Some(verdict.health),
        reason: Some(verdict.reason.word()),
        place: verdict.reason.place().map(CellPath::path),
        flaw: flaw(verdict),
        since: record.published.as_ref().map(|published| published.since),
        heartbeat_at: published.heartbeat_at,
        agent_state: published.agent_state,
        agent_state_since: record
            .published
            .as_ref()
            .and_then(|published| published.agent_state_since)
            .filter(|_| is_for_people(published.agent_state)),
        message: published.message,
        mission: Some(mission_id),
        spec: Some(proposal.spec.clone()),
        beat_command: Some(heartbeat_command(&context.missions_root, mission_id)),
        refused: refused.clone(),
        approval_prompt: edit.as_ref().map(prompt),
        approval: approval.clone(),
        suspended: suspension.as_ref().map(|suspension| SuspensionView {
            since: suspension.since,
            by: suspension.by.login.clone(),
            until: suspension.until,
        }),
        pause_refused: record.pause_refused,
        worktree: worktree_view(&record.worktree, &proposal.spec),
        invisible: proposal.invisible,
        repair: record.repair.as_ref().map(repaired),
        restored: record.restored.map(|restored| RestoredView {
            at: restored.at,
            displaced: restored.displaced.map(|name| archive_path(&context.missions_root, name)),
        }),
        host_label: context.has_label.then(|| context.host.clone()),
        notes: published.notes.lines(),
        ..empty_view(observation, phase)
    })
}

/// The phase of a mission with a cell.
#[must_use]
pub fn phase(active: &Active) -> Phase {
    if active.suspension.is_some() { Phase::Suspended } else { Phase::Active }
}

/// Records why a label `mission/suspended` is removed, so that the comment explains it.
fn note_pause(record: &mut Record, observation: &Observation, phase: Phase) {
    let is_as_before = record.published.as_ref().is_some_and(|published| published.phase == phase);
    let refused = refusal(observation, phase == Phase::Active);
    record.pause_refused = match phase {
        Phase::Suspended => None,
        Phase::Pending | Phase::Invalid | Phase::Active | Phase::Closed => {
            refused.or(record.pause_refused.filter(|_| is_as_before))
        }
    };
}

/// Records that a repository may not be used; results of actual checkouts are recorded where they run.
fn note_worktree(observation: &Observation, spec: &Spec, record: &mut Record) {
    let is_new = observation.sighting == CellObservation::Absent;
    if let CheckoutDecision::Refused(source) = decide_checkout(observation, spec, is_new) {
        record.worktree.fail(source, UNAVAILABLE.to_owned(), observation.here.now);
    }
}

fn worktree_view(worktree: &Worktree, spec: &Spec) -> Option<WorktreeView> {
    if let Some(checked_out) = &worktree.checked_out {
        return Some(WorktreeView::CheckedOut(checked_out.clone()));
    }
    if let Some(under_way) = &worktree.under_way {
        return Some(WorktreeView::UnderWay((**under_way).clone()));
    }
    let source = WorktreeSource::of(spec)?;
    // A checkout that a preview only simulates has no reason.
    let failed = worktree.failed.as_ref().filter(|failed| failed.source == source && !failed.why.is_empty());
    Some(match failed {
        Some(failed) => WorktreeView::Failed(source, failed.why.clone()),
        None => WorktreeView::Wanted(source),
    })
}

/// Decides which health to publish, and records it.
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
    let held = PublishedHealth::before(record).filter(|_| is_held);
    let repaired = if held.is_some() { [].as_slice() } else { &observation.repaired };
    let new = || PublishedHealth::new(verdict, &observation.sighting, record.published.as_ref());
    let health = held.unwrap_or_else(new);
    record_published(record, observation, phase, Some(&health), repaired);
    Some(health)
}

fn repaired(repair: &Repair) -> Repaired {
    Repaired { at: repair.at, paths: repair.places.iter().map(|place| place.path()).collect() }
}

/// The record, updated with the issue's current state.
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
        // Closing the issue ends a pause.
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
        binding.ever_heartbeat |=
            cell.heartbeat.as_ref().is_some_and(|observed| observed.heartbeat.timestamp.is_some());
    }
}

/// Records what is published now and since when, and adds an event for each change.
fn record_published(
    record: &mut Record,
    observation: &Observation,
    phase: Phase,
    health: Option<&PublishedHealth>,
    repaired: &[CellPath],
) {
    let now = observation.here.now;
    let before = record.published.take();
    let verdict = health.map(|health| health.verdict);
    let agent_state = health.and_then(|health| health.agent_state);
    let of = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.health);
    let is_same = |published: &&Published| published.phase == phase && of(published.verdict) == of(verdict);
    let since = before.as_ref().filter(is_same).map_or(now, |published| published.since);
    let has_changed = before.as_ref().is_none_or(|published| published.phase != phase || published.verdict != verdict);
    let heartbeat_at = health.and_then(|health| health.heartbeat_at);
    let notes = health.map_or(Notes::default(), |health| health.notes);
    let message = health.and_then(|health| health.message.clone());
    let agent_state_since = agent_state_since(before.as_ref(), agent_state, now);
    let report = agent_report(before.as_ref(), agent_state, message.as_deref());
    record.published =
        Some(Published { phase, verdict, since, agent_state, agent_state_since, message, heartbeat_at, notes });
    if !repaired.is_empty() {
        let places = outermost(repaired);
        let paths: Vec<_> = places.iter().map(|place| format!("`{}`", place.path())).collect();
        record.note(now, format!("recreated: {}", paths.join(", ")));
        record.repair = Some(Repair { at: now, places });
    } else if has_changed {
        record.repair = None;
    }
    if has_changed && before.as_ref().is_some_and(|published| published.phase != Phase::Closed) {
        record.restored = None;
    }
    if has_changed {
        let what = match verdict {
            Some(Verdict { health, reason }) => format!("`mission/{phase}`, `health/{health}`: {reason}"),
            None => format!("`mission/{phase}`"),
        };
        record.note(now, what);
    } else if let Some(report) = report {
        record.note(now, report);
    }
}

/// Since when the agent reports its current state.
fn agent_state_since(before: Option<&Published>, state: Option<WizardState>, now: Timestamp) -> Option<Timestamp> {
    let is_same = before.filter(|before| before.agent_state == state);
    state.map(|_| is_same.map_or(now, |before| before.agent_state_since.unwrap_or(before.since)))
}

/// An event for a state or message that the agent newly reports.
fn agent_report(before: Option<&Published>, state: Option<WizardState>, message: Option<&str>) -> Option<String> {
    let is_new = before.is_some_and(|before| before.agent_state != state || before.message.as_deref() != message);
    let state = state.filter(|_| is_new)?;
    let message = message.map(|message| format!(": {}", text::message_span(message)));
    Some(format!("the agent reports `{state}`{}", message.unwrap_or_default()))
}

/// Whether the agent's state is one that a person should read.
fn is_for_people(state: Option<WizardState>) -> bool {
    state.is_some_and(WizardState::is_for_people)
}

/// Leaves out files whose directory was recreated too.
fn outermost(places: &[CellPath]) -> Vec<CellPath> {
    let parent = |place: &CellPath| match place {
        CellPath::Whole => None,
        CellPath::Part(part) => part.parent().map(CellPath::Part),
    };
    let is_outermost = |place: &&CellPath| parent(place).is_none_or(|parent| !places.contains(&parent));
    places.iter().filter(is_outermost).copied().collect()
}

fn empty_view(observation: &Observation, phase: Phase) -> StatusView {
    let context = &observation.here;
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
        cell: Some(cell_path(&context.missions_root, observation.mission_id)),
        host: context.host.clone(),
        spec: None,
        beat_command: None,
        scan_command: scan_command(&context.missions_root),
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

/// What is wrong with the path that the reason is about, or why reading failed.
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

/// The contents of the cell's own files.
#[must_use]
pub fn manifest(observation: &Observation, proposal: &Proposal, phase: Phase) -> CellManifest {
    let context = &observation.here;
    let issue = &observation.issue;
    let mission_id = observation.mission_id;
    let worktree = observation.record.as_ref().and_then(|record| record.worktree.checked_out.as_ref());
    CellManifest {
        mission_id,
        created_at: observation.binding().map_or(context.now, |binding| binding.created_at),
        phase,
        name: Some(proposal.name.clone()),
        host: context.host.clone(),
        issue: Some(IssueManifest {
            forge: context.forge.clone(),
            repository_id: issue.key.repository_id,
            repository: issue.key.repository.clone(),
            number: issue.key.number,
            id: issue.key.issue_id,
            url: context.page_of(&issue.key),
            author_id: issue.key.author_id,
        }),
        commit: worktree.map(|checked_out| checked_out.commit.clone()),
        spec: Some(proposal.spec.clone()),
        stale_after_seconds: proposal.spec.stale_after_seconds,
        beat_command: heartbeat_command(&context.missions_root, mission_id),
    }
}
