//! Checks that Gitea is reachable, its TLS, its version and its clock.

use crate::config::{Settings, SettingsError};
use crate::diagnose::doctor::check::Check;
use crate::mission::cell::clock_skew::FORGE_OFFSET_MAX;
use crate::mission::identity::ForgeUrl;
use crate::mission::text::shown;
use crate::mission::time::Timestamp;
use crate::world::forge::{ForgeError, Gitea, Patience, Token};
use std::time::Duration;

/// The oldest Gitea that renders the hidden field of the form into each issue (go-gitea/gitea#29274).
const OLDEST: (u32, u32) = (1, 22);

/// Short, since a person waits and can run it again.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(10),
    total: Duration::from_secs(10),
    tries: 1,
    first_delay: Duration::from_millis(250),
};

/// Checks address, TLS, kind, version and clock. Returns a client with the token, or with a placeholder if there is
/// none.
pub(super) async fn check(settings: &Settings, clock: fn() -> Timestamp, checks: &mut Vec<Check>) -> Option<Gitea> {
    let url = match settings.forge_url() {
        Ok(url) => url.clone(),
        Err(error) => {
            checks.push(Check::failure("forge", "forge-not-set", error.to_string(), "set it, and run `doctor` again"));
            return None;
        }
    };
    let gitea = match client(settings) {
        Ok(gitea) => gitea,
        Err(error) => {
            let next = "install the package `ca-certificates`, or set `forge.ca_file` to a PEM file with the CA of the Gitea server: `-----BEGIN CERTIFICATE-----` …";
            checks.push(Check::failure("tls", "tls-ca-file", error.to_string(), next));
            return None;
        }
    };
    match gitea.version().send_dated().await {
        Ok((version, date)) => {
            checks.push(Check::pass("forge", format!("`{url}` answers")));
            checks.push(tls(&url, settings));
            checks.push(version_check(&version.version));
            checks.push(clock_check(date, clock()));
        }
        // A server that denies access is a Gitea nevertheless.
        Err(
            ForgeError::Unauthorized { .. }
            | ForgeError::Barred { .. }
            | ForgeError::Forbidden { .. }
            | ForgeError::MissingScope { .. },
        ) => {
            checks.push(Check::pass("forge", format!("`{url}` answers, but rejects this token")));
            checks.push(tls(&url, settings));
        }
        Err(error) => {
            checks.push(Check::of_forge(about(&error), &error));
            return None;
        }
    }
    Some(gitea)
}

/// The subject of the check: TLS, or the server.
fn about(error: &ForgeError) -> &'static str {
    if error.fault().starts_with("tls-") { "tls" } else { "forge" }
}

/// A client with the token, or with a placeholder that no forge accepts.
fn client(settings: &Settings) -> Result<Gitea, SettingsError> {
    let placeholder = || Token::parse("none").map_err(|error| SettingsError::Client(error.to_string()));
    let token = settings.read_token().or_else(|_| placeholder())?;
    let builder = settings.gitea_builder(token)?.patience(PATIENCE);
    builder.build().map_err(|error| SettingsError::Client(error.to_string()))
}

fn tls(url: &ForgeUrl, settings: &Settings) -> Check {
    let is_encrypted = url.as_url().scheme() == "https";
    let found = match &settings.ca_file {
        _ if !is_encrypted => "not used: `forge.url` is `http:`, so the token is sent unencrypted".to_owned(),
        Some(path) => format!("the certificate is valid; the CAs of `{}` are trusted too", path.display()),
        None => "the certificate is valid".to_owned(),
    };
    if is_encrypted { Check::pass("tls", found) } else { Check::skipped("tls", found) }
}

/// A version that cannot be parsed, as of a build from a branch or a commit, does not count as too old.
fn version_check(version: &str) -> Check {
    let (major, minor) = OLDEST;
    let wanted = format!("{major}.{minor} or later");
    match release(version) {
        None => {
            let found = match shown(version) {
                empty if empty.is_empty() => "Gitea does not report its version".to_owned(),
                version => format!("`{version}` is not a version number"),
            };
            let next =
                format!("make sure that it is built from {wanted}, which marks issues that are filed with the form");
            Check::warning("version", "forge-version-unknown", found, next)
        }
        Some(release) if release >= OLDEST => Check::pass("version", shown(version)),
        Some(_) => {
            let older = format!("{} is older than {major}.{minor}", shown(version));
            let found = format!("{older}, and does not mark issues that are filed with the form");
            Check::failure("version", "forge-too-old", found, format!("upgrade Gitea to {wanted}"))
        }
    }
}

/// The first two numbers of a version such as `1.26.0+dev-12-gabc` or `v1.23`. Forgejo names the compatible Gitea
/// version after `+gitea-`.
fn release(version: &str) -> Option<(u32, u32)> {
    let version = version.split_once("+gitea-").map_or(version, |(_, of_gitea)| of_gitea).trim();
    let (major, rest) = version.strip_prefix('v').unwrap_or(version).split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    Some((number(major)?, number(minor)?))
}

fn clock_check(forge: Option<Timestamp>, ours: Timestamp) -> Check {
    let Some(forge) = forge else { return Check::skipped("clock", "Gitea does not report the time") };
    let off = ours.after(forge).num_seconds();
    let found = format!("{} s {} Gitea's", off.abs(), if off < 0 { "behind" } else { "ahead of" });
    let next = "`timedatectl` on both hosts; synchronize both with a time server";
    match off.abs() {
        0..FORGE_OFFSET_MAX => Check::pass("clock", format!("within {FORGE_OFFSET_MAX} s of Gitea's")),
        _ => Check::warning("clock", "clock-off", found, next),
    }
}
