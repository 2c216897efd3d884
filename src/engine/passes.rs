//! Keeps the book of passes: when one began, what went wrong in it, and how it ended.

use crate::mission::time::Timestamp;
use crate::snapshot::Passes;
use crate::trouble::Trouble;
use crate::world::clock;
use chrono::TimeDelta;
use std::time::Duration;
use tokio::time::Instant;

/// The most messages of one pass that are kept.
const ERRORS_MAX: usize = 20;

/// When not one look has ended and not one request been made for so long, we hang.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(15);

/// The pass that is under way, and those before it.
#[derive(Debug)]
pub(super) struct PassBook {
    told: Passes,
    begun: Option<Instant>,
    /// Whether every cell has been looked at in it.
    pub(super) is_swept: bool,
    errors: Vec<String>,
    is_failed: bool,
    /// How many looks had ended and requests been made when one was last seen to, and when that was.
    moved: (u64, Timestamp),
}

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) is_complete: bool,
    pub(super) duration: Duration,
    pub(super) delayed: usize,
}

impl PassBook {
    pub(super) fn new(now: Timestamp) -> Self {
        let told = Passes { started_at: Some(now), ..Passes::default() };
        Self { told, begun: None, is_swept: false, errors: Vec::new(), is_failed: false, moved: (0, now) }
    }

    pub(super) fn open(&mut self) {
        (self.begun, self.is_swept, self.is_failed) = (Some(clock::instant()), false, false);
        self.errors.clear();
    }

    pub(super) fn note(&mut self, troubles: &[Trouble]) {
        self.is_failed |= !troubles.is_empty();
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(troubles.iter().take(room).map(Trouble::message_with_subject));
    }

    /// The next one is due, and this one is not over.
    pub(super) fn give_up(&mut self, left: usize) {
        if self.begun.is_some() {
            self.is_failed = true;
            self.errors.push(format!("the pass was not over when the next one was due; {left} more in line"));
        }
    }

    /// Whether something has moved lately, or there was nothing to move. The slowest forge answers sooner than this, or is
    /// given up.
    pub(super) fn is_moving(&mut self, now: Timestamp, is_idle: bool, moved: u64) -> bool {
        if is_idle || moved != self.moved.0 || now < self.moved.1 {
            self.moved = (moved, now);
        }
        now.after(self.moved.1) <= STUCK_AFTER
    }

    /// Ends the pass, with so many issues that failed and come again later; none where there was none.
    pub(super) fn close(&mut self, now: Timestamp, delayed: usize) -> Option<Ended> {
        let begun = self.begun.take()?;
        if delayed > 0 && !self.is_failed {
            self.is_failed = true;
            self.errors.push(format!("{delayed} that failed before are tried again later"));
        }
        self.told.finished_at = Some(now);
        self.told.errors = std::mem::take(&mut self.errors);
        if self.is_failed {
            self.told.incomplete += 1;
        } else {
            self.told.complete += 1;
            self.told.complete_at = Some(now);
        }
        let number = self.told.complete + self.told.incomplete;
        Some(Ended { number, is_complete: !self.is_failed, duration: clock::instant() - begun, delayed })
    }

    /// What the forge's last answer was, where it was none.
    pub(super) fn note_forge(&mut self, error: Option<String>) {
        self.told.forge_error = error;
    }

    /// Whether it was none.
    pub(super) fn is_forge_away(&self) -> bool {
        self.told.forge_error.is_some()
    }

    pub(super) fn told(&self) -> Passes {
        self.told.clone()
    }
}
