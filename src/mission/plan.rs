//! Decides what one mission needs: an observation in, a list of changes out.

use crate::mission::archive::ArchiveName;
use crate::mission::cell::{CellFacts, Part, Sight, Sighting};
use crate::mission::change::Change;
use crate::mission::checkout::{Wish, wish};
use crate::mission::comment::marker;
use crate::mission::contents::parse_object;
use crate::mission::ending::Ending;
use crate::mission::flapping::Cost;
use crate::mission::health::Place;
use crate::mission::heartbeat::{Beat, Heartbeat};
use crate::mission::identity::RepositoryName;
use crate::mission::label::Label;
use crate::mission::observation::{AttachedLabel, Comments, Observation, Take, Timeline};
use crate::mission::papers::CellPapers;
use crate::mission::papers::updated;
use crate::mission::phase::Phase;
use crate::mission::proposal::Proposal;
use crate::mission::record::{Binding, Record, Restored, Spoken};
use crate::mission::situation::{Active, Situation, Waiting, situation};
use crate::mission::status::{Status, current, held_status, is_news_of_health, papers, phase, status};
use crate::mission::suspension::is_to_be_asked;
use crate::mission::time::Timestamp;
use crate::mission::worktree::WorktreeSource;

/// What the cell needs: the first half of a pass over a mission.
#[must_use]
pub fn plan_cell(observation: &Observation) -> Vec<Change> {
    if observation.is_braked {
        return Vec::new();
    }
    match situation(observation) {
        Situation::Active(active) => plan_active(observation, &active),
        Situation::Closed(ending) | Situation::Gone(ending) | Situation::Elsewhere(_, ending) => {
            plan_end(observation, ending)
        }
        Situation::NotAProposal
        | Situation::ForAnotherHost
        | Situation::Missing
        | Situation::Waits(..)
        | Situation::Invalid(_)
        | Situation::Blocked(_) => Vec::new(),
    }
}

fn plan_active(observation: &Observation, active: &Active) -> Vec<Change> {
    let papers = Box::new(papers(observation, &active.proposal, phase(active)));
    let is_paused = active.suspension.is_some();
    let kept = observation.record.as_ref().and_then(|record| record.archive).zip(observation.archive.kept.as_ref());
    if let Some((name, kept)) = kept.filter(|_| !matches!(observation.sighting, Sighting::Failed(_))) {
        return vec![restore_cell(observation, active, papers, name, kept)];
    }
    match &observation.sighting {
        Sighting::Failed(_) | Sighting::NotADirectory(_) => Vec::new(),
        Sighting::Absent if is_paused => Vec::new(),
        Sighting::Absent => {
            let source = source(observation, active, true);
            let record = Box::new(bind(observation, active));
            let create = Change::CreateCell { papers, record };
            let check_out = source.map(|source| check_out(observation, source));
            check_out.into_iter().chain([create]).collect()
        }
        Sighting::Cell(cell) => {
            let bind = observation
                .binding()
                .is_none()
                .then(|| Change::BindCell { record: Box::new(bind(observation, active)) });
            let source = source(observation, active, false).filter(|_| !is_paused);
            let check_out = source.map(|source| check_out(observation, source));
            let parts = Part::ALL.into_iter().filter(|part| !is_paused || *cell.part(*part) != Sight::Missing);
            let repairs = parts.filter_map(|part| repair(observation, cell, part, &papers));
            bind.into_iter().chain(repairs).chain(check_out).collect()
        }
    }
}

/// The repository to be checked out now, if one is.
fn source(observation: &Observation, active: &Active, is_new: bool) -> Option<WorktreeSource> {
    match wish(observation, &active.proposal.spec, is_new) {
        Wish::CheckOut(source) => Some(source),
        Wish::Nothing | Wish::Ask(_) | Wish::Refused(_) => None,
    }
}

fn check_out(observation: &Observation, source: WorktreeSource) -> Change {
    Change::CheckOut { issue: observation.issue.key.clone(), mission_id: observation.mission_id, source }
}

