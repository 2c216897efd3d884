//! Replay protection for heartbeats over HTTP: accepted ones are recorded, so that one that is delivered again, or
//! late, does not count twice.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many replaced sessions are recorded.
pub const SESSIONS_MAX: usize = 8;

/// The heartbeats of one cell that were accepted over HTTP: `config/heartbeat.accepted.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The version of the file format.
    #[serde(default)]
    version: Version,
    /// When the last one arrived.
    #[serde(default)]
    received_at: Option<Timestamp>,
    /// The session of the last heartbeat that named one.
    #[serde(default)]
    current: Option<Session>,
    /// The sessions before it, the oldest first, at most [`SESSIONS_MAX`].
    #[serde(default)]
    replaced: Vec<String>,
    /// The marks of heartbeats without a session.
    #[serde(default)]
    without_session: Marks,
}

/// The version of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

/// One run of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    name: String,
    #[serde(flatten)]
    marks: Marks,
}

/// The marks that distinguish heartbeats: those of one that was sent, or the latest accepted ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The sender's time, in full precision.
    #[serde(default, with = "exact")]
    pub timestamp: Option<Timestamp>,
    /// The sender's sequence number.
    #[serde(default)]
    pub sequence: Option<u64>,
}

/// Why a heartbeat is not new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Neither its timestamp nor its sequence number is newer.
    NotNewer {
        /// The marks of the heartbeat.
        given: Marks,
        /// The latest accepted marks.
        last: Marks,
    },
    /// Its session was replaced by another one.
    Replaced,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNewer { given, last } => {
                write!(
                    f,
                    "it is not newer than the last accepted one: {given}, after {last}; an agent that restarts its \
                     count has to use a new `session`"
                )
            }
            Self::Replaced => {
                f.write_str("its `session` was replaced by another one; each run of an agent has to use a new one")
            }
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.timestamp, self.sequence) {
            (Some(timestamp), Some(sequence)) => {
                write!(f, "`timestamp` {} and `sequence` {sequence}", timestamp.exact())
            }
            (Some(timestamp), None) => write!(f, "`timestamp` {}", timestamp.exact()),
            (None, Some(sequence)) => write!(f, "`sequence` {sequence}"),
            (None, None) => f.write_str("neither `timestamp` nor `sequence`"),
        }
    }
}

impl Accepted {
    /// When the last one arrived.
    #[must_use]
    pub fn received_at(&self) -> Option<Timestamp> {
        self.received_at
    }

    /// The record after a heartbeat of this session with these marks arrives now, or why it is rejected.
    pub fn with(mut self, session: Option<&str>, given: Marks, now: Timestamp) -> Result<Self, Replay> {
        let received_at = self.received_at.replace(now);
        match session {
            None => self.without_session = self.without_session.advanced(given, received_at, now)?,
            Some(name) if self.replaced.iter().any(|replaced| replaced == name) => return Err(Replay::Replaced),
            Some(name) => match &mut self.current {
                Some(current) if current.name == name => {
                    current.marks = current.marks.advanced(given, received_at, now)?;
                }
                current => {
                    let before = current.replace(Session { name: name.to_owned(), marks: given });
                    self.replaced.extend(before.map(|before| before.name));
                    let surplus = self.replaced.len().saturating_sub(SESSIONS_MAX);
                    self.replaced.drain(..surplus);
                }
            },
        }
        Ok(self)
    }
}

impl Marks {
    /// Whether there are no marks.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The latest of both. A heartbeat without marks counts as new.
    fn advanced(self, given: Self, received_at: Option<Timestamp>, now: Timestamp) -> Result<Self, Replay> {
        let is_higher = given.sequence > self.sequence;
        let clock = given.timestamp.map_or(Clock::Behind, |given| clock(given, self.timestamp, received_at, now));
        if !given.is_empty() && !is_higher && clock == Clock::Behind {
            return Err(Replay::NotNewer { given, last: self });
        }
        let timestamp = match clock {
            Clock::Ahead | Clock::Corrected => given.timestamp,
            Clock::Behind => self.timestamp,
        };
        Ok(Self { timestamp, sequence: self.sequence.max(given.sequence) })
    }
}

/// A sender's time, compared with the latest accepted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Ahead,
    /// The latest accepted time is still in the future, so that clock was wrong; this time is plausible, and after the
    /// last arrival. Without this, an agent with a corrected clock would be rejected until it has caught up.
    Corrected,
    Behind,
}

fn clock(given: Timestamp, last: Option<Timestamp>, received_at: Option<Timestamp>, now: Timestamp) -> Clock {
    let is_ahead_of_us = |timestamp| ClockOffset::of(timestamp, now).is_some_and(ClockOffset::is_ahead);
    match last {
        Some(last) if given <= last => {
            let is_right = !is_ahead_of_us(given) && received_at.is_none_or(|received_at| given > received_at);
            if is_ahead_of_us(last) && is_right { Clock::Corrected } else { Clock::Behind }
        }
        Some(_) | None => Clock::Ahead,
    }
}

/// A time in full precision; with whole seconds, a replay within the same second would be accepted.
mod exact {
    use crate::mission::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks so")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::exact).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}
