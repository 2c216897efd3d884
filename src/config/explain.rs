//! The configuration in force: each value with its source.

use crate::config::{ConfigPaths, Environment, Flags, LogFormat, Settings, SettingsError, TokenSource};
use crate::mission::text::Printable;
use crate::world::terminal::{Printed, Table, Terminal, Tone};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// The example file: every key with its default.
const DEFAULTS: &str = include_str!("../../config/lazarus_pit.json");

/// The JSON Schema of the configuration file.
pub const SCHEMA: &str = include_str!("../../config/lazarus_pit.schema.json");

/// The JSON document of `config show --json`.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedConfig {
    /// The configuration file that was read, if any.
    pub file: Option<PathBuf>,
    /// Every key, sorted.
    pub settings: Vec<ExplainedKey>,
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedKey {
    /// The dotted name of the key.
    pub key: String,
    /// The value in force; null if there is none. A token itself is never shown, only that it is set.
    pub value: Value,
    /// The source: `default`, `file`, or the name of a flag or variable.
    pub from: String,
}

impl ExplainedConfig {
    /// The keys as a table.
    #[must_use]
    pub fn render(&self, screen: Terminal) -> Printed {
        let row = |ExplainedKey { key, value, from }: &ExplainedKey| {
            let value = match value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
            };
            (Tone::Plain, [key.clone(), value, from.clone()])
        };
        let file = self.file.as_ref().map_or("none".to_owned(), |file| format!("`{}`", file.display()));
        let rows = self.settings.iter().map(row).collect();
        let mut text = Table { head: ["KEY", "VALUE", "FROM"], rows }.render(screen);
        let _ = writeln!(text, "configuration file: {}", Printable::new(&file));
        text
    }
}

/// The configuration in force; fails if it is not valid.
pub fn explain_config(flags: &Flags, environment: &Environment) -> Result<ExplainedConfig, SettingsError> {
    let (settings, file) = Settings::load_from(flags, environment, ConfigPaths::default())?;
    let file = serde_json::to_value(file).unwrap_or_default();
    let defaults: Value = serde_json::from_str(DEFAULTS).unwrap_or_default();
    let mut explained = Vec::new();
    for (name, value) in defaults.as_object().into_iter().flatten() {
        match value.as_object() {
            None => explained.push(one(name.clone(), (&file[name], value), flags, environment, &settings)),
            Some(group) => explained.extend(group.iter().map(|(key, value)| {
                one(format!("{name}.{key}"), (&file[name][key], value), flags, environment, &settings)
            })),
        }
    }
    Ok(ExplainedConfig { file: settings.source, settings: explained })
}

fn one(
    key: String,
    (in_file, default): (&Value, &Value),
    flags: &Flags,
    environment: &Environment,
    settings: &Settings,
) -> ExplainedKey {
    let is_in_file = !in_file.is_null();
    let overridden = overridden(&key, flags, environment, settings.is_job, is_in_file);
    let from = overridden.unwrap_or(if is_in_file { "file" } else { "default" }).to_owned();
    let value = effective(&key, settings).unwrap_or_else(|| if is_in_file { in_file } else { default }.clone());
    ExplainedKey { key, value, from }
}

/// The flag or variable that sets a value, in the precedence of [`Settings::load`].
fn overridden(
    key: &str,
    flags: &Flags,
    environment: &Environment,
    is_job: bool,
    is_in_file: bool,
) -> Option<&'static str> {
    let (flag, variables, of_job): (_, &[&'static str], _) = match key {
        "missions_root" => (("--root", flags.missions_root.is_some()), &["LAZARUS_MISSIONS_ROOT"], ""),
        "forge.url" => (("--gitea-url", flags.gitea_url.is_some()), &["LAZARUS_GITEA_URL"], "GITHUB_SERVER_URL"),
        "forge.token_file" => {
            let variables = &["LAZARUS_GITEA_TOKEN", "LAZARUS_GITEA_TOKEN_FILE"];
            (("--token-file", flags.token_file.is_some()), variables, "GITEA_TOKEN")
        }
        "repositories" => (("--repo", !flags.repositories.is_empty()), &["LAZARUS_REPOSITORIES"], "GITHUB_REPOSITORY"),
        "host.name" => (("", false), &["LAZARUS_HOST"], ""),
        "daemon.listen" => (("--listen", flags.listen.is_some()), &["LAZARUS_LISTEN"], ""),
        "daemon.heartbeat_directory" => (("", false), &["LAZARUS_HEARTBEAT_DIRECTORY"], ""),
        "log.format" => (("--log-format", flags.log_format.is_some()), &["LAZARUS_LOG"], ""),
        _ => return None,
    };
    let is_set = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let variable = || variables.iter().copied().find(|name| is_set(name));
    let of_job = || Some(of_job).filter(|name| is_job && !is_in_file && is_set(name));
    Some(flag.0).filter(|_| flag.1).or_else(variable).or_else(of_job)
}

/// The value in force of a key that flags or variables can set.
fn effective(key: &str, settings: &Settings) -> Option<Value> {
    let value = match key {
        "missions_root" => json!(settings.missions_root),
        "forge.url" => json!(settings.forge_url.as_ref().map(ToString::to_string)),
        "forge.token_file" => match &settings.token {
            TokenSource::None => Value::Null,
            TokenSource::Given(_) => json!("(the token itself, which is not shown)"),
            TokenSource::File(path) => json!(path),
        },
        "repositories" => json!(settings.repositories.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "host.name" => json!(settings.host.to_string()),
        "daemon.listen" => json!(settings.daemon.listen),
        "daemon.heartbeat_directory" => json!(settings.daemon.heartbeat_directory),
        "log.format" => json!(match settings.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }),
        _ => return None,
    };
    Some(value)
}
