//! Plans the changes of a mission's cell: the first half of a turn.

use crate::mission::approval::policy::Approval;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::checkout::{CheckoutDecision, decide_checkout};
use crate::mission::cell::manifest::{CellManifest, updated};
use crate::mission::cell::teardown::Teardown;
use crate::mission::cell::worktree::WorktreeSource;
use crate::mission::cell::{CellFacts, CellObservation, Part, PartObservation};
use crate::mission::observation::Observation;
use crate::mission::plan::change::Change;
use crate::mission::proposal::Proposal;
use crate::mission::record::{Binding, Record, Restored};
use crate::mission::status::compose::{current, manifest, phase};
use crate::mission::status::lifecycle::{Active, Lifecycle};
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;

/// The changes that the cell needs.
#[must_use]
pub fn plan_cell(observation: &Observation, lifecycle: &Lifecycle) -> Vec<Change> {
    if observation.is_held {
        return Vec::new();
    }
    match lifecycle {
        Lifecycle::Active(active) => plan_active(observation, active),
        Lifecycle::Closed(teardown) | Lifecycle::Deleted(teardown) | Lifecycle::OwnedByOtherRoot(_, teardown) => {
            plan_teardown(observation, *teardown)
        }
        Lifecycle::Waits(waits) => keep_approval(observation, waits.approval.as_ref()).into_iter().collect(),
        Lifecycle::NotAProposal
        | Lifecycle::NotForThisHost
        | Lifecycle::Missing
        | Lifecycle::Invalid(_)
        | Lifecycle::Blocked(_) => Vec::new(),
    }
}

fn plan_active(observation: &Observation, active: &Active) -> Vec<Change> {
    let manifest = Box::new(manifest(observation, &active.proposal, phase(active)));
    let is_paused = active.suspension.is_some();
    let kept = observation.record.as_ref().and_then(|record| record.archive).zip(observation.archive.kept.as_ref());
    if let Some((name, kept)) = kept.filter(|_| !matches!(observation.sighting, CellObservation::Failed(_))) {
        return vec![restore_cell(observation, active, manifest, name, kept)];
    }
    match &observation.sighting {
        CellObservation::Failed(_) | CellObservation::NotADirectory(_) => Vec::new(),
        CellObservation::Absent if is_paused => Vec::new(),
        CellObservation::Absent => {
            let worktree = source(observation, active, true);
            let check_out = worktree.clone().map(|source| check_out(observation, source));
            let record = Box::new(bind(observation, active));
            let create = Change::CreateCell { manifest, worktree, record };
            check_out.into_iter().chain([create]).collect()
        }
        CellObservation::Cell(cell) => {
            // The approval is recorded before the comment is edited: after the edit it would be too old to count.
            let known = observation.record.as_ref().and_then(|record| record.approval.as_ref());
            let is_changed = observation.binding().is_none() || known != active.approval.as_ref();
            let bind = is_changed.then(|| Change::BindCell { record: Box::new(bind(observation, active)) });
            let source = source(observation, active, false).filter(|_| !is_paused);
            let check_out = source.map(|source| check_out(observation, source));
            let parts =
                Part::ALL.into_iter().filter(|part| !is_paused || *cell.part(*part) != PartObservation::Missing);
            let repairs = parts.filter_map(|part| repair(observation, cell, part, &manifest));
            bind.into_iter().chain(repairs).chain(check_out).collect()
        }
    }
}

/// Records an approval of a proposal that waits for capacity before the comment is edited: after the edit it would be
/// too old to count.
fn keep_approval(observation: &Observation, approval: Option<&Approval>) -> Option<Change> {
    let known = observation.record.as_ref().and_then(|record| record.approval.as_ref());
    let approval = approval.filter(|approval| known != Some(approval))?;
    let record = Record { approval: Some(approval.clone()), ..current(observation) };
    Some(Change::WriteRecord { record: Box::new(record) })
}

/// Records the approval of a mission whose cell waits for its checkout.
#[must_use]
pub fn plan_approval(observation: &Observation, lifecycle: &Lifecycle) -> Option<Change> {
    let Lifecycle::Waits(waits) = lifecycle else { return None };
    keep_approval(observation, waits.approval.as_ref())
}

/// The source to check out now, if any.
fn source(observation: &Observation, active: &Active, is_new: bool) -> Option<WorktreeSource> {
    match decide_checkout(observation, &active.proposal.spec, is_new) {
        CheckoutDecision::CheckOut(source) => Some(source),
        CheckoutDecision::Nothing | CheckoutDecision::Ask(_) | CheckoutDecision::Refused(_) => None,
    }
}

fn check_out(observation: &Observation, source: WorktreeSource) -> Change {
    Change::CheckOut { issue: observation.issue.key.clone(), mission_id: observation.mission_id, source }
}

