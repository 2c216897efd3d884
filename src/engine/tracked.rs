//! The in-memory state of one mission between turns: its last record, and the result of its last turn.

use crate::mission::cell::CellObservation;
use crate::mission::cell::health::Verdict;
use crate::mission::cell::starts::{Grace, Starts};
use crate::mission::fleet::mass_change_guard::Guarded;
use crate::mission::identity::MissionId;
use crate::mission::plan::due::needs_turn;
use crate::mission::record::{Event, IssueKey, Record};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use std::sync::Arc;
use tokio::time::Instant;

/// An issue with a record.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// The record, without the objective, which is not needed here and would need much memory, and without the last
    /// changes, which are in `changes`.
    pub(crate) record: Box<Record>,
    /// The last changes, shared with the view.
    pub(super) changes: Arc<[Event]>,
    /// Whether its degradation is held back.
    pub(super) hold: HoldState,
    /// Whether its closing is held back.
    pub(super) closing: HoldState,
    /// Whether it waits for capacity.
    pub(super) wants_capacity: bool,
    /// The issue's fingerprint after a turn without changes.
    pub(super) settled: Option<u64>,
    /// When its last turn began; older listings are outdated.
    pub(super) looked_at: Option<Instant>,
    /// When its comment was marked as possibly changed or deleted, until a later turn checks it.
    pub(super) suspect_at: Option<Instant>,
}

/// Whether a change is held back ([`crate::mission::fleet::mass_change_guard`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldState {
    /// It is not held back.
    None,
    /// It is held back until the next pass.
    Held,
    /// The last pass held it back; now it is confirmed.
    Confirmed,
}

impl Tracked {
    /// The state after reading a record.
    pub(super) fn new(record: &Record) -> Self {
        let mut record = Box::new(record.clone());
        if let Some(binding) = &mut record.binding {
            binding.spec.objective = String::new();
        }
        let changes = std::mem::take(&mut record.changes).into();
        let hold = |awaits_confirmation| if awaits_confirmation { HoldState::Confirmed } else { HoldState::None };
        let (hold, closing) = (hold(record.awaits_confirmation), hold(record.is_closing));
        Self { record, changes, hold, closing, wants_capacity: false, settled: None, looked_at: None, suspect_at: None }
    }

    pub(super) fn issue(&self) -> &IssueKey {
        &self.record.issue
    }

    /// Clears the mark on its comment, unless it was set after the check began.
    pub(super) fn forget_suspicion(&mut self, begun: Instant) {
        self.suspect_at = self.suspect_at.filter(|at| *at > begun);
    }

    /// The id of its bound mission.
    pub(super) fn mission_id(&self) -> Option<MissionId> {
        self.record.binding.as_ref().map(|binding| binding.mission_id)
    }

    /// The health of its cell.
    pub(super) fn verdict(&self, sighting: &CellObservation, (now, starts): (Timestamp, &Starts)) -> Option<Verdict> {
        let binding = self.record.binding.as_ref()?;
        let (stale_after, published) = (binding.spec.stale_after(), self.record.published());
        let grace = Grace { starts, published, sighting, stale_after, now };
        Some(grace.applied_to(binding.judge(sighting, now)))
    }

    /// The facts for the mass change guard.
    pub(super) fn guarded<'a>(&'a self, verdict: Verdict, sighting: &'a CellObservation) -> Guarded<'a> {
        let (record, is_open) = (&self.record, self.record.is_served_here());
        Guarded { record, is_open, verdict, sighting, awaits_confirmation: self.hold != HoldState::None }
    }

    /// Whether the state of its cell requires a turn.
    pub(super) fn needs_turn(
        &self,
        verdict: Verdict,
        sighting: &CellObservation,
        (now, close_grace): (Timestamp, TimeDelta),
    ) -> bool {
        let is_confirmed = self.hold == HoldState::Confirmed && self.record.is_served_here();
        is_confirmed || needs_turn(&self.record, sighting, verdict, (now, close_grace))
    }
}
