//! Decides what one mission needs: an observation in, a list of changes out.

use crate::mission::cell::{CellFacts, Part, Sight, Sighting};
use crate::mission::change::Change;
use crate::mission::comment::marker;
use crate::mission::contents::parse_object;
use crate::mission::flapping::Cost;
use crate::mission::health::Place;
use crate::mission::heartbeat::{Beat, Heartbeat};
use crate::mission::label::Label;
use crate::mission::observation::{AttachedLabel, Comments, Observation};
use crate::mission::papers::CellPapers;
use crate::mission::papers::updated;
use crate::mission::proposal::Proposal;
use crate::mission::record::{Binding, IssueState, Record, Spoken};
use crate::mission::situation::{Active, Situation, situation};
use crate::mission::status::{Status, current, held_status, is_news_of_health, papers, status};
use crate::mission::time::Timestamp;

/// What the cell needs: the first half of a pass over a mission.
#[must_use]
pub fn plan_cell(observation: &Observation) -> Vec<Change> {
    let Situation::Active(active) = situation(observation) else { return Vec::new() };
    if observation.is_braked {
        return Vec::new();
    }
    let Active { proposal, refused: _ } = *active;
    let papers = Box::new(papers(observation, &proposal));
    match &observation.sighting {
        Sighting::Absent => {
            let record = Box::new(bind(observation, &proposal));
            vec![Change::CreateCell { papers, record }]
        }
        Sighting::Cell(cell) => {
            let bind = observation
                .binding()
                .is_none()
                .then(|| Change::BindCell { record: Box::new(bind(observation, &proposal)) });
            let ever_beat = observation.binding().is_some_and(|binding| binding.ever_beat);
            let repairs = Part::ALL.into_iter().filter_map(|part| repair(cell, part, &papers, ever_beat));
            bind.into_iter().chain(repairs).collect()
        }
        Sighting::NotADirectory(_) | Sighting::Failed(_) => Vec::new(),
    }
}

fn bind(observation: &Observation, proposal: &Proposal) -> Record {
    let mut record = current(observation);
    let Proposal { name, spec, invisible } = proposal.clone();
    record.binding.get_or_insert_with(|| Binding {
        mission_id: observation.mission_id(),
        created_at: observation.here.now,
        name,
        spec,
        invisible,
        seen_whole: false,
        ever_beat: false,
    });
    record
}

/// What is missing is made again; what exists is never overwritten, but for files of ours that are out of date.
fn repair(cell: &CellFacts, part: Part, papers: &CellPapers, ever_beat: bool) -> Option<Change> {
    let mission_id = papers.mission_id;
    match (cell.part(part), part) {
        // A wizard that has beaten knows more of its heartbeat than an empty file would say.
        (Sight::Missing, Part::Heartbeat) if ever_beat => None,
        (Sight::Missing, _) => {
            cell.can_be_made_again(part).then(|| Change::RestorePart { papers: Box::new(papers.clone()), part })
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
        match change {
            Change::CreateCell { papers, record } => {
                if after.binding().is_some_and(|binding| binding.seen_whole) {
                    after.repaired.push(Place::Whole);
                }
                after.sighting = Sighting::Cell(Box::new(new_cell(&after, papers)));
                after.record = Some((**record).clone());
            }
            Change::BindCell { record } => after.record = Some((**record).clone()),
            Change::RestorePart { papers, part } => {
                after.repaired.extend(part.is_required().then_some(Place::Part(*part)));
                restore(&mut after, papers, *part);
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
    after
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
        if let Situation::Elsewhere(_) = situation {
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
    match situation {
        Situation::Elsewhere(mut elsewhere) => {
            let mut record = current(observation);
            elsewhere.comments -= i64::try_from(withdrawn).unwrap_or_default();
            record.elsewhere = Some(elsewhere);
            Some(record)
        }
        Situation::NotOpen => {
            let mut record = observation.record.clone()?;
            record.state = IssueState::Closed;
            Some(record)
        }
        Situation::NotAProposal
        | Situation::Blocked(_)
        | Situation::Waits(..)
        | Situation::Invalid(_)
        | Situation::Active(_) => None,
    }
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
    let add: Vec<Label> = wanted.iter().copied().filter(|label| !is_there(label)).collect();
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
    let spoken = Spoken { id: *id, digest: digest.clone(), is_confirmed: true };
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
    let situation = situation(observation);
    if matches!(situation, Situation::NotAProposal | Situation::NotOpen) {
        return false;
    }
    let Some(record) = &observation.record else { return true };
    if let Some(elsewhere) = &record.elsewhere {
        if observation.here.is_this_root(elsewhere.root) {
            return true;
        }
        let issue = &observation.issue;
        return elsewhere.updated_at != issue.updated_at || elsewhere.comments != issue.comments;
    }
    if record.comment.as_ref().is_none_or(|comment| !comment.is_confirmed) {
        return true;
    }
    let is_local = |change: &Change| matches!(change, Change::Remember { .. } | Change::RememberComment { .. });
    record.binding.is_none() && !preview(observation).iter().all(is_local)
}

/// What is remembered of an issue that a direct question did not find. Its cell stays as it is.
#[must_use]
pub fn forgotten(record: Record) -> Change {
    Change::Remember { record: Box::new(Record { state: IssueState::Gone, ..record }) }
}
