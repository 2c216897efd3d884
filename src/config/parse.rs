//! Parses configuration files; errors name key, line and column, and show the line.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// The number of characters that are shown on both sides of a mistake.
const AROUND_CHARS: usize = 60;

/// The minimum similarity, from 0 to 1, of a key that is suggested.
const LIKENESS_MIN: f64 = 0.6;

/// The keys of a gateway, which the defaults do not contain.
const GATEWAY_KEYS: [&str; 3] = ["gateways[].name", "gateways[].url", "gateways[].interval_seconds"];

/// A mistake in a file.
pub(super) struct Mistake {
    /// The key, the line and the reason.
    pub(super) cause: String,
    /// The line, and a mark below it; empty if it must not be shown.
    pub(super) picture: String,
}

impl From<String> for Mistake {
    fn from(cause: String) -> Self {
        Self { cause, picture: String::new() }
    }
}

/// Reads JSON. For unknown keys, `example` provides the suggestions.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, example: &Value) -> Result<T, Mistake> {
    if is_yaml(text) {
        let cause = "it is YAML, but its name says JSON; name it `.yaml`, or write JSON";
        return Err(cause.to_owned().into());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json);
    let value = value.map_err(|error| mistake(text, (&error.path().to_string(), example), error.inner()))?;
    json.end().map_err(|error| mistake(text, ("", example), &error))?;
    Ok(value)
}

/// Whether a text is YAML and not JSON. A text that begins like a JSON object counts as JSON.
fn is_yaml(text: &str) -> bool {
    !text.trim_start().starts_with('{') && matches!(serde_yaml::from_str(text), Ok(Value::Object(_)))
}

/// Reads YAML in the same way. A file with everything commented out is empty.
pub(super) fn from_yaml<T: DeserializeOwned + Default>(text: &str, example: &Value) -> Result<T, Mistake> {
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
    if text.lines().all(is_blank) {
        return Ok(T::default());
    }
    let mut key = String::new();
    let value = serde_yaml::with_deserializer_from_str(text, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            key = error.path().to_string();
            error.into_inner()
        })
    });
    // The parser would add its own picture of the file.
    value.map_err(|error| mistake(text, (&key, example), error.without_snippet()))
}

fn mistake(text: &str, (key, example): (&str, &Value), error: &impl fmt::Display) -> Mistake {
    let error = error.to_string();
    let is_key = !matches!(key, "" | "." | "?");
    let suggestion = suggestion(key, example).filter(|_| error.contains("unknown field"));
    let suggestion = suggestion.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
    let line = if is_key { format!("`{key}`: {error}") } else { error };
    // The picture would show a secret that the message hides.
    let picture = if line.contains("`…`") { None } else { place(&line).and_then(|place| picture(text, place)) };
    Mistake { cause: format!("{line}{suggestion}"), picture: picture.unwrap_or_default() }
}

/// `… at line 2 column 24`, or `… at line 2, column 24`
fn place(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.rsplit_once("line ")?;
    let (line, rest) = rest.split_once(|c: char| !c.is_ascii_digit())?;
    let (_, column) = rest.split_once("column ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The line, and a mark below its column.
fn picture(text: &str, (line, column): (usize, usize)) -> Option<String> {
    let found: Vec<char> = text.lines().nth(line.checked_sub(1)?)?.chars().collect();
    let at = column.saturating_sub(1).min(found.len());
    let from = at.saturating_sub(AROUND_CHARS);
    let shown: String = found[from..found.len().min(at + AROUND_CHARS)].iter().collect();
    let (number, margin) = (line.to_string(), " ".repeat(line.to_string().len()));
    Some(format!("\n{number} | {shown}\n{margin} | {}^", " ".repeat(at - from)))
}

/// The most likely key: one of the same name in another group, otherwise the most similar one.
fn suggestion(key: &str, example: &Value) -> Option<String> {
    let key: String =
        key.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect::<Vec<_>>().join("[]");
    let mut known = Vec::new();
    collect(&mut known, "", example);
    known.extend(GATEWAY_KEYS.map(str::to_owned));
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let namesake = known.iter().find(|other| leaf(other) == leaf(&key)).cloned();
    namesake.or_else(|| {
        let likeness = |other: &String| strsim::normalized_damerau_levenshtein(other, &key);
        let nearest = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&nearest) >= LIKENESS_MIN).then_some(nearest)
    })
}

/// Every dotted key, groups included.
fn collect(keys: &mut Vec<String>, prefix: &str, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        collect(keys, &key, value);
        keys.push(key);
    }
}
