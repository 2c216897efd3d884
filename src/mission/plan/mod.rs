//! Decides what one mission needs: an observation in, a list of changes out.

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

/// What the issue needs: the second half of a turn.
#[must_use]
pub fn plan_status(observation: &Observation, situation: &Lifecycle) -> Vec<Change> {
    let mut changes = Vec::new();
    let record = if let Some((status, record)) = status(observation, situation) {
        let (said, record) = within_write_budget(observation, situation, status, record);
        changes.extend(said);
        changes.extend(plan_alert(observation, &record));
        Some(record)
    } else {
        if let Lifecycle::OwnedByOtherRoot(..) = situation {
            changes.extend(delete_own_comments(observation));
        }
        let record = record_without_status(observation, situation, changes.len());
        // Where we say nothing, we raise no alarm either.
        changes
            .extend(record.as_ref().and_then(|record| plan_alert(observation, record)).filter(Change::is_record_only));
        record
    };
    let comments = observation.counted_comments(&changes);
    let record = record.map(|record| Record { comments, ..record });
    changes.extend(record.and_then(|record| plan_record_write(observation, record)));
    changes
}

/// News of health, and repairs of our comment, that would cost more than an hour allows wait, all else is said.
fn within_write_budget(
    observation: &Observation,
    situation: &Lifecycle,
    status: Status,
    mut record: Record,
) -> (Vec<Change>, Record) {
    let now = observation.here.now;
    let changes = plan_words(observation, status);
    let held = is_health_event(observation.record.as_ref(), &record)
        .then(|| status_with_published_health(observation, situation));
    let Some((held_status, held_record)) = held.flatten() else {
        return repair_what_is_allowed(observation, changes, record);
    };
    let held = plan_words(observation, held_status);
    // What has to be written anyway, such as labels that somebody has scattered, is not for health's sake.
    let free = held.iter().filter(|change| !is_repair(observation, change));
    let cost = cost(&changes).beyond(cost(free));
    if record.flap_damping.allows(cost, now) {
        record.flap_damping.spend(cost, now);
        return (changes, record);
    }
    repair_what_is_allowed(observation, held, held_record)
}

/// What somebody has done to our comment is undone as often as an hour allows; then the next audit looks at it again.
fn repair_what_is_allowed(
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

/// Whether it writes our comment though it has nothing new to say.
fn is_repair(observation: &Observation, change: &Change) -> bool {
    let known = observation.record.as_ref().and_then(|record| record.comment.as_ref());
    let says_the_same = |status: &Status| known.is_some_and(|known| known.digest == status.digest());
    let (Change::PostComment { status, .. } | Change::EditComment { status, .. }) = change else {
        return false;
    };
    says_the_same(status)
}

fn plan_words(observation: &Observation, status: Status) -> Vec<Change> {
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

/// Another root spoke first: what this root has said is taken back.
fn delete_own_comments(observation: &Observation) -> Vec<Change> {
    let ours = observation.our_comments().into_iter().skip(1);
    // One without its first line is ours by its remembered id.
    let is_of_this_root = |comment: &&CommentFacts| match &comment.marker {
        Some(marker) => marker.root.is_some_and(|root| observation.here.is_this_root(root)),
        None => true,
    };
    let issue = &observation.issue.key;
    let remove = |comment: &CommentFacts| Change::RemoveComment { issue: issue.clone(), id: comment.id };
    ours.filter(is_of_this_root).map(remove).collect()
}

/// What is remembered of issues that we say nothing on, once so many comments are taken back.
fn record_without_status(observation: &Observation, situation: &Lifecycle, withdrawn: usize) -> Option<Record> {
    let mut record = current(observation);
    let ended_at = observation.record.as_ref().and_then(|before| before.ended_at);
    match situation {
        Lifecycle::OwnedByOtherRoot(elsewhere, _) => {
            let mut elsewhere = elsewhere.clone();
            elsewhere.comments -= i64::try_from(withdrawn).unwrap_or_default();
            record.other_owner = Some(elsewhere);
            record.failing_since = None;
            record.ended_at = ended_at.or_else(|| record.binding.as_ref().map(|_| observation.here.now));
        }
        Lifecycle::NotForThisHost if observation.here.take == Take::Any => {
            record.deferred_at = Some(observation.issue.updated_at);
        }
        // Those who were elsewhere have taken back what they said.
        Lifecycle::NotForThisHost if observation.record.as_ref().is_some_and(|before| before.other_owner.is_some()) => {
        }
        Lifecycle::Missing => {
            record = observation.record.clone()?;
            record.not_found_count = record.not_found_count.saturating_add(1);
        }
        // It is asked again, and counts again, until somebody has agreed.
        Lifecycle::Deleted(_) if observation.is_held => record = observation.record.clone()?,
        Lifecycle::Deleted(_) => record.failing_since = None,
        // Nothing is said or remembered of it before the next pass, except that this one has seen it.
        Lifecycle::Closed(_) if observation.is_closing_held() => {
            record = Record { is_closing: true, ..observation.record.clone()? };
        }
        // What it was to do at first is known then, once nothing is in the way any more.
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

/// Puts the labels of ours right: each scope ends with exactly its wanted value, or none.
fn plan_labels(observation: &Observation, wanted: &[Label]) -> Vec<Change> {
    let attached = &observation.issue.labels;
    let is_there = |label: &Label| attached.iter().any(|known| known.name == label.name());
    let add: Vec<Label> = wanted.iter().filter(|label| !is_there(label)).cloned().collect();
    let surplus = surplus(attached, wanted);
    let displaced = theirs_dropped_by(&add, attached);
    if observation.here.is_job_token() {
        // The forge itself drops the siblings of what was not there before; the rest needs a whole new list.
        let stays = surplus.iter().any(|label| !is_dropped_by(&add, label));
        let issue = observation.issue.key.clone();
        return match (add.is_empty(), stays) {
            (_, true) => {
                // Of a whole list the forge keeps one of each scope, whosever it is.
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

fn is_dropped_by(add: &[Label], label: &AttachedLabel) -> bool {
    add.iter().any(|new| new.displaces(&label.name, label.is_exclusive))
}

/// Labels of others that the forge takes off when these of ours come on.
fn theirs_dropped_by(ours: &[Label], attached: &[AttachedLabel]) -> Vec<AttachedLabel> {
    let is_theirs = |label: &&AttachedLabel| Label::named(&label.name).is_none() && is_dropped_by(ours, label);
    attached.iter().filter(is_theirs).cloned().collect()
}
