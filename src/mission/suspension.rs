//! Whether a person has paused a mission: by the label, until it comes off or the issue's due date has passed.

use crate::mission::label::Label;
use crate::mission::observation::{LabelEvent, Observation, Timeline};
use crate::mission::phase::Phase;
use crate::mission::record::Suspension;

/// The pause that is in force. Only a mission that was shown as active can be paused; at filing the label means nothing.
#[must_use]
pub fn suspension(observation: &Observation) -> Option<Suspension> {
    if !observation.issue.has(&Label::Phase(Phase::Suspended)) {
        return None;
    }
    let known = observation.record.as_ref()?.suspension.clone();
    let mut suspension = known.or_else(|| beginning(observation))?;
    suspension.until = suspension.ends_at(observation.issue.due_at);
    let is_over = suspension.until.is_some_and(|end| end <= observation.here.now);
    (!is_over).then_some(suspension)
}

/// Whether the timeline has to tell who put the label there.
#[must_use]
pub fn is_to_be_asked(observation: &Observation) -> bool {
    let is_known = observation.record.as_ref().is_some_and(|record| record.suspension.is_some());
    was_active(observation) && !is_known && observation.issue.has(&Label::Phase(Phase::Suspended))
}

fn was_active(observation: &Observation) -> bool {
    let said = observation.record.as_ref().and_then(|record| record.said);
    observation.binding().is_some() && said.is_some_and(|said| said.phase == Phase::Active)
}

/// What came before our comment is from the filing: comments and the timeline's lines share one sequence of ids
/// (go-gitea/gitea `models/issues/comment.go`).
fn beginning(observation: &Observation) -> Option<Suspension> {
    let Timeline::Read(events) = &observation.timeline else { return None };
    let comment = observation.our_comments().first().map(|(id, _)| *id).filter(|_| was_active(observation))?;
    let of_label = |event: &&LabelEvent| event.label == Label::Phase(Phase::Suspended) && event.id > comment;
    let click = events.iter().filter(of_label).max_by_key(|event| event.id).filter(|event| event.is_added)?;
    let is_a_person = click.who.id > 0 && !observation.here.is_ours(click.who.id);
    is_a_person.then(|| Suspension { since: click.at, by: click.who.clone(), until: None })
}
