//! Lists, files, reads, edits, closes, locks and deletes issues.

use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::{NewIssue, SandboxIssue, What};
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::state::Right;
use chrono::{DateTime, Datelike, FixedOffset, NaiveTime, Utc};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct ApiIssue {
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    labels: Vec<i64>,
    due_date: Option<DateTime<FixedOffset>>,
}

#[derive(Deserialize)]
struct IssueEdit {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
    due_date: Option<DateTime<FixedOffset>>,
    unset_due_date: Option<bool>,
}

pub(super) fn route(context: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (context.request.method.as_str(), rest) {
        ("GET", []) => list(context),
        ("POST", []) => create(context),
        ("GET", [number]) => shown(context, number, 200),
        ("PATCH", [number]) => edit(context, number),
        ("DELETE", [number]) => delete(context, number),
        ("PUT", [number, "lock"]) => {
            context.require(Right::Write, "write permission is required")?;
            context.issue_mut(number)?.is_locked = true;
            Ok(SandboxReply::empty(204))
        }
        _ => Err(context.not_found()),
    }
}

/// Newest first; a page past the end is empty.
fn list(context: &RepoRequest<'_>) -> Handled {
    let mut issues = filtered(context)?;
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.id));
    let (size, page) = (context.request.page_size(), context.request.number("page").unwrap_or(1).max(1));
    let total = issues.len();
    let shown = issues.into_iter().skip((page - 1) * size).take(size);
    let json: Value = shown.map(|issue| context.state.issue_json(context.repository(), issue)).collect();
    let reply = SandboxReply::json(200, &json).with("x-total-count", &total.to_string());
    Ok(if page * size < total { reply.with("link", &next_link(context, page + 1)) } else { reply })
}

fn filtered<'a>(context: &'a RepoRequest<'_>) -> Result<Vec<&'a SandboxIssue>, SandboxReply> {
    let request = context.request;
    let (state, kind) = (request.query("state").unwrap_or("open"), request.query("type"));
    let period = context.period()?;
    let labels = known_labels(context, request.query("labels").unwrap_or_default());
    let is_wanted = |issue: &&SandboxIssue| {
        let of_state = match state {
            "closed" => issue.closed.is_some(),
            "all" => true,
            _ => issue.closed.is_none(),
        };
        let of_kind = match kind {
            Some("issues") => !issue.is_pull,
            Some("pulls") => issue.is_pull,
            _ => true,
        };
        of_state && of_kind && period.has(issue.updated) && labels.iter().all(|id| issue.labels.contains(id))
    };
    Ok(context.repository().issues.iter().filter(is_wanted).collect())
}

/// Unknown names are dropped from the filter, which may leave it empty (go-gitea/gitea `routers/api/v1/repo/issue.go`).
fn known_labels(context: &RepoRequest<'_>, names: &str) -> Vec<i64> {
    let names: Vec<&str> = names.split(',').collect();
    let known = context.repository().labels.iter();
    known.filter(|label| names.contains(&label.name.as_str())).map(|label| label.id).collect()
}

fn next_link(context: &RepoRequest<'_>, page: usize) -> String {
    let mut query = context.request.query.clone();
    query.insert("page".to_owned(), page.to_string());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
    format!("<{}{}?{query}>; rel=\"next\"", context.state.url, context.request.path)
}

/// Without write access, requested labels and due dates are silently dropped, and the response is still 201.
fn create(context: &mut RepoRequest<'_>) -> Handled {
    let ApiIssue { title, body, labels, due_date } = context.body()?;
    context.require_not_archived()?;
    if title.is_empty() {
        return Err(context.error(422, "[Title]: Required"));
    }
    let may_write = context.right >= Right::Write;
    let labels = if may_write { labels } else { Vec::new() };
    let due = due_date.filter(|_| may_write).map(|due| due.to_utc());
    let new = NewIssue { author: context.user, title, body, due, is_pull: false, labels };
    let number = context.state.add_issue(context.at, new);
    shown(context, &number.to_string(), 201)
}

fn shown(context: &RepoRequest<'_>, number: &str, status: u16) -> Handled {
    let issue = context.issue(number)?;
    Ok(SandboxReply::json(status, &context.state.issue_json(context.repository(), issue)))
}

/// The author may edit, close and reopen without write access. An edit of the body adds no timeline entry.
fn edit(context: &mut RepoRequest<'_>, number: &str) -> Handled {
    let is_author = context.issue(number)?.author == context.user;
    if !is_author && context.right < Right::Write {
        return Err(SandboxReply::empty(403));
    }
    let IssueEdit { title, body, state, due_date, unset_due_date } = context.body()?;
    let now = context.state.now();
    let issue = context.issue_mut(number)?;
    if title.is_some() || body.is_some() {
        issue.updated = now;
    }
    issue.title = title.map_or_else(|| issue.title.clone(), |title| title.trim().to_owned());
    issue.body = body.unwrap_or_else(|| issue.body.clone());
    if context.right >= Right::Write && (due_date.is_some() || unset_due_date.is_some()) {
        if due_date.is_none() && unset_due_date != Some(true) {
            return Err(context.error(400, "The due_date cannot be empty"));
        }
        set_due(context, number, due_date.filter(|_| unset_due_date != Some(true)))?;
    }
    if let Some(state) = state {
        set_state(context, number, &state)?;
    }
    shown(context, number, 201)
}

/// Sets or removes the due date. Only the day counts, in its own time zone, and the issue is due at the end of that day
/// (go-gitea/gitea `routers/api/v1/repo/issue.go`).
fn set_due(
    context: &mut RepoRequest<'_>,
    number: &str,
    due: Option<DateTime<FixedOffset>>,
) -> Result<(), SandboxReply> {
    let after = due.and_then(end_of_day);
    let issue = context.issue_mut(number)?;
    let before = std::mem::replace(&mut issue.due, after);
    let (index, user) = (issue.number, context.user);
    if before != after {
        context.state.note(context.at, index, user, What::Due { before, after });
    }
    Ok(())
}

/// Go's zero time means no due date.
fn end_of_day(day: DateTime<FixedOffset>) -> Option<DateTime<Utc>> {
    let last_second = NaiveTime::from_hms_opt(23, 59, 59)?;
    day.with_time(last_second).single().filter(|_| day.year() > 1).map(|time| time.to_utc())
}

fn set_state(context: &mut RepoRequest<'_>, number: &str, state: &str) -> Result<(), SandboxReply> {
    let issue = context.issue(number)?;
    let (index, is_open) = (issue.number, issue.closed.is_none());
    let (closed, what) = match state {
        "closed" => (Some(context.state.now()), What::Closed),
        "open" => (None, What::Reopened),
        _ => return Err(context.error(412, &format!("unknown state: {state}"))),
    };
    if is_open == closed.is_some() {
        context.issue_mut(number)?.closed = closed;
        context.state.note(context.at, index, context.user, what);
    }
    Ok(())
}

fn delete(context: &mut RepoRequest<'_>, number: &str) -> Handled {
    context.require(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let number = context.issue(number)?.number;
    context.repository_mut().issues.retain(|issue| issue.number != number);
    Ok(SandboxReply::empty(204))
}
