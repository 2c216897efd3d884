//! The configuration. Later sources override earlier ones: defaults, a job's variables, the file, the environment,
//! flags.

mod daemon;
mod explain;
mod file;
mod flags;
mod layers;
mod notify;
mod parse;

pub use daemon::{DaemonSettings, Gateway, Secret};
pub use explain::{ExplainedConfig, ExplainedKey, SCHEMA, explain_config};
pub use file::{Account, LogFormat, SettingsFile, Within};
pub use flags::Given;
pub use layers::ConfigPaths;

use crate::mission::alert::config::Notify;
use crate::mission::approval::policy::ApprovalMode;
use crate::mission::fleet::admission::{CapacityLimits, Reserve};
use crate::mission::identity::{ForgeUrl, HostName, NotA, RepositoryName, RepositoryPattern};
use crate::mission::observation::Take;
use crate::world::checkout::{Caller, Checkouts};
use crate::world::forge::{Builder, Gitea, Token};
use crate::world::store::root::{Root, RootError};
use layers::{
    Used, absolute, layered, listen, log_format, own_host_name, repositories, token, unknown_variables, used_file,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The maximum size of a token or CA file.
const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// A mistake that the operator has to fix; the start stops with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file cannot be used.
    #[error("the configuration file `{}` cannot be used: {cause}; fix it, or name another file with `--config`{picture}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The key, the line and the reason.
        cause: String,
        /// The line with the mistake, and a mark below it.
        picture: String,
    },
    /// A variable or flag cannot be used.
    #[error("{origin}: {cause}")]
    Value {
        /// The variable, flag or key.
        origin: String,
        /// The mistake.
        cause: NotA,
    },
    /// A required key is not set.
    #[error("`{key}` is not set: {how}")]
    Missing {
        /// The key.
        key: &'static str,
        /// How to set it.
        how: &'static str,
    },
    /// A file that a key names cannot be used.
    #[error("`{key}`: the file `{}` cannot be used: {cause}; fix it, or name another file", .path.display())]
    Named {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// The group for new cells does not exist.
    #[error("`cells.group`: there is no group `{group}` on this host; create it, or name another one")]
    Group {
        /// The name of the group.
        group: String,
    },
    /// A value is out of range or inconsistent.
    #[error("`{key}`: {cause}")]
    Unfit {
        /// The key.
        key: &'static str,
        /// The reason.
        cause: String,
    },
    /// The dashboard would be accessible to other hosts without a token.
    #[error(
        "`daemon.page_listen`: `{address}` is accessible to other hosts; set `daemon.page_token_file` too, or listen on 127.0.0.1"
    )]
    OpenPage {
        /// The configured address.
        address: SocketAddr,
    },
    /// The HTTP client cannot be set up.
    #[error("`forge`: {0}")]
    Client(String),
}

/// A name of this length without slash or dot is a token rather than a file; Gitea's have 40 digits.
const TOKEN_CHARS_MIN: usize = 30;

/// The variables of the process, read once.
pub type Environment = BTreeMap<String, String>;

