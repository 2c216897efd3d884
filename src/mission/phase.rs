//! The phases of a mission's life.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A mission's phase; also the value of its `mission/` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Waits for room or for its host.
    Pending,
    /// Answers need correcting.
    Invalid,
    /// The cell exists.
    Active,
    /// Paused by a person.
    Suspended,
    /// The issue is closed.
    Closed,
}

impl Phase {
    /// In the order of the reference's table.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Invalid, Self::Active, Self::Suspended, Self::Closed];

    /// The word, as labels and JSON have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Invalid => "invalid",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// The phase of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
