//! Which heartbeats over HTTP are new. What was accepted is remembered, so that one that is delivered again, or far too
//! late, counts no second time.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many sessions that were replaced are remembered.
pub const SESSIONS_MAX: usize = 8;

/// The heartbeats of one cell that were accepted over HTTP: `config/heartbeat.accepted.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which form this has.
    #[serde(default)]
    version: Version,
    /// When the last one came.
    #[serde(default)]
    received_at: Option<Timestamp>,
    /// The session that the last one of any session named.
    #[serde(default)]
    current: Option<Session>,
    /// The sessions before it, the oldest first, at most [`SESSIONS_MAX`].
    #[serde(default)]
    replaced: Vec<String>,
    /// Of those that named no session.
    #[serde(default)]
    without_session: Marks,
}

/// The form of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version(u32);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

/// One run of a wizard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    name: String,
    #[serde(flatten)]
    marks: Marks,
}

/// What tells one heartbeat from another: as it was sent, or the latest that was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The sender's time, to its last digit.
    #[serde(default, with = "exact")]
    pub timestamp: Option<Timestamp>,
    /// The sender's number.
    #[serde(default)]
    pub sequence: Option<u64>,
}

/// Why a heartbeat is not new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Neither its time nor its number is newer.
    NotNewer {
        /// What it bears.
        given: Marks,
        /// What was accepted.
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
                    "it is not newer than the last one that was accepted: {given}, after {last}; an agent that begins to \
                     count again names a new `session`"
                )
            }
            Self::Replaced => {
                f.write_str("its `session` was replaced by another one; each run of an agent names a new one")
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
    /// When the last one came.
    #[must_use]
    pub fn received_at(&self) -> Option<Timestamp> {
        self.received_at
    }

    /// What is remembered once a heartbeat of this session with these marks is accepted at this moment, or why it is not.
    pub fn with(mut self, session: Option<&str>, given: Marks, now: Timestamp) -> Result<Self, Replay> {
        let received_at = self.received_at.replace(now);
        match session {
            None => self.without_session = self.without_session.raised(given, received_at, now)?,
            Some(name) if self.replaced.iter().any(|replaced| replaced == name) => return Err(Replay::Replaced),
            Some(name) => match &mut self.current {
                Some(current) if current.name == name => {
                    current.marks = current.marks.raised(given, received_at, now)?;
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
    /// Whether there is nothing to tell it by.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The latest of both. What bears no mark at all is as good as new.
    fn raised(self, given: Self, received_at: Option<Timestamp>, now: Timestamp) -> Result<Self, Replay> {
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

/// Where a sender's time stands to the latest before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Ahead,
    /// The latest lies in the future even now, so that clock was wrong; this time is right, and after the last heartbeat
    /// came. Without this an agent whose clock is set right would be refused until it has caught up.
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

/// A time to its last digit; whole seconds would let a replay pass for the one that came after it.
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
