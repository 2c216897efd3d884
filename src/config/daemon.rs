//! The configuration of the daemon: intervals, listeners, secrets and watchers.

use crate::config::file::{DaemonKeys, GatewayKeys, Within};
use crate::config::{SettingsError, read_named};
use crate::mission::identity::GatewayName;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The minimum length of a secret. Anyone who guesses it can make the daemon send requests to the forge.
const SECRET_BYTES_MIN: usize = 32;

/// The maximum number of gateways: each has its own task, and a line on the dashboard.
const GATEWAYS_MAX: usize = 64;

/// The `daemon` group and the `gateways`.
#[derive(Clone, Debug)]
pub struct DaemonSettings {
    /// `daemon.interval_seconds`
    pub interval: Duration,
    /// `daemon.audit_interval_seconds`
    pub audit_interval: Duration,
    /// `daemon.listen`
    pub listen: SocketAddr,
    /// `daemon.public_url`
    pub public_url: Option<Url>,
    /// `daemon.webhook_secret_file`; without it there is no webhook.
    pub webhook_secret_file: Option<PathBuf>,
    /// `daemon.page_listen`
    pub page_listen: SocketAddr,
    /// `daemon.page_token_file`
    pub page_token_file: Option<PathBuf>,
    /// `daemon.heartbeat_directory`
    pub heartbeat_directory: Option<PathBuf>,
    /// `daemon.ping_url`
    pub ping_url: Option<Url>,
    /// `gateways`
    pub gateways: Vec<Gateway>,
}

/// A gateway that the daemon probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name on the dashboard and in the metrics.
    pub name: GatewayName,
    /// The address that answers 2xx while the gateway is healthy.
    pub url: Url,
    /// The interval between two requests.
    pub interval: Duration,
}

/// A shared secret, which is never printed.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("Secret(…)")]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret from the content of a file, without surrounding blanks.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.trim_ascii().to_vec())
    }

    /// The bytes of the secret.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl DaemonSettings {
    /// Merges the file with environment and flags.
    pub(super) fn new(
        file: DaemonKeys,
        gateways: Option<Vec<GatewayKeys>>,
        listen: Option<SocketAddr>,
        heartbeat_directory: Option<PathBuf>,
    ) -> Result<Self, SettingsError> {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let seconds = |seconds: Option<u64>, default| Duration::from_secs(seconds.unwrap_or(default));
        let settings = Self {
            interval: seconds(file.interval_seconds.map(Within::get), 30),
            audit_interval: seconds(file.audit_interval_seconds.map(Within::get), 3_600),
            listen: listen.or(file.listen).unwrap_or_else(|| local(8_787)),
            public_url: file.public_url,
            webhook_secret_file: file.webhook_secret_file,
            page_listen: file.page_listen.unwrap_or_else(|| local(8_788)),
            page_token_file: file.page_token_file,
            heartbeat_directory: heartbeat_directory.or(file.heartbeat_directory),
            ping_url: file.ping_url,
            gateways: gateways.unwrap_or_default().into_iter().map(Gateway::from).collect(),
        };
        if !settings.page_listen.ip().is_loopback() && settings.page_token_file.is_none() {
            return Err(SettingsError::OpenPage { address: settings.page_listen });
        }
        settings.check_addresses()?;
        Ok(settings)
    }

    fn check_addresses(&self) -> Result<(), SettingsError> {
        let ping = self.ping_url.iter().map(|url| ("daemon.ping_url", url));
        let gateways = self.gateways.iter().map(|gateway| ("gateways", &gateway.url));
        let public = self.public_url.iter().map(|url| ("daemon.public_url", url));
        for (key, url) in ping.chain(gateways).chain(public) {
            if !matches!(url.scheme(), "http" | "https") {
                let cause = format!("`{}:` is not `https:` or `http:`", url.scheme());
                return Err(SettingsError::Unfit { key, cause });
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.gateways.iter().find(|gateway| !names.insert(&gateway.name)) {
            let cause = format!("two gateways have the same `name`, `{}`; give each its own", twice.name);
            return Err(SettingsError::Unfit { key: "gateways", cause });
        }
        if names.len() > GATEWAYS_MAX {
            let cause = format!("{} gateways are more than {GATEWAYS_MAX}", names.len());
            return Err(SettingsError::Unfit { key: "gateways", cause });
        }
        Ok(())
    }

    /// The address of the webhook; none without `daemon.public_url`.
    #[must_use]
    pub fn webhook_url(&self) -> Option<String> {
        let url = self.public_url.as_ref()?.as_str().trim_end_matches('/');
        Some(format!("{url}/webhook"))
    }

    /// The webhook's secret; none without a webhook.
    pub fn webhook_secret(&self) -> Result<Option<Secret>, SettingsError> {
        secret("daemon.webhook_secret_file", self.webhook_secret_file.as_deref())
    }

    /// The token that the dashboard requires; none if it requires none.
    pub fn page_token(&self) -> Result<Option<Secret>, SettingsError> {
        secret("daemon.page_token_file", self.page_token_file.as_deref())
    }
}

fn secret(key: &'static str, path: Option<&Path>) -> Result<Option<Secret>, SettingsError> {
    let Some(path) = path else { return Ok(None) };
    let secret = Secret::new(&read_named(key, path)?);
    if secret.0.len() < SECRET_BYTES_MIN {
        let cause = format!("it holds fewer than {SECRET_BYTES_MIN} characters; `openssl rand -hex 32` prints enough");
        return Err(SettingsError::Named { key, path: path.to_owned(), cause });
    }
    Ok(Some(secret))
}

impl From<GatewayKeys> for Gateway {
    fn from(keys: GatewayKeys) -> Self {
        let GatewayKeys { name, url, interval_seconds } = keys;
        Self { name, url, interval: Duration::from_secs(interval_seconds.map_or(30, Within::get)) }
    }
}
