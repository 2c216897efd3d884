//! The issues of a repository, their labels and their comments.

use crate::mission::identity::RepositoryName;
use crate::mission::time::Timestamp;
use crate::world::forge::call::{Call, Page};
use crate::world::forge::connection::Connection;
use crate::world::forge::error::ForgeError;
use crate::world::forge::models::{Comment, ForgeLabel, Issue, ListedComment, TimelineEntry};
use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;

/// So many pages of a timeline are read since we spoke.
const TIMELINE_PAGES_MAX: u64 = 2_000;

/// So many lines of a timeline are kept.
const TIMELINE_KEPT_MAX: usize = 10_000;

/// Which issues a listing holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum IssueFilter {
    /// Open ones.
    Open,
    /// Closed ones.
    Closed,
    /// Both.
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

    /// Issues by pages, without pull requests, newest first.
    pub fn list(&self) -> IssueList {
        IssueList { issues: self.clone(), state: IssueFilter::Open, since: None, page: 1, limit: 50 }
    }

    /// One issue by its number; a pull request answers too.
    pub fn get(&self, number: i64) -> Call<Issue> {
        self.call(&[&number.to_string()], Call::get)
    }

    /// The labels on an issue.
    pub fn labels(&self, number: i64) -> Call<Vec<ForgeLabel>> {
        self.call(&[&number.to_string(), "labels"], Call::get)
    }

    /// Puts labels on an issue. The answer is the whole list afterwards: unknown ids are dropped without a word
    /// (go-gitea/gitea `routers/api/v1/repo/issue_label.go`), so compare.
    pub fn add_labels(&self, number: i64, ids: &[i64]) -> Call<Vec<ForgeLabel>> {
        let body = json!({ "labels": ids });
        self.call(&[&number.to_string(), "labels"], |c, path| Call::post(c, path, &body)).repeatable()
    }

    /// Makes these the labels of an issue, all others go.
    pub fn replace_labels(&self, number: i64, ids: &[i64]) -> Call<Vec<ForgeLabel>> {
        let body = json!({ "labels": ids });
        self.call(&[&number.to_string(), "labels"], |c, path| Call::put(c, path, &body))
    }

    /// Takes a label off an issue.
    pub fn remove_label(&self, number: i64, id: i64) -> Call<()> {
        self.call(&[&number.to_string(), "labels", &id.to_string()], Call::delete)
    }

    /// What `keep` makes of each comment of an issue, and how many comments there are. They come all at once: the forge
    /// ignores `page` and `limit` here. Where that is too much, the comments of the whole repository are read by pages. A
    /// missing issue answers 500 (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`), so ask only about issues that exist.
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
        // A comment bears no earlier time than its issue, but for what was committed late.
        let since = Timestamp::parse(&issue.created_at).map(|created| created.plus(-TimeDelta::minutes(2)));
        let feed = IssueFeed { issues: self.clone(), since };
        let kept = feed.sift(&|comment| if comment.number() == Some(number) { keep(comment) } else { None }).await?;
        Ok((kept, issue.comments))
    }

    /// The comments of the whole repository from then on. Deletions do not show.
    pub fn comments_since(&self, since: Timestamp) -> CommentFeed {
        CommentFeed { issues: self.clone(), since }
    }

    /// One comment by its id; none where there is none any more, or that is no comment.
    pub async fn comment(&self, id: i64) -> Result<Option<Comment>, ForgeError> {
        match self.call(&["comments", &id.to_string()], Call::<Comment>::get).send_if_any().await {
            Err(ForgeError::NotFound { .. }) => Ok(None),
            found => found,
        }
    }

    /// What `keep` makes of each line of an issue's timeline from then on. Its total is that of the page alone, so it is read
    /// until a page is empty (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
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

    /// Posts a comment. Never repeated blindly: look for it first.
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

/// A listing of issues, to be narrowed and sent.
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
    /// Open (the default), closed or all.
    pub fn state(mut self, state: IssueFilter) -> Self {
        self.state = state;
        self
    }

    /// Only those that the forge touched then or later (go-gitea/gitea `models/issues/issue_search.go`). Comments that are
    /// edited or deleted, and issues that are deleted, do not show.
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Which page, from 1.
    pub fn page(mut self, page: u64) -> Self {
        self.page = page;
        self
    }

    /// How many a page; the forge silently gives fewer than asked for when it is set to.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// One page.
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

/// The comments of a whole repository that were posted or edited since then, those of pull requests among them.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `all`"]
pub struct CommentFeed {
    issues: Issues,
    since: Timestamp,
}

impl CommentFeed {
    /// Oldest first, by when they were posted (go-gitea/gitea `models/issues/comment.go`). Without a page the forge would
    /// send all of them at once.
    pub(super) fn page(&self, page: u64, limit: u64) -> Call<Vec<ListedComment>> {
        let call = self.issues.call(&["comments"], Call::<Vec<ListedComment>>::get);
        call.query("since", self.since).query("page", page).query("limit", limit)
    }
}

/// The comments of a whole repository as they are, for those of one issue.
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
