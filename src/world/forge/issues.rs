//! Calls about the issues of a repository, their labels and comments.

use crate::mission::identity::RepositoryName;
use crate::mission::time::Timestamp;
use crate::world::forge::call::{Call, Page};
use crate::world::forge::connection::Connection;
use crate::world::forge::error::ForgeError;
use crate::world::forge::models::{Comment, ForgeLabel, Issue, ListedComment, TimelineEntry};
use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;

/// The most pages of a timeline that are read.
const TIMELINE_PAGES_MAX: u64 = 2_000;

/// The most timeline entries that are kept.
const TIMELINE_KEPT_MAX: usize = 10_000;

/// Which issues a listing holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum IssueFilter {
    /// Open issues.
    Open,
    /// Closed issues.
    Closed,
    /// Open and closed issues.
    All,
}

/// Calls about the issues of one repository.
#[derive(Clone, Debug)]
pub struct Issues {
    connection: Arc<Connection>,
    repository: RepositoryName,
}

impl Issues {
    pub(super) fn new(connection: &Arc<Connection>, repository: &RepositoryName) -> Self {
        Self { connection: Arc::clone(connection), repository: repository.clone() }
    }

    fn path(&self, rest: &[&str]) -> Vec<String> {
        let base = ["repos", self.repository.owner(), self.repository.name(), "issues"];
        base.iter().chain(rest).map(|&part| part.to_owned()).collect()
    }

    fn call<T>(&self, rest: &[&str], make: impl Fn(&Arc<Connection>, &[&str]) -> Call<T>) -> Call<T> {
        let path = self.path(rest);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        make(&self.connection, &path)
    }

    /// Lists issues by pages, without pull requests, newest first.
    pub fn list(&self) -> IssueList {
        IssueList { issues: self.clone(), state: IssueFilter::Open, since: None, page: 1, limit: 50 }
    }

    /// Gets one issue by its number; also answers for a pull request.
    pub fn get(&self, number: i64) -> Call<Issue> {
        self.call(&[&number.to_string()], Call::get)
    }

    /// Gets the labels of an issue.
    pub fn labels(&self, number: i64) -> Call<Vec<ForgeLabel>> {
        self.call(&[&number.to_string(), "labels"], Call::get)
    }

    /// Adds labels to an issue and returns the resulting list. Gitea silently drops unknown ids (go-gitea/gitea
    /// `routers/api/v1/repo/issue_label.go`), so compare it.
    pub fn add_labels(&self, number: i64, ids: &[i64]) -> Call<Vec<ForgeLabel>> {
        let body = json!({ "labels": ids });
        self.call(&[&number.to_string(), "labels"], |c, path| Call::post(c, path, &body)).repeatable()
    }

    /// Replaces all labels of an issue.
    pub fn replace_labels(&self, number: i64, ids: &[i64]) -> Call<Vec<ForgeLabel>> {
        let body = json!({ "labels": ids });
        self.call(&[&number.to_string(), "labels"], |c, path| Call::put(c, path, &body))
    }

    /// Removes a label from an issue.
    pub fn remove_label(&self, number: i64, id: i64) -> Call<()> {
        self.call(&[&number.to_string(), "labels", &id.to_string()], Call::delete)
    }

    /// Reduces each comment of an issue by `keep`, and counts them. Gitea ignores `page` and `limit` here and sends all
    /// comments; if the response is too large, the comments of the whole repository are read by pages. A missing issue
    /// answers 500 (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`), so request existing issues only.
    pub async fn comments<U: Send>(
        &self,
        number: i64,
        keep: &(impl Fn(&Comment) -> Option<U> + Sync),
    ) -> Result<(Vec<U>, i64), ForgeError> {
        let call = self.call(&[&number.to_string(), "comments"], Call::<Vec<Comment>>::get);
        match call.sift(&|comment: Comment| keep(&comment)).await {
            Ok(Page { items, count, .. }) => Ok((items, i64::try_from(count).unwrap_or(i64::MAX))),
            Err(ForgeError::TooLarge { .. }) => self.comments_by_pages(number, keep).await,
            Err(error) => Err(error),
        }
    }

    async fn comments_by_pages<U: Send>(
        &self,
        number: i64,
        keep: &(impl Fn(&Comment) -> Option<U> + Sync),
    ) -> Result<(Vec<U>, i64), ForgeError> {
        let issue = self.get(number).send().await?;
        // A comment is not older than its issue, except if it was committed late.
        let since = Timestamp::parse(&issue.created_at).map(|created| created.plus(-TimeDelta::minutes(2)));
        let feed = IssueFeed { issues: self.clone(), since };
        let kept = feed.sift(&|comment| if comment.number() == Some(number) { keep(comment) } else { None }).await?;
        Ok((kept, issue.comments))
    }

