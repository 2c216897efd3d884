//! Checks the service, the daemon's readiness, its watcher, and the deliveries of the webhook.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::world::http_client::{Bearer, HttpClient};
use crate::world::service::{self, Service};
use crate::world::store::lock;
use crate::world::store::root::Root;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::Url;

/// The name of the systemd unit.
const UNIT: &str = "lazarus-reconcile.service";

/// Checks the service, the daemon, the webhook and the watcher.
pub(super) async fn check(settings: &Settings, root: Option<&Root>, checks: &mut Vec<Check>) {
    checks.push(unit(&service::state(UNIT).await));
    let holder = root.and_then(lock::writer);
    let ready = ask(settings.daemon.listen, "readyz", None).await;
    checks.push(match (&holder, ready) {
        (_, Ok((200, _))) => Check::pass("daemon", format!("the daemon is ready{}", by(holder.as_deref()))),
        (_, Ok((503, reason))) => {
            let found = format!("the daemon runs{}, but is not ready: {}", by(holder.as_deref()), reason.trim());
            Check::failure("daemon", "daemon-not-ready", found, format!("`journalctl -u {UNIT} -n 50`"))
        }
        (Some(writer), _) => Check::pass("daemon", format!("another process holds the lock of the root: {writer}")),
        (None, Ok((status, _))) => {
            let found = format!("the server at `{}` answers {status}, and is not this daemon", settings.daemon.listen);
            Check::skipped("daemon", found)
        }
        (None, Err(_)) => Check::skipped("daemon", format!("no daemon answers at `{}`", settings.daemon.listen)),
    });
    checks.push(webhook(settings).await);
    checks.push(ping(settings).await);
}

/// Checks that the watcher accepts a ping. Redirects are not followed.
async fn ping(settings: &Settings) -> Check {
    let Some(url) = &settings.daemon.ping_url else {
        return Check::skipped("ping", "`daemon.ping_url` is not set");
    };
    let client = match HttpClient::to(url.clone()) {
        Ok(client) => client,
        Err(error) => {
            return Check::failure("ping", "ping-fails", error.to_string(), "`lazarus-reconcile config show`");
        }
    };
    let origin = client.whom();
    match client.get().await {
        Ok(200..=299) => Check::pass("ping", format!("{origin} accepts pings")),
        Ok(status @ 300..=399) => {
            let found = format!("{origin} answers {status}, and redirects are not followed: the watcher gets no pings");
            let next = "set `daemon.ping_url` to the target of the redirect";
            Check::failure("ping", "ping-redirects", found, next)
        }
        Ok(status) => {
            let found = format!("{origin} answers {status}: the watcher gets no pings");
            Check::failure("ping", "ping-fails", found, "set `daemon.ping_url` to the address that the watcher shows")
        }
        Err(error) => {
            let next = "check `daemon.ping_url`, and that this host can reach it";
            Check::failure("ping", "ping-fails", format!("{origin} {error}"), next)
        }
    }
}

fn by(holder: Option<&str>) -> String {
    holder.map_or(String::new(), |holder| format!(" ({holder})"))
}

fn unit(service: &Service) -> Check {
    match service {
        Service::Unknown(why) => Check::skipped("service", why.clone()),
        Service::NotInstalled => Check::skipped("service", format!("there is no unit `{UNIT}`")),
        Service::Known { state, result, restarts } => {
            let found = format!("`{UNIT}` is {state}, last result {result}, {restarts} restarts");
            if state == "failed" || (state == "activating" && result != "success") {
                let next = format!("`journalctl -u {UNIT} -n 50`, then `systemctl restart {UNIT}`");
                return Check::failure("service", "service-failed", found, next);
            }
            Check::pass("service", found)
        }
    }
}

