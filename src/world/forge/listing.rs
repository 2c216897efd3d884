//! Reads a paged listing to its end and checks that it is complete.

use crate::mission::time::Timestamp;
use crate::world::forge::call::{Call, Page};
use crate::world::forge::error::ForgeError;
use crate::world::forge::held::{COMMENTS_MAX, Held, ISSUE_COMMENTS_MAX, Listed};
use crate::world::forge::issues::{CommentFeed, IssueFeed, IssueList};
use crate::world::forge::models::{Comment, Issue, ListedComment};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The default page size of Gitea (`MAX_RESPONSE_ITEMS`, go-gitea/gitea `modules/setting/api.go`).
const PAGE_SIZE: u64 = 50;

/// The number of pages that are requested ahead.
const PAGES_AHEAD: usize = 4;

/// The most bytes that all listed issues of a pass may occupy; shared by its repositories.
pub const HELD_BYTES_MAX: usize = 24 * 1024 * 1024;

/// How often a listing that changes while it is read is read again.
const WALKS_MAX: usize = 3;

/// The issues of one repository in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The wanted issues by id, without duplicates and pull requests.
    pub issues: Vec<Issue>,
    /// The ids of all issues seen, wanted or not.
    pub seen: BTreeSet<i64>,
    /// The numbers of wanted issues that exceeded the memory limit.
    pub left_out: Vec<i64>,
    /// What could not be read, in words; while there is any, that an issue is not in the listing says nothing.
    pub skipped: Vec<String>,
    /// Whether all issues that Gitea counts were seen.
    pub is_complete: bool,
    /// The time of the first response by the server's clock.
    pub begun_at: Option<Timestamp>,
}

/// The comments of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommentListing {
    /// The comments by id, without duplicates.
    pub comments: Vec<ListedComment>,
    /// Whether all comments that Gitea counts, or that one listing may read, were seen.
    pub is_complete: bool,
    /// Whether there are more than one listing reads.
    pub has_more: bool,
    /// The time of the first response by the server's clock.
    pub begun_at: Option<Timestamp>,
}

/// Which issues of a listing are kept, and how much memory they may occupy.
#[derive(Clone)]
pub struct ListingFilter {
    /// Whether an issue is wanted; others are dropped once they are parsed.
    pub is_wanted: Arc<dyn Fn(&Issue) -> bool + Send + Sync>,
    /// The memory limit in bytes.
    pub bytes_max: usize,
}

/// A paged listing.
pub(super) trait Paged: Clone + Send + 'static {
    /// The items of a page.
    type Item: DeserializeOwned + Listed + Send + 'static;

    /// The call for one page; pages count from 1.
    fn page_of(&self, page: u64, size: u64) -> Call<Vec<Self::Item>>;
}

impl Paged for IssueList {
    type Item = Issue;

    fn page_of(&self, page: u64, size: u64) -> Call<Vec<Issue>> {
        self.clone().limit(size).page(page).call()
    }
}

impl Paged for CommentFeed {
    type Item = ListedComment;

    fn page_of(&self, page: u64, size: u64) -> Call<Vec<ListedComment>> {
        self.page(page, size)
    }
}

impl Paged for IssueFeed {
    type Item = Comment;

    fn page_of(&self, page: u64, size: u64) -> Call<Vec<Comment>> {
        self.page(page, size)
    }
}

impl IssueList {
    /// Reads every page. A listing is complete only if one walk has seen as many ids as the largest `X-Total-Count`: an
    /// issue that leaves the listing meanwhile moves another one across a page boundary, and a short page does not mark
    /// the end.
    pub async fn all(self, wanted: ListingFilter) -> Result<Listing, ForgeError> {
        let ListingFilter { is_wanted, bytes_max } = wanted;
        let mut page_size = PAGE_SIZE;
        let mut before: Option<Held<Issue>> = None;
        let mut begun_at = None;
        for walked in 1..=WALKS_MAX {
            let walk = Walk::over(&self, page_size, &is_wanted, bytes_max).await?;
            begun_at = begun_at.or(walk.begun_at);
            let is_complete = walk.is_complete();
            page_size = walk.page_size;
            let Walk { mut held, skipped, .. } = walk;
            if !is_complete && let Some(before) = before {
                held.absorb(before);
            }
            if is_complete || walked == WALKS_MAX {
                return Ok(Listing { skipped, is_complete, begun_at, ..Listing::from(held) });
            }
            before = Some(held);
        }
        Ok(Listing::default())
    }
}