/// A cell that nobody needs any more moves away; while its wizard is still at work, its papers tell it the end.
fn plan_end(observation: &Observation, ending: Ending) -> Vec<Change> {
    let Some(binding) = observation.binding() else { return Vec::new() };
    let proposal = Proposal { name: binding.name.clone(), spec: binding.spec.clone(), invisible: binding.invisible };
    let papers = papers(observation, &proposal, Phase::Closed);
    let Sighting::Cell(cell) = &observation.sighting else { return Vec::new() };
    match ending {
        Ending::NoCell | Ending::Archived(_) => Vec::new(),
        Ending::StaysUntil(_) => repair(observation, cell, Part::Mission, &papers)
            .filter(|change| matches!(change, Change::UpdateFile { .. }))
            .into_iter()
            .collect(),
        Ending::Due => {
            let name = observation.archive.free;
            let record = observation.record.clone().map(|record| Record { archive: Some(name), ..record });
            let archive = |record| Change::ArchiveCell { papers: Box::new(papers), name, record: Box::new(record) };
            record.map(archive).into_iter().collect()
        }
    }
}

fn restore_cell(
    observation: &Observation,
    active: &Active,
    papers: Box<CellPapers>,
    name: ArchiveName,
    kept: &Sighting,
) -> Change {
    let missing = match kept {
        Sighting::Cell(cell) if active.suspension.is_none() => {
            Part::ALL.into_iter().filter(|part| lacks(observation, cell, *part)).collect()
        }
        Sighting::Cell(_) | Sighting::Absent | Sighting::NotADirectory(_) | Sighting::Failed(_) => Vec::new(),
    };
    let displaced = (observation.sighting != Sighting::Absent).then_some(observation.archive.free);
    let mut record = bind(observation, active);
    record.archive = None;
    record.restored = Some(Restored { at: observation.here.now, displaced });
    Change::RestoreCell { papers, name, displaced, missing, record: Box::new(record) }
}

fn bind(observation: &Observation, active: &Active) -> Record {
    let mut record = current(observation);
    record.approval.clone_from(&active.approval);
    let Proposal { name, spec, invisible } = active.proposal.clone();
    let born = || born(&observation.sighting).unwrap_or(observation.here.now);
    record.binding.get_or_insert_with(|| Binding {
        mission_id: observation.mission_id,
        created_at: born(),
        name,
        spec,
        invisible,
        seen_whole: false,
        ever_beat: false,
    });
    record
}

/// When a cell that is taken over says that it was made.
fn born(sighting: &Sighting) -> Option<Timestamp> {
    let Sighting::Cell(cell) = sighting else { return None };
    Timestamp::parse(cell.mission.as_ref()?.get("created_at")?.as_str()?)
}

/// Whether a part is missing and is to be made again.
fn lacks(observation: &Observation, cell: &CellFacts, part: Part) -> bool {
    // A wizard that has beaten knows more of its heartbeat than an empty file would say, and what lay in a worktree nobody
    // knows but its wizard.
    let is_beyond_us = match part {
        Part::Heartbeat => observation.binding().is_some_and(|binding| binding.ever_beat),
        Part::Worktree => observation.record.as_ref().is_some_and(|record| record.worktree.checked_out.is_some()),
        Part::Meta
        | Part::Config
        | Part::State
        | Part::Logs
        | Part::Artifacts
        | Part::Mission
        | Part::Cell
        | Part::Log
        | Part::Token => false,
    };
    !is_beyond_us && cell.can_be_made_again(part)
}

/// What is missing is made again; what exists is never overwritten, but for files of ours that are out of date.
fn repair(observation: &Observation, cell: &CellFacts, part: Part, papers: &CellPapers) -> Option<Change> {
    let mission_id = papers.mission_id;
    match (cell.part(part), part) {
        (Sight::Missing, _) => {
            lacks(observation, cell, part).then(|| Change::RestorePart { papers: Box::new(papers.clone()), part })
        }
        (Sight::Present, Part::Mission) => {
            let contents = updated(cell.mission.as_ref()?, &papers.mission_file())?;
            Some(Change::UpdateFile { mission_id, part, contents })
        }
        (Sight::Present, Part::Cell) => {
            let contents = updated(cell.config.as_ref()?, &papers.cell_file())?;
            Some(Change::UpdateFile { mission_id, part, contents })
        }
        (Sight::Present | Sight::WrongType(_) | Sight::Unreadable(_) | Sight::Failed(_), _) => None,
    }
}

