//! Plans the changes of one mission from an observation.

pub mod cell;
pub mod change;
pub mod comment;
pub mod due;
pub mod effort;
pub mod missing_facts;
pub mod project;
pub mod root;
pub mod step;

use crate::mission::alert::plan::plan_alert;
use crate::mission::approval::decision::depends_on_first_text;
use crate::mission::cell::flap_damping::Cost;
use crate::mission::observation::{AttachedLabel, CommentFacts, Observation, Take};
use crate::mission::plan::change::Change;
use crate::mission::plan::comment::{doubted, plan_comment};
use crate::mission::record::Record;
use crate::mission::status::compose::{current, is_health_event, status, status_with_published_health};
use crate::mission::status::label::Label;
use crate::mission::status::lifecycle::Lifecycle;
use crate::mission::status::view::Status;

/// The changes that the issue needs: the second half of a turn.
#[must_use]
pub fn plan_status(observation: &Observation, lifecycle: &Lifecycle) -> Vec<Change> {
    let mut changes = Vec::new();
    let record = if let Some((status, record)) = status(observation, lifecycle) {
        let (published, record) = within_write_budget(observation, lifecycle, status, record);
        changes.extend(published);
        changes.extend(plan_alert(observation, &record));
        Some(record)
    } else {
        if let Lifecycle::OwnedByOtherRoot(..) = lifecycle {
            changes.extend(delete_own_comments(observation));
        }
        let record = record_without_status(observation, lifecycle, changes.len());
        // Without a status no alert is posted, only recorded.
        changes
            .extend(record.as_ref().and_then(|record| plan_alert(observation, record)).filter(Change::is_record_only));
        record
    };
    let comments = observation.counted_comments(&changes);
    let record = record.map(|record| Record { comments, ..record });
    changes.extend(record.and_then(|record| plan_record_write(observation, record)));
    changes
}

/// Defers changes of health and repairs of the comment beyond the hourly write budget; everything else is published.
fn within_write_budget(
    observation: &Observation,
    lifecycle: &Lifecycle,
    status: Status,
    mut record: Record,
) -> (Vec<Change>, Record) {
    let now = observation.here.now;
    let changes = plan_published(observation, status);
    let held = is_health_event(observation.record.as_ref(), &record)
        .then(|| status_with_published_health(observation, lifecycle));
    let Some((held_status, held_record)) = held.flatten() else {
        return repairs_within_budget(observation, changes, record);
    };
    let held = plan_published(observation, held_status);
    // Writes that are needed anyway, for example to repair labels, are not charged to the change of health.
    let free = held.iter().filter(|change| !is_repair(observation, change));
    let cost = cost(&changes).beyond(cost(free));
    if record.flap_damping.allows(cost, now) {
        record.flap_damping.spend(cost, now);
        return (changes, record);
    }
    repairs_within_budget(observation, held, held_record)
}

/// Repairs the comment as often as the hourly write budget allows; after that the next audit checks it again.
fn repairs_within_budget(
    observation: &Observation,
    mut changes: Vec<Change>,
    mut record: Record,
) -> (Vec<Change>, Record) {
    let now = observation.here.now;
    let cost = cost(changes.iter().filter(|change| is_repair(observation, change)));
    if cost == Cost::default() {
        return (changes, record);
    }
    if record.flap_damping.allows(cost, now) {
        record.flap_damping.spend(cost, now);
    } else {
        changes.retain(|change| !is_repair(observation, change));
        changes.extend(doubted(observation));
    }
    (changes, record)
}

/// Whether a change writes the comment without a change of status.
fn is_repair(observation: &Observation, change: &Change) -> bool {
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let is_unchanged = |status: &Status| known.is_some_and(|known| known.digest == status.digest());
    let (Change::PostComment { status, .. } | Change::EditComment { status, .. }) = change else {
        return false;
    };
    is_unchanged(status)
}

fn plan_published(observation: &Observation, status: Status) -> Vec<Change> {
    let labels = plan_labels(observation, &status.labels());
    labels.into_iter().chain(plan_comment(observation, status)).collect()
}

fn cost<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Cost {
    let mut cost = Cost::default();
    for change in changes {
        cost.label_writes += usize::from(change.is_about_labels());
        cost.comment_edits += usize::from(change.is_about_our_comment());
    }
    cost
}

/// Another root owns the mission: this root deletes its own comments.
fn delete_own_comments(observation: &Observation) -> Vec<Change> {
    let ours = observation.our_comments().into_iter().skip(1);
    // A comment without its first line is identified by its recorded id.
    let is_of_this_root = |comment: &&CommentFacts| match &comment.marker {
        Some(marker) => marker.root.is_some_and(|root| observation.here.is_this_root(root)),
        None => true,
    };
    let issue = &observation.issue.key;
    let remove = |comment: &CommentFacts| Change::RemoveComment { issue: issue.clone(), id: comment.id };
    ours.filter(is_of_this_root).map(remove).collect()
}