/// Checks the webhook by its deliveries: the bot's token cannot list webhooks.
async fn webhook(settings: &Settings) -> Check {
    let daemon = &settings.daemon;
    if daemon.webhook_secret_file.is_none() {
        return Check::skipped(
            "webhook",
            format!("none is configured; the daemon asks for changes every {} s", daemon.interval.as_secs()),
        );
    }
    let secret = match daemon.webhook_secret() {
        Err(error) => {
            let install = settings.given.command("install --only webhook");
            let next = format!("`openssl rand -hex 32` creates one; then run {install}");
            return Check::failure("webhook", "webhook-not-set-up", error.to_string(), next);
        }
        Ok(secret) => secret,
    };
    if secret.is_some() && daemon.public_url.is_none() {
        let found = "there is a secret, but `daemon.public_url` is not set, so the webhook has no address";
        let next = "set `daemon.public_url` to the address at which Gitea reaches `daemon.listen`";
        return Check::warning("webhook", "webhook-not-set-up", found, next);
    }
    let token = daemon.page_token().ok().flatten();
    let bearer = token.and_then(|token| Bearer::parse(&String::from_utf8_lossy(token.bytes())));
    match ask(daemon.page_listen, "metrics", bearer.as_ref()).await {
        Ok((200, metrics)) => deliveries(settings, &metrics),
        Ok((status, _)) => Check::skipped("webhook", format!("cannot tell: the daemon's metrics answer {status}")),
        Err(error) => Check::skipped("webhook", format!("cannot tell: the daemon's metrics: {error}")),
    }
}

/// Checks the counters of the daemon since its start.
fn deliveries(settings: &Settings, metrics: &str) -> Check {
    let count = |result: &str| counter(metrics, &format!("lazarus_webhooks_total{{result=\"{result}\"}}"));
    let good = count("accepted") + count("ignored");
    let install = settings.given.command("install --only webhook --reset-secret");
    if count("unsigned") > 0 && good == 0 {
        let found = format!("{} deliveries arrived, and no signature was correct", count("unsigned"));
        return Check::failure(
            "webhook",
            "webhook-unsigned",
            found,
            format!("set the same secret on both sides: {install}"),
        );
    }
    if good == 0 {
        let found = "no delivery has arrived since the daemon started";
        let next = "check Settings, Webhooks, Recent Deliveries in the repository; a private address needs \
                    `[webhook] ALLOWED_HOST_LIST` in Gitea's app.ini";
        return Check::warning("webhook", "webhook-silent", found, next);
    }
    let last =
        metrics.lines().find_map(|line| line.strip_prefix("lazarus_last_webhook_timestamp_seconds ")?.parse().ok());
    let last = last.and_then(|seconds: i64| chrono::DateTime::from_timestamp(seconds, 0));
    let last = last.map_or(String::new(), |at| format!(", the last at {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
    // The bot's own edits are delivered too, so after an edit there must be a delivery about a comment.
    let edits = counter(metrics, "lazarus_requests_total{method=\"patch\",class=\"2xx\"}");
    if edits > 0 && counter(metrics, "lazarus_comment_webhooks_total") == 0 {
        let found = format!("{good} deliveries have arrived since the daemon started, none about a comment");
        let next = format!("add the *Issue comment* event: {}", settings.given.command("install --only webhook"));
        return Check::warning("webhook", "webhook-events-missing", found, next);
    }
    Check::pass("webhook", format!("{good} deliveries have arrived since the daemon started{last}"))
}

fn counter(metrics: &str, series: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    metrics.lines().find_map(value).unwrap_or(0)
}

/// Sends a request to the daemon on this host, also if it listens on all addresses.
async fn ask(at: SocketAddr, path: &str, bearer: Option<&Bearer>) -> Result<(u16, String), String> {
    let ip = if at.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { at.ip() };
    let url =
        Url::parse(&format!("http://{}/{path}", SocketAddr::new(ip, at.port()))).map_err(|error| error.to_string())?;
    let client = HttpClient::to(url).map_err(|error| error.to_string())?;
    client.read(bearer).await.map_err(|error| error.to_string())
}