/// The world as it will be once `changes` have been made; what a preview sees instead of a second look.
#[must_use]
pub fn expected(observation: &Observation, changes: &[Change]) -> Observation {
    let mut after = observation.clone();
    for change in changes {
        expect(&mut after, change);
    }
    after
}

fn expect(after: &mut Observation, change: &Change) {
    match change {
        Change::CreateCell { papers, record } => {
            if after.binding().is_some_and(|binding| binding.seen_whole) {
                after.repaired.push(Place::Whole);
            }
            after.sighting = Sighting::Cell(Box::new(new_cell(after, papers)));
            let mut record = keeping_worktree(after, record);
            record.worktree.checked_out = None;
            after.record = Some(record);
        }
        Change::BindCell { record } => after.record = Some(keeping_worktree(after, record)),
        Change::CheckOut { issue, mission_id: _, source } => {
            // Which commit it will be nobody knows yet; that it is not tried again at this moment is known.
            let now = after.here.now;
            let record = after.record.get_or_insert_with(|| Record::new(issue.clone()));
            record.worktree.fail(source.clone(), String::new(), now);
        }
        Change::ArchiveCell { papers: _, name, record } => {
            after.archive.kept = Some(std::mem::replace(&mut after.sighting, Sighting::Absent));
            after.archive.free = name.next();
            after.record = Some(keeping_worktree(after, record));
        }
        Change::RestoreCell { papers, name: _, displaced: _, missing, record } => {
            after.sighting = after.archive.kept.take().unwrap_or(Sighting::Absent);
            for part in missing {
                after.repaired.extend(part.is_required().then_some(Place::Part(*part)));
                restore(after, papers, *part);
            }
            bring_up_to_date(after, papers);
            after.record = Some(keeping_worktree(after, record));
        }
        Change::RestorePart { papers, part } => {
            after.repaired.extend(part.is_required().then_some(Place::Part(*part)));
            restore(after, papers, *part);
        }
        Change::UpdateFile { mission_id: _, part, contents } => {
            if let Sighting::Cell(cell) = &mut after.sighting {
                fill(cell, *part, contents);
            }
        }
        Change::InitialiseRoot { .. }
        | Change::UpdateRoot { .. }
        | Change::CreateLabel { .. }
        | Change::CorrectLabel { .. }
        | Change::AddLabels { .. }
        | Change::RemoveLabel { .. }
        | Change::ReplaceLabels { .. }
        | Change::PostComment { .. }
        | Change::EditComment { .. }
        | Change::RemoveComment { .. }
        | Change::RememberComment { .. }
        | Change::Remember { .. } => {}
    }
}

/// What is remembered of the worktree belongs to the changes that fill it.
fn keeping_worktree(after: &Observation, record: &Record) -> Record {
    let worktree = after.record.as_ref().map(|known| known.worktree.clone());
    Record { worktree: worktree.unwrap_or_default(), ..record.clone() }
}

fn bring_up_to_date(after: &mut Observation, papers: &CellPapers) {
    let Sighting::Cell(cell) = &mut after.sighting else { return };
    for (part, wanted) in [(Part::Mission, papers.mission_file()), (Part::Cell, papers.cell_file())] {
        let found = if part == Part::Mission { &cell.mission } else { &cell.config };
        if let Some(contents) = found.as_ref().and_then(|found| updated(found, &wanted)) {
            fill(cell, part, &contents);
        }
    }
}

fn new_cell(observation: &Observation, papers: &CellPapers) -> CellFacts {
    let mut cell = CellFacts::empty();
    for part in Part::ALL {
        cell.see(part, Sight::Present);
        fill(&mut cell, part, &papers.contents(part).unwrap_or_default());
    }
    cell.heartbeat = Some(unborn(observation.here.now));
    cell
}

