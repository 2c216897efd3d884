//! Who may look at the page, and under which name it may be asked for.

use crate::config::Secret;
use crate::mission::secret::is_same_secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST};
use std::net::Ipv4Addr;

/// The token after `Bearer`, where there is one.
pub(super) fn bearer<T>(request: &Request<T>) -> Option<&str> {
    credentials(request, "bearer")
}

/// Whether a request bears the token of the page: as a bearer, or as the password of any user, which is how a browser
/// can be asked for it.
pub(super) fn may_look<T>(request: &Request<T>, token: &Secret) -> bool {
    let is_token = |given: &[u8]| is_same_secret(token.bytes(), given);
    let password = || {
        let decoded = STANDARD.decode(credentials(request, "basic")?).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(is_token(&decoded[colon + 1..]))
    };
    bearer(request).is_some_and(|given| is_token(given.as_bytes())) || password().unwrap_or(false)
}

fn credentials<'a, T>(request: &'a Request<T>, wanted: &str) -> Option<&'a str> {
    let (scheme, credentials) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then_some(credentials.trim())
}

/// Whether a request names this very machine. A page that is bound to loopback has no other name, so whoever comes under
/// another one was sent by a stranger's page whose name now means 127.0.0.1 (DNS rebinding).
pub(super) fn names_this_machine<T>(request: &Request<T>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let is_only_one = hosts.next().is_none();
    let in_target = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    is_only_one && host.is_some_and(is_local) && in_target.is_none_or(is_local)
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    // No stranger's name looks like this.
    let is_loopback = name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_loopback || ["localhost", "[::1]"].iter().any(|local| name.eq_ignore_ascii_case(local))
}
