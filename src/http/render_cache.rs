//! Caches rendered pages per snapshot and second, bounded in number and bytes.

use crate::engine::snapshot::Snapshot;
use crate::http::health;
use crate::http::page;
use crate::http::page::query::Query;
use crate::mission::identity::MissionId;
use crate::mission::time::Timestamp;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The most cached pages; one more evicts the oldest.
pub const PAGES_MAX: usize = 64;

/// The most bytes of all cached pages.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A page that can be rendered; the key of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKey {
    /// The fleet page, by its parsed query.
    Fleet(Query),
    /// A mission page.
    Mission(MissionId),
    /// The health report as JSON.
    Health,
}

impl PageKey {
    fn render(self, snapshot: &Snapshot) -> Option<Bytes> {
        match self {
            Self::Fleet(query) => Some(page::fleet_of(snapshot, &query).into()),
            Self::Mission(id) => page::mission(snapshot, id).map(Bytes::from),
            Self::Health => health::document(snapshot).map(Bytes::from),
        }
    }
}

/// Pages rendered from one snapshot within one second: pages show ages in seconds.
#[derive(Debug, Default)]
pub struct RenderCache {
    rendered: Mutex<Rendered>,
}

#[derive(Debug, Default)]
struct Rendered {
    /// A weak reference keeps the allocation, so no other snapshot gets the same address.
    of: Weak<Snapshot>,
    at: Option<Timestamp>,
    pages: VecDeque<(PageKey, Bytes)>,
    bytes: usize,
}

impl RenderCache {
    /// A page, rendered at most once per snapshot and second; none if it does not exist. Pages are rendered one at a
    /// time; concurrent requests wait.
    pub fn get_or_render(&self, snapshot: &Arc<Snapshot>, now: Timestamp, requested: PageKey) -> Option<Bytes> {
        // A panic while rendering leaves the cache unchanged, so a poisoned lock is safe to use.
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if rendered.of.as_ptr() != Arc::as_ptr(snapshot) || rendered.at != Some(now) {
            *rendered = Rendered { of: Arc::downgrade(snapshot), at: Some(now), ..Rendered::default() };
        }
        let found = rendered.pages.iter().find(|(known, _)| *known == requested);
        if let Some((_, page)) = found {
            return Some(page.clone());
        }
        let page = requested.render(snapshot)?;
        rendered.insert(requested, page.clone());
        Some(page)
    }
}

impl Rendered {
    fn insert(&mut self, key: PageKey, page: Bytes) {
        self.bytes += page.len();
        self.pages.push_back((key, page));
        while self.pages.len() > PAGES_MAX || self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.pages.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }
}
