//! The wizard's word that it is alive, and what it says of itself.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::cell::heartbeat_fields::{self, HeartbeatField, Misfit, Notes, Remark};
use crate::mission::cell::json_file::{Flaw, FoundValue, parse_mended};
use crate::mission::text::{MESSAGE_SHOWN_MAX, one_line};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A heartbeat as read, with the time that the file itself bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedHeartbeat {
    /// What the file says.
    pub heartbeat: Heartbeat,
    /// What is remarkable about how it says so.
    pub notes: Notes,
    /// When it was last written; a wizard cannot make itself younger than this.
    pub written_at: Timestamp,
    /// When we looked, which may be long after the pass began; a stamp is judged to be ahead of this.
    pub seen_at: Timestamp,
}

impl ObservedHeartbeat {
    /// What is remarkable about it, one thing a line; that it counts does not depend on any of it.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let clock = self.heartbeat.clock_offset().map(|offset| offset.to_string());
        self.notes.lines().into_iter().chain(clock).collect()
    }
}

/// `state/heartbeat.json`: the wizard's word that it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When; null until the first beat. Of one that came over HTTP: when it came, by the clock of this host.
    pub timestamp: Option<Timestamp>,
    /// The sender's own time of one that came over HTTP, where its clock is off. Nothing is counted from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_timestamp: Option<Timestamp>,
    /// `new` at birth; then `working`, `waiting`, `done` or `failed`; any other counts as working.
    #[serde(default)]
    pub state: String,
    /// Which run of the wizard it comes from; any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Rises with every heartbeat of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// For people, at most [`heartbeat_fields::MESSAGE_CHARS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Heartbeat {
    /// The seed of a new cell: nobody has beaten.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            timestamp: None,
            sender_timestamp: None,
            state: "new".to_owned(),
            session: None,
            sequence: None,
            message: None,
        }
    }

    /// Reads a heartbeat. Everything but the time is optional; what is of no use is left out, and noted.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Notes), Flaw> {
        let (object, mended) = parse_mended(bytes)?;
        if !object.contains_key(HeartbeatField::Timestamp.name()) {
            return Err(Flaw::Timestamp(FoundValue::Missing));
        }
        let timestamp = heartbeat_fields::timestamp(&object).map_err(|misfit| Flaw::Timestamp(misfit.found))?;
        let mut notes = Notes::of(mended);
        let text = |field, remark: &mut Option<Remark>| match heartbeat_fields::text(&object, field) {
            Ok(Some((text, is_cut))) => {
                *remark = is_cut.then_some(Remark::Cut);
                Some(text)
            }
            Ok(None) => None,
            Err(Misfit { found, .. }) => {
                *remark = Some(Remark::LeftOut(found));
                None
            }
        };
        let state = text(HeartbeatField::State, &mut notes.state).unwrap_or_default();
        let message = text(HeartbeatField::Message, &mut notes.message);
        let left_out = |misfit: &Misfit| Remark::LeftOut(misfit.found);
        let (session, sequence) = (heartbeat_fields::session(&object), heartbeat_fields::sequence(&object));
        notes.session = session.as_ref().err().map(left_out);
        notes.sequence = sequence.as_ref().err().map(left_out);
        let (session, sequence) = (session.ok().flatten(), sequence.ok().flatten());
        // Only we write it, and what is not ours is none.
        let sender_timestamp = object.get("sender_timestamp").and_then(Value::as_str).and_then(Timestamp::parse);
        Ok((Self { timestamp, sender_timestamp, state, session, sequence, message }, notes))
    }

    /// The number of the one that comes after this one, in the same session or a new one.
    #[must_use]
    pub fn next_sequence(&self, session: Option<&str>) -> u64 {
        let is_new = session.is_some_and(|session| self.session.as_deref() != Some(session));
        let last = self.sequence.filter(|_| !is_new);
        last.map_or(1, |last| last.saturating_add(1))
    }

    /// How far the clock of whoever sent it was off when it came.
    #[must_use]
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        ClockOffset::of(self.sender_timestamp?, self.timestamp?)
    }

    /// What the wizard says of itself.
    #[must_use]
    pub fn agent_state(&self) -> WizardState {
        match self.state.as_str() {
            "waiting" => WizardState::Waiting,
            "done" => WizardState::Done,
            "failed" => WizardState::Failed,
            _ => WizardState::Working,
        }
    }

    /// Its message, where people are meant to read it on the issue: one line, without what nobody can see.
    #[must_use]
    pub fn message_for_people(&self) -> Option<String> {
        let message = self.message.as_deref().filter(|_| self.agent_state().is_for_people())?;
        Some(one_line(message, MESSAGE_SHOWN_MAX)).filter(|line| !line.is_empty())
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

    /// Whether it waits for an answer.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        self == Self::Waiting
    }

    /// Whether a person should read what it says with it.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        match self {
            Self::Waiting | Self::Failed => true,
            Self::Working | Self::Done => false,
        }
    }
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