fn restore(after: &mut Observation, papers: &CellPapers, part: Part) {
    let now = after.here.now;
    let Sighting::Cell(cell) = &mut after.sighting else { return };
    // Making a file makes its directory where that is missing too.
    for made in part.parent().into_iter().chain([part]) {
        cell.see(made, Sight::Present);
    }
    fill(cell, part, &papers.contents(part).unwrap_or_default());
    if part == Part::Heartbeat {
        cell.heartbeat = Some(unborn(now));
    }
}

fn unborn(now: Timestamp) -> Beat {
    Beat { heartbeat: Heartbeat::unborn(), written_at: now, seen_at: now }
}

fn fill(cell: &mut CellFacts, part: Part, contents: &str) {
    let object = parse_object(contents.as_bytes()).ok();
    match part {
        Part::Mission => cell.mission = object,
        Part::Cell => cell.config = object,
        Part::Meta
        | Part::Config
        | Part::State
        | Part::Logs
        | Part::Artifacts
        | Part::Worktree
        | Part::Heartbeat
        | Part::Log
        | Part::Token => {}
    }
}

/// What the issue needs: the second half of a pass over a mission.
#[must_use]
pub fn plan_status(observation: &Observation) -> Vec<Change> {
    let situation = situation(observation);
    let mut changes = Vec::new();
    let record = if let Some((status, record)) = status(observation, &situation) {
        let (said, record) = say_what_is_allowed(observation, &situation, status, record);
        changes.extend(said);
        Some(record)
    } else {
        if let Situation::Elsewhere(..) = situation {
            changes.extend(withdraw(observation));
        }
        silent_record(observation, situation, changes.len())
    };
    changes.extend(record.and_then(|record| plan_memory(observation, record)));
    changes
}

/// News of health that would cost more than an hour allows wait, all else is said.
fn say_what_is_allowed(
    observation: &Observation,
    situation: &Situation,
    status: Status,
    mut record: Record,
) -> (Vec<Change>, Record) {
    let now = observation.here.now;
    let changes = plan_words(observation, status);
    if !is_news_of_health(observation.record.as_ref(), &record) {
        return (changes, record);
    }
    let cost = cost(&changes);
    if record.flapping.allows(cost, now) {
        record.flapping.spend(cost, now);
        return (changes, record);
    }
    match held_status(observation, situation) {
        Some((status, record)) => (plan_words(observation, status), record),
        None => (changes, record),
    }
}

fn plan_words(observation: &Observation, status: Status) -> Vec<Change> {
    let labels = plan_labels(observation, &status.labels());
    labels.into_iter().chain(plan_comment(observation, status)).collect()
}

fn cost(changes: &[Change]) -> Cost {
    let count = |is_it: fn(&Change) -> bool| changes.iter().filter(|change| is_it(change)).count();
    Cost {
        label_writes: count(Change::is_about_labels),
        comment_edits: count(|change| matches!(change, Change::PostComment { .. } | Change::EditComment { .. })),
    }
}

/// Another root spoke first: what this root has said is taken back.
fn withdraw(observation: &Observation) -> Vec<Change> {
    let ours = observation.our_comments().into_iter().skip(1);
    let of_this_root = ours.filter(|(_, marker)| marker.root.is_some_and(|root| observation.here.is_this_root(root)));
    let issue = &observation.issue.key;
    of_this_root.map(|(id, _)| Change::RemoveComment { issue: issue.clone(), id }).collect()
}

/// What is remembered of issues that we say nothing on, once so many comments are taken back.
fn silent_record(observation: &Observation, situation: Situation, withdrawn: usize) -> Option<Record> {
    let mut record = current(observation);
    let ended_at = observation.record.as_ref().and_then(|before| before.ended_at);
    match situation {
        Situation::Elsewhere(mut elsewhere, _) => {
            elsewhere.comments -= i64::try_from(withdrawn).unwrap_or_default();
            record.elsewhere = Some(elsewhere);
            record.ended_at = ended_at.or_else(|| record.binding.as_ref().map(|_| observation.here.now));
        }
        Situation::ForAnotherHost if observation.here.take == Take::Any => {
            record.yielded_at = Some(observation.issue.updated_at);
        }
        Situation::Missing => {
            record = observation.record.clone()?;
            record.misses = record.misses.saturating_add(1);
        }
        // It is asked again, and counts again, until somebody has agreed.
        Situation::Gone(_) if observation.is_braked => record = observation.record.clone()?,
        Situation::Gone(_) => {}
        Situation::NotAProposal
        | Situation::ForAnotherHost
        | Situation::Blocked(_)
        | Situation::Waits(..)
        | Situation::Invalid(_)
        | Situation::Closed(_)
        | Situation::Active(_) => return None,
    }
    Some(record)
}

