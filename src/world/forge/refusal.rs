//! What an answer means that is no success: told from its status, its headers and the form of its body.

use crate::mission::identity::ForgeUrl;
use crate::mission::text;
use crate::world::forge::cause::{UnreachableCause, ask};
use crate::world::forge::error::ForgeError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// The most characters of the forge's reason that are told. A reason is told whole; this only keeps out what is none.
const REASON_CHARS_MAX: usize = 1_000;

/// Below this path lies everything that is asked.
const API: &str = "/api/v1/";

/// How servers answer a plain request on a port for TLS: Go's own (and so Gitea, Caddy and Traefik), nginx, Apache.
const WANTS_TLS: [&str; 3] = [
    "http request to an https server",
    "plain http request was sent to https port",
    "plain http to an ssl-enabled server port",
];

/// What was asked, and of which forge.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentRequest<'a> {
    pub(super) tried: &'a str,
    pub(super) url: &'a Url,
    pub(super) forge: &'a ForgeUrl,
}

/// What stands in the body of a refusal.
enum Words {
    /// Nothing; Gitea leaves many of its refusals empty.
    None,
    /// A Gitea's own, with whether the address of its documentation stands beside them.
    Said(String, bool),
    /// Something that no API of Gitea says: a page, or the words of whatever stands in between.
    Foreign(String),
}

/// What to make of an answer that is no success.
pub(super) fn refusal(asked: SentRequest<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ForgeError {
    let (tried, code) = (asked.tried.to_owned(), status.as_u16());
    let (words, has_address) = match words(body) {
        Words::Said(words, has_address) => (words, has_address),
        Words::Foreign(page) if (400..500).contains(&code) && code != 429 => return foreign(asked, code, &page),
        // What goes on behind a proxy is for the proxy to say, by its status.
        Words::None | Words::Foreign(_) => (String::new(), true),
    };
    let message = reason(&words);
    let page = format!("{}/user/settings/applications", asked.forge);
    match code {
        401 => ForgeError::Unauthorized { tried, message, page },
        403 => match required_scope(&words) {
            Some(required) => ForgeError::MissingScope { tried, required, message, page },
            // What refuses an account as a whole stands before the API, and names no documentation of it
            // (go-gitea/gitea `routers/api/v1/api.go`).
            None if !has_address => ForgeError::Barred { tried, message },
            None => ForgeError::Forbidden { tried, message },
        },
        404 => ForgeError::NotFound { tried, message },
        300..=399 => redirected(asked, code, &header(headers, LOCATION.as_str()).unwrap_or_default()),
        429 | 500..=599 => {
            let seconds = header(headers, RETRY_AFTER.as_str()).and_then(|wait| wait.parse().ok());
            let retry_after = seconds.map(Duration::from_secs);
            ForgeError::Unavailable { tried, status: code, message, retry_after }
        }
        _ => ForgeError::Refused { tried, status: code, message },
    }
}

/// The forge's own words: its refusals are JSON objects with a message (go-gitea/gitea `services/context/api.go`).
fn words(body: &[u8]) -> Words {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Words::None;
    }
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match value["message"].as_str() {
        Some(message) => Words::Said(message.to_owned(), value.get("url").is_some()),
        None => Words::Foreign(String::from_utf8_lossy(body).into_owned()),
    }
}

/// The reason on one line, without what nobody can see.
fn reason(words: &str) -> String {
    let visible = text::without_invisible(words).0;
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= REASON_CHARS_MAX {
        return line;
    }
    line.chars().take(REASON_CHARS_MAX).chain(['…']).collect()
}

/// Somebody else answers: a site that is no Gitea or begins elsewhere, a proxy, or a port for TLS.
fn foreign(SentRequest { tried, url, forge }: SentRequest<'_>, status: u16, page: &str) -> ForgeError {
    let tried = tried.to_owned();
    let page = page.to_ascii_lowercase();
    if status == 400 && url.scheme() == "http" && WANTS_TLS.iter().any(|words| page.contains(words)) {
        let (cause, detail) = (UnreachableCause::OnlyTls, format!("the answer is {status} and asks for `https:`"));
        return ForgeError::Unreachable { tried, cause, detail, next: cause.next(forge), may_have_happened: false };
    }
    let problem = format!("it is {status}, and not JSON");
    ForgeError::Protocol { tried, problem, next: no_gitea(forge) }
}

/// What to do where something else than a Gitea answers.
pub(super) fn no_gitea(forge: &ForgeUrl) -> String {
    let check = "check `forge.url`, and that no proxy or portal is in between";
    format!("{check}: {} should print a version where Gitea begins", ask(forge))
}

/// A renamed repository or account leads elsewhere in the same API; anything else leads away from it.
fn redirected(SentRequest { tried, url, forge }: SentRequest<'_>, status: u16, location: &str) -> ForgeError {
    let (tried, shown) = (tried.to_owned(), text::shown(location));
    let to = url.join(location).ok().filter(|_| !location.is_empty());
    let is_here = |to: &Url| to.origin() == url.origin() && to.path().contains(API);
    match to {
        Some(to) if is_here(&to) => ForgeError::Moved { tried, status, location: shown },
        to => {
            let moved = to.as_ref().and_then(|to| address_of(to, url, forge));
            let next = moved.map_or_else(|| no_gitea(forge), |moved| format!("set `forge.url` to `{moved}`"));
            ForgeError::Protocol { tried, problem: format!("it leads to `{shown}` ({status})"), next }
        }
    }
}

/// Where the forge is, if what was asked lies there under the same path.
fn address_of(to: &Url, asked: &Url, forge: &ForgeUrl) -> Option<ForgeUrl> {
    let below = asked.path().strip_prefix(forge.as_url().path().trim_end_matches('/'))?;
    let base = to.path().strip_suffix(below)?;
    let mut address = to.clone();
    address.set_path(base);
    address.set_query(None);
    ForgeUrl::parse(address.as_str()).ok().filter(|address| address != forge)
}

/// `token does not have at least one of required scope(s), required=[read:user], token scope=…`; before 1.23 the list
/// follows a colon (go-gitea/gitea `routers/api/v1/api.go`).
fn required_scope(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("required scope(s)")?;
    let (_, rest) = rest.split_once('[')?;
    let (scope, _) = rest.split_once(']')?;
    Some(text::shown(scope))
}

pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
