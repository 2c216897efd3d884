//! Decides whether a mission is paused: by the label, until its removal or the issue's due date.

use crate::mission::observation::{LabelEvent, Observation, Timeline};
use crate::mission::record::{PauseRefusal, Suspension};
use crate::mission::status::label::Label;
use crate::mission::status::phase::Phase;

/// The pause in force. Only a mission published as active can be paused; the label has no effect on a new issue.
#[must_use]
pub fn suspension(observation: &Observation) -> Option<Suspension> {
    if !observation.issue.has(&Label::Phase(Phase::Suspended)) {
        return None;
    }
    let known = observation.record.as_ref()?.suspension.clone();
    let mut suspension = known.or_else(|| started(observation))?;
    suspension.until = suspension.ends_at(observation.issue.due_at);
    let is_over = suspension.until.is_some_and(|end| end <= observation.here.now);
    (!is_over).then_some(suspension)
}

/// Whether the timeline is needed, to find who added the label.
#[must_use]
pub fn needs_label_history(observation: &Observation) -> bool {
    let is_known = observation.record.as_ref().is_some_and(|record| record.suspension.is_some());
    was_active(observation) && !is_known && observation.issue.has(&Label::Phase(Phase::Suspended))
}

fn was_active(observation: &Observation) -> bool {
    let published = observation.record.as_ref().and_then(|record| record.published.as_ref());
    observation.binding().is_some() && published.is_some_and(|published| published.phase == Phase::Active)
}

/// A pause by the last change of the label: a person added it after the mission was published as active.
fn started(observation: &Observation) -> Option<Suspension> {
    let click = last_click(observation).filter(|click| was_active(observation) && is_later(observation, click))?;
    is_by_a_person(observation, click).then(|| Suspension { since: click.at, by: click.who.clone(), until: None })
}

fn last_click(observation: &Observation) -> Option<&LabelEvent> {
    let Timeline::Read(events) = &observation.timeline else { return None };
    let of_label = events.iter().filter(|event| event.label == Label::Phase(Phase::Suspended));
    of_label.max_by_key(|event| event.id).filter(|event| event.is_added)
}

fn is_by_a_person(observation: &Observation, click: &LabelEvent) -> bool {
    click.who.id > 0 && !observation.here.is_ours(click.who.id)
}

/// Whether the label was added after the mission was published as active, not when the issue was filed. Comments and
/// timeline events share one sequence of ids (go-gitea/gitea `models/issues/comment.go`), and the id of our comment
/// stays recorded after its deletion. If no comment was posted yet, our own `mission/active` event counts instead.
fn is_later(observation: &Observation, click: &LabelEvent) -> bool {
    let record = observation.record.as_ref();
    if let Some(comment) = record.and_then(|record| record.comment.as_ref()) {
        return click.id > comment.id;
    }
    let Timeline::Read(events) = &observation.timeline else { return false };
    let is_ours =
        |event: &&LabelEvent| event.label == Label::Phase(Phase::Active) && observation.here.is_ours(event.who.id);
    let shown = events.iter().filter(is_ours).filter(|event| event.is_added).map(|event| event.id).min();
    shown.is_some_and(|shown| click.id > shown)
}

/// Why the label does not pause the mission, if it does not; the label is then removed, and the comment explains it.
#[must_use]
pub fn refusal(observation: &Observation, is_active: bool) -> Option<PauseRefusal> {
    let has_paused = observation.record.as_ref().is_some_and(|record| record.suspension.is_some());
    if has_paused || !observation.issue.has(&Label::Phase(Phase::Suspended)) {
        return None;
    }
    if !is_active || !was_active(observation) {
        return Some(PauseRefusal::NotActive);
    }
    let click = last_click(observation).filter(|click| is_later(observation, click));
    match click {
        None => Some(PauseRefusal::NotActive),
        Some(click) if observation.here.is_ours(click.who.id) => Some(PauseRefusal::OwnAccount),
        Some(click) if click.who.id <= 0 => Some(PauseRefusal::UnknownAccount),
        Some(_) => None,
    }
}