impl From<Held<Issue>> for Listing {
    fn from(held: Held<Issue>) -> Self {
        let Held { kept, seen, left_out, .. } = held;
        let issues = kept.into_values().filter(|issue| issue.pull_request.is_none()).collect();
        let left_out = left_out.into_values().collect();
        Self { issues, seen, left_out, ..Self::default() }
    }
}

impl CommentFeed {
    /// Reads every page once: an item that moves across a page boundary is read by the next listing, whose `since` is
    /// before the start of this one.
    pub async fn all(self) -> Result<CommentListing, ForgeError> {
        let walk = Walk::over(&self, PAGE_SIZE, &every(), HELD_BYTES_MAX).await?;
        let has_more =
            walk.total.is_none_or(|total| total > COMMENTS_MAX) && walk.held.seen.len() as u64 >= COMMENTS_MAX;
        let has_more = has_more || !walk.held.left_out.is_empty();
        let (is_complete, begun_at) = (walk.is_complete(), walk.begun_at);
        Ok(CommentListing { comments: walk.held.kept.into_values().collect(), is_complete, has_more, begun_at })
    }
}

impl IssueFeed {
    /// Reduces each comment by `keep`; comments of ours are never too large to be read.
    pub(super) async fn sift<U: Send>(
        self,
        keep: &(impl Fn(&Comment) -> Option<U> + Sync),
    ) -> Result<Vec<U>, ForgeError> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            let read = read(self.clone(), every(), at, PAGE_SIZE).await?;
            at += PAGE_SIZE;
            let is_end = read.count == 0 && read.skipped.is_empty();
            found.extend(read.items.iter().filter_map(keep));
            if is_end || read.total.is_some_and(|total| at >= total) {
                return Ok(found);
            }
            if at >= ISSUE_COMMENTS_MAX {
                let tried = "the comments of the repository since the issue was filed".to_owned();
                let problem = format!("there are more than {ISSUE_COMMENTS_MAX}");
                let next = "no more are read: close the issue, and file the mission again".to_owned();
                return Err(ForgeError::Protocol { tried, problem, next });
            }
        }
    }
}

type Keep<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

fn every<T>() -> Keep<T> {
    Arc::new(|_| true)
}

struct Walk<T> {
    page_size: u64,
    held: Held<T>,
    skipped: Vec<String>,
    /// The largest total of all responses; none if a response has none, or sends more than its total.
    total: Option<u64>,
    /// Whether an empty page was seen.
    has_ended: bool,
    begun_at: Option<Timestamp>,
}

/// The items of a range of positions, which count from 0.
struct Stretch<T> {
    /// The wanted items.
    items: Vec<T>,
    /// The ids of all items.
    ids: Vec<i64>,
    count: u64,
    skipped: Vec<String>,
    /// The total, if the response has one.
    total: Option<u64>,
    /// The enforced page size, if the server sent fewer items than requested and there are more.
    clamped: Option<u64>,
    date: Option<Timestamp>,
}

impl<T> Default for Stretch<T> {
    fn default() -> Self {
        let (items, ids, skipped) = Default::default();
        Self { items, ids, count: 0, skipped, total: None, clamped: None, date: None }
    }
}

