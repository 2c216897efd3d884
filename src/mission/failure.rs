//! Failures of missions: their scope, and whether a retry may help.

use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The scope of a failure. A failure affects nothing outside its scope, so that one mission cannot stop the monitoring
/// of others.
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
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Service, Self::Repository, Self::Mission];

    /// The fixed word for JSON and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The failure of a mission's last turn, kept until a turn succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissionFailure {
    /// The fixed word for JSON and metrics.
    pub kind: String,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Whether a retry cannot help before a person acts.
    pub is_permanent: bool,
    /// When it first failed.
    pub since: Timestamp,
    /// Whether the status comment could not be written, and is outdated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_comment: bool,
}

/// The most characters of a failure's message that are kept.
const MESSAGE_CHARS_MAX: usize = 1_000;

impl MissionFailure {
    /// A failure that occurred now.
    #[must_use]
    pub fn new(kind: &str, message: &str, is_permanent: bool, now: Timestamp) -> Self {
        let mut kept: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
        if kept.len() < message.len() {
            kept.push('…');
        }
        let message = kept;
        Self { kind: kind.to_owned(), message, is_permanent, since: now, is_of_comment: false }
    }

    /// Sets whether it concerns the status comment.
    #[must_use]
    pub fn of_comment(self, is_of_comment: bool) -> Self {
        Self { is_of_comment, ..self }
    }

    /// Keeps the start of the failure before it, if that was of the same kind.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let since = before.filter(|before| before.kind == self.kind).map_or(self.since, |before| before.since);
        Self { since, ..self }
    }
}