fn plan_memory(observation: &Observation, mut record: Record) -> Option<Change> {
    let before = observation.record.as_ref();
    record.comment = before.and_then(|before| before.comment.clone());
    (before != Some(&record)).then(|| Change::Remember { record: Box::new(record) })
}

/// Puts the labels of ours right: each scope ends with exactly its wanted value, or none.
fn plan_labels(observation: &Observation, wanted: &[Label]) -> Vec<Change> {
    let attached = &observation.issue.labels;
    let is_there = |label: &Label| attached.iter().any(|known| known.name == label.name());
    let add: Vec<Label> = wanted.iter().filter(|label| !is_there(label)).cloned().collect();
    let surplus = surplus(attached, wanted);
    if observation.here.is_job_token() {
        // The forge itself drops the siblings of what was not there before; the rest needs a whole new list.
        let stays = surplus.iter().any(|label| !is_dropped_by(&add, label));
        let issue = observation.issue.key.clone();
        return match (add.is_empty(), stays) {
            (_, true) => vec![Change::ReplaceLabels { issue, add, remove: surplus }],
            (false, false) => vec![Change::AddLabels { issue, labels: add }],
            (true, false) => Vec::new(),
        };
    }
    let issue = || observation.issue.key.clone();
    let removals: Vec<_> = surplus
        .into_iter()
        .filter(|label| !is_dropped_by(&add, label))
        .map(|label| Change::RemoveLabel { issue: issue(), label })
        .collect();
    let added = (!add.is_empty()).then(|| Change::AddLabels { issue: issue(), labels: add });
    added.into_iter().chain(removals).collect()
}

/// Labels of ours that must go: values that are not wanted, and second copies of one that is.
fn surplus(attached: &[AttachedLabel], wanted: &[Label]) -> Vec<AttachedLabel> {
    let mut kept: Vec<Label> = Vec::new();
    let mut surplus = Vec::new();
    for label in attached {
        let Some(ours) = Label::named(&label.name) else { continue };
        if wanted.contains(&ours) && !kept.contains(&ours) {
            kept.push(ours);
        } else {
            surplus.push(label.clone());
        }
    }
    surplus
}

/// Whether adding these makes the forge take that one off: a sibling in an exclusive scope, added anew
/// (go-gitea/gitea `models/issues/issue_label.go`).
fn is_dropped_by(add: &[Label], label: &AttachedLabel) -> bool {
    let Some(ours) = Label::named(&label.name) else { return false };
    label.is_exclusive && ours.is_exclusive() && add.iter().any(|new| new.is_exclusive() && new.scope() == ours.scope())
}

/// Says it in our one comment, and removes surplus ones.
fn plan_comment(observation: &Observation, status: Status) -> Vec<Change> {
    let digest = status.digest();
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let is_said = known.is_some_and(|known| known.digest == digest);
    let status = Box::new(status);
    let issue = || observation.issue.key.clone();
    if observation.comments == Comments::Unread {
        return match known {
            Some(_) if is_said => Vec::new(),
            Some(known) => vec![Change::EditComment { issue: issue(), id: known.id, status, is_claim: false }],
            None => vec![Change::PostComment { issue: issue(), status }],
        };
    }
    let ours = observation.our_comments();
    let Some((id, found)) = ours.first() else {
        // A person removed it; it comes back when there is something new to say.
        let unconfirmed = known.filter(|known| !known.is_confirmed);
        let confirmed = unconfirmed.map(|known| Spoken { is_confirmed: true, ..known.clone() });
        let confirm = confirmed.map(|comment| Change::RememberComment { issue: issue(), comment });
        return if is_said {
            confirm.into_iter().collect()
        } else {
            vec![Change::PostComment { issue: issue(), status }]
        };
    };
    let is_edited = known.is_none_or(|known| known.id != *id || known.is_edited);
    let spoken = Spoken { id: *id, digest: digest.clone(), is_confirmed: true, asks: status.asks(), is_edited };
    let mut changes = Vec::new();
    let wanted = marker(&observation.here, &status);
    if **found != wanted {
        let is_ours = found.root.is_some_and(|root| observation.here.is_this_root(root));
        let is_claim = wanted.root.is_some() && !is_ours;
        changes.push(Change::EditComment { issue: issue(), id: *id, status, is_claim });
    } else if known != Some(&spoken) {
        changes.push(Change::RememberComment { issue: issue(), comment: spoken });
    }
    let surplus = ours.iter().skip(1);
    changes.extend(surplus.map(|(id, _)| Change::RemoveComment { issue: issue(), id: *id }));
    changes
}

