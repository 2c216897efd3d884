//! Reads a listing to its end and knows whether it has seen everything.

use crate::mission::time::Timestamp;
use crate::world::gitea::call::Call;
use crate::world::gitea::error::ForgeError;
use crate::world::gitea::issues::{CommentFeed, IssueList};
use crate::world::gitea::models::{Issue, ListedComment};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// As many issues a page as a forge gives by default (`MAX_RESPONSE_ITEMS`, go-gitea/gitea `modules/setting/api.go`).
const PAGE_SIZE: u64 = 50;

/// The most issues that one listing reads.
const ISSUES_MAX: u64 = 100_000;

/// The most comments that one listing reads.
const COMMENTS_MAX: u64 = 10_000;

/// How often a listing that changed while it was read is read again.
const WALKS_MAX: usize = 3;

/// All issues of one repository in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Without duplicates and without pull requests, by id.
    pub issues: Vec<Issue>,
    /// What could not be read, in words; while there is any, no issue may be called gone.
    pub skipped: Vec<String>,
    /// Whether as many issues were seen as the forge says there are.
    pub is_complete: bool,
    /// What the forge's clock said when it answered first.
    pub begun_at: Option<Timestamp>,
}

/// Comments of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommentListing {
    /// Without duplicates, by id.
    pub comments: Vec<ListedComment>,
    /// Whether as many comments were seen as the forge says there are, or as could be read.
    pub is_complete: bool,
    /// Whether there were more than one listing reads.
    pub has_more: bool,
    /// What the forge's clock said when it answered first.
    pub begun_at: Option<Timestamp>,
}

/// What a forge lists by pages.
pub(super) trait Paged: Clone + Send + 'static {
    /// What stands on a page.
    type Item: DeserializeOwned + Listed + Send + 'static;

    /// The call for one page of so many, which count from 1.
    fn page_of(&self, page: u64, size: u64) -> Call<Vec<Self::Item>>;
}

/// What stands on a page of a listing.
pub(super) trait Listed {
    /// What it is called in words.
    const WHAT: &str;
    /// The most that one listing reads.
    const MAX: u64;

    /// Unique on the forge; 0 for one that the forge could not load.
    fn id(&self) -> i64;
}

impl Paged for IssueList {
    type Item = Issue;

    fn page_of(&self, page: u64, size: u64) -> Call<Vec<Issue>> {
        self.clone().limit(size).page(page).call()
    }
}

impl Listed for Issue {
    const WHAT: &str = "an issue";
    const MAX: u64 = ISSUES_MAX;

    fn id(&self) -> i64 {
        self.id
    }
}

impl Paged for CommentFeed {
    type Item = ListedComment;

    fn page_of(&self, page: u64, size: u64) -> Call<Vec<ListedComment>> {
        self.page(page, size)
    }
}

impl Listed for ListedComment {
    const WHAT: &str = "a comment";
    const MAX: u64 = COMMENTS_MAX;

    fn id(&self) -> i64 {
        self.id
    }
}

impl IssueList {
    /// Every page. A listing is complete only when one walk over its pages has seen as many ids as `X-Total-Count` ever
    /// said meanwhile: an issue that leaves while pages are read pulls another one over the edge between them, and a
    /// page shorter than asked for is no sign of the end.
    pub async fn all(self) -> Result<Listing, ForgeError> {
        let mut page_size = PAGE_SIZE;
        let mut seen = BTreeMap::new();
        let mut begun_at = None;
        for _ in 1..WALKS_MAX {
            let walk = Walk::over(&self, page_size).await?;
            begun_at = begun_at.or(walk.begun_at);
            if walk.is_complete() {
                return Ok(Listing { begun_at, ..Listing::from(walk) });
            }
            page_size = walk.page_size;
            seen.extend(walk.seen);
        }
        let mut last = Walk::over(&self, page_size).await?;
        let is_complete = last.is_complete();
        if !is_complete {
            seen.extend(last.seen);
            last.seen = seen;
        }
        Ok(Listing { is_complete, begun_at, ..Listing::from(last) })
    }
}

impl CommentFeed {
    /// Every page, once: what slips over the edge between two pages is read with the next listing, which begins before
    /// this one.
    pub async fn all(self) -> Result<CommentListing, ForgeError> {
        let walk = Walk::over(&self, PAGE_SIZE).await?;
        let (has_more, is_complete) = (walk.total > COMMENTS_MAX, walk.is_complete());
        let (comments, begun_at) = (walk.seen.into_values().collect(), walk.begun_at);
        Ok(CommentListing { comments, is_complete, has_more, begun_at })
    }
}

