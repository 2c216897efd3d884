//! Holds changes back that hit too many missions at once: a disk that is gone, a clock that jumped or a forge restored from
//! an old backup looks just like that, and one more look tells.

use crate::mission::cell::CellObservation;
use crate::mission::cell::health::{CellPath, Health, Reason, Verdict};
use crate::mission::observation::Observation;
use crate::mission::record::Record;
use std::collections::BTreeSet;

/// So many cells may degrade at once, whatever their share is.
const DEGRADING_MAX: usize = 3;

/// And so many of a hundred.
const PERCENT_MAX: usize = 20;

/// From so many issues that are deleted in one pass upwards none is believed before a person has agreed.
pub const DELETED_MIN: usize = 4;

/// Whether so many of so many are too many to be believed at once.
#[must_use]
pub fn is_too_many(degrading: usize, all: usize) -> bool {
    degrading > DEGRADING_MAX && is_share_of_all(degrading, all)
}

/// Whether so many of so many are a large share of all.
#[must_use]
pub fn is_share_of_all(some: usize, all: usize) -> bool {
    some * 100 > all * PERCENT_MAX
}

/// Whether so many deleted issues wait for a person, who has agreed to so many at most.
#[must_use]
pub fn holds_deletions(deleted: usize, agreed: Option<usize>) -> bool {
    deleted >= DELETED_MIN && agreed.is_none_or(|most| deleted > most)
}

/// A mission as far as the guard goes.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'a> {
    /// What is remembered of it.
    pub record: &'a Record,
    /// Whether its issue is open, and served here.
    pub is_open: bool,
    /// The verdict on its cell now.
    pub verdict: Verdict,
    /// The cell now.
    pub sighting: &'a CellObservation,
    /// Whether the look before this one held it back already; then it is believed now.
    pub awaits_confirmation: bool,
}

impl<'a> Guarded<'a> {
    /// A mission as it is observed; none without a cell of its own.
    #[must_use]
    pub fn of(observation: &'a Observation) -> Option<Self> {
        let (record, verdict) = (observation.record.as_ref()?, observation.verdict()?);
        Some(Self {
            record,
            is_open: observation.issue.is_open() && record.other_owner.is_none(),
            verdict,
            sighting: &observation.sighting,
            awaits_confirmation: record.awaits_confirmation,
        })
    }

    /// Whether it counts among those that have a cell to lose. One that was archived has its cell there, and one that is
    /// suspended is watched by nobody.
    fn counts(&self) -> bool {
        let record = self.record;
        let is_watched = self.is_open && record.archive.is_none() && record.suspension.is_none();
        is_watched && record.binding.as_ref().is_some_and(|binding| binding.was_complete)
    }
}

/// Those that degrade now, if they are too many to be believed at once; else none.
#[must_use]
pub fn held<'a, K: Ord>(missions: impl IntoIterator<Item = (K, Guarded<'a>)>) -> BTreeSet<K> {
    let mut all = 0;
    let mut degrading = BTreeSet::new();
    for (key, mission) in missions.into_iter().filter(|(_, mission)| mission.counts()) {
        all += 1;
        let Guarded { record, verdict, sighting, awaits_confirmation, is_open: _ } = mission;
        if !awaits_confirmation && degrades(record, verdict, sighting) {
            degrading.insert(key);
        }
    }
    if is_too_many(degrading.len(), all) { degrading } else { BTreeSet::new() }
}

/// A mission as far as closing goes.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// Whether it was open until now and has a cell in its place, which closing it moves to the archive.
    pub has_cell: bool,
    /// Whether this pass finds its issue closed.
    pub is_closed: bool,
    /// Whether the pass before this one found it closed already; then it is believed now.
    pub awaits_confirmation: bool,
}

/// Whether a mission is open, as far as it is remembered, and has a cell in its place.
#[must_use]
pub fn has_cell(record: &Record) -> bool {
    record.is_served_here() && record.binding.is_some() && record.archive.is_none()
}

/// Those that this pass finds closed, if they are too many to be believed at once; else none. The thresholds are those of
/// [`held`].
#[must_use]
pub fn held_closings<K: Ord>(missions: impl IntoIterator<Item = (K, Closing)>) -> BTreeSet<K> {
    let mut all = 0;
    let mut closed = BTreeSet::new();
    for (key, mission) in missions {
        let Closing { has_cell, is_closed, awaits_confirmation } = mission;
        all += usize::from(has_cell);
        if has_cell && is_closed && !awaits_confirmation {
            closed.insert(key);
        }
    }
    if is_too_many(closed.len(), all) { closed } else { BTreeSet::new() }
}

/// Whether a cell has vanished or its wizard's heartbeats have stopped since we last published its health. That a wizard
/// has failed is its own word, and no disk, clock or backup says so.
fn degrades(record: &Record, verdict: Verdict, sighting: &CellObservation) -> bool {
    let before = record.published.as_ref().and_then(|said| said.verdict);
    let has_vanished = *sighting == CellObservation::Absent
        && before.is_none_or(|before| before.reason != Reason::Missing(CellPath::Whole));
    let has_said_so = verdict.reason == Reason::AgentFailed;
    let is_silent_now =
        verdict.health == Health::Stale && !has_said_so && before.is_none_or(|before| before.health != Health::Stale);
    has_vanished || is_silent_now
}
