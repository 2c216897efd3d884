//! A heartbeat as a wizard sends it to the daemon. A file is read leniently; here somebody hears what is wrong.

use crate::mission::contents::parse_object;
use crate::mission::health::FUTURE_MAX;
use crate::mission::heartbeat::{Heartbeat, MESSAGE_CHARS_MAX, WizardState};
use crate::mission::text::without_invisible;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde_json::{Map, Value};

/// What is wrong with a heartbeat that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SentFault {
    /// It is something else.
    #[error("the body is not a JSON object such as {{\"state\": \"working\", \"message\": \"half way\"}}")]
    NotAnObject,
    /// A field is of another type.
    #[error("`{field}` is not {wanted}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A text is too long.
    #[error("`{field}` has {length} characters, the limit is {MESSAGE_CHARS_MAX}")]
    TooLong {
        /// Which.
        field: &'static str,
        /// How many it has.
        length: usize,
    },
    /// The time is ahead of our clock.
    #[error("`timestamp` is more than {} seconds ahead of this host's clock, {now}", FUTURE_MAX.as_secs())]
    InFuture {
        /// What our clock says.
        now: Timestamp,
    },
    /// It is older than what is there, or the same.
    #[error("`sequence` {given} does not rise above the last one, {last}")]
    NotRising {
        /// The one that was sent.
        given: u64,
        /// The one that is there.
        last: u64,
    },
}

/// A heartbeat as sent: everything in it is optional, and nothing else in it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentBeat {
    timestamp: Option<Timestamp>,
    state: Option<String>,
    sequence: Option<u64>,
    message: Option<String>,
}

impl SentBeat {
    /// Reads a body; an empty one says no more than that the wizard lives.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, SentFault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let object = parse_object(body).map_err(|_| SentFault::NotAnObject)?;
        let sent = Self {
            timestamp: timestamp(&object)?,
            state: text(&object, "state")?,
            sequence: sequence(&object)?,
            message: text(&object, "message")?,
        };
        let ahead_max = TimeDelta::from_std(FUTURE_MAX).unwrap_or(TimeDelta::MAX);
        if sent.timestamp.is_some_and(|timestamp| timestamp.after(now) > ahead_max) {
            return Err(SentFault::InFuture { now });
        }
        Ok(sent)
    }

    /// What takes the place of a heartbeat with this sequence number.
    pub fn following(self, last: Option<u64>, now: Timestamp) -> Result<Heartbeat, SentFault> {
        let Self { timestamp, state, sequence, message } = self;
        if let (Some(given), Some(last)) = (sequence, last)
            && given <= last
        {
            return Err(SentFault::NotRising { given, last });
        }
        Ok(Heartbeat {
            timestamp: Some(timestamp.unwrap_or(now)),
            state: state.unwrap_or_else(|| WizardState::Working.to_string()),
            sequence: sequence.or_else(|| Some(last.map_or(1, |last| last.saturating_add(1)))),
            message,
        })
    }
}

fn present<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

fn timestamp(object: &Map<String, Value>) -> Result<Option<Timestamp>, SentFault> {
    let Some(value) = present(object, "timestamp") else { return Ok(None) };
    let wanted = "an RFC 3339 time with a zone, such as \"2026-11-23T14:02:11Z\"";
    let wrong = SentFault::Field { field: "timestamp", wanted };
    value.as_str().and_then(Timestamp::parse).map(Some).ok_or(wrong)
}

fn sequence(object: &Map<String, Value>) -> Result<Option<u64>, SentFault> {
    let Some(value) = present(object, "sequence") else { return Ok(None) };
    value.as_u64().map(Some).ok_or(SentFault::Field { field: "sequence", wanted: "a whole number from 0 upwards" })
}

fn text(object: &Map<String, Value>, field: &'static str) -> Result<Option<String>, SentFault> {
    let Some(value) = present(object, field) else { return Ok(None) };
    let text = value.as_str().ok_or(SentFault::Field { field, wanted: "a text" })?;
    let (text, _) = without_invisible(text);
    match text.chars().count() {
        0..=MESSAGE_CHARS_MAX => Ok(Some(text)),
        length => Err(SentFault::TooLong { field, length }),
    }
}
