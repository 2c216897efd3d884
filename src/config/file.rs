//! The settings file: JSON, or YAML by its ending; every key known, every number within its range.

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

/// The largest settings file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The settings as a file has them; what is absent is left to the next layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsFile {
    /// The schema that an editor reads it by; nothing of ours.
    #[serde(rename = "$schema", skip_serializing)]
    pub schema: Option<String>,
    /// Where the cells are.
    pub missions_root: Option<PathBuf>,
    /// The forge.
    #[serde(deserialize_with = "or_default")]
    pub forge: ForgeKeys,
    /// Whose issues are read.
    pub repositories: Option<Vec<RepositoryName>>,
    /// This host.
    #[serde(deserialize_with = "or_default")]
    pub host: HostKeys,
    /// Health.
    #[serde(deserialize_with = "or_default")]
    pub health: HealthKeys,
    /// Approvals.
    #[serde(deserialize_with = "or_default")]
    pub approval: ApprovalKeys,
    /// Worktrees.
    #[serde(deserialize_with = "or_default")]
    pub worktrees: WorktreeKeys,
    /// New cells.
    #[serde(deserialize_with = "or_default")]
    pub cells: CellKeys,
    /// The end of missions.
    #[serde(deserialize_with = "or_default")]
    pub close: CloseKeys,
    /// Limits.
    #[serde(deserialize_with = "or_default")]
    pub limits: LimitKeys,
    /// The daemon.
    #[serde(deserialize_with = "or_default")]
    pub daemon: DaemonKeys,
    /// The gateways that are asked for their health.
    pub gateways: Option<Vec<GatewayKeys>>,
    /// Alarms.
    #[serde(deserialize_with = "or_default")]
    pub notify: NotifyKeys,
    /// Logs.
    #[serde(deserialize_with = "or_default")]
    pub log: LogKeys,
}

/// `forge.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForgeKeys {
    /// Its address.
    pub url: Option<ForgeUrl>,
    /// The file that holds the access token.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the private CA of the forge.
    pub ca_file: Option<PathBuf>,
    /// Ids of accounts whose status comments count as ours.
    pub trusted_posters: Option<Vec<i64>>,
}

/// `host.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostKeys {
    /// Its name in comments and proposals.
    pub name: Option<HostName>,
    /// Which proposals it takes.
    pub take: Option<Take>,
    /// Whether the issues of its missions carry its label.
    pub label: Option<bool>,
}

/// `approval.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalKeys {
    /// Whether approvals are asked for.
    pub mode: Option<ApprovalMode>,
    /// Whose proposals need none.
    pub authors: Option<Vec<Account>>,
    /// Who may approve.
    pub approvers: Option<Vec<Account>>,
}

/// An account of the forge, by its id or its login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, expecting = "an account's id, or its login such as `merlin`")]
pub enum Account {
    /// By its id.
    Id(i64),
    /// By its login, which is looked up once.
    Login(String),
}

/// `close.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloseKeys {
    /// How long a wizard that still beats keeps the cell of a closed mission where it is.
    pub grace_seconds: Option<Within<0, 604_800>>,
}

/// `health.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthKeys {
    /// The heartbeat's limit in cells that no issue is bound to.
    pub stale_after_seconds: Option<Within<1, 31_536_000>>,
}

/// `worktrees.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorktreeKeys {
    /// What a proposal may name besides its own repository.
    pub repositories: Option<Vec<RepositoryPattern>>,
}

/// `cells.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CellKeys {
    /// The group, by name or number, that new cells are handed to.
    pub group: Option<String>,
}

/// `limits.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitKeys {
    /// The most cells in the root.
    pub cells: Option<Within<0, 1_000_000>>,
    /// The most cells of one author.
    pub cells_per_author: Option<Within<0, 1_000_000>>,
    /// The most new cells in one pass.
    pub new_cells_per_pass: Option<Within<1, 1_000_000>>,
    /// How many bytes of the root's file system stay free.
    pub free_bytes: Option<Within<0, { 1 << 60 }>>,
    /// How many of its inodes stay free.
    pub free_inodes: Option<Within<0, { 1 << 60 }>>,
    /// The most missions worked on at once.
    pub concurrent_missions: Option<Within<1, 64>>,
    /// The most requests under way at once.
    pub requests_in_flight: Option<Within<1, 64>>,
    /// How long to wait for another `--once`.
    pub lock_wait_seconds: Option<Within<0, 3_600>>,
}

/// `daemon.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonKeys {
    /// How often the forge is asked what is new, and the root scanned.
    pub interval_seconds: Option<Within<1, 3_600>>,
    /// How often everything is looked at anew.
    pub audit_interval_seconds: Option<Within<60, 604_800>>,
    /// Where webhooks and heartbeats are taken.
    pub listen: Option<SocketAddr>,
    /// Where `listen` is reached from elsewhere.
    pub public_url: Option<Url>,
    /// The file that holds the webhook's secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// Where the page, the health report and the metrics are shown.
    pub page_listen: Option<SocketAddr>,
    /// The file that holds the token that the page asks for.
    pub page_token_file: Option<PathBuf>,
    /// Where the cron heartbeat is written.
    pub heartbeat_directory: Option<PathBuf>,
    /// The address that is asked after each pass.
    pub ping_url: Option<Url>,
}

/// `gateways[]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayKeys {
    /// Its name on the page and in the metrics.
    pub name: GatewayName,
    /// The address that answers 2xx while it is well.
    pub url: Url,
    /// How often it is asked.
    pub interval_seconds: Option<Within<1, 3_600>>,
}

/// `notify.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyKeys {
    /// What raises an alarm.
    pub on: Option<Vec<AlertCause>>,
    /// How long it has to be so without a break.
    pub after_seconds: Option<Within<0, 2_592_000>>,
    /// How often it is said again while it stays so; never if 0.
    pub repeat_seconds: Option<Within<0, 31_536_000>>,
    /// The most comments within an hour.
    pub per_hour: Option<Within<1, { PER_HOUR_MAX as u64 }>>,
    /// With more than so many at once, and a fifth of all, one comment speaks for them, and takes late ones silently.
    pub many: Option<Within<1, 1_000_000>>,
    /// The issue on which one comment speaks for many.
    pub issue: Option<IssueName>,
    /// Who is called.
    pub mention: Option<Vec<Login>>,
}

/// `log.*`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogKeys {
    /// How log lines look.
    pub format: Option<LogFormat>,
}

/// A section in which everything is commented out counts as one that is absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
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

/// Reads a number, and says what would be right of everything else.
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
    /// Reads a file. The message names file, key, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let unusable = |Mistake { cause, picture }| SettingsError::File { path: path.to_owned(), cause, picture };
        let text = read_at_most(path, FILE_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        let text = text.map_err(|cause| unusable(cause.into()))?;
        // As some editors write it before everything else.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let example = serde_json::to_value(Self::default()).unwrap_or_default();
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let parsed = if is_yaml { from_yaml(text, &example) } else { from_json(text, &example) };
        parsed.map_err(unusable)
    }
}

/// Reads a file of a sensible size, which may be a pipe that a shell has made.
pub(super) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(bytes)
}
