//! A heartbeat as a wizard sends it to the daemon. A file is read leniently; here somebody hears what is wrong.

use crate::mission::contents::{Flaw, parse_mended};
use crate::mission::fields::{self, Field, Misfit};
use crate::mission::health::FUTURE_MAX;
use crate::mission::heartbeat::{Heartbeat, WizardState};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// What is wrong with a heartbeat that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SentFault {
    /// It is something else.
    #[error("the body is no heartbeat: {0}; an example is {{\"state\": \"working\", \"message\": \"half way\"}}")]
    NotAnObject(Flaw),
    /// A field is of another type.
    #[error("{0}")]
    Field(Misfit),
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
    /// Reads a body; an empty one says no more than that the wizard lives. What is too long is cut, what is no UTF-8 is
    /// replaced, and the heartbeat counts.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, SentFault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let (object, _) = parse_mended(body).map_err(SentFault::NotAnObject)?;
        let text = |field| match fields::text(&object, field) {
            Ok(text) => Ok(text.map(|(text, _)| text)),
            Err(misfit) => Err(SentFault::Field(misfit)),
        };
        let sent = Self {
            timestamp: fields::timestamp(&object).map_err(SentFault::Field)?,
            state: text(Field::State)?,
            sequence: fields::sequence(&object).map_err(SentFault::Field)?,
            message: text(Field::Message)?,
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