/// The record of an issue without a status, after this many of our comments are deleted.
fn record_without_status(observation: &Observation, lifecycle: &Lifecycle, deleted: usize) -> Option<Record> {
    let mut record = current(observation);
    let ended_at = observation.record.as_ref().and_then(|before| before.ended_at);
    match lifecycle {
        Lifecycle::OwnedByOtherRoot(owner, _) => {
            let mut owner = owner.clone();
            owner.comments -= i64::try_from(deleted).unwrap_or_default();
            record.other_owner = Some(owner);
            record.failing_since = None;
            record.ended_at = ended_at.or_else(|| record.binding.as_ref().map(|_| observation.here.now));
        }
        Lifecycle::NotForThisHost if observation.here.take == Take::Any => {
            record.deferred_at = Some(observation.issue.updated_at);
        }
        // The other root has deleted its comment.
        Lifecycle::NotForThisHost if observation.record.as_ref().is_some_and(|before| before.other_owner.is_some()) => {
        }
        Lifecycle::Missing => {
            record = observation.record.clone()?;
            record.not_found_count = record.not_found_count.saturating_add(1);
        }
        // The mass change guard holds the deletion until an operator allows it.
        Lifecycle::Deleted(_) if observation.is_held => record = observation.record.clone()?,
        Lifecycle::Deleted(_) => record.failing_since = None,
        // Until a second pass confirms the closing, only the record notes it.
        Lifecycle::Closed(_) if observation.is_closing_held() => {
            record = Record { is_closing: true, ..observation.record.clone()? };
        }
        // The first text is recorded, to compare it once the path is free.
        Lifecycle::Blocked(_) if observation.record.is_none() && depends_on_first_text(observation) => {}
        Lifecycle::NotAProposal
        | Lifecycle::NotForThisHost
        | Lifecycle::Blocked(_)
        | Lifecycle::Waits(..)
        | Lifecycle::Invalid(_)
        | Lifecycle::Closed(_)
        | Lifecycle::Active(_) => return None,
    }
    Some(record)
}

fn plan_record_write(observation: &Observation, record: Record) -> Option<Change> {
    let before = observation.record.as_ref();
    let known = before.cloned().unwrap_or_else(|| Record::new(record.issue.clone()));
    let record = record.with_publish_state_of(known);
    (before != Some(&record)).then(|| Change::WriteRecord { record: Box::new(record) })
}

/// Corrects the lazarus-managed labels: each scope ends with its wanted value, or none.
fn plan_labels(observation: &Observation, wanted: &[Label]) -> Vec<Change> {
    let attached = &observation.issue.labels;
    let is_there = |label: &Label| attached.iter().any(|known| known.name == label.name());
    let add: Vec<Label> = wanted.iter().filter(|label| !is_there(label)).cloned().collect();
    let surplus = surplus(attached, wanted);
    let displaced = theirs_dropped_by(&add, attached);
    if observation.here.is_job_token() {
        // Gitea drops other labels in the scope of an added one; anything else needs a whole new list.
        let stays = surplus.iter().any(|label| !is_dropped_by(&add, label));
        let issue = observation.issue.key.clone();
        return match (add.is_empty(), stays) {
            (_, true) => {
                // Of a whole list Gitea keeps one exclusive label per scope, which may be a team's own.
                let displaced = theirs_dropped_by(wanted, attached);
                vec![Change::ReplaceLabels { issue, add, remove: surplus, displaced }]
            }
            (false, false) => vec![Change::AddLabels { issue, labels: add, displaced }],
            (true, false) => Vec::new(),
        };
    }
    let issue = || observation.issue.key.clone();
    let removals: Vec<_> = surplus
        .into_iter()
        .filter(|label| !is_dropped_by(&add, label))
        .map(|label| Change::RemoveLabel { issue: issue(), label })
        .collect();
    let added = (!add.is_empty()).then(|| Change::AddLabels { issue: issue(), labels: add, displaced });
    added.into_iter().chain(removals).collect()
}

/// Lazarus-managed labels to remove: unwanted values, and second copies of a wanted one.
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

fn is_dropped_by(add: &[Label], label: &AttachedLabel) -> bool {
    add.iter().any(|new| new.displaces(&label.name, label.is_exclusive))
}

/// A team's own labels that Gitea removes when these labels are added.
fn theirs_dropped_by(ours: &[Label], attached: &[AttachedLabel]) -> Vec<AttachedLabel> {
    let is_theirs = |label: &&AttachedLabel| Label::named(&label.name).is_none() && is_dropped_by(ours, label);
    attached.iter().filter(is_theirs).cloned().collect()
}
