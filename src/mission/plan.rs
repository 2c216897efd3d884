//! Decides what one mission needs: an observation in, a list of changes out.

use crate::mission::alarm_plan::plan_alarm;
use crate::mission::change::Change;
use crate::mission::comment::marker;
use crate::mission::flapping::Cost;
use crate::mission::label::Label;
use crate::mission::meaning::Status;
use crate::mission::observation::{AttachedLabel, Comments, Observation, Take};
use crate::mission::record::{Record, Spoken};
use crate::mission::situation::Situation;
use crate::mission::status::{current, held_status, is_news_of_health, status};

/// What the issue needs: the second half of a turn.
#[must_use]
pub fn plan_status(observation: &Observation, situation: &Situation) -> Vec<Change> {
    let mut changes = Vec::new();
    let record = if let Some((status, record)) = status(observation, situation) {
        let (said, record) = say_what_is_allowed(observation, situation, status, record);
        changes.extend(said);
        changes.extend(plan_alarm(observation, &record));
        Some(record)
    } else {
        if let Situation::Elsewhere(..) = situation {
            changes.extend(withdraw(observation));
        }
        let record = silent_record(observation, situation, changes.len());
        // Where we say nothing, we raise no alarm either.
        changes.extend(record.as_ref().and_then(|record| plan_alarm(observation, record)).filter(Change::is_memory));
        record
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
    let Some((held_status, held_record)) = held_status(observation, situation) else { return (changes, record) };
    let held = plan_words(observation, held_status);
    // What has to be written anyway, such as labels that somebody has scattered, is not for health's sake.
    let cost = cost(&changes).beyond(cost(&held));
    if record.flapping.allows(cost, now) {
        record.flapping.spend(cost, now);
        return (changes, record);
    }
    (held, held_record)
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
fn silent_record(observation: &Observation, situation: &Situation, withdrawn: usize) -> Option<Record> {
    let mut record = current(observation);
    let ended_at = observation.record.as_ref().and_then(|before| before.ended_at);
    match situation {
        Situation::Elsewhere(elsewhere, _) => {
            let mut elsewhere = elsewhere.clone();
            elsewhere.comments -= i64::try_from(withdrawn).unwrap_or_default();
            record.elsewhere = Some(elsewhere);
            record.bad_since = None;
            record.ended_at = ended_at.or_else(|| record.binding.as_ref().map(|_| observation.here.now));
        }
        Situation::ForAnotherHost if observation.here.take == Take::Any => {
            record.yielded_at = Some(observation.issue.updated_at);
        }
        // Those who were elsewhere have taken back what they said.
        Situation::ForAnotherHost if observation.record.as_ref().is_some_and(|before| before.elsewhere.is_some()) => {}
        Situation::Missing => {
            record = observation.record.clone()?;
            record.misses = record.misses.saturating_add(1);
        }
        // It is asked again, and counts again, until somebody has agreed.
        Situation::Gone(_) if observation.is_braked => record = observation.record.clone()?,
        Situation::Gone(_) => record.bad_since = None,
        // Nothing is said or remembered of it before the next pass, except that this one has seen it.
        Situation::Closed(_) if observation.is_braked => {
            record = Record { is_closing: true, ..observation.record.clone()? };
        }
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

fn plan_memory(observation: &Observation, record: Record) -> Option<Change> {
    let before = observation.record.as_ref();
    let known = before.cloned().unwrap_or_else(|| Record::new(record.issue.clone()));
    let record = record.keeping_what_was_said(known);
    (before != Some(&record)).then(|| Change::Remember { record: Box::new(record) })
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
    } else if known != Some(&spoken) || observation.record.as_ref().is_some_and(|record| record.intended.is_some()) {
        changes.push(Change::RememberComment { issue: issue(), comment: spoken });
    }
    let surplus = ours.iter().skip(1);
    changes.extend(surplus.map(|(id, _)| Change::RemoveComment { issue: issue(), id: *id }));
    changes
}
