//! Why Gitea is unreachable: told from the types of what went wrong, never from its words.

use crate::mission::identity::ForgeUrl;
use crate::mission::time::Timestamp;
use chrono::DateTime;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::error::Error;
use std::io;
use std::net::SocketAddr;

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableCause {
    /// The host name has no address.
    Unresolved,
    /// Nothing listens there.
    Refused,
    /// The connection was not there in time.
    Silent,
    /// TLS was begun with something that speaks none.
    NoTls,
    /// Something that speaks nothing but TLS was addressed without it.
    OnlyTls,
    /// What answers does not speak HTTP.
    NoHttp,
    /// The certificate is signed by a CA that this host does not trust.
    UnknownCa,
    /// The certificate is not valid at this time, by the clock of this host.
    Expired,
    /// The certificate is for other names.
    WrongName,
    /// TLS failed in another way.
    Tls,
    /// The connection failed in another way, or broke.
    Broken,
}

impl UnreachableCause {
    /// What the innermost error says by its type that is any of ours.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let told = causes(error).find_map(classify);
        told.unwrap_or(if error.is_timeout() { Self::Silent } else { Self::Broken })
    }

    /// The fixed word by which `doctor` tells it.
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

/// The command that shows what answers.
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

/// An error and everything below it. An `io::Error` passes over what it holds, which is what is looked for.
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

/// What happened, in the words of all errors. The one about a certificate's dates would count the seconds since.
pub(super) fn detail(error: &reqwest::Error) -> String {
    let dated = causes(error).find_map(|error| {
        let rustls::Error::InvalidCertificate(flaw) = error.downcast_ref()? else { return None };
        dates(flaw)
    });
    // The outermost layer only repeats the address.
    dated.unwrap_or_else(|| error.source().map_or_else(|| chain(error), chain))
}

fn dates(flaw: &CertificateError) -> Option<String> {
    let spoken = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).ok()?;
        Some(Timestamp::from(DateTime::from_timestamp(seconds, 0)?).formatted())
    };
    if let CertificateError::ExpiredContext { not_after, .. } = flaw {
        Some(format!("its certificate has expired at {}", spoken(*not_after)?))
    } else if let CertificateError::NotValidYetContext { not_before, .. } = flaw {
        Some(format!("its certificate is valid only from {}", spoken(*not_before)?))
    } else {
        None
    }
}

/// An error with all its causes: the useful one, such as an unknown CA, is the innermost.
pub(in crate::world) fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Every layer likes to repeat the one below.
        if !text.contains(&part) {
            let joint = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{joint}{part}");
        }
        next = error.source();
    }
    text
}

/// A host name without an address. The C library says so in words only, and this keeps it apart from all else.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unresolved(io::Error);

/// Asks the host's own resolver, and gives its failure a type.
#[derive(Debug)]
pub(super) struct HostResolver;

impl Resolve for HostResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the address's own, whatever stands here.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
