//! Reads the JSON files of a cell: one object each, of bounded size.

use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Why a file's contents are unusable. Never quotes the file and has no details that change from one heartbeat to the
/// next, so that the same mistake has the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Longer than [`FILE_BYTES_MAX`].
    TooLarge,
    /// Nothing but whitespace.
    Empty,
    /// Text in UTF-16, as PowerShell writes it.
    Utf16,
    /// Truncated JSON.
    CutOff,
    /// A complete JSON value with something after it, as in a file that is appended to.
    MoreFollows,
    /// Not JSON. The flaws in records of earlier versions are read as this one until the next check.
    #[serde(alias = "not-an-object", alias = "no-timestamp", alias = "bad-timestamp")]
    NotJson,
    /// JSON, but not an object.
    OtherJson(JsonKind),
    /// A heartbeat with an unusable `timestamp`.
    Timestamp(FoundValue),
    /// The file's mode, access list or lease keeps this service from opening it.
    Refused,
}

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

/// The value of a field that is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundValue {
    /// The field is missing.
    Missing,
    /// A value of another JSON type.
    Kind(JsonKind),
    /// A number that is negative, too large, or has a fraction.
    Number,
    /// A time without a zone.
    NoZone,
    /// A string that is not a time.
    NoTime,
}

/// The repairs that made a text readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// A byte order mark was skipped.
    pub bom: bool,
    /// Invalid characters were replaced.
    pub replaced: bool,
}

/// The largest file of a cell that is read. An objective of 16 KiB, escaped and written twice, fits.
pub const FILE_BYTES_MAX: usize = 128 * 1024;

/// The expected form of a time, for error messages.
pub const RIGHT_TIME: &str = "an RFC 3339 time with a zone, such as `2026-11-23T14:02:11Z`";

/// The byte order mark as a character.
const BOM: char = '\u{feff}';

impl Flaw {
    /// Whether a file that is being written in place may look like this for a moment.
    #[must_use]
    pub fn may_pass(self) -> bool {
        match self {
            Self::Empty | Self::CutOff | Self::MoreFollows | Self::NotJson => true,
            Self::TooLarge | Self::Utf16 | Self::OtherJson(_) | Self::Timestamp(_) | Self::Refused => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("it is larger than 128 KiB"),
            Self::Empty => f.write_str("it is empty, and should be a JSON object"),
            Self::Utf16 => f.write_str("it is UTF-16, and should be UTF-8"),
            Self::CutOff => {
                f.write_str("its JSON is truncated; write it to a temporary file, then rename that into place")
            }
            Self::MoreFollows => {
                f.write_str("there is data after the end of its JSON; replace the file instead of appending to it")
            }
            Self::NotJson => f.write_str("it is not JSON"),
            Self::OtherJson(kind) => write!(f, "it is {kind}, and should be a JSON object"),
            Self::Timestamp(found) => write!(f, "its `timestamp` {found}, and should be {RIGHT_TIME}"),
            Self::Refused => f.write_str(
                "its own mode, access list or lease keeps this service from reading it; have the agent's account replace it",
            ),
        }
    }
}

impl JsonKind {
    /// The kind of this value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for JsonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::List => "an array",
            Self::Object => "an object",
        })
    }
}

/// A predicate that follows the name of the field.
impl fmt::Display for FoundValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Kind(kind) => write!(f, "is {kind}"),
            Self::Number => f.write_str("is a number that is negative, too large, or has a fraction"),
            Self::NoZone => f.write_str("has no time zone"),
            Self::NoTime => f.write_str("is not a time"),
        }
    }
}

/// Parses a file of a cell as a JSON object. A byte order mark before it is skipped.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Flaw> {
    check_size(bytes)?;
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_text(text.strip_prefix(BOM).unwrap_or(text)),
        Err(_) if is_utf16(bytes) => Err(Flaw::Utf16),
        Err(_) => Err(Flaw::NotJson),
    }
}

/// Like [`parse_object`], but for untrusted texts: invalid characters are replaced, so that they invalidate nothing
/// else in the file.
pub fn parse_mended(bytes: &[u8]) -> Result<(Map<String, Value>, Mended), Flaw> {
    check_size(bytes)?;
    if is_utf16(bytes) {
        return Err(Flaw::Utf16);
    }
    let text = String::from_utf8_lossy(bytes);
    let without_bom = text.strip_prefix(BOM);
    let bom = without_bom.is_some();
    let whole = with_whole_escapes(without_bom.unwrap_or(&text));
    let replaced = matches!(text, Cow::Owned(_)) || matches!(whole, Cow::Owned(_));
    Ok((parse_text(&whole)?, Mended { bom, replaced }))
}

fn check_size(bytes: &[u8]) -> Result<(), Flaw> {
    if bytes.len() > FILE_BYTES_MAX { Err(Flaw::TooLarge) } else { Ok(()) }
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

fn parse_text(text: &str) -> Result<Map<String, Value>, Flaw> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Flaw::OtherJson(JsonKind::of(&other))),
        Err(_) if text.trim().is_empty() => Err(Flaw::Empty),
        Err(error) if error.is_eof() => Err(Flaw::CutOff),
        Err(_) => {
            let first = Deserializer::from_str(text).into_iter::<Value>().next();
            Err(if first.is_some_and(|first| first.is_ok()) { Flaw::MoreFollows } else { Flaw::NotJson })
        }
    }
}

/// The text with `\ufffd` in place of each unpaired surrogate escape. Some encoders write these for bytes that are not
/// text, and no JSON parser accepts them.
fn with_whole_escapes(text: &str) -> Cow<'_, str> {
    let mut surrogates = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match (escape(&text[at..]), text.get(at + 6..).and_then(escape)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => {
                surrogates.push(at);
                at += 6;
            }
            (Some(_), _) => at += 6,
            // The backslash, and the character that it escapes, which may be longer than a byte.
            (None, _) => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if surrogates.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut whole = text.to_owned();
    for at in surrogates {
        whole.replace_range(at..at + 6, "\\ufffd");
    }
    Cow::Owned(whole)
}

/// The code unit of an escape such as `\u00e9`, if the text begins with one.
fn escape(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_plain)
}

/// Indented JSON with a final newline.
#[must_use]
pub fn pretty<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data is always JSON");
    text.push('\n');
    text
}
