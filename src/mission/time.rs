//! Points in time as stored in cells and records and shown in comments: UTC, in whole seconds.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// A point in time, in UTC. Shown and stored as RFC 3339 with `Z` and whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, derive_more::Display)]
#[display("{}", _0.to_rfc3339_opts(SecondsFormat::Secs, true))]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Parses RFC 3339. Rejects a time without a zone, and one whose year in UTC does not have four digits, since it
    /// could not be written again.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        (0..=9999).contains(&time.year()).then_some(Self(time))
    }

    /// Whether a text is a time except for a missing zone.
    #[must_use]
    pub fn lacks_a_zone(text: &str) -> bool {
        Self::parse(&format!("{text}Z")).is_some()
    }

    /// Parses the time in an HTTP header (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc2822(text).ok().map(|time| Self(time.to_utc()))
    }

    /// The latest time that can be written.
    #[must_use]
    pub fn latest() -> Self {
        Self(DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// The time since `earlier`; negative if this is before it.
    #[must_use]
    pub fn after(self, earlier: Self) -> TimeDelta {
        self.0 - earlier.0
    }

    /// This time plus `shift`.
    #[must_use]
    pub fn plus(self, shift: TimeDelta) -> Self {
        Self(self.0 + shift)
    }

    /// RFC 3339 in full precision.
    #[must_use]
    pub fn exact(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }

    /// The form in comments: `2026-11-23 14:02:11 UTC`.
    #[must_use]
    pub fn formatted(self) -> String {
        self.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time with a zone")))
    }
}

/// A duration as in the form's options: `5 minutes`, `1 day`, `90 seconds`.
#[must_use]
pub fn format_length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size))
        .map_or((seconds, "second"), |(size, unit)| (seconds / size, unit));
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The inverse of [`format_length`], for the options of the form.
#[must_use]
pub fn parse_length(text: &str) -> Option<Duration> {
    let (count, unit) = text.split_once(' ')?;
    let count: u64 = count.parse().ok()?;
    let size = match unit.trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(size)?))
}

/// Parses a duration as given to commands: `90s`, `5m`, `1h`, `30d`.
#[must_use]
pub fn parse_short_length(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let (count, size) = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    let is_plain = count.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = count.parse().ok().filter(|_| is_plain)?;
    count.checked_mul(size).map(Duration::from_secs)
}

/// A rounded age, from seconds: `3 minutes ago`.
#[must_use]
pub fn format_age(seconds: i64) -> String {
    let Ok(seconds) = u64::try_from(seconds) else { return "ahead of the clock".to_owned() };
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    format!("{} ago", format_length(Duration::from_secs(seconds / unit * unit)))
}
