//! Signs and sends webhook deliveries for comments, once each, whatever the receiver answers.

use crate::sandbox::seams::{random_id, timeout};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// The event of all deliveries; the sandbox sends no others.
pub(super) const EVENT: &str = "issue_comment";

/// The timeout of a whole delivery (`[webhook] DELIVER_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(5);

/// A change to a comment.
#[derive(Clone, Debug)]
pub(super) enum HookEvent {
    Created,
    /// With the former text.
    Edited(String),
    /// The comment is already removed from its issue.
    Deleted,
}

impl HookEvent {
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited(_) => "edited",
            Self::Deleted => "deleted",
        }
    }
}

/// A queued request to a webhook.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) url: String,
    pub(super) secret: String,
    pub(super) body: String,
}

impl Delivery {
    /// Sends the delivery; its result is ignored.
    pub(super) async fn send(self) {
        let _ = timeout(TIMEOUT, self.post()).await;
    }

    async fn post(self) -> Option<()> {
        let url = Url::parse(&self.url).ok().filter(|url| url.scheme() == "http")?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let mut stream = TcpStream::connect((host, port)).await.ok()?;
        let Self { secret, body, .. } = &self;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nX-Gitea-Delivery: {}\r\nX-Gitea-Event: {EVENT}\r\nX-Gitea-Event-Type: {EVENT}\r\n\
             X-Gitea-Signature: {}\r\n\r\n",
            url.path(),
            body.len(),
            random_id(),
            signature(secret, body)
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
        let mut answer = [0; 1_024];
        while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
        Some(())
    }
}

/// Empty without a secret (go-gitea/gitea `services/webhook/deliver.go`).
fn signature(secret: &str, body: &str) -> String {
    let Some(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok().filter(|_| !secret.is_empty()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte: &u8| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
