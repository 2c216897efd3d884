//! Keeps what was rendered for whoever asks for the same, as long as nothing new is to be shown.

use crate::engine::snapshot::Snapshot;
use crate::http::health;
use crate::http::page;
use crate::http::page::query::Query;
use crate::mission::identity::MissionId;
use crate::mission::time::Timestamp;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The most that are kept; then the oldest is dropped.
pub const KEPT_MAX: usize = 64;

/// The most bytes of all that are kept.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The page of the fleet, as its query is understood.
    Fleet(Query),
    /// The page of one mission.
    Mission(MissionId),
    /// The health report.
    Health,
}

impl Page {
    fn render(self, snapshot: &Snapshot) -> Option<Bytes> {
        match self {
            Self::Fleet(query) => Some(page::fleet_of(snapshot, &query).into()),
            Self::Mission(id) => page::mission(snapshot, id).map(Bytes::from),
            Self::Health => health::document(snapshot).map(Bytes::from),
        }
    }
}

/// What was rendered of one snapshot, within one second: ages are told in seconds.
#[derive(Debug, Default)]
pub struct Kept {
    rendered: Mutex<Rendered>,
}

#[derive(Debug, Default)]
struct Rendered {
    /// As long as this is held, no other snapshot is at its address.
    of: Weak<Snapshot>,
    at: Option<Timestamp>,
    pages: VecDeque<(Page, Bytes)>,
    bytes: usize,
}

impl Kept {
    /// What was asked for, rendered at most once for each snapshot and second; none where there is no such thing. One is
    /// rendered at a time, and whoever asks meanwhile waits for it.
    pub fn show(&self, snapshot: &Arc<Snapshot>, now: Timestamp, asked: Page) -> Option<Bytes> {
        // A page that broke down left nothing behind.
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if rendered.of.as_ptr() != Arc::as_ptr(snapshot) || rendered.at != Some(now) {
            *rendered = Rendered { of: Arc::downgrade(snapshot), at: Some(now), ..Rendered::default() };
        }
        let found = rendered.pages.iter().find(|(known, _)| *known == asked);
        if let Some((_, page)) = found {
            return Some(page.clone());
        }
        let page = asked.render(snapshot)?;
        rendered.keep(asked, page.clone());
        Some(page)
    }
}

impl Rendered {
    fn keep(&mut self, asked: Page, page: Bytes) {
        self.bytes += page.len();
        self.pages.push_back((asked, page));
        while self.pages.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = self.pages.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }
}