/// The values from the command line, which override all others.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--root`
    pub missions_root: Option<PathBuf>,
    /// `--gitea-url`
    pub gitea_url: Option<String>,
    /// `--token-file`
    pub token_file: Option<PathBuf>,
    /// `--repo`, repeatable
    pub repositories: Vec<String>,
    /// `--allow-archive`
    pub allow_archive: Option<usize>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--log-format`
    pub log_format: Option<LogFormat>,
}

/// The configuration in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read, if any.
    pub source: Option<PathBuf>,
    /// Warnings about files and variables that are not used.
    pub warnings: Vec<String>,
    /// Whether a flag, a variable or the file names the root.
    pub is_root_named: bool,
    /// The flags of this command line, for the commands that errors suggest.
    pub given: Given,
    /// Whether this is a job of Gitea Actions.
    pub is_job: bool,
    /// `missions_root`
    pub missions_root: PathBuf,
    /// `forge.url`
    pub forge_url: Option<ForgeUrl>,
    /// The token itself, or the file that holds it.
    pub token: TokenSource,
    /// `forge.ca_file`
    pub ca_file: Option<PathBuf>,
    /// `forge.trusted_posters`
    pub trusted_posters: Vec<i64>,
    /// `repositories`
    pub repositories: Vec<RepositoryName>,
    /// `host.name`
    pub host: HostName,
    /// `host.take`
    pub take: Take,
    /// `host.label`
    pub has_host_label: bool,
    /// `approval`
    pub approval: ApprovalSettings,
    /// `--allow-archive`: the number of issues that may be deleted together
    pub allow_archive: Option<usize>,
    /// `close.grace_seconds`
    pub close_grace: Duration,
    /// `health.stale_after_seconds`
    pub stale_after: Duration,
    /// `worktrees.repositories`
    pub worktrees: Vec<RepositoryPattern>,
    /// `cells.group`
    pub group: Option<String>,
    /// `limits.cells`, `.cells_per_author`, `.new_cells_per_pass`, `.free_bytes`, `.free_inodes`
    pub limits: CapacityLimits,
    /// `limits.concurrent_missions`
    pub concurrent_missions: usize,
    /// `limits.requests_in_flight`
    pub requests_in_flight: usize,
    /// `limits.lock_wait_seconds`
    pub lock_wait: Duration,
    /// `daemon` and `gateways`
    pub daemon: DaemonSettings,
    /// `notify`
    pub notify: Notify,
    /// `log.format`
    pub log_format: LogFormat,
}

/// `approval`, with accounts as configured, not yet resolved.
#[derive(Clone, Debug, Default)]
pub struct ApprovalSettings {
    /// `approval.mode`
    pub mode: ApprovalMode,
    /// `approval.authors`
    pub authors: Vec<Account>,
    /// `approval.approvers`
    pub approvers: Vec<Account>,
}

impl ApprovalSettings {
    /// Every configured account, with the key that lists it.
    pub fn accounts(&self) -> impl Iterator<Item = (&'static str, &Account)> {
        let authors = self.authors.iter().map(|account| ("approval.authors", account));
        authors.chain(self.approvers.iter().map(|account| ("approval.approvers", account)))
    }
}

/// The source of the token.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// Not configured.
    None,
    /// `LAZARUS_GITEA_TOKEN`, or in a job `GITEA_TOKEN`.
    Given(Token),
    /// `forge.token_file`
    File(PathBuf),
}

impl Settings {
    /// Merges all sources.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, SettingsError> {
        Self::load_from(flags, environment, ConfigPaths::default()).map(|(settings, _)| settings)
    }

    /// The same with configuration files at these paths; also returns the content of the file alone.
    pub fn load_from(
        flags: &Flags,
        environment: &Environment,
        paths: ConfigPaths<'_>,
    ) -> Result<(Self, SettingsFile), SettingsError> {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let is_job = variable("GITEA_ACTIONS").is_some_and(|value| value == "true");
        let of_job = |name: &str| variable(name).filter(|_| is_job);
        let named_root = flags.missions_root.clone().or_else(|| variable("LAZARUS_MISSIONS_ROOT").map(PathBuf::from));
        let Used { source, file, unread } = used_file(flags, is_job, named_root.as_deref(), paths)?;
        let from_file = file.clone();
        let is_root_named = named_root.is_some() || file.missions_root.is_some();
        let forge_url = layered(
            &[("--gitea-url", flags.gitea_url.as_ref()), ("LAZARUS_GITEA_URL", variable("LAZARUS_GITEA_URL"))],
            file.forge.url,
            ("GITHUB_SERVER_URL", of_job("GITHUB_SERVER_URL")),
            ForgeUrl::parse,
        )?;
        let repositories = repositories(flags, &variable, file.repositories, of_job("GITHUB_REPOSITORY"))?;
        let host = layered(&[("LAZARUS_HOST", variable("LAZARUS_HOST"))], file.host.name, ("", None), HostName::parse)?;
        let token = token(flags, &variable, file.forge.token_file, of_job("GITEA_TOKEN"))?;
        let limits = file.limits;
        let listen = variable("LAZARUS_LISTEN").map(|value| listen(value)).transpose()?;
        let heartbeats = variable("LAZARUS_HEARTBEAT_DIRECTORY").map(PathBuf::from);
        let daemon = DaemonSettings::new(file.daemon, file.gateways, flags.listen.or(listen), heartbeats)?;
        let log_format = variable("LAZARUS_LOG").map(|value| log_format(value)).transpose()?;
        let settings = Self {
            given: Given::new(flags),
            is_job,
            missions_root: absolute(named_root.or(file.missions_root)),
            forge_url,
            token,
            ca_file: file.forge.ca_file,
            trusted_posters: file.forge.trusted_posters.unwrap_or_default(),
            repositories,
            host: host.map_or_else(own_host_name, Ok)?,
            take: file.host.take.unwrap_or_default(),
            has_host_label: file.host.label.unwrap_or(false),
            approval: ApprovalSettings {
                mode: file.approval.mode.unwrap_or_default(),
                authors: file.approval.authors.unwrap_or_default(),
                approvers: file.approval.approvers.unwrap_or_default(),
            },
            allow_archive: flags.allow_archive,
            close_grace: Duration::from_secs(file.close.grace_seconds.map_or(900, Within::get)),
            stale_after: Duration::from_secs(file.health.stale_after_seconds.map_or(300, Within::get)),
            worktrees: file.worktrees.repositories.unwrap_or_default(),
            group: file.cells.group,
            limits: CapacityLimits {
                cells: limits.cells.map_or(10_000, Within::count),
                cells_per_author: limits.cells_per_author.map_or(1_000, Within::count),
                new_cells_per_pass: limits.new_cells_per_pass.map_or(1_000, Within::count),
                free_bytes: reserve(limits.free_bytes.map(Within::get), 1 << 30),
                free_inodes: reserve(limits.free_inodes.map(Within::get), 10_000),
            },
            concurrent_missions: limits.concurrent_missions.map_or(4, Within::count),
            requests_in_flight: limits.requests_in_flight.map_or(4, Within::count),
            lock_wait: Duration::from_secs(limits.lock_wait_seconds.map_or(60, Within::get)),
            daemon,
            notify: notify::notify(file.notify)?,
            log_format: flags.log_format.or(log_format).or(file.log.format).unwrap_or(LogFormat::Text),
            warnings: warnings(environment, source.as_deref(), unread.as_deref()),
            is_root_named,
            source,
        };
        Ok((settings, from_file))
    }

    /// The address of the forge, for commands that require one.
    pub fn forge_url(&self) -> Result<&ForgeUrl, SettingsError> {
        self.forge_url.as_ref().ok_or(SettingsError::Missing {
            key: "forge.url",
            how: "pass `--gitea-url https://git.example.com`, or set it in LAZARUS_GITEA_URL or the configuration file",
        })
    }

    /// Checks that a service without a forge has neither repositories nor a token, which only make sense with one. A
    /// token file that does not exist does not count.
    pub fn check_without_forge(&self) -> Result<(), SettingsError> {
        let has_token = match &self.token {
            TokenSource::None => false,
            TokenSource::Given(_) => true,
            TokenSource::File(path) => path.exists(),
        };
        if self.forge_url.is_none() && (has_token || !self.repositories.is_empty()) {
            return self.forge_url().map(drop);
        }
        Ok(())
    }

    /// The repositories, for commands that require at least one.
    pub fn repositories(&self) -> Result<&[RepositoryName], SettingsError> {
        if self.repositories.is_empty() {
            return Err(SettingsError::Missing {
                key: "repositories",
                how: "pass `--repo owner/name`, or set it in LAZARUS_REPOSITORIES or the configuration file",
            });
        }
        Ok(&self.repositories)
    }

    /// Opens the missions root. The commands that an error suggests repeat the flags of this command line.
    pub fn open_root(&self) -> Result<Root, RootError> {
        Root::open(&self.missions_root).map_err(|error| self.refused_root(error))
    }

    /// An error of the root, with the flags of this command line in the commands that it suggests.
    #[must_use]
    pub fn refused_root(&self, error: RootError) -> RootError {
        error.suggesting(&self.given.beside("--root"))
    }

    /// A client for the forge, with the current token.
    pub fn gitea(&self) -> Result<Gitea, SettingsError> {
        let builder = self.gitea_builder(self.read_token()?)?;
        builder.build().map_err(|error| SettingsError::Client(error.to_string()))
    }

    /// A builder of a client, with any token.
    pub fn gitea_builder(&self, token: Token) -> Result<Builder, SettingsError> {
        let ca_pem = self.ca_file.as_deref().map(|path| read_named("forge.ca_file", path)).transpose()?;
        let builder = Gitea::builder(self.forge_url()?.clone(), token);
        Ok(builder.requests_in_flight(self.requests_in_flight).ca_pem(ca_pem))
    }

    /// The configuration of all worktree checkouts.
    #[must_use]
    pub fn checkouts(&self, caller: Caller) -> Checkouts {
        Checkouts::new(self.ca_file.clone(), caller)
    }

    /// The current token; its file is read again each time.
    pub fn read_token(&self) -> Result<Token, SettingsError> {
        let path = match &self.token {
            TokenSource::Given(token) => return Ok(token.clone()),
            TokenSource::File(path) => path,
            TokenSource::None => {
                return Err(SettingsError::Missing {
                    key: "forge.token_file",
                    how: "pass `--token-file FILE`, or set LAZARUS_GITEA_TOKEN; in a job pass `GITEA_TOKEN` by `env:`",
                });
            }
        };
        let text = String::from_utf8(read_named("forge.token_file", path)?).unwrap_or_default();
        Token::parse(&text).map_err(|error| SettingsError::Named {
            key: "forge.token_file",
            path: path.clone(),
            cause: error.to_string(),
        })
    }

    /// The id of the group that owns new cells.
    pub fn group_id(&self) -> Result<Option<u32>, SettingsError> {
        let Some(group) = &self.group else { return Ok(None) };
        if let Ok(id) = group.parse() {
            return Ok(Some(id));
        }
        let found = nix::unistd::Group::from_name(group).ok().flatten();
        found.map(|found| Some(found.gid.as_raw())).ok_or_else(|| SettingsError::Group { group: group.clone() })
    }
}

fn warnings(environment: &Environment, source: Option<&Path>, unread: Option<&Path>) -> Vec<String> {
    let mut warnings = unknown_variables(environment);
    if let (Some(source), Some(unread)) = (source, unread) {
        let (source, unread) = (source.display(), unread.display());
        warnings.push(format!(
            "`{unread}` is not read, since `{source}` exists; to use it instead, name it with `--config`"
        ));
    }
    warnings
}

/// A configured reserve is exact; the default is smaller on small file systems.
fn reserve(set: Option<u64>, default: u64) -> Reserve {
    set.map_or(Reserve::AtMost(default), Reserve::Exactly)
}

fn read_named(key: &'static str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    let shown = if is_like_a_token(path) { Path::new("…") } else { path };
    let unusable = |cause: String| SettingsError::Named { key, path: shown.to_owned(), cause };
    file::read_at_most(path, SECRET_BYTES_MAX).map_err(unusable)
}

/// Detects a token in place of its file, so that no error prints it.
fn is_like_a_token(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.len() >= TOKEN_CHARS_MIN && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
