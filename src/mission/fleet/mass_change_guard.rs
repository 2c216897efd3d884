//! Holds back changes that affect too many missions in one pass until the next pass confirms them: a lost disk, a clock
//! jump or a forge restored from an old backup causes them.

use crate::mission::cell::CellObservation;
use crate::mission::cell::health::{CellPath, Health, Reason, Verdict};
use crate::mission::observation::Observation;
use crate::mission::record::Record;
use std::collections::BTreeSet;

/// How many cells may degrade in one pass, whatever their share.
const DEGRADING_MAX: usize = 3;

/// The share of all cells that may degrade in one pass, in percent.
const PERCENT_MAX: usize = 20;

/// From this many deleted issues in one pass on, deletions need the agreement of a person.
pub const DELETED_MIN: usize = 4;

/// Whether a change of `degrading` of `all` cells needs a confirmation by the next pass.
#[must_use]
pub fn is_too_many(degrading: usize, all: usize) -> bool {
    degrading > DEGRADING_MAX && is_share_of_all(degrading, all)
}

/// Whether `some` is a large share of `all`.
#[must_use]
pub fn is_share_of_all(some: usize, all: usize) -> bool {
    some * 100 > all * PERCENT_MAX
}

/// Whether so many deleted issues are held until a person agrees; `agreed` is the number agreed to.
#[must_use]
pub fn holds_deletions(deleted: usize, agreed: Option<usize>) -> bool {
    deleted >= DELETED_MIN && agreed.is_none_or(|most| deleted > most)
}

/// The facts about a mission that the guard depends on.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'a> {
    /// Its record.
    pub record: &'a Record,
    /// Whether its issue is open, and served here.
    pub is_open: bool,
    /// The current health of its cell.
    pub verdict: Verdict,
    /// The current observation of its cell.
    pub sighting: &'a CellObservation,
    /// Whether the last pass held it back; then this pass confirms it.
    pub awaits_confirmation: bool,
}

impl<'a> Guarded<'a> {
    /// The facts of an observation; none without a cell of its own.
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

    /// Whether it counts towards all cells. The cell of an archived mission is not here, and suspended missions are not
    /// watched.
    fn counts(&self) -> bool {
        let record = self.record;
        let is_watched = self.is_open && record.archive.is_none() && record.suspension.is_none();
        is_watched && record.binding.as_ref().is_some_and(|binding| binding.was_complete)
    }
}

/// The missions that degrade in this pass, if they are too many to publish without a confirmation; otherwise none.
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

/// The facts about a mission that holding back closings depends on.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// Whether it was open until now and has a cell, which closing archives.
    pub has_cell: bool,
    /// Whether this pass finds its issue closed.
    pub is_closed: bool,
    /// Whether the last pass found it closed; then this pass confirms it.
    pub awaits_confirmation: bool,
}

/// Whether a mission is open by its record, and has a cell that is not archived.
#[must_use]
pub fn has_cell(record: &Record) -> bool {
    record.is_served_here() && record.binding.is_some() && record.archive.is_none()
}

/// The missions that this pass finds closed, if they are too many to archive without a confirmation; otherwise none.
/// The thresholds are those of [`held`].
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

/// Whether a cell has vanished or its heartbeats have stopped since its health was last published. A failure that the
/// agent reports itself does not count, since no disk, clock or backup causes it.
fn degrades(record: &Record, verdict: Verdict, sighting: &CellObservation) -> bool {
    let before = record.published.as_ref().and_then(|published| published.verdict);
    let has_vanished = *sighting == CellObservation::Absent
        && before.is_none_or(|before| before.reason != Reason::Missing(CellPath::Whole));
    let has_reported_failure = verdict.reason == Reason::AgentFailed;
    let is_newly_stale = verdict.health == Health::Stale
        && !has_reported_failure
        && before.is_none_or(|before| before.health != Health::Stale);
    has_vanished || is_newly_stale
}
