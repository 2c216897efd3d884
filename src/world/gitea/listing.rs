//! Reads a listing to its end and knows whether it has seen everything.

use crate::mission::time::Timestamp;
use crate::world::gitea::error::ForgeError;
use crate::world::gitea::issues::IssueList;
use crate::world::gitea::models::Issue;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// As many issues a page as a forge gives by default (`MAX_RESPONSE_ITEMS`, go-gitea/gitea `modules/setting/api.go`).
const PAGE_SIZE: u64 = 50;

/// The most issues that one listing reads.
const ISSUES_MAX: u64 = 100_000;

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
                return Ok(Listing { begun_at, ..walk.into_listing() });
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
        Ok(Listing { is_complete, begun_at, ..last.into_listing() })
    }
}

struct Walk {
    page_size: u64,
    seen: BTreeMap<i64, Issue>,
    skipped: Vec<String>,
    /// The most that any answer said.
    total: u64,
    begun_at: Option<Timestamp>,
}

/// What stands at some positions of the listing, which count from 0.
struct Stretch {
    issues: Vec<Issue>,
    skipped: Vec<String>,
    /// How many positions there are, where an answer said so.
    total: Option<u64>,
    /// The page size that the forge enforces, if it gave fewer than asked for and there are more.
    clamped: Option<u64>,
    date: Option<Timestamp>,
}

impl Walk {
    /// The first page alone, since it tells how many there are; then all others side by side.
    async fn over(list: &IssueList, page_size: u64) -> Result<Self, ForgeError> {
        let mut walk = Self { page_size, seen: BTreeMap::new(), skipped: Vec::new(), total: 0, begun_at: None };
        let first = read(list.clone(), 0, page_size).await?;
        walk.begun_at = first.date;
        // What was read stays; the rest is read by pages of the size that the forge really gives.
        walk.page_size = walk.take(first).unwrap_or(page_size);
        let mut under_way = JoinSet::new();
        let mut at = walk.page_size;
        while at < walk.total.min(ISSUES_MAX) {
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

    fn into_listing(self) -> Listing {
        let is_complete = self.is_complete();
        let issues = self.seen.into_values().filter(|issue| issue.pull_request.is_none()).collect();
        Listing { issues, skipped: self.skipped, is_complete, begun_at: self.begun_at }
    }

    fn take(&mut self, stretch: Stretch) -> Option<u64> {
        let Stretch { issues, skipped, total, clamped, date: _ } = stretch;
        self.total = self.total.max(total.unwrap_or_default());
        self.skipped.extend(skipped);
        self.seen.extend(issues.into_iter().map(|issue| (issue.id, issue)));
        clamped
    }
}

/// Reads one page; where it is too large for us, the smaller pages that make it up, down to single issues.
async fn read(list: IssueList, at: u64, size: u64) -> Result<Stretch, ForgeError> {
    match list.clone().limit(size).page(at / size + 1).send().await {
        Ok(page) => {
            let count = page.items.len() as u64;
            let total = page.total.unwrap_or(at + count);
            let clamped = (count > 0 && count < size && at + count < total).then_some(count);
            let (issues, unloaded): (Vec<_>, Vec<_>) = page.items.into_iter().partition(|issue| issue.id != 0);
            let skipped = unloaded.iter().map(|_| "the forge could not load an issue".to_owned()).collect();
            Ok(Stretch { issues, skipped, total: Some(total), clamped, date: page.date })
        }
        Err(ForgeError::TooLarge { .. }) if size > 1 => read_in_parts(list, at, size).await,
        Err(error @ ForgeError::TooLarge { .. }) => {
            let skipped = vec![format!("an issue is too large: {error}")];
            Ok(Stretch { issues: Vec::new(), skipped, total: None, clamped: None, date: None })
        }
        Err(error) => Err(error),
    }
}

async fn read_in_parts(list: IssueList, at: u64, size: u64) -> Result<Stretch, ForgeError> {
    let smaller = size / smallest_divisor(size);
    let mut whole = Stretch { issues: Vec::new(), skipped: Vec::new(), total: None, clamped: None, date: None };
    let mut from = at;
    while from < at + size && whole.total.is_none_or(|total| from < total) {
        let part = Box::pin(read(list.clone(), from, smaller)).await?;
        whole.issues.extend(part.issues);
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