/// Both halves as they would be carried out: what a dry run prints.
#[must_use]
pub fn preview(observation: &Observation) -> Vec<Change> {
    let mut changes = plan_cell(observation);
    changes.extend(plan_status(&expected(observation, &changes)));
    changes
}

/// Whether the plan depends on comments that have not been read: on an issue without a cell of ours,
/// another root may have spoken, and what we said may not be known to us.
#[must_use]
pub fn needs_comments(observation: &Observation) -> bool {
    if observation.comments != Comments::Unread {
        return false;
    }
    match situation(observation) {
        Situation::NotAProposal | Situation::Missing | Situation::Gone(_) => return false,
        Situation::ForAnotherHost if observation.here.take == Take::Named => return false,
        Situation::ForAnotherHost
        | Situation::Elsewhere(..)
        | Situation::Closed(_)
        | Situation::Waits(..)
        | Situation::Invalid(_)
        | Situation::Active(_)
        | Situation::Blocked(_) => {}
    }
    let Some(record) = &observation.record else { return true };
    let issue = &observation.issue;
    if let Some(elsewhere) = &record.elsewhere {
        let is_old = elsewhere.updated_at != issue.updated_at || elsewhere.comments != issue.comments;
        return observation.here.is_this_root(elsewhere.root) || (is_old && issue.is_open());
    }
    if record.yielded_at.is_some() {
        return record.yielded_at != Some(issue.updated_at);
    }
    if record.comment.as_ref().is_none_or(|comment| !comment.is_confirmed) {
        return true;
    }
    let is_local = |change: &Change| matches!(change, Change::Remember { .. } | Change::RememberComment { .. });
    needs_timeline(observation) || (record.binding.is_none() && !preview(observation).iter().all(is_local))
}

/// Whether the plan depends on who put a label on the issue, and when; then it depends on the comments, too.
#[must_use]
pub fn needs_timeline(observation: &Observation) -> bool {
    if observation.timeline != Timeline::Unread || !observation.issue.is_open() {
        return false;
    }
    let has_spoken = observation.record.as_ref().is_some_and(|record| record.comment.is_some());
    let is_weighed = match situation(observation) {
        Situation::Waits(_, Waiting::Approval(_)) => true,
        Situation::Active(active) => active.edit.is_some(),
        Situation::NotAProposal
        | Situation::ForAnotherHost
        | Situation::Elsewhere(..)
        | Situation::Closed(_)
        | Situation::Missing
        | Situation::Gone(_)
        | Situation::Waits(..)
        | Situation::Invalid(_)
        | Situation::Blocked(_) => false,
    };
    let is_granted = is_weighed && has_spoken && observation.issue.has(&Label::ApprovalGranted);
    is_granted || is_to_be_asked(observation)
}

/// The repository that the plan depends on and that the forge was not asked about.
#[must_use]
pub fn needs_origin(observation: &Observation) -> Option<RepositoryName> {
    let Situation::Active(active) = situation(observation) else { return None };
    let is_new = observation.sighting == Sighting::Absent;
    match wish(observation, &active.proposal.spec, is_new) {
        Wish::Ask(repository) if active.suspension.is_none() => Some(repository),
        Wish::Ask(_) | Wish::Nothing | Wish::Refused(_) | Wish::CheckOut(_) => None,
    }
}
