//! Sends requests to one origin with one token: limits, counters, retries and a circuit breaker.

use crate::mission::identity::ForgeUrl;
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::forge::Gitea;
use crate::world::forge::answer::{Answer, Body, ErrorBody, Full};
use crate::world::forge::cause::{HostResolver, UnreachableCause, chain, detail};
use crate::world::forge::error::ForgeError;
use crate::world::forge::error_response::{SentRequest, classify, header, not_gitea_hint};
use crate::world::forge::traffic::{Counters, Traffic};
use crate::world::random;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Method, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// The most bytes of one response that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// After this many consecutive failures no request is sent until the next pass.
const FAILURES_MAX: u32 = 8;

/// The longest `Retry-After` that is honoured; a longer one is left to the next pass.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// An access token. It is sent in a header and never printed.
#[derive(Clone, derive_more::Debug)]
#[debug("Token(…)")]
pub struct Token(HeaderValue);

/// The token is empty, or not valid in a header.
#[derive(Debug, thiserror::Error)]
#[error("the token is empty or holds characters that no token has")]
pub struct BadToken;

impl Token {
    /// Parses a token from a file or a variable; surrounding whitespace is removed.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let is_token = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("token {text}"));
        let mut header = header.ok().filter(|_| is_token).ok_or(BadToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    /// The plain token, for git, which sends it in another header.
    pub(in crate::world) fn plain(&self) -> &str {
        self.0.to_str().ok().and_then(|header| header.strip_prefix("token ")).unwrap_or_default()
    }
}

/// Timeouts and retries.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Timeout of a connection attempt.
    pub connect: Duration,
    /// Timeout between two reads.
    pub read: Duration,
    /// Timeout of one attempt as a whole.
    pub total: Duration,
    /// Attempts per call, including the first.
    pub tries: u32,
    /// Delay before the second attempt; doubles with each, with jitter.
    pub first_delay: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(15),
            total: Duration::from_secs(30),
            tries: 4,
            first_delay: Duration::from_millis(250),
        }
    }
}

/// Requests sent, by method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Reads.
    pub get: u64,
    /// Creations, and labels added to issues.
    pub post: u64,
    /// Edits.
    pub patch: u64,
    /// Replacements of label lists.
    pub put: u64,
    /// Deletions.
    pub delete: u64,
    /// The writes that Gitea accepted.
    #[serde(skip)]
    pub accepted: u64,
}

impl Requests {
    /// The writes that Gitea rejected or did not answer.
    #[must_use]
    pub fn failed(&self) -> u64 {
        (self.post + self.patch + self.put + self.delete).saturating_sub(self.accepted)
    }
}

/// Configures a connection.
#[derive(Debug)]
pub struct Builder {
    url: ForgeUrl,
    token: Token,
    ca_pem: Option<Vec<u8>>,
    requests_in_flight: usize,
    patience: Patience,
}

/// The connection cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configured CA file holds no certificate.
    #[error("the CA file holds no PEM certificate: {0}")]
    Ca(String),
    /// TLS could not be set up.
    #[error(
        "the HTTP client cannot be set up: {0}; if no CAs are found, install `ca-certificates` or set `forge.ca_file`"
    )]
    Client(String),
}

impl Builder {
    pub(super) fn new(url: ForgeUrl, token: Token) -> Self {
        Self { url, token, ca_pem: None, requests_in_flight: 4, patience: Patience::default() }
    }

    /// Also trusts the certificates in this PEM text.
    #[must_use]
    pub fn ca_pem(mut self, pem: Option<Vec<u8>>) -> Self {
        self.ca_pem = pem;
        self
    }

    /// The most concurrent requests, including those for pages of a listing.
    #[must_use]
    pub fn requests_in_flight(mut self, most: usize) -> Self {
        self.requests_in_flight = most.max(1);
        self
    }

    /// Replaces the default timeouts and retries.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Sets up TLS; sends nothing.
    pub fn build(self) -> Result<Gitea, BuildError> {
        install_tls();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut client = Client::builder()
            .user_agent(concat!("lazarus-reconcile/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(self.patience.connect)
            .dns_resolver(Arc::new(HostResolver))
            .read_timeout(self.patience.read)
            .timeout(self.patience.total)
            .pool_max_idle_per_host(self.requests_in_flight);
        client = as_needed_for(self.url.as_url(), client);
        if let Some(pem) = &self.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|e| BuildError::Ca(chain(&e)))?;
            if certificates.is_empty() {
                return Err(BuildError::Ca("no BEGIN CERTIFICATE in it".to_owned()));
            }
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|error| BuildError::Client(chain(&error)))?;
        Ok(Gitea(Arc::new(Connection {
            client,
            token: RwLock::new(self.token),
            base: self.url,
            permits: Semaphore::new(self.requests_in_flight),
            patience: self.patience,
            failures: AtomicU32::new(0),
            counters: Counters::default(),
            clock_offset: AtomicI64::new(i64::MIN),
        })))
    }
}

/// All clients share one TLS provider; if the embedding program has installed one, that one serves.
pub(in crate::world) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Loopback needs no proxy, and plain HTTP no CA certificates, which may be missing.
pub(in crate::world) fn as_needed_for(url: &Url, client: ClientBuilder) -> ClientBuilder {
    match (is_loopback(url), url.scheme()) {
        (true, "http") => client.no_proxy().tls_certs_only([]),
        (true, _) => client.no_proxy(),
        (false, _) => client,
    }
}

/// Whether the address is a loopback address.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// Whether the request is idempotent.
    pub(super) is_repeatable: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    token: RwLock<Token>,
    base: ForgeUrl,
    permits: Semaphore,
    patience: Patience,
    failures: AtomicU32,
    counters: Counters,
    /// Seconds that this host's clock was ahead of the server's at the last response; [`i64::MIN`] before the first.
    clock_offset: AtomicI64,
}