struct Walk<T> {
    page_size: u64,
    seen: BTreeMap<i64, T>,
    skipped: Vec<String>,
    /// The most that any answer said.
    total: u64,
    begun_at: Option<Timestamp>,
}

/// What stands at some positions of the listing, which count from 0.
struct Stretch<T> {
    items: Vec<T>,
    skipped: Vec<String>,
    /// How many positions there are, where an answer said so.
    total: Option<u64>,
    /// The page size that the forge enforces, if it gave fewer than asked for and there are more.
    clamped: Option<u64>,
    date: Option<Timestamp>,
}

impl<T> Default for Stretch<T> {
    fn default() -> Self {
        Self { items: Vec::new(), skipped: Vec::new(), total: None, clamped: None, date: None }
    }
}

impl<T: Listed + Send + 'static> Walk<T> {
    /// The first page alone, since it tells how many there are; then all others side by side.
    async fn over(list: &impl Paged<Item = T>, page_size: u64) -> Result<Self, ForgeError> {
        let mut walk = Self { page_size, seen: BTreeMap::new(), skipped: Vec::new(), total: 0, begun_at: None };
        let first = read(list.clone(), 0, page_size).await?;
        walk.begun_at = first.date;
        // What was read stays; the rest is read by pages of the size that the forge really gives.
        walk.page_size = walk.take(first).unwrap_or(page_size);
        let mut under_way = JoinSet::new();
        let mut at = walk.page_size;
        while at < walk.total.min(T::MAX) {
            under_way.spawn(read(list.clone(), at, walk.page_size));
            at += walk.page_size;
        }
        while let Some(stretch) = under_way.join_next().await {
            let stretch = stretch.expect("reading a page never panics")?;
            walk.take(stretch);
        }
        Ok(walk)
    }

    fn is_complete(&self) -> bool {
        (self.seen.len() + self.skipped.len()) as u64 >= self.total
    }

    fn take(&mut self, stretch: Stretch<T>) -> Option<u64> {
        let Stretch { items, skipped, total, clamped, date: _ } = stretch;
        self.total = self.total.max(total.unwrap_or_default());
        self.skipped.extend(skipped);
        self.seen.extend(items.into_iter().map(|item| (item.id(), item)));
        clamped
    }
}

impl From<Walk<Issue>> for Listing {
    fn from(walk: Walk<Issue>) -> Self {
        let is_complete = walk.is_complete();
        let issues = walk.seen.into_values().filter(|issue| issue.pull_request.is_none()).collect();
        Self { issues, skipped: walk.skipped, is_complete, begun_at: walk.begun_at }
    }
}

/// Reads one page; where it is too large for us, the smaller pages that make it up, down to single issues.
async fn read<L: Paged>(list: L, at: u64, size: u64) -> Result<Stretch<L::Item>, ForgeError> {
    match list.page_of(at / size + 1, size).send_page().await {
        Ok(page) => {
            let count = page.items.len() as u64;
            let total = page.total.unwrap_or(at + count);
            let clamped = (count > 0 && count < size && at + count < total).then_some(count);
            let (items, unloaded): (Vec<_>, Vec<_>) = page.items.into_iter().partition(|item| item.id() != 0);
            let skipped = unloaded.iter().map(|_| format!("the forge could not load {}", L::Item::WHAT)).collect();
            Ok(Stretch { items, skipped, total: Some(total), clamped, date: page.date })
        }
        Err(ForgeError::TooLarge { .. }) if size > 1 => read_in_parts(list, at, size).await,
        Err(error @ ForgeError::TooLarge { .. }) => {
            let skipped = vec![format!("{} is too large: {error}", L::Item::WHAT)];
            Ok(Stretch { skipped, ..Stretch::default() })
        }
        Err(error) => Err(error),
    }
}

async fn read_in_parts<L: Paged>(list: L, at: u64, size: u64) -> Result<Stretch<L::Item>, ForgeError> {
    let smaller = size / smallest_divisor(size);
    let mut whole = Stretch::default();
    let mut from = at;
    while from < at + size && whole.total.is_none_or(|total| from < total) {
        let part = Box::pin(read(list.clone(), from, smaller)).await?;
        whole.items.extend(part.items);
        whole.skipped.extend(part.skipped);
        whole.clamped = whole.clamped.or(part.clamped);
        whole.total = part.total.or(whole.total);
        whole.date = whole.date.or(part.date);
        from += smaller;
    }
    Ok(whole)
}

fn smallest_divisor(size: u64) -> u64 {
    (2..=size).find(|divisor| size.is_multiple_of(*divisor)).unwrap_or(size)
}
