//! Classifies error responses by status, headers and the format of their body.

use crate::mission::identity::ForgeUrl;
use crate::mission::text;
use crate::world::forge::cause::{UnreachableCause, ask};
use crate::world::forge::error::ForgeError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// The most characters of an error message that are shown; real messages are shorter.
const REASON_CHARS_MAX: usize = 1_000;

/// The path prefix of all requests.
const API: &str = "/api/v1/";

/// How servers answer plain HTTP on a TLS port: Go (and so Gitea, Caddy and Traefik), nginx, Apache.
const WANTS_TLS: [&str; 3] = [
    "http request to an https server",
    "plain http request was sent to https port",
    "plain http to an ssl-enabled server port",
];

/// A request and its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentRequest<'a> {
    pub(super) tried: &'a str,
    pub(super) url: &'a Url,
    pub(super) forge: &'a ForgeUrl,
}

/// The body of an error response.
enum ErrorText {
    /// Empty; common in Gitea's error responses.
    None,
    /// Gitea's message, and whether the address of the API documentation is beside it.
    Gitea(String, bool),
    /// A body that Gitea's API never sends: a web page, or the message of a proxy.
    Foreign(String),
}

/// Classifies an error response.
pub(super) fn classify(request: SentRequest<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ForgeError {
    let (tried, code) = (request.tried.to_owned(), status.as_u16());
    let (raw_message, has_address) = match parse_error(body) {
        ErrorText::Gitea(raw_message, has_address) => (raw_message, has_address),
        ErrorText::Foreign(page) if (400..500).contains(&code) && code != 429 => return foreign(request, code, &page),
        // A proxy reports its state by the status.
        ErrorText::None | ErrorText::Foreign(_) => (String::new(), true),
    };
    let message = reason(&raw_message);
    let page = format!("{}/user/settings/applications", request.forge);
    match code {
        401 => ForgeError::Unauthorized { tried, message, page },
        403 => match required_scope(&raw_message) {
            Some(required) => ForgeError::MissingScope { tried, required, message, page },
            // Gitea rejects an account as a whole before the API's own errors, which name the address of the
            // documentation (go-gitea/gitea `routers/api/v1/api.go`).
            None if !has_address => ForgeError::Barred { tried, message },
            None => ForgeError::Forbidden { tried, message },
        },
        404 => ForgeError::NotFound { tried, message },
        300..=399 => redirected(request, code, &header(headers, LOCATION.as_str()).unwrap_or_default()),
        429 | 500..=599 => {
            let seconds = header(headers, RETRY_AFTER.as_str()).and_then(|wait| wait.parse().ok());
            let retry_after = seconds.map(Duration::from_secs);
            ForgeError::Unavailable { tried, status: code, message, retry_after }
        }
        _ => ForgeError::Refused { tried, status: code, message },
    }
}

/// Gitea's errors are JSON objects with a message (go-gitea/gitea `services/context/api.go`).
fn parse_error(body: &[u8]) -> ErrorText {
    if body.iter().all(u8::is_ascii_whitespace) {
        return ErrorText::None;
    }
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match value["message"].as_str() {
        Some(message) => ErrorText::Gitea(message.to_owned(), value.get("url").is_some()),
        None => ErrorText::Foreign(String::from_utf8_lossy(body).into_owned()),
    }
}

/// The message on one line, without invisible characters.
fn reason(raw_message: &str) -> String {
    let visible = text::without_invisible(raw_message).0;
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= REASON_CHARS_MAX {
        return line;
    }
    line.chars().take(REASON_CHARS_MAX).chain(['…']).collect()
}

/// The response is not from Gitea's API: another site or path, a proxy, or a TLS port.
fn foreign(SentRequest { tried, url, forge }: SentRequest<'_>, status: u16, page: &str) -> ForgeError {
    let tried = tried.to_owned();
    let page = page.to_ascii_lowercase();
    if status == 400 && url.scheme() == "http" && WANTS_TLS.iter().any(|phrase| page.contains(phrase)) {
        let (cause, detail) = (UnreachableCause::OnlyTls, format!("the answer is {status} and asks for `https:`"));
        return ForgeError::Unreachable { tried, cause, detail, next: cause.next(forge), may_have_happened: false };
    }
    let problem = format!("it is {status}, and not JSON");
    ForgeError::Protocol { tried, problem, next: not_gitea_hint(forge) }
}

/// What to do if the server is not Gitea.
pub(super) fn not_gitea_hint(forge: &ForgeUrl) -> String {
    let check = "check `forge.url`, and that no proxy or portal is in between";
    format!("{check}: {} should print a version where Gitea begins", ask(forge))
}

/// A renamed repository or account redirects within the API; any other redirect leaves it.
fn redirected(SentRequest { tried, url, forge }: SentRequest<'_>, status: u16, location: &str) -> ForgeError {
    let (tried, shown) = (tried.to_owned(), text::shown(location));
    let to = url.join(location).ok().filter(|_| !location.is_empty());
    let is_here = |to: &Url| to.origin() == url.origin() && to.path().contains(API);
    match to {
        Some(to) if is_here(&to) => ForgeError::Moved { tried, status, location: shown },
        to => {
            let moved = to.as_ref().and_then(|to| address_of(to, url, forge));
            let next = moved.map_or_else(|| not_gitea_hint(forge), |moved| format!("set `forge.url` to `{moved}`"));
            ForgeError::Protocol { tried, problem: format!("it leads to `{shown}` ({status})"), next }
        }
    }
}

/// The server's new address, if the redirect keeps the path below it.
fn address_of(to: &Url, requested: &Url, forge: &ForgeUrl) -> Option<ForgeUrl> {
    let below = requested.path().strip_prefix(forge.as_url().path().trim_end_matches('/'))?;
    let base = to.path().strip_suffix(below)?;
    let mut address = to.clone();
    address.set_path(base);
    address.set_query(None);
    ForgeUrl::parse(address.as_str()).ok().filter(|address| address != forge)
}

/// `token does not have at least one of required scope(s), required=[read:user], token scope=…`; before 1.23 the list
/// follows a colon (go-gitea/gitea `routers/api/v1/api.go`).
fn required_scope(raw_message: &str) -> Option<String> {
    let (_, rest) = raw_message.split_once("required scope(s)")?;
    let (_, rest) = rest.split_once('[')?;
    let (scope, _) = rest.split_once(']')?;
    Some(text::shown(scope))
}

pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
