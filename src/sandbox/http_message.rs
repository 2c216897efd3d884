//! Requests and replies, as the handlers see them.

use crate::sandbox::fault::MethodName;
use hyper::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// `MAX_RESPONSE_ITEMS`: a larger `limit` is silently clamped.
pub(super) const PAGE_MAX: usize = 50;
/// `DEFAULT_PAGING_NUM`
const PAGE_DEFAULT: usize = 30;

/// A request with its whole body.
#[derive(Debug)]
pub(super) struct SandboxRequest {
    pub(super) method: MethodName,
    /// The raw path, without the query.
    pub(super) path: String,
    /// The decoded segments of the path.
    segments: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// The raw query.
    pub(super) query_text: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl SandboxRequest {
    /// Parses a request's target; an invalid one becomes `/`.
    pub(super) fn new(method: MethodName, target: &str) -> Self {
        let url = Url::options().base_url(Url::parse("http://sandbox").ok().as_ref()).parse(target).ok();
        let path = url.as_ref().map_or("/", Url::path).to_owned();
        let pairs = url.iter().flat_map(Url::query_pairs);
        let query = pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let query_text = url.as_ref().and_then(Url::query).unwrap_or_default().to_owned();
        let segments = path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        Self { method, path, segments, query, query_text, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// The decoded segments of the path.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn query(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A number in the query; an invalid one counts as absent.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.query(key)?.parse().ok()
    }

    /// The page size of a listing.
    pub(super) fn page_size(&self) -> usize {
        match self.number("limit") {
            None | Some(0) => PAGE_DEFAULT,
            Some(limit) => limit.min(PAGE_MAX),
        }
    }

    /// The body as JSON; a real Gitea answers 422 if it is invalid.
    pub(super) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, SandboxReply> {
        serde_json::from_slice(&self.body).map_err(|error| SandboxReply::error(url, 422, &format!("[]: {error}")))
    }

    /// The body as a browser posts a form.
    pub(super) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// Decodes the percent escapes of a path segment.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A reply.
#[derive(Clone, Debug)]
pub(super) struct SandboxReply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl SandboxReply {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        let headers = vec![("content-type", "application/json;charset=utf-8".to_owned())];
        Self { status, headers, body: value.to_string().into_bytes() }
    }

    pub(super) fn html(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Self { status, headers, body: text.as_bytes().to_vec() }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: text.as_bytes().to_vec() }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn redirect(status: u16, location: &str) -> Self {
        Self::empty(status).with("location", location)
    }

    pub(super) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }

    /// An error as Gitea formats it, with the address of its documentation.
    pub(super) fn error(url: &str, status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message, "url": format!("{url}/api/swagger") }))
    }

    pub(super) fn not_found(url: &str) -> Self {
        Self::json(404, &json!({ "errors": null, "message": "not found", "url": format!("{url}/api/swagger") }))
    }

    /// An internal error, as Gitea reports it to anyone but a site's admin
    /// (go-gitea/gitea `services/context/api.go`).
    pub(super) fn internal(url: &str) -> Self {
        Self::error(url, 500, "")
    }
}

/// Redirects to the new place of an account or repository, formatted as by Go; the location is a path without a host.
pub(super) fn moved(request: &SandboxRequest, status: u16, before: &str, now: &str) -> SandboxReply {
    let path = request.path.replacen(before, now, 1);
    let target = if request.query_text.is_empty() { path } else { format!("{path}?{}", request.query_text) };
    if request.method != "GET" {
        return SandboxReply::redirect(status, &target);
    }
    let text = if status == 307 { "Temporary Redirect" } else { "Moved Permanently" };
    let link = format!("<a href=\"{}\">{text}</a>.\n\n", target.replace('&', "&amp;"));
    SandboxReply::html(status, &link).with("location", &target)
}
