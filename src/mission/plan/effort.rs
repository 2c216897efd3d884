//! Counts costly decisions, so that logs and tests show when one is made twice.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of costly decisions since a pass began.
#[derive(Debug, Default)]
pub struct Effort {
    parsed: AtomicU64,
    judged: AtomicU64,
}

impl Effort {
    /// A title and a body were parsed.
    pub(in crate::mission) fn parse(&self) {
        self.parsed.fetch_add(1, Ordering::Relaxed);
    }

    /// A mission's lifecycle was determined.
    pub(in crate::mission) fn judge(&self) {
        self.judged.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of parsed bodies.
    #[must_use]
    pub fn bodies_parsed(&self) -> u64 {
        self.parsed.load(Ordering::Relaxed)
    }

    /// The number of determined lifecycles.
    #[must_use]
    pub fn lifecycles_found(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }
}
