//! The wizard's word that it is alive, and what it says of itself.

use crate::mission::contents::{Flaw, parse_object};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A heartbeat as read, with the time that the file itself bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What the file says.
    pub heartbeat: Heartbeat,
    /// When it was last written; a wizard cannot make itself younger than this.
    pub written_at: Timestamp,
    /// When we looked, which may be long after the pass began; a stamp is judged to be ahead of this.
    pub seen_at: Timestamp,
}

/// `state/heartbeat.json`: the wizard's word that it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When; null until the first beat.
    pub timestamp: Option<Timestamp>,
    /// `new` at birth; then `working`, `waiting`, `done` or `failed`; any other counts as working.
    #[serde(default)]
    pub state: String,
    /// Rises with every beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// At most [`MESSAGE_CHARS_MAX`] characters for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The longest message of a heartbeat.
pub const MESSAGE_CHARS_MAX: usize = 200;

impl Heartbeat {
    /// The seed of a new cell: nobody has beaten.
    #[must_use]
    pub fn unborn() -> Self {
        Self { timestamp: None, state: "new".to_owned(), sequence: None, message: None }
    }

    /// Reads a heartbeat. Everything but the time is optional, and what is of no use is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let object = parse_object(bytes)?;
        let timestamp = match object.get("timestamp") {
            Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Timestamp::parse(text).ok_or(Flaw::BadTimestamp)?),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
                return Err(Flaw::NoTimestamp);
            }
        };
        let text = |key| object.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            timestamp,
            state: text("state").unwrap_or_default(),
            sequence: object.get("sequence").and_then(Value::as_u64),
            message: text("message"),
        })
    }

    /// What the wizard says of itself.
    #[must_use]
    pub fn says(&self) -> WizardState {
        match self.state.as_str() {
            "waiting" => WizardState::Waiting,
            "done" => WizardState::Done,
            "failed" => WizardState::Failed,
            _ => WizardState::Working,
        }
    }
}

/// What a wizard says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WizardState {
    /// At work.
    Working,
    /// Waits for a person.
    Waiting,
    /// Has finished.
    Done,
    /// Has given up.
    Failed,
}

impl WizardState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Done, Self::Failed];
}

impl fmt::Display for WizardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
        })
    }
}
