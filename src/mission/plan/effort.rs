//! Counts what deciding costs, so that a log and a test can tell whether something is decided twice.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often the costly decisions were made since a pass began.
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

    /// A mission's situation was found.
    pub(in crate::mission) fn judge(&self) {
        self.judged.fetch_add(1, Ordering::Relaxed);
    }

    /// How many bodies were parsed.
    #[must_use]
    pub fn bodies_parsed(&self) -> u64 {
        self.parsed.load(Ordering::Relaxed)
    }

    /// How many situations were found.
    #[must_use]
    pub fn situations_found(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }
}
