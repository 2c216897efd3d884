//! Failures: whose trouble each is, whether another try may help, and what they come to together.

use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Whose trouble a failure is. Whoever is switched off by another one's trouble has lost their monitoring to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FailureScope {
    /// The root, the forge as a whole, the token, the loop itself.
    Service,
    /// One listed repository.
    Repository,
    /// One mission: its issue, its cell, its record.
    Mission,
}

impl FailureScope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Service, Self::Repository, Self::Mission];

    /// The fixed word for JSON and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What failed in the last turn of a mission, kept until a turn succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissionFailure {
    /// The fixed word.
    pub kind: String,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Whether no other try can help before a person does something.
    pub is_permanent: bool,
    /// When it failed first.
    pub since: Timestamp,
    /// Whether our comment could not be written, so that it does not say what is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_comment: bool,
}

/// The most characters of a message that are kept of a failure.
const MESSAGE_CHARS_MAX: usize = 1_000;

impl MissionFailure {
    /// A failure that was met just now.
    #[must_use]
    pub fn new(kind: &str, message: &str, is_permanent: bool, now: Timestamp) -> Self {
        let mut kept: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
        if kept.len() < message.len() {
            kept.push('…');
        }
        let message = kept;
        Self { kind: kind.to_owned(), message, is_permanent, since: now, is_of_comment: false }
    }

    /// The same, of our comment or not.
    #[must_use]
    pub fn of_comment(self, is_of_comment: bool) -> Self {
        Self { is_of_comment, ..self }
    }

    /// The same, but as old as the one before it, where that said the same.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let since = before.filter(|before| before.kind == self.kind).map_or(self.since, |before| before.since);
        Self { since, ..self }
    }
}
