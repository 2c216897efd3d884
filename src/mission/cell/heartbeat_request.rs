//! A heartbeat as a wizard sends it to the daemon. A file is read leniently; here somebody hears what is wrong.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::cell::heartbeat::{Heartbeat, WizardState};
use crate::mission::cell::heartbeat_fields::{self, HeartbeatField, Misfit};
use crate::mission::cell::json_file::{Flaw, parse_mended};
use crate::mission::cell::replay::{Accepted, Marks, Replay};
use crate::mission::time::Timestamp;

/// What is wrong with a heartbeat that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatRequestError {
    /// It is something else.
    #[error("the body is no heartbeat: {0}; an example is {{\"state\": \"working\", \"message\": \"half way\"}}")]
    NotAnObject(Flaw),
    /// A field is of another type.
    #[error("{0}")]
    Field(Misfit),
    /// It, or one after it, was accepted before.
    #[error("this heartbeat comes too late: {0}")]
    Replayed(Replay),
}

/// A heartbeat as sent: everything in it is optional, and nothing else in it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatRequest {
    timestamp: Option<Timestamp>,
    state: Option<String>,
    session: Option<String>,
    sequence: Option<u64>,
    message: Option<String>,
}

/// What a heartbeat comes after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The heartbeat that it replaces, where that can be read.
    pub heartbeat: Option<Heartbeat>,
    /// Those that were accepted before.
    pub accepted: Accepted,
}

/// What takes the place of what was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The heartbeat.
    pub heartbeat: Heartbeat,
    /// What is remembered of it.
    pub accepted: Accepted,
    /// Whether it may not count before that is remembered: it bears something to know it by.
    pub is_told_apart: bool,
}

impl HeartbeatRequest {
    /// Reads a body; an empty one says no more than that the wizard lives. What is too long is cut, what is no UTF-8 is
    /// replaced, and the heartbeat counts.
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

    /// What follows from it, if it is new. It counts from when it came: a sender's clock that is off is noted, and makes no
    /// agent look older than it is, or younger.
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
