//! What a file of a cell says: an object of JSON, of a sensible size.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Why a file's contents cannot be used. Never quotes the file, and never counts what may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Longer than [`FILE_BYTES_MAX`].
    TooLarge,
    /// No JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// A heartbeat whose `timestamp` is absent or neither null nor a text.
    NoTimestamp,
    /// A heartbeat whose `timestamp` is no RFC 3339 time with a zone.
    BadTimestamp,
}

/// The most that is ever read of a file in a cell. An objective of 16 KiB, escaped and written twice, fits.
pub const FILE_BYTES_MAX: usize = 128 * 1024;

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is larger than 128 KiB",
            Self::NotJson => "it is not JSON",
            Self::NotAnObject => "it is not a JSON object",
            Self::NoTimestamp => "it has no `timestamp`",
            Self::BadTimestamp => "its `timestamp` is not an RFC 3339 time with a zone",
        })
    }
}

/// Reads a file of a cell as a JSON object.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Flaw> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Flaw::TooLarge);
    }
    let value = serde_json::from_slice(bytes).map_err(|_| Flaw::NotJson)?;
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(Flaw::NotAnObject),
    }
}

/// JSON as people like to read it in a file.
#[must_use]
pub fn pretty<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data is always JSON");
    text.push('\n');
    text
}
