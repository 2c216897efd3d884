//! Validates the fields of a heartbeat: what is used of each, and what is wrong with it.

use crate::mission::cell::json_file::{FoundValue, JsonKind, Mended, RIGHT_TIME};
use crate::mission::proposal::digest;
use crate::mission::text::{cut, without_invisible};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The longest text of a heartbeat, and so the longest message.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// The length of the digest that keeps long session names distinct.
const SESSION_DIGEST_CHARS: usize = 16;

/// A field of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatField {
    /// `timestamp`
    Timestamp,
    /// `state`
    State,
    /// `sequence`
    Sequence,
    /// `message`
    Message,
    /// `session`
    Session,
}

impl HeartbeatField {
    /// The key in the object.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::State => "state",
            Self::Sequence => "sequence",
            Self::Message => "message",
            Self::Session => "session",
        }
    }

    /// The expected value, for error messages.
    fn right(self) -> &'static str {
        match self {
            Self::Timestamp => RIGHT_TIME,
            Self::State | Self::Message | Self::Session => "a string",
            Self::Sequence => "a whole number from 0 upwards",
        }
    }

    /// The value; null counts as absent.
    fn value(self, object: &Map<String, Value>) -> Option<&Value> {
        object.get(self.name()).filter(|value| !value.is_null())
    }
}

/// A field with an unusable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The field.
    pub field: HeartbeatField,
    /// The value that it has.
    pub found: FoundValue,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, found } = self;
        write!(f, "`{}` {found}, and should be {}", field.name(), field.right())
    }
}

/// Reads the `timestamp` of this object, if it has one.
pub fn timestamp(object: &Map<String, Value>) -> Result<Option<Timestamp>, Misfit> {
    let field = HeartbeatField::Timestamp;
    match field.value(object) {
        None => Ok(None),
        Some(Value::String(text)) => match Timestamp::parse(text) {
            Some(timestamp) => Ok(Some(timestamp)),
            None if Timestamp::lacks_a_zone(text) => Err(Misfit { field, found: FoundValue::NoZone }),
            None => Err(Misfit { field, found: FoundValue::NoTime }),
        },
        Some(other) => Err(Misfit { field, found: FoundValue::Kind(JsonKind::of(other)) }),
    }
}

/// Reads the `sequence` of this object, if it has one.
pub fn sequence(object: &Map<String, Value>) -> Result<Option<u64>, Misfit> {
    let field = HeartbeatField::Sequence;
    match field.value(object) {
        None => Ok(None),
        Some(Value::Number(number)) => number.as_u64().map(Some).ok_or(Misfit { field, found: FoundValue::Number }),
        Some(other) => Err(Misfit { field, found: FoundValue::Kind(JsonKind::of(other)) }),
    }
}

/// Reads a string of this object, if it has one: without invisible characters, truncated, and whether it was truncated.
pub fn text(object: &Map<String, Value>, field: HeartbeatField) -> Result<Option<(String, bool)>, Misfit> {
    match field.value(object) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(bounded(text))),
        Some(other) => Err(Misfit { field, found: FoundValue::Kind(JsonKind::of(other)) }),
    }
}

/// Reads the `session` of this object, if it has one; an empty name counts as none.
pub fn session(object: &Map<String, Value>) -> Result<Option<String>, Misfit> {
    let field = HeartbeatField::Session;
    match field.value(object) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(session_name(text)),
        Some(other) => Err(Misfit { field, found: FoundValue::Kind(JsonKind::of(other)) }),
    }
}

/// A session's name as stored in a heartbeat. A name that is too long ends in its digest, so that two names with the
/// same beginning stay distinct.
#[must_use]
pub fn session_name(text: &str) -> Option<String> {
    let (name, _) = without_invisible(text);
    if name.chars().count() <= MESSAGE_CHARS_MAX {
        return Some(name).filter(|name| !name.is_empty());
    }
    let digest = digest(&name);
    let mark = &digest[..SESSION_DIGEST_CHARS];
    Some(cut(name, MESSAGE_CHARS_MAX - SESSION_DIGEST_CHARS).0 + mark)
}

/// A text as stored in a heartbeat, and whether it was truncated.
#[must_use]
pub fn bounded(text: &str) -> (String, bool) {
    cut(without_invisible(text).0, MESSAGE_CHARS_MAX)
}

/// Notes about mistakes in a heartbeat that counts nevertheless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// It begins with a byte order mark.
    #[serde(skip_serializing_if = "is_no")]
    pub bom: bool,
    /// It is not valid UTF-8.
    #[serde(skip_serializing_if = "is_no")]
    pub replaced: bool,
    /// A note about `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Remark>,
    /// A note about `sequence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Remark>,
    /// A note about `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Remark>,
    /// A note about `session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Remark>,
}

/// How a field was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// It was too long and truncated.
    Cut,
    /// It was left out, since it has the wrong type.
    LeftOut(FoundValue),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_no(flag: &bool) -> bool {
    !flag
}

impl Notes {
    /// The notes about the text as a whole.
    #[must_use]
    pub fn of(repairs: Mended) -> Self {
        let Mended { bom, replaced } = repairs;
        Self { bom, replaced, ..Self::default() }
    }

    /// Whether there are no notes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The notes that point to a mistake in the agent, without those about the length of a text.
    #[must_use]
    pub fn of_mistakes(self) -> Self {
        let mistake = |remark: Option<Remark>| remark.filter(|remark| *remark != Remark::Cut);
        Self { state: mistake(self.state), sequence: mistake(self.sequence), message: mistake(self.message), ..self }
    }

    /// The notes as text, one a line.
    #[must_use]
    pub fn lines(self) -> Vec<String> {
        let Self { bom, replaced, state, sequence, message, session } = self;
        let bom = bom
            .then(|| "the heartbeat begins with a byte order mark, which is skipped; write it without one".to_owned());
        let replaced =
            replaced.then(|| "the heartbeat is not valid UTF-8; invalid bytes are replaced by `\u{fffd}`".to_owned());
        let fields = [
            (HeartbeatField::State, state),
            (HeartbeatField::Sequence, sequence),
            (HeartbeatField::Message, message),
            (HeartbeatField::Session, session),
        ];
        let remarks = fields.into_iter().filter_map(|(field, remark)| Some(describe(field, remark?)));
        bom.into_iter().chain(replaced).chain(remarks).collect()
    }
}

fn describe(field: HeartbeatField, remark: Remark) -> String {
    match remark {
        Remark::Cut => {
            format!("the heartbeat's `{}` has more than {MESSAGE_CHARS_MAX} characters and is truncated", field.name())
        }
        Remark::LeftOut(found) => format!("the heartbeat's {}; it is ignored", Misfit { field, found }),
    }
}