impl<T: Listed + Send + 'static> Walk<T> {
    /// Reads the first page alone, since it has the total; then a few pages concurrently, as they are consumed.
    async fn over(
        list: &impl Paged<Item = T>,
        page_size: u64,
        keep: &Keep<T>,
        bytes_max: usize,
    ) -> Result<Self, ForgeError> {
        let (held, skipped) = (Held::new(bytes_max), Vec::new());
        let mut walk = Self { page_size, held, skipped, total: None, has_ended: false, begun_at: None };
        let first = read(list.clone(), Arc::clone(keep), 0, page_size).await?;
        walk.begun_at = first.date;
        walk.total = first.total;
        // What was read stays; the rest is read with the enforced page size.
        walk.page_size = walk.take(first).unwrap_or(page_size);
        let mut under_way = JoinSet::new();
        let mut at = walk.page_size;
        loop {
            while under_way.len() < PAGES_AHEAD && !walk.has_ended && at < walk.total.unwrap_or(T::MAX).min(T::MAX) {
                under_way.spawn(read(list.clone(), Arc::clone(keep), at, walk.page_size));
                at += walk.page_size;
            }
            let Some(stretch) = under_way.join_next().await else { return Ok(walk) };
            let stretch = stretch.expect("reading a page never panics")?;
            walk.take(stretch);
        }
    }

    fn is_complete(&self) -> bool {
        let seen = (self.held.seen.len() + self.skipped.len()) as u64;
        self.total.map_or(self.has_ended, |total| seen >= total)
    }

    fn take(&mut self, stretch: Stretch<T>) -> Option<u64> {
        let Stretch { items, ids, count, skipped, total, clamped, date: _ } = stretch;
        self.has_ended |= count == 0 && skipped.is_empty();
        self.total = match total {
            Some(total) => self.total.map(|known| known.max(total)),
            // A total that was too small once is ignored from then on.
            None if !ids.is_empty() => None,
            None => self.total,
        };
        self.skipped.extend(skipped);
        self.held.seen.extend(ids);
        for item in items {
            self.held.hold(item);
        }
        clamped
    }
}

/// Reads one page; if it is too large, the smaller pages that make it up, down to single items.
async fn read<L: Paged>(list: L, keep: Keep<L::Item>, at: u64, size: u64) -> Result<Stretch<L::Item>, ForgeError> {
    let sift = |item: L::Item| Some((item.id(), Some(item).filter(|item| item.id() != 0 && keep(item))));
    match list.page_of(at / size + 1, size).sift(&sift).await {
        Ok(Page { items: read, count, total, date }) => {
            let is_last = |total: u64| at + count >= total;
            let total = total.filter(|total| *total >= at + count || count == 0);
            let clamped = (count > 0 && count < size && !total.is_some_and(is_last)).then_some(count);
            let mut stretch = Stretch { count, total, clamped, date, ..Stretch::default() };
            for (id, item) in read {
                if id == 0 {
                    stretch.skipped.push(format!("Gitea could not load {}", L::Item::WHAT));
                } else {
                    stretch.ids.push(id);
                    stretch.items.extend(item);
                }
            }
            Ok(stretch)
        }
        Err(ForgeError::TooLarge { .. }) if size > 1 => read_in_parts(list, keep, at, size).await,
        Err(error @ ForgeError::TooLarge { .. }) => {
            let skipped = vec![format!("{} is too large: {error}", L::Item::WHAT)];
            Ok(Stretch { skipped, count: 1, ..Stretch::default() })
        }
        Err(error) => Err(error),
    }
}

async fn read_in_parts<L: Paged>(
    list: L,
    keep: Keep<L::Item>,
    at: u64,
    size: u64,
) -> Result<Stretch<L::Item>, ForgeError> {
    let smaller = size / smallest_divisor(size);
    let mut whole = Stretch::default();
    let mut from = at;
    while from < at + size && whole.total.is_none_or(|total| from < total) {
        let part = Box::pin(read(list.clone(), Arc::clone(&keep), from, smaller)).await?;
        whole.items.extend(part.items);
        whole.ids.extend(part.ids);
        whole.skipped.extend(part.skipped);
        whole.count += part.count;
        whole.clamped = whole.clamped.or(part.clamped);
        whole.total = part.total.or(whole.total);
        whole.date = whole.date.or(part.date);
        if part.count == 0 {
            break;
        }
        from += smaller;
    }
    Ok(whole)
}

fn smallest_divisor(size: u64) -> u64 {
    (2..=size).find(|divisor| size.is_multiple_of(*divisor)).unwrap_or(size)
}
