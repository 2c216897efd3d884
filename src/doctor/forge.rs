//! Whether the forge can be reached, by which way it cannot, and whether it is one that we know.

use crate::doctor::check::Check;
use crate::mission::identity::ForgeUrl;
use crate::mission::text::shown;
use crate::mission::time::Timestamp;
use crate::settings::{Settings, SettingsError};
use crate::world::gitea::{ForgeError, Gitea, Patience, Token};
use std::time::Duration;

/// The oldest Gitea that fills in what the form hides in each issue (go-gitea/gitea#29274).
const OLDEST: (u32, u32) = (1, 22);

/// Heartbeats that are ahead by more are findings (`mission/health.rs`), so clocks that differ by so much are in the way.
const CLOCK_OFF_MAX: i64 = 120;

/// From so many seconds on it is worth a word.
const CLOCK_OFF_TOLD: i64 = 30;

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

/// A Forgejo tells after a `+` which Gitea it is like.
fn version_check(version: &str) -> Check {
    let known_as = shown(version);
    let of_gitea = version.split_once("+gitea-").map_or(version, |(_, of_gitea)| of_gitea);
    let mut numbers = of_gitea.trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    let known = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if known >= OLDEST {
        return Check::pass("version", known_as);
    }
    let (major, minor) = OLDEST;
    let found = format!("{known_as} is older than {major}.{minor}, and does not mark the issues that the form files");
    Check::failure("version", "forge-too-old", found, format!("update Gitea to {major}.{minor} or later"))
}

fn clock_check(forge: Option<Timestamp>, ours: Timestamp) -> Check {
    let Some(forge) = forge else { return Check::skipped("clock", "the forge does not tell the time") };
    let off = ours.after(forge).num_seconds();
    let found = format!("{} s {} the forge's", off.abs(), if off < 0 { "behind" } else { "ahead of" });
    let next = "`timedatectl` on both hosts; let both follow a time server";
    match off.abs() {
        0..CLOCK_OFF_TOLD => Check::pass("clock", format!("as the forge's, within {CLOCK_OFF_TOLD} s")),
        CLOCK_OFF_TOLD..=CLOCK_OFF_MAX => Check::warning("clock", "clock-off", found, next),
        _ => Check::failure("clock", "clock-off", found, next),
    }
}