/// Archives the cell of a mission that has ended; until its agent has stopped, only its manifest reports the end.
fn plan_teardown(observation: &Observation, teardown: Teardown) -> Vec<Change> {
    let Some(binding) = observation.binding() else { return Vec::new() };
    let proposal = binding.proposal();
    let manifest = manifest(observation, &proposal, Phase::Closed);
    let CellObservation::Cell(cell) = &observation.sighting else { return Vec::new() };
    match teardown {
        Teardown::NoCell | Teardown::Archived(_) | Teardown::Deleted => Vec::new(),
        Teardown::GraceUntil(_) => repair(observation, cell, Part::Mission, &manifest)
            .filter(|change| matches!(change, Change::UpdateFile { .. }))
            .into_iter()
            .collect(),
        Teardown::Ready => {
            let name = observation.archive.free;
            let record = observation.record.clone().map(|record| Record { archive: Some(name), ..record });
            let archive = |record| Change::ArchiveCell { manifest: Box::new(manifest), name, record: Box::new(record) };
            record.map(archive).into_iter().collect()
        }
    }
}

fn restore_cell(
    observation: &Observation,
    active: &Active,
    manifest: Box<CellManifest>,
    name: ArchiveName,
    kept: &CellObservation,
) -> Change {
    let missing = match kept {
        CellObservation::Cell(cell) if active.suspension.is_none() => {
            Part::ALL.into_iter().filter(|part| lacks(observation.record.as_ref(), cell, *part)).collect()
        }
        CellObservation::Cell(_)
        | CellObservation::Absent
        | CellObservation::NotADirectory(_)
        | CellObservation::Failed(_) => Vec::new(),
    };
    let displaced = (observation.sighting != CellObservation::Absent).then_some(observation.archive.free);
    let mut record = bind(observation, active);
    record.archive = None;
    record.restored = Some(Restored { at: observation.here.now, displaced });
    Change::RestoreCell { manifest, name, displaced, missing, record: Box::new(record) }
}

fn bind(observation: &Observation, active: &Active) -> Record {
    let mut record = current(observation);
    record.approval.clone_from(&active.approval);
    if record.binding.is_none()
        && let Some(comment) = &mut record.comment
    {
        // It names no root yet. It must be read before the edit that names this one, also after a crash: another root
        // may have claimed the mission first.
        comment.is_confirmed = false;
    }
    let Proposal { name, spec, invisible, outside: _ } = active.proposal.clone();
    let created = || created_at(&observation.sighting).unwrap_or(observation.here.now);
    record.binding.get_or_insert_with(|| Binding {
        mission_id: observation.mission_id,
        created_at: created(),
        name,
        spec,
        invisible,
        was_complete: false,
        ever_heartbeat: false,
    });
    record
}

/// The creation time in the manifest of an adopted cell.
fn created_at(sighting: &CellObservation) -> Option<Timestamp> {
    let CellObservation::Cell(cell) = sighting else { return None };
    Timestamp::parse(cell.mission.as_ref()?.get("created_at")?.as_str()?)
}

/// Whether a part is missing and is created again.
#[must_use]
pub fn lacks(record: Option<&Record>, cell: &CellFacts, part: Part) -> bool {
    // After a heartbeat, an empty file would lose the agent's state; only the agent knows the contents of its worktree.
    let ever_heartbeat =
        record.and_then(|record| record.binding.as_ref()).is_some_and(|binding| binding.ever_heartbeat);
    let was_filled = record.is_some_and(|record| record.worktree.checked_out.is_some());
    let is_irreplaceable = (part == Part::Heartbeat && ever_heartbeat) || (part == Part::Worktree && was_filled);
    !is_irreplaceable && cell.can_be_recreated(part)
}

/// Recreates a missing part; existing files are never overwritten, except lazarus-managed ones that are out of date.
fn repair(observation: &Observation, cell: &CellFacts, part: Part, manifest: &CellManifest) -> Option<Change> {
    let mission_id = manifest.mission_id;
    match (cell.part(part), part) {
        (PartObservation::Missing, _) => lacks(observation.record.as_ref(), cell, part)
            .then(|| Change::RestorePart { manifest: Box::new(manifest.clone()), part }),
        (PartObservation::Present, Part::Mission) => {
            let contents = updated(cell.mission.as_ref()?, &manifest.mission_file())?;
            Some(Change::UpdateFile { mission_id, part, contents })
        }
        (PartObservation::Present, Part::Cell) => {
            let contents = updated(cell.config.as_ref()?, &manifest.cell_file())?;
            Some(Change::UpdateFile { mission_id, part, contents })
        }
        (
            PartObservation::Present
            | PartObservation::WrongType(_)
            | PartObservation::Unreadable(_)
            | PartObservation::Failed(_),
            _,
        ) => None,
    }
}
