//! What is kept in mind of one mission between looks: its record as it was read last, and how the last look ended.

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

/// One issue that we have a record of.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// The record, without the objective's text: nothing here reads it, and ten thousand of them would fill the memory.
    /// Without its last changes, too, which lie beside it.
    pub(crate) record: Box<Record>,
    /// The last changes, held once for this and for what is shown.
    pub(super) changes: Arc<[Event]>,
    /// Whether a sweep held it back.
    pub(super) hold: HoldState,
    /// Whether it was found closed together with too many others.
    pub(super) closing: HoldState,
    /// Whether it waits for capacity.
    pub(super) wants_capacity: bool,
    /// The issue's fingerprint when nothing was left to do.
    pub(super) settled: Option<u64>,
    /// When it was last looked at; what a listing told before is old.
    pub(super) looked_at: Option<Instant>,
    /// When it was found out that somebody may have changed or deleted its comment, until it is looked at after that.
    pub(super) suspect_at: Option<Instant>,
}

/// Whether too many changed together with it ([`crate::mission::fleet::mass_change_guard`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldState {
    /// They did not.
    None,
    /// They did in this pass: until the next one nothing is published.
    Held,
    /// They did in the one before: what is seen now is believed.
    Confirmed,
}

impl Tracked {
    /// A record that was just read.
    pub(super) fn new(record: &Record) -> Self {
        let mut record = Box::new(record.clone());
        if let Some(binding) = &mut record.binding {
            binding.spec.objective = String::new();
        }
        let changes = std::mem::take(&mut record.changes).into();
        let hold = |is_unconfirmed| if is_unconfirmed { HoldState::Confirmed } else { HoldState::None };
        let (hold, closing) = (hold(record.awaits_confirmation), hold(record.is_closing));
        Self { record, changes, hold, closing, wants_capacity: false, settled: None, looked_at: None, suspect_at: None }
    }

    pub(super) fn issue(&self) -> &IssueKey {
        &self.record.issue
    }

    /// Its comment was looked at then, and with it all that was found out before.
    pub(super) fn forget_suspicion(&mut self, begun: Instant) {
        self.suspect_at = self.suspect_at.filter(|at| *at > begun);
    }

    /// The cell that is bound to it.
    pub(super) fn mission_id(&self) -> Option<MissionId> {
        self.record.binding.as_ref().map(|binding| binding.mission_id)
    }

    /// The verdict on its cell.
    pub(super) fn verdict(&self, sighting: &CellObservation, (now, starts): (Timestamp, &Starts)) -> Option<Verdict> {
        let binding = self.record.binding.as_ref()?;
        let (stale_after, published) = (binding.spec.stale_after(), self.record.published());
        let grace = Grace { starts, published, sighting, stale_after, now };
        Some(grace.applied_to(binding.judge(sighting, now)))
    }

    /// As the mass change guard sees it.
    pub(super) fn guarded<'a>(&'a self, verdict: Verdict, sighting: &'a CellObservation) -> Guarded<'a> {
        let (record, is_open) = (&self.record, self.record.is_served_here());
        Guarded { record, is_open, verdict, sighting, awaits_confirmation: self.hold != HoldState::None }
    }

    /// Whether its cell leads to a turn.
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
