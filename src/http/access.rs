//! Authorizes requests to the dashboard by token, and by host name where it listens on loopback.

use crate::config::Secret;
use crate::mission::secret::is_same_secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST};
use std::net::Ipv4Addr;

/// The token of a bearer `Authorization` header.
pub(super) fn bearer<T>(request: &Request<T>) -> Option<&str> {
    credentials(request, "bearer")
}

/// Whether a request carries the dashboard's token: as a bearer token, or as the password of any user, because basic
/// authentication is what makes a browser prompt for it.
pub(super) fn is_authorized<T>(request: &Request<T>, token: &Secret) -> bool {
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

/// Whether a request names loopback as its host. A dashboard that is bound to loopback has no other name, so a request
/// with another one comes from a foreign page whose name now resolves to 127.0.0.1 (DNS rebinding).
pub(super) fn has_local_host<T>(request: &Request<T>) -> bool {
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
    // No public DNS name parses as an address.
    let is_loopback = name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_loopback || ["localhost", "[::1]"].iter().any(|local| name.eq_ignore_ascii_case(local))
}
