//! Whether the forge can be reached, by which way it cannot, and whether it is one that we know.

use crate::config::{Settings, SettingsError};
use crate::diagnose::doctor::check::Check;
use crate::mission::cell::clock_skew::FORGE_OFFSET_MAX;
use crate::mission::identity::ForgeUrl;
use crate::mission::text::shown;
use crate::mission::time::Timestamp;
use crate::world::forge::{ForgeError, Gitea, Patience, Token};
use std::time::Duration;

/// The oldest Gitea that fills in what the form hides in each issue (go-gitea/gitea#29274).
const OLDEST: (u32, u32) = (1, 22);

/// A person waits, and can ask again.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(10),
    total: Duration::from_secs(10),
    tries: 1,
    first_delay: Duration::from_millis(250),
};

/// Looks at address, TLS, kind, version and clock. A client with the token, if there is one, else with none that counts.
pub(super) async fn look(settings: &Settings, clock: fn() -> Timestamp, checks: &mut Vec<Check>) -> Option<Gitea> {
    let url = match settings.forge_url() {
        Ok(url) => url.clone(),
        Err(error) => {
            checks.push(Check::failure("forge", "forge-not-set", error.to_string(), "set it, and ask again"));
            return None;
        }
    };
    let gitea = match client(settings) {
        Ok(gitea) => gitea,
        Err(error) => {
            let next = "install the package `ca-certificates`, or name a PEM file with the forge's CA: `-----BEGIN CERTIFICATE-----` and so on";
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
        // Whoever shows strangers nothing, or does not know the token, is a forge all the same.
        Err(
            ForgeError::Unauthorized { .. }
            | ForgeError::Barred { .. }
            | ForgeError::Forbidden { .. }
            | ForgeError::MissingScope { .. },
        ) => {
            checks.push(Check::pass("forge", format!("`{url}` answers, but not to this token")));
            checks.push(tls(&url, settings));
        }
        Err(error) => {
            checks.push(Check::of_forge(about(&error), &error));
            return None;
        }
    }
    Some(gitea)
}

/// What it is about: the certificate and whatever else belongs to TLS, or the forge.
fn about(error: &ForgeError) -> &'static str {
    if error.fault().starts_with("tls-") { "tls" } else { "forge" }
}

/// A client with the token, or with one that no forge has given out.
fn client(settings: &Settings) -> Result<Gitea, SettingsError> {
    let nobody = || Token::parse("none").map_err(|error| SettingsError::Client(error.to_string()));
    let token = settings.read_token().or_else(|_| nobody())?;
    let builder = settings.gitea_builder(token)?.patience(PATIENCE);
    builder.build().map_err(|error| SettingsError::Client(error.to_string()))
}

fn tls(url: &ForgeUrl, settings: &Settings) -> Check {
    let is_encrypted = url.as_url().scheme() == "https";
    let found = match &settings.ca_file {
        _ if !is_encrypted => "not used: `forge.url` is `http:`, so the token travels in the clear".to_owned(),
        Some(path) => format!("the certificate is good; CAs of `{}` count too", path.display()),
        None => "the certificate is good".to_owned(),
    };
    if is_encrypted { Check::pass("tls", found) } else { Check::skipped("tls", found) }
}

/// A version that cannot be read, as of a Gitea that was built from a branch or a commit, is not an old one.
fn version_check(version: &str) -> Check {
    let (major, minor) = OLDEST;
    let wanted = format!("{major}.{minor} or later");
    match release(version) {
        None => {
            let found = match shown(version) {
                empty if empty.is_empty() => "the forge does not tell its version".to_owned(),
                told => format!("`{told}` is no version that tells how old it is"),
            };
            let next = format!("see that it is built from {wanted}, which marks the issues that the form files");
            Check::warning("version", "forge-version-unknown", found, next)
        }
        Some(release) if release >= OLDEST => Check::pass("version", shown(version)),
        Some(_) => {
            let older = format!("{} is older than {major}.{minor}", shown(version));
            let found = format!("{older}, and does not mark the issues that the form files");
            Check::failure("version", "forge-too-old", found, format!("update Gitea to {wanted}"))
        }
    }
}

/// The first two numbers of what begins with a version, as `1.26.0+dev-12-gabc` and `v1.23` do. A Forgejo tells after
/// `+gitea-` which Gitea it is like.
fn release(version: &str) -> Option<(u32, u32)> {
    let version = version.split_once("+gitea-").map_or(version, |(_, of_gitea)| of_gitea).trim();
    let (major, rest) = version.strip_prefix('v').unwrap_or(version).split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    Some((number(major)?, number(minor)?))
}

fn clock_check(forge: Option<Timestamp>, ours: Timestamp) -> Check {
    let Some(forge) = forge else { return Check::skipped("clock", "the forge does not tell the time") };
    let off = ours.after(forge).num_seconds();
    let found = format!("{} s {} the forge's", off.abs(), if off < 0 { "behind" } else { "ahead of" });
    let next = "`timedatectl` on both hosts; let both follow a time server";
    match off.abs() {
        0..FORGE_OFFSET_MAX => Check::pass("clock", format!("as the forge's, within {FORGE_OFFSET_MAX} s")),
        _ => Check::warning("clock", "clock-off", found, next),
    }
}
