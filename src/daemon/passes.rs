//! Keeps the book of passes: when one began, what went wrong in it, and how it ended.

use crate::mission::time::Timestamp;
use crate::snapshot::Passes;
use crate::trouble::Trouble;
use std::time::{Duration, Instant};

/// The most messages of one pass that are kept.
const ERRORS_MAX: usize = 20;

/// The pass that is under way, and those before it.
#[derive(Debug)]
pub(super) struct PassBook {
    told: Passes,
    begun: Option<Instant>,
    /// Whether every cell has been looked at in it.
    pub(super) is_swept: bool,
    errors: Vec<String>,
    is_failed: bool,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) is_complete: bool,
    pub(super) duration: Duration,
}

impl PassBook {
    pub(super) fn new(now: Timestamp) -> Self {
        let told = Passes { started_at: Some(now), ..Passes::default() };
        Self { told, begun: None, is_swept: false, errors: Vec::new(), is_failed: false }
    }

    pub(super) fn open(&mut self) {
        (self.begun, self.is_swept, self.is_failed) = (Some(Instant::now()), false, false);
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
        Some(Ended { is_complete: !self.is_failed, duration: begun.elapsed() })
    }

    /// What the forge's last answer was, where it was none.
    pub(super) fn note_forge(&mut self, error: Option<String>) {
        self.told.forge_error = error;
    }

    pub(super) fn told(&self) -> Passes {
        self.told.clone()
    }
}
