//! The configuration file: JSON, or YAML by its extension, without unknown keys or numbers out of range.

use crate::config::SettingsError;
use crate::config::parse::{Mistake, from_json, from_yaml};
use crate::mission::alert::config::{AlertCause, IssueName, Login};
use crate::mission::alert::state::PER_HOUR_MAX;
use crate::mission::approval::policy::ApprovalMode;
use crate::mission::identity::{ForgeUrl, GatewayName, HostName, RepositoryName, RepositoryPattern};
use crate::mission::observation::Take;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// The maximum size of a configuration file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The content of a configuration file; absent keys are left to the next source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsFile {
    /// The schema for editors, which the service ignores.
    #[serde(rename = "$schema", skip_serializing)]
    pub schema: Option<String>,
    /// The directory that holds the cells.
    pub missions_root: Option<PathBuf>,
    /// The forge, its token and its trusted accounts.
    #[serde(deserialize_with = "or_default")]
    pub forge: ForgeKeys,
    /// The repositories whose issues are reconciled.
    pub repositories: Option<Vec<RepositoryName>>,
    /// The name of this host, and the proposals that it takes.
    #[serde(deserialize_with = "or_default")]
    pub host: HostKeys,
    /// The health of cells without an issue.
    #[serde(deserialize_with = "or_default")]
    pub health: HealthKeys,
    /// The approval of proposals.
    #[serde(deserialize_with = "or_default")]
    pub approval: ApprovalKeys,
    /// The repositories that worktrees may come from.
    #[serde(deserialize_with = "or_default")]
    pub worktrees: WorktreeKeys,
    /// The ownership of new cells.
    #[serde(deserialize_with = "or_default")]
    pub cells: CellKeys,
    /// The closing of missions.
    #[serde(deserialize_with = "or_default")]
    pub close: CloseKeys,
    /// Quotas and concurrency.
    #[serde(deserialize_with = "or_default")]
    pub limits: LimitKeys,
    /// The intervals and listeners of the daemon.
    #[serde(deserialize_with = "or_default")]
    pub daemon: DaemonKeys,
    /// The gateways that the daemon probes.
    pub gateways: Option<Vec<GatewayKeys>>,
    /// Alerts on issues.
    #[serde(deserialize_with = "or_default")]
    pub notify: NotifyKeys,
    /// The log.
    #[serde(deserialize_with = "or_default")]
    pub log: LogKeys,
}

/// `forge.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForgeKeys {
    /// The address of the forge.
    pub url: Option<ForgeUrl>,
    /// The file that holds the access token.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the private CA of the forge.
    pub ca_file: Option<PathBuf>,
    /// Ids of other accounts whose status comments count as the service's own.
    pub trusted_posters: Option<Vec<i64>>,
}

/// `host.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostKeys {
    /// Its name in comments and proposals.
    pub name: Option<HostName>,
    /// The proposals that this host takes.
    pub take: Option<Take>,
    /// Whether the issues of its missions carry its label.
    pub label: Option<bool>,
}

/// `approval.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalKeys {
    /// Whether proposals need an approval.
    pub mode: Option<ApprovalMode>,
    /// Trusted authors, whose proposals need no approval.
    pub authors: Option<Vec<Account>>,
    /// The accounts that may approve; if empty, anyone who may set labels.
    pub approvers: Option<Vec<Account>>,
}

/// An account of the forge, by its id or its login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, expecting = "an account's id, or its login, such as `merlin`")]
pub enum Account {
    /// By its id.
    Id(i64),
    /// By its login, which is resolved once.
    Login(String),
}

/// `close.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloseKeys {
    /// How long an agent that still sends heartbeats keeps the cell of a closed mission, in seconds.
    pub grace_seconds: Option<Within<0, 604_800>>,
}

/// `health.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthKeys {
    /// *Stale after* of cells without an issue, in seconds.
    pub stale_after_seconds: Option<Within<1, 31_536_000>>,
}

/// `worktrees.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorktreeKeys {
    /// The repositories that a proposal may name besides its own.
    pub repositories: Option<Vec<RepositoryPattern>>,
}

/// `cells.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CellKeys {
    /// The group, by name or number, that owns new cells.
    pub group: Option<String>,
}

