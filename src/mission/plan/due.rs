//! Decides from record and cell alone, without Gitea, whether a mission needs a turn.

use crate::mission::cell::flap_damping::Cost;
use crate::mission::cell::health::Verdict;
use crate::mission::cell::teardown::{Teardown, TeardownFacts, teardown_of};
use crate::mission::cell::{CellObservation, Part};
use crate::mission::plan::cell::lacks;
use crate::mission::record::Record;
use crate::mission::status::compose::PublishedHealth;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// Whether the observed cell differs from what was published so that a turn may publish or repair something.
#[must_use]
pub fn needs_turn(
    record: &Record,
    sighting: &CellObservation,
    verdict: Verdict,
    (now, close_grace): (Timestamp, TimeDelta),
) -> bool {
    if record.ended_at.is_some() {
        // A deleted archive is only found by a full pass.
        let is_archive_there = record.archive.is_some();
        let progress = TeardownFacts { record, sighting, is_archive_there, verdict: Some(verdict), now, close_grace };
        return matches!(sighting, CellObservation::Cell(_)) && teardown_of(&progress) == Teardown::Ready;
    }
    if record.published.is_none() || !record.is_served_here() || record.binding.is_none() {
        return false;
    }
    let is_repair_due = match &record.suspension {
        Some(suspension) => suspension.until.is_some_and(|until| until <= now),
        None => is_broken(record, sighting) || is_checkout_due(record, now),
    };
    is_repair_due || has_health_change(record, sighting, verdict, now)
}

/// Whether a part is missing that a pass recreates.
fn is_broken(record: &Record, sighting: &CellObservation) -> bool {
    match sighting {
        CellObservation::Absent => true,
        CellObservation::Cell(cell) => Part::ALL.into_iter().any(|part| lacks(Some(record), cell, part)),
        CellObservation::NotADirectory(_) | CellObservation::Failed(_) => false,
    }
}

fn is_checkout_due(record: &Record, now: Timestamp) -> bool {
    let wants_one = record.binding.as_ref().is_some_and(|binding| binding.spec.repository.is_some());
    let retry_at = record.worktree.retry_at(now);
    wants_one && retry_at.is_some_and(|retry_at| retry_at <= now)
}

/// Whether health or agent state would be published differently and the hourly write budget allows it, or flap damping
/// has to be recorded.
fn has_health_change(record: &Record, sighting: &CellObservation, verdict: Verdict, now: Timestamp) -> bool {
    let mut flapping = record.flap_damping.clone();
    let damped = flapping.observe(verdict, now);
    if flapping != record.flap_damping {
        return true;
    }
    let published = PublishedHealth::new(damped, sighting, record.published.as_ref());
    let is_changed = PublishedHealth::before(record) != Some(published);
    is_changed && flapping.allows(Cost { label_writes: 1, comment_edits: 1 }, now)
}