impl Connection {
    /// Requests sent, by method.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = Requests { accepted: self.traffic().accepted_writes(), ..Requests::default() };
        for (method, _, count) in self.traffic().each() {
            *match method {
                "post" => &mut requests.post,
                "patch" => &mut requests.patch,
                "put" => &mut requests.put,
                "delete" => &mut requests.delete,
                _ => &mut requests.get,
            } += count;
        }
        requests
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.counters.traffic()
    }

    pub(super) fn clock_offset(&self) -> Option<i64> {
        Some(self.clock_offset.load(Ordering::Relaxed)).filter(|offset| *offset != i64::MIN)
    }

    pub(super) fn base(&self) -> ForgeUrl {
        self.base.clone()
    }

    pub(super) fn token(&self) -> Token {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resets the failure counter, and replaces the token if one is given.
    pub(super) fn begin_anew(&self, token: Option<Token>) {
        self.failures.store(0, Ordering::Relaxed);
        if let Some(token) = token {
            *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        }
    }

    /// Sends a request and retries it where that is useful and safe. Each attempt starts a new body.
    pub(super) async fn send<S: Body>(
        &self,
        request: &Request,
        new_body: &(impl Fn() -> S + Sync),
    ) -> Result<Answer<S>, ForgeError> {
        let url = self.url(request);
        let tried = format!("{} {}", request.method, url.path());
        let failures = self.failures.load(Ordering::Relaxed);
        if failures >= FAILURES_MAX {
            return Err(ForgeError::GivenUp { tried, failures });
        }
        let mut delay = self.patience.first_delay;
        for _ in 1..self.patience.tries {
            match self.try_once(request, &url, new_body).await {
                Err(error) if may_try_again(request, &error) => {
                    tracing::debug!(%error, "retrying");
                    let jitter = delay.mul_f64(0.5 + random::fraction() / 2.0);
                    clock::sleep(error.retry_after().unwrap_or(jitter)).await;
                    delay *= 2;
                }
                decided => return self.note(decided),
            }
        }
        self.note(self.try_once(request, &url, new_body).await)
    }

    fn note<S>(&self, outcome: Result<Answer<S>, ForgeError>) -> Result<Answer<S>, ForgeError> {
        match &outcome {
            Err(error) if error.is_passing() || error.is_about_the_token() => {
                self.failures.fetch_add(1, Ordering::Relaxed)
            }
            Ok(_) | Err(_) => self.failures.swap(0, Ordering::Relaxed),
        };
        outcome
    }

    async fn try_once<S: Body>(
        &self,
        request: &Request,
        url: &Url,
        new_body: &(impl Fn() -> S + Sync),
    ) -> Result<Answer<S>, ForgeError> {
        let tried = &format!("{} {}", request.method, url.path());
        let permit = self.permits.acquire().await;
        let _permit = permit.expect("the semaphore is never closed");
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).0.clone();
        let mut builder = self.client.request(request.method.clone(), url.clone()).header(AUTHORIZATION, token);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let sent = builder.send().await;
        self.counters.count(&request.method, sent.as_ref().ok().map(Response::status));
        let response = sent.map_err(|error| failed(tried, &self.base, &error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let date = header(&headers, DATE.as_str()).and_then(|date| Timestamp::parse_http_date(&date));
        if let Some(date) = date {
            self.clock_offset.store(clock::now().after(date).num_seconds(), Ordering::Relaxed);
        }
        if status.is_success() {
            let mut body = new_body();
            self.read(response, &mut body, tried).await?;
            let total = header(&headers, "x-total-count").and_then(|total| total.parse().ok());
            let is_json = header(&headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("json"));
            return Ok(Answer { tried: tried.clone(), next: not_gitea_hint(&self.base), is_json, total, date, body });
        }
        let mut error_body = ErrorBody::default();
        // An error while reading the error's body does not matter.
        let read = self.read(response, &mut error_body, tried).await;
        let error_body = read.map(|()| error_body.0).unwrap_or_default();
        Err(classify(SentRequest { tried, url, forge: &self.base }, status, &headers, &error_body))
    }

    async fn read(&self, mut response: Response, body: &mut impl Body, tried: &str) -> Result<(), ForgeError> {
        let too_large = |limit| ForgeError::TooLarge { tried: tried.to_owned(), limit };
        let mut read = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(tried, &self.base, &error))? {
            read += chunk.len();
            if read > ANSWER_BYTES_MAX {
                return Err(too_large(ANSWER_BYTES_MAX));
            }
            body.take(&chunk).map_err(|Full { limit }| too_large(limit))?;
        }
        Ok(())
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.as_url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }
}

fn may_try_again(request: &Request, error: &ForgeError) -> bool {
    let is_safe = request.is_repeatable || !error.may_have_happened();
    let is_soon = error.retry_after().is_none_or(|wait| wait <= RETRY_AFTER_MAX);
    error.is_passing() && is_safe && is_soon
}

fn failed(tried: &str, forge: &ForgeUrl, error: &reqwest::Error) -> ForgeError {
    let tried = tried.to_owned();
    if error.is_timeout() && !error.is_connect() {
        return ForgeError::TimedOut {
            tried,
            next: format!("the next pass retries; {}", UnreachableCause::Silent.next(forge)),
        };
    }
    let (cause, detail) = (UnreachableCause::of(error), detail(error));
    ForgeError::Unreachable { tried, cause, detail, next: cause.next(forge), may_have_happened: !error.is_connect() }
}
