//! Holds a pass back that sees too many cells vanish or turn stale at once: a disk that is gone or a clock that jumped looks
//! just like that, and one more look tells.

use crate::mission::cell::Sighting;
use crate::mission::health::{Health, Place, Reason, Verdict};
use crate::mission::observation::Observation;
use crate::mission::record::Said;

/// So many may turn at once, whatever their share is.
const TURNING_MAX: usize = 3;

/// And so many of a hundred.
const PERCENT_MAX: usize = 20;

/// Whether so many of so many are too many to be believed at once.
#[must_use]
pub fn is_too_many(turning: usize, all: usize) -> bool {
    turning > TURNING_MAX && is_share_of_all(turning, all)
}

/// Whether so many of so many are a large share of all.
#[must_use]
pub fn is_share_of_all(some: usize, all: usize) -> bool {
    some * 100 > all * PERCENT_MAX
}

/// Marks those that turn in this pass, if they are too many. Those that the pass before has marked are believed now.
pub fn brake(observations: &mut [Observation]) {
    let all = observations.iter().filter(|observation| had_a_cell(observation)).count();
    let turning: Vec<usize> = (0..observations.len()).filter(|&at| is_turning(&observations[at])).collect();
    if is_too_many(turning.len(), all) {
        for at in turning {
            observations[at].is_braked = true;
        }
    }
}

fn had_a_cell(observation: &Observation) -> bool {
    let record = observation.record.as_ref();
    // One that is reopened has its cell in the archive, and one that is suspended is nobody's alarm.
    let is_elsewhere = record.is_some_and(|record| record.archive.is_some() || record.suspension.is_some());
    let is_watched = observation.issue.is_open() && !is_elsewhere;
    is_watched && observation.binding().is_some_and(|binding| binding.seen_whole)
}

fn is_turning(observation: &Observation) -> bool {
    let Some(record) = observation.record.as_ref().filter(|_| had_a_cell(observation)) else { return false };
    let verdict = observation.verdict();
    !record.is_unconfirmed && verdict.is_some_and(|verdict| turns(record.said, verdict, &observation.sighting))
}

/// Whether a cell has vanished or its wizard fallen silent since we last spoke of it.
#[must_use]
pub fn turns(said: Option<Said>, verdict: Verdict, sighting: &Sighting) -> bool {
    let before = said.and_then(|said| said.verdict);
    let has_vanished =
        *sighting == Sighting::Absent && before.is_none_or(|before| before.reason != Reason::Missing(Place::Whole));
    let is_silent_now = verdict.health == Health::Stale && before.is_none_or(|before| before.health != Health::Stale);
    has_vanished || is_silent_now
}
