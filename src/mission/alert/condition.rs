//! The alert condition of a mission, derived from its published status.

use crate::mission::alert::config::{AlertCause, AlertCondition, Notify};
use crate::mission::observation::PassContext;
use crate::mission::record::{Published, Record};
use crate::mission::status::phase::Phase;

/// The alert condition that follows from the published status.
#[must_use]
pub fn condition(published: Option<&Published>, notify: &Notify) -> AlertCondition {
    let published = published.and_then(|published| Some((published.verdict?, published.agent_state)));
    published.map_or(AlertCondition::Ok, |(verdict, agent_state)| notify.condition(verdict, agent_state))
}

/// Updates since when the published status has met an alert condition.
pub fn update_failing_since(record: &mut Record, context: &PassContext) {
    let Some((published, verdict)) =
        record.published.as_ref().and_then(|published| Some((published, published.verdict?)))
    else {
        record.failing_since = None;
        return;
    };
    let previous = record.failing_since.filter(|since| *since <= context.now);
    record.failing_since = match context.notify.condition(verdict, published.agent_state) {
        AlertCondition::Ok => None,
        AlertCondition::Failing(_) | AlertCondition::Unknown if published.phase != Phase::Active => None,
        AlertCondition::Unknown => previous,
        AlertCondition::Failing(AlertCause::Health(_)) => previous.or(Some(published.since.min(context.now))),
        AlertCondition::Failing(AlertCause::Wizard(_)) => {
            previous.or(Some(published.agent_state_since.unwrap_or(context.now).min(context.now)))
        }
    };
}
