//! Heartbeats: proof that an agent is alive, with the state that it reports.

use crate::mission::cell::clock_skew::ClockOffset;
use crate::mission::cell::heartbeat_fields::{self, HeartbeatField, Misfit, Notes, Remark};
use crate::mission::cell::json_file::{Flaw, FoundValue, parse_mended};
use crate::mission::text::{MESSAGE_SHOWN_MAX, one_line};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A heartbeat as read, with the file's own time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedHeartbeat {
    /// The contents of the file.
    pub heartbeat: Heartbeat,
    /// Notes about mistakes in its form.
    pub notes: Notes,
    /// The file's mtime; an agent cannot claim to be more recent than this.
    pub written_at: Timestamp,
    /// When it was read, which may be long after the pass began; clock skew is measured against this.
    pub seen_at: Timestamp,
}

impl ObservedHeartbeat {
    /// Notes about it, one a line; none of them affects whether it counts.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let clock = self.heartbeat.clock_offset().map(|offset| offset.to_string());
        self.notes.lines().into_iter().chain(clock).collect()
    }
}

/// `state/heartbeat.json`: the agent's last heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The time; null until the first heartbeat. For one that was sent over HTTP, the time of arrival by this host's
    /// clock.
    pub timestamp: Option<Timestamp>,
    /// The sender's time of one that was sent over HTTP, if its clock is off. It does not affect health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_timestamp: Option<Timestamp>,
    /// `new` at first; then `working`, `waiting`, `done` or `failed`; any other counts as working.
    #[serde(default)]
    pub state: String,
    /// The run of the agent that sent it; any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Increases with every heartbeat of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// For people, at most [`heartbeat_fields::MESSAGE_CHARS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Heartbeat {
    /// The heartbeat file of a new cell, without a heartbeat.
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

    /// Parses a heartbeat. Only the time is required; unusable fields are left out, with a note.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Notes), Flaw> {
        let (object, repairs) = parse_mended(bytes)?;
        if !object.contains_key(HeartbeatField::Timestamp.name()) {
            return Err(Flaw::Timestamp(FoundValue::Missing));
        }
        let timestamp = heartbeat_fields::timestamp(&object).map_err(|misfit| Flaw::Timestamp(misfit.found))?;
        let mut notes = Notes::of(repairs);
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
        // Only this service writes it; any other value counts as none.
        let sender_timestamp = object.get("sender_timestamp").and_then(Value::as_str).and_then(Timestamp::parse);
        Ok((Self { timestamp, sender_timestamp, state, session, sequence, message }, notes))
    }

    /// The sequence number of the next heartbeat, in the same session or a new one.
    #[must_use]
    pub fn next_sequence(&self, session: Option<&str>) -> u64 {
        let is_new = session.is_some_and(|session| self.session.as_deref() != Some(session));
        let last = self.sequence.filter(|_| !is_new);
        last.map_or(1, |last| last.saturating_add(1))
    }

    /// The offset of the sender's clock on arrival.
    #[must_use]
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        ClockOffset::of(self.sender_timestamp?, self.timestamp?)
    }

    /// The state that the agent reports.
    #[must_use]
    pub fn agent_state(&self) -> WizardState {
        match self.state.as_str() {
            "waiting" => WizardState::Waiting,
            "done" => WizardState::Done,
            "failed" => WizardState::Failed,
            _ => WizardState::Working,
        }
    }

    /// The message to show on the issue, if its state is for people: one line, without invisible characters.
    #[must_use]
    pub fn message_for_people(&self) -> Option<String> {
        let message = self.message.as_deref().filter(|_| self.agent_state().is_for_people())?;
        Some(one_line(message, MESSAGE_SHOWN_MAX)).filter(|line| !line.is_empty())
    }
}

/// The state that an agent reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WizardState {
    /// It is working.
    Working,
    /// It waits for a person.
    Waiting,
    /// It has completed its mission.
    Done,
    /// It has given up.
    Failed,
}

impl WizardState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Done, Self::Failed];

    /// Whether the agent waits for an answer.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        self == Self::Waiting
    }

    /// Whether people should read the message that comes with it.
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
