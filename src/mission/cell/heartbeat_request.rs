//! Heartbeats sent to the daemon over HTTP. Unlike a file, a request with mistakes is rejected, since its sender gets
//! the error.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::cell::heartbeat::{Heartbeat, WizardState};
use crate::mission::cell::heartbeat_fields::{self, HeartbeatField, Misfit};
use crate::mission::cell::json_file::{Flaw, parse_mended};
use crate::mission::cell::replay::{Accepted, Marks, Replay};
use crate::mission::time::Timestamp;

/// Why a sent heartbeat is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatRequestError {
    /// The body is not a JSON object.
    #[error("the body is not a heartbeat: {0}; an example is {{\"state\": \"working\", \"message\": \"half way\"}}")]
    NotAnObject(Flaw),
    /// A field has the wrong type.
    #[error("{0}")]
    Field(Misfit),
    /// It, or a later one, was accepted before.
    #[error("this heartbeat is out of order: {0}")]
    Replayed(Replay),
}

/// A heartbeat as sent: all fields are optional, unknown ones are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatRequest {
    timestamp: Option<Timestamp>,
    state: Option<String>,
    session: Option<String>,
    sequence: Option<u64>,
    message: Option<String>,
}

/// The state before a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The heartbeat that it replaces, if readable.
    pub heartbeat: Option<Heartbeat>,
    /// The heartbeats that were accepted before.
    pub accepted: Accepted,
}

/// The state after a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The heartbeat to write.
    pub heartbeat: Heartbeat,
    /// The accepted heartbeats, including this one.
    pub accepted: Accepted,
    /// Whether it carries a mark against replays, so that `accepted` has to be written first.
    pub is_told_apart: bool,
}

impl HeartbeatRequest {
    /// Parses a body; an empty one only proves that the agent is alive. Long texts are truncated, and invalid UTF-8 is
    /// replaced; the heartbeat counts anyway.
    pub fn parse(body: &[u8]) -> Result<Self, HeartbeatRequestError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let (object, _) = parse_mended(body).map_err(HeartbeatRequestError::NotAnObject)?;
        let text = |field| match heartbeat_fields::text(&object, field) {
            Ok(text) => Ok(text.map(|(text, _)| text)),
            Err(misfit) => Err(HeartbeatRequestError::Field(misfit)),
        };
        Ok(Self {
            timestamp: heartbeat_fields::timestamp(&object).map_err(HeartbeatRequestError::Field)?,
            state: text(HeartbeatField::State)?,
            session: heartbeat_fields::session(&object).map_err(HeartbeatRequestError::Field)?,
            sequence: heartbeat_fields::sequence(&object).map_err(HeartbeatRequestError::Field)?,
            message: text(HeartbeatField::Message)?,
        })
    }

    /// The state after it, if it is new. Its time is the time of arrival, so that a sender's wrong clock changes no
    /// age; the offset is recorded.
    pub fn following(self, before: Before, now: Timestamp) -> Result<After, HeartbeatRequestError> {
        let Self { timestamp, state, session, sequence, message } = self;
        let marks = Marks { timestamp, sequence };
        let is_told_apart = session.is_some() || !marks.is_empty();
        let accepted = before.accepted.with(session.as_deref(), marks, now).map_err(HeartbeatRequestError::Replayed)?;
        let next = || before.heartbeat.map_or(1, |last| last.next_sequence(session.as_deref()));
        let heartbeat = Heartbeat {
            timestamp: Some(now),
            sender_timestamp: timestamp.filter(|sent| ClockOffset::of(*sent, now).is_some()),
            state: state.unwrap_or_else(|| WizardState::Working.to_string()),
            sequence: Some(sequence.unwrap_or_else(next)),
            session,
            message,
        };
        Ok(After { heartbeat, accepted, is_told_apart })
    }
}