    /// Lists the comments of the whole repository since a time. Deletions do not show.
    pub fn comments_since(&self, since: Timestamp) -> CommentFeed {
        CommentFeed { issues: self.clone(), since }
    }

    /// Gets one comment by its id; none if it was deleted or is not a comment.
    pub async fn comment(&self, id: i64) -> Result<Option<Comment>, ForgeError> {
        match self.call(&["comments", &id.to_string()], Call::<Comment>::get).send_if_any().await {
            Err(ForgeError::NotFound { .. }) => Ok(None),
            found => found,
        }
    }

    /// Reduces each timeline entry of an issue since a time by `keep`. The total counts only one page, so pages are
    /// read until one is empty (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    pub async fn timeline<U: Send>(
        &self,
        number: i64,
        since: Option<Timestamp>,
        keep: &(impl Fn(TimelineEntry) -> Option<U> + Sync),
    ) -> Result<Vec<U>, ForgeError> {
        let mut entries = Vec::new();
        for page in 1..=TIMELINE_PAGES_MAX {
            let mut call = self.call(&[&number.to_string(), "timeline"], Call::<Vec<TimelineEntry>>::get);
            if let Some(since) = since {
                call = call.query("since", since);
            }
            let read = call.query("page", page).query("limit", 50).sift(keep).await?;
            if read.count == 0 {
                return Ok(entries);
            }
            entries.extend(read.items);
            if entries.len() > TIMELINE_KEPT_MAX {
                break;
            }
        }
        let tried = format!("the timeline of issue {number} of {}", self.repository);
        let problem = format!("it has more than {TIMELINE_PAGES_MAX} pages, or {TIMELINE_KEPT_MAX} changes of labels");
        let next = "longer timelines are not read: close the issue, and file the mission again".to_owned();
        Err(ForgeError::Protocol { tried, problem, next })
    }

    /// Posts a comment. Not retried blindly: look for it first.
    pub fn create_comment(&self, number: i64, body: &str) -> Call<Comment> {
        let body = json!({ "body": body });
        self.call(&[&number.to_string(), "comments"], |c, path| Call::post(c, path, &body))
    }

    /// Edits a comment.
    pub fn edit_comment(&self, id: i64, body: &str) -> Call<Comment> {
        let body = json!({ "body": body });
        self.call(&["comments", &id.to_string()], |c, path| Call::patch(c, path, &body))
    }

    /// Deletes a comment.
    pub fn delete_comment(&self, id: i64) -> Call<()> {
        self.call(&["comments", &id.to_string()], Call::delete)
    }
}

/// A listing of issues: filter it, then send it.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `send`"]
pub struct IssueList {
    issues: Issues,
    state: IssueFilter,
    since: Option<Timestamp>,
    page: u64,
    limit: u64,
}

impl IssueList {
    /// Filters by state; the default is open.
    pub fn state(mut self, state: IssueFilter) -> Self {
        self.state = state;
        self
    }

    /// Filters by `updated_at`, inclusive (go-gitea/gitea `models/issues/issue_search.go`). Edited or deleted comments
    /// and deleted issues do not show.
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// The page, from 1.
    pub fn page(mut self, page: u64) -> Self {
        self.page = page;
        self
    }

    /// The page size; the server silently enforces a smaller maximum.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Gets one page.
    pub async fn send(self) -> Result<Page<Issue>, ForgeError> {
        self.call().send_page().await
    }

    pub(super) fn call(self) -> Call<Vec<Issue>> {
        let call = self.issues.call(&[], Call::<Vec<Issue>>::get);
        let mut call = call.query("state", self.state).query("type", "issues");
        if let Some(since) = self.since {
            call = call.query("since", since);
        }
        call.query("page", self.page).query("limit", self.limit)
    }
}

/// Lists the comments of a whole repository posted or edited since a time, including those of pull requests.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `all`"]
pub struct CommentFeed {
    issues: Issues,
    since: Timestamp,
}

impl CommentFeed {
    /// Sorted by time of posting, oldest first (go-gitea/gitea `models/issues/comment.go`). Without a page Gitea would
    /// send all of them.
    pub(super) fn page(&self, page: u64, limit: u64) -> Call<Vec<ListedComment>> {
        let call = self.issues.call(&["comments"], Call::<Vec<ListedComment>>::get);
        call.query("since", self.since).query("page", page).query("limit", limit)
    }
}

/// Lists the comments of a whole repository, to find those of one issue.
#[derive(Clone, Debug)]
pub(super) struct IssueFeed {
    issues: Issues,
    since: Option<Timestamp>,
}

impl IssueFeed {
    pub(super) fn page(&self, page: u64, limit: u64) -> Call<Vec<Comment>> {
        let mut call = self.issues.call(&["comments"], Call::<Vec<Comment>>::get);
        if let Some(since) = self.since {
            call = call.query("since", since);
        }
        call.query("page", page).query("limit", limit)
    }
}
