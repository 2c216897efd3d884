//! The phases of a mission.

use serde::{Deserialize, Serialize};

/// A mission's phase; also the value of its `mission/` label.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Phase {
    /// Waits for approval, for capacity or for its host.
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

    /// The value in labels and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The phase with this value.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }
}
