//! Classifies why Gitea is unreachable, by the types of errors and never by their messages.

use crate::mission::identity::ForgeUrl;
use crate::mission::time::Timestamp;
use chrono::DateTime;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::error::Error;
use std::io;
use std::net::SocketAddr;

/// Why a request got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableCause {
    /// The host name does not resolve.
    Unresolved,
    /// The connection was refused.
    Refused,
    /// The connection was not established in time.
    Silent,
    /// The port does not speak TLS.
    NoTls,
    /// The port speaks only TLS and was addressed without it.
    OnlyTls,
    /// The server does not speak HTTP.
    NoHttp,
    /// This host does not trust the CA of the certificate.
    UnknownCa,
    /// The certificate is expired or not yet valid by this host's clock.
    Expired,
    /// The certificate is for other names.
    WrongName,
    /// Another TLS failure.
    Tls,
    /// Another connection failure, or a broken connection.
    Broken,
}

impl UnreachableCause {
    /// Classifies by the innermost error of a known type.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let known = causes(error).find_map(classify);
        known.unwrap_or(if error.is_timeout() { Self::Silent } else { Self::Broken })
    }

    /// The code in `doctor`'s report.
    #[must_use]
    pub fn fault(self) -> &'static str {
        match self {
            Self::Unresolved => "forge-unresolved",
            Self::Refused => "forge-refused",
            Self::Silent => "forge-silent",
            Self::NoTls => "tls-not-spoken",
            Self::OnlyTls | Self::NoHttp => "http-not-spoken",
            Self::UnknownCa => "tls-ca-unknown",
            Self::Expired => "tls-expired",
            Self::WrongName => "tls-wrong-name",
            Self::Tls => "tls-failed",
            Self::Broken => "forge-unreachable",
        }
    }

    /// What to do next.
    pub(super) fn next(self, forge: &ForgeUrl) -> String {
        let url = forge.as_url();
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let certificates = format!("`openssl s_client -showcerts -connect {host}:{port}`");
        let ask = ask(forge);
        match self {
            Self::Unresolved => format!("check `getent hosts {host}`, and correct `forge.url`"),
            Self::Refused => format!("check that Gitea runs, and `forge.url`; {ask} shows whether its port is open"),
            Self::Silent => format!("{ask} shows whether Gitea hangs, or a firewall drops the connection"),
            Self::NoTls => format!("there is no TLS on port {port}; set `forge.url` to `http:`, or another port"),
            Self::OnlyTls => format!("port {port} expects TLS; set `forge.url` to `https:`, or another port"),
            Self::NoHttp if url.scheme() == "http" => {
                format!("if port {port} expects TLS, set `forge.url` to `https:`; otherwise set another port")
            }
            Self::NoHttp => format!("set `forge.url` to where Gitea listens: {ask} should print a version"),
            Self::UnknownCa => {
                let where_to = "put the CA that signed it into a PEM file and set `forge.ca_file`";
                format!("{certificates} shows it; {where_to}")
            }
            Self::Expired => format!("{certificates} shows its dates; renew it, or set this host's clock"),
            Self::WrongName => format!("{certificates} shows its names; use one of them in `forge.url`"),
            Self::Tls => format!("{certificates} shows what answers there"),
            Self::Broken => {
                format!("check that Gitea runs, and `forge.url`; {ask} shows whether a proxy or a firewall interferes")
            }
        }
    }
}

/// The command that shows what answers at the address.
pub(super) fn ask(forge: &ForgeUrl) -> String {
    format!("`curl -sS {forge}/api/v1/version`")
}

fn classify(error: &(dyn Error + 'static)) -> Option<UnreachableCause> {
    if error.is::<Unresolved>() {
        Some(UnreachableCause::Unresolved)
    } else if let Some(error) = error.downcast_ref::<rustls::Error>() {
        Some(of_tls(error))
    } else if let Some(error) = error.downcast_ref::<io::Error>() {
        (error.kind() == io::ErrorKind::ConnectionRefused).then_some(UnreachableCause::Refused)
    } else {
        let is_nonsense = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        is_nonsense.then_some(UnreachableCause::NoHttp)
    }
}

fn of_tls(error: &rustls::Error) -> UnreachableCause {
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return UnreachableCause::NoTls;
    }
    let rustls::Error::InvalidCertificate(flaw) = error else { return UnreachableCause::Tls };
    if matches!(flaw, CertificateError::UnknownIssuer) {
        UnreachableCause::UnknownCa
    } else if matches!(
        flaw,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    ) {
        UnreachableCause::Expired
    } else if matches!(flaw, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        UnreachableCause::WrongName
    } else {
        UnreachableCause::Tls
    }
}

/// The error and its causes. `source()` of an `io::Error` skips the error that it wraps, which is the one needed.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let below = |error: &&'a (dyn Error + 'static)| below(*error);
    std::iter::successors(Some(error), below)
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

/// The message of all causes, without the seconds since expiry, which would change each time.
pub(super) fn detail(error: &reqwest::Error) -> String {
    let dated = causes(error).find_map(|error| {
        let rustls::Error::InvalidCertificate(flaw) = error.downcast_ref()? else { return None };
        dates(flaw)
    });
    // The outermost layer only repeats the address.
    dated.unwrap_or_else(|| error.source().map_or_else(|| chain(error), chain))
}

fn dates(flaw: &CertificateError) -> Option<String> {
    let formatted = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).ok()?;
        Some(Timestamp::from(DateTime::from_timestamp(seconds, 0)?).formatted())
    };
    if let CertificateError::ExpiredContext { not_after, .. } = flaw {
        Some(format!("its certificate has expired at {}", formatted(*not_after)?))
    } else if let CertificateError::NotValidYetContext { not_before, .. } = flaw {
        Some(format!("its certificate is valid only from {}", formatted(*not_before)?))
    } else {
        None
    }
}

/// The error with all its causes: the useful one, for example an unknown CA, is the innermost.
pub(in crate::world) fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Many layers repeat the message of their cause.
        if !text.contains(&part) {
            let joint = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{joint}{part}");
        }
        next = error.source();
    }
    text
}

/// A host name without an address. The C library reports this only as text; this type tells it apart.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unresolved(io::Error);

/// Resolves names with the host's resolver and gives its failures a type.
#[derive(Debug)]
pub(super) struct HostResolver;

impl Resolve for HostResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The caller replaces the port.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
