//! How a mission is by what is published of it, and since when it has been bad.

use crate::mission::alert::config::{AlertCause, AlertCondition, Notify};
use crate::mission::observation::PassContext;
use crate::mission::record::{Published, Record};
use crate::mission::status::phase::Phase;

/// How a mission is published to be.
#[must_use]
pub fn condition(said: Option<&Published>, notify: &Notify) -> AlertCondition {
    let said = said.and_then(|said| Some((said.verdict?, said.agent_state)));
    said.map_or(AlertCondition::Ok, |(verdict, says)| notify.condition(verdict, says))
}

/// Notes since when it is published to be so that an alarm is wanted.
pub fn update_failing_since(record: &mut Record, here: &PassContext) {
    let Some((said, verdict)) = record.published.as_ref().and_then(|said| Some((said, said.verdict?))) else {
        record.failing_since = None;
        return;
    };
    let known = record.failing_since.filter(|since| *since <= here.now);
    record.failing_since = match here.notify.condition(verdict, said.agent_state) {
        AlertCondition::Ok => None,
        AlertCondition::Failing(_) | AlertCondition::Unknown if said.phase != Phase::Active => None,
        AlertCondition::Unknown => known,
        AlertCondition::Failing(AlertCause::Health(_)) => known.or(Some(said.since.min(here.now))),
        AlertCondition::Failing(AlertCause::Wizard(_)) => {
            known.or(Some(said.agent_state_since.unwrap_or(here.now).min(here.now)))
        }
    };
}
