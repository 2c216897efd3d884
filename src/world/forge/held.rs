//! Holds listed items in bounded memory.

use crate::world::forge::models::{Comment, ForgeLabel, Issue, ListedComment, User};
use std::collections::{BTreeMap, BTreeSet};

/// The most issues that one listing reads.
pub(super) const ISSUES_MAX: u64 = 100_000;

/// The most comments that one listing of changed comments reads.
pub(super) const COMMENTS_MAX: u64 = 10_000;

/// The most comments of a repository that are read to find ours on one issue.
pub(super) const ISSUE_COMMENTS_MAX: u64 = 100_000;

/// An item of a paged listing.
pub(super) trait Listed {
    /// Its name in messages.
    const WHAT: &str;
    /// The most items that one listing reads.
    const MAX: u64;

    /// The id on the server; 0 for an item that Gitea could not load.
    fn id(&self) -> i64;

    /// The number in messages; for a comment its id.
    fn number(&self) -> i64 {
        self.id()
    }

    /// The approximate size in memory, in bytes.
    fn bytes(&self) -> usize;
}

impl Listed for Issue {
    const WHAT: &str = "an issue";
    const MAX: u64 = ISSUES_MAX;

    fn id(&self) -> i64 {
        self.id
    }

    fn number(&self) -> i64 {
        self.number
    }

    fn bytes(&self) -> usize {
        let of_label = |label: &ForgeLabel| size_of::<ForgeLabel>() + label.name.len() + label.description.len();
        let labels: usize = self.labels.iter().map(of_label).sum();
        let texts = [&self.title, &self.body, &self.html_url, &self.state, &self.created_at, &self.updated_at];
        size_of::<Self>() + labels + login_bytes(self.user.as_ref()) + texts.into_iter().map(String::len).sum::<usize>()
    }
}

impl Listed for ListedComment {
    const WHAT: &str = "a comment";
    const MAX: u64 = COMMENTS_MAX;

    fn id(&self) -> i64 {
        self.id
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.issue_url.len()
            + self.text.sha256.len()
            + self.updated_at.len()
            + login_bytes(self.user.as_ref())
    }
}

impl Listed for Comment {
    const WHAT: &str = "a comment";
    const MAX: u64 = ISSUE_COMMENTS_MAX;

    fn id(&self) -> i64 {
        self.id
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.issue_url.len()
            + self.body.len()
            + self.updated_at.len()
            + login_bytes(self.user.as_ref())
    }
}

fn login_bytes(user: Option<&User>) -> usize {
    user.map_or(0, |user| user.login.len())
}

/// The items of a listing within a memory limit; the largest are dropped first.
pub(super) struct Held<T> {
    bytes_max: usize,
    bytes: usize,
    /// The kept items by id.
    pub(super) kept: BTreeMap<i64, T>,
    by_size: BTreeSet<(usize, i64)>,
    /// The ids of all items seen.
    pub(super) seen: BTreeSet<i64>,
    /// The dropped items: id and number.
    pub(super) left_out: BTreeMap<i64, i64>,
}

impl<T: Listed> Held<T> {
    pub(super) fn new(bytes_max: usize) -> Self {
        let (kept, by_size, seen, left_out) = Default::default();
        Self { bytes_max, bytes: 0, kept, by_size, seen, left_out }
    }

    /// Adds an item, and drops the largest while the limit is exceeded.
    pub(super) fn hold(&mut self, item: T) {
        let (id, bytes) = (item.id(), item.bytes());
        if self.left_out.contains_key(&id) {
            return;
        }
        if let Some(before) = self.kept.insert(id, item) {
            self.by_size.remove(&(before.bytes(), id));
            self.bytes -= before.bytes();
        }
        self.by_size.insert((bytes, id));
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let Some((bytes, id)) = self.by_size.pop_last() else { break };
            self.bytes -= bytes;
            self.left_out.extend(self.kept.remove(&id).map(|item| (id, item.number())));
        }
    }

    /// Adds what an earlier walk has seen and this one has not.
    pub(super) fn absorb(&mut self, before: Self) {
        for (id, item) in before.kept {
            if !self.kept.contains_key(&id) {
                self.hold(item);
            }
        }
        self.seen.extend(before.seen);
        self.left_out.extend(before.left_out.into_iter().filter(|(id, _)| !self.kept.contains_key(id)));
    }
}
