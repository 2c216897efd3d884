//! How a mission is by what is published of it, and since when it has been bad.

use crate::mission::alert::config::{Cause, Mood, Notify};
use crate::mission::observation::Here;
use crate::mission::record::{Record, Said};
use crate::mission::status::phase::Phase;

/// How a mission is published to be.
#[must_use]
pub fn mood(said: Option<&Said>, notify: &Notify) -> Mood {
    let said = said.and_then(|said| Some((said.verdict?, said.says)));
    said.map_or(Mood::Well, |(verdict, says)| notify.mood(verdict, says))
}

/// Notes since when it is published to be so that an alarm is wanted.
pub fn note_mood(record: &mut Record, here: &Here) {
    let Some((said, verdict)) = record.said.as_ref().and_then(|said| Some((said, said.verdict?))) else {
        record.bad_since = None;
        return;
    };
    let known = record.bad_since.filter(|since| *since <= here.now);
    record.bad_since = match here.notify.mood(verdict, said.says) {
        Mood::Well => None,
        Mood::Bad(_) | Mood::Unclear if said.phase != Phase::Active => None,
        Mood::Unclear => known,
        Mood::Bad(Cause::Health(_)) => known.or(Some(said.since.min(here.now))),
        Mood::Bad(Cause::Wizard(_)) => known.or(Some(said.says_since.unwrap_or(here.now).min(here.now))),
    };
}