/// `limits.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitKeys {
    /// The maximum number of cells in the root.
    pub cells: Option<Within<0, 1_000_000>>,
    /// The maximum number of cells of one author.
    pub cells_per_author: Option<Within<0, 1_000_000>>,
    /// The maximum number of new cells in one pass.
    pub new_cells_per_pass: Option<Within<1, 1_000_000>>,
    /// The bytes of the root's file system to keep free.
    pub free_bytes: Option<Within<0, { 1 << 60 }>>,
    /// The inodes of the root's file system to keep free.
    pub free_inodes: Option<Within<0, { 1 << 60 }>>,
    /// The maximum number of missions that are processed concurrently.
    pub concurrent_missions: Option<Within<1, 64>>,
    /// The maximum number of concurrent requests.
    pub requests_in_flight: Option<Within<1, 64>>,
    /// How long a pass waits for another one to end, in seconds.
    pub lock_wait_seconds: Option<Within<0, 3_600>>,
}

/// `daemon.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonKeys {
    /// The interval of ticks, which ask the forge for changes and scan the root.
    pub interval_seconds: Option<Within<1, 3_600>>,
    /// The interval of audits, which check everything again.
    pub audit_interval_seconds: Option<Within<60, 604_800>>,
    /// The address that accepts webhooks and heartbeats.
    pub listen: Option<SocketAddr>,
    /// The address of `listen` as other hosts reach it.
    pub public_url: Option<Url>,
    /// The file that holds the webhook's secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// The address of the dashboard, the health report and the metrics.
    pub page_listen: Option<SocketAddr>,
    /// The file that holds the token of the dashboard.
    pub page_token_file: Option<PathBuf>,
    /// The directory of the cron heartbeat.
    pub heartbeat_directory: Option<PathBuf>,
    /// The address that is requested after each pass.
    pub ping_url: Option<Url>,
}

/// `gateways[]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayKeys {
    /// Its name on the dashboard and in the metrics.
    pub name: GatewayName,
    /// The address that answers 2xx while the gateway is healthy.
    pub url: Url,
    /// The interval between two requests, in seconds.
    pub interval_seconds: Option<Within<1, 3_600>>,
}

/// `notify.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyKeys {
    /// The conditions that fire an alert.
    pub on: Option<Vec<AlertCause>>,
    /// How long the condition has to hold without a break, in seconds.
    pub after_seconds: Option<Within<0, 2_592_000>>,
    /// The interval of reminders while the condition holds, in seconds; 0 for none.
    pub repeat_seconds: Option<Within<0, 31_536_000>>,
    /// The maximum number of alert comments within an hour.
    pub per_hour: Option<Within<1, { PER_HOUR_MAX as u64 }>>,
    /// If more alerts than this fire together, and a fifth of all missions, one comment covers them, and late ones too.
    pub many: Option<Within<1, 1_000_000>>,
    /// The issue for the comment that covers many alerts.
    pub issue: Option<IssueName>,
    /// The logins that each alert mentions.
    pub mention: Option<Vec<Login>>,
}

/// `log.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogKeys {
    /// The format of log lines.
    pub format: Option<LogFormat>,
}

/// A section that is null, or has everything commented out, counts as absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Plain lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Within<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number as a count of things in memory.
    #[must_use]
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Range::<MIN, MAX>)
    }
}

/// Reads a number; the error for anything else names the range.
struct Range<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for Range<MIN, MAX> {
    type Value = Within<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        if (MIN..=MAX).contains(&number) {
            return Ok(Within(number));
        }
        Err(E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let positive = u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
        self.visit_u64(positive)
    }
}

impl SettingsFile {
    /// Reads a file. The error names file, key, line and a correct value.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let unusable = |Mistake { cause, picture }| SettingsError::File { path: path.to_owned(), cause, picture };
        let text = read_at_most(path, FILE_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        let text = text.map_err(|cause| unusable(cause.into()))?;
        // Some editors write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let example = serde_json::to_value(Self::default()).unwrap_or_default();
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let parsed = if is_yaml { from_yaml(text, &example) } else { from_json(text, &example) };
        parsed.map_err(unusable)
    }
}

/// Reads at most so many bytes of a file, which may be a pipe of a shell.
pub(super) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(bytes)
}
