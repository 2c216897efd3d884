//! Issues: listed, filed, read, edited, closed, locked and deleted.

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

pub(super) fn route(visit: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (visit.request.method.as_str(), rest) {
        ("GET", []) => list(visit),
        ("POST", []) => create(visit),
        ("GET", [number]) => shown(visit, number, 200),
        ("PATCH", [number]) => edit(visit, number),
        ("DELETE", [number]) => delete(visit, number),
        ("PUT", [number, "lock"]) => {
            visit.needs(Right::Write, "write permission is required")?;
            visit.issue_mut(number)?.is_locked = true;
            Ok(SandboxReply::empty(204))
        }
        _ => Err(visit.not_found()),
    }
}

/// Newest first; a page past the end is empty.
fn list(visit: &RepoRequest<'_>) -> Handled {
    let mut issues = filtered(visit)?;
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.id));
    let (size, page) = (visit.request.page_size(), visit.request.number("page").unwrap_or(1).max(1));
    let total = issues.len();
    let shown = issues.into_iter().skip((page - 1) * size).take(size);
    let json: Value = shown.map(|issue| visit.state.issue_json(visit.repository(), issue)).collect();
    let reply = SandboxReply::json(200, &json).with("x-total-count", &total.to_string());
    Ok(if page * size < total { reply.with("link", &next_link(visit, page + 1)) } else { reply })
}

fn filtered<'a>(visit: &'a RepoRequest<'_>) -> Result<Vec<&'a SandboxIssue>, SandboxReply> {
    let request = visit.request;
    let (state, kind) = (request.query("state").unwrap_or("open"), request.query("type"));
    let period = visit.period()?;
    let labels = known_labels(visit, request.query("labels").unwrap_or_default());
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
    Ok(visit.repository().issues.iter().filter(is_wanted).collect())
}

/// Unknown names are dropped from the filter, so that it may vanish (go-gitea/gitea `routers/api/v1/repo/issue.go`).
fn known_labels(visit: &RepoRequest<'_>, names: &str) -> Vec<i64> {
    let names: Vec<&str> = names.split(',').collect();
    let known = visit.repository().labels.iter();
    known.filter(|label| names.contains(&label.name.as_str())).map(|label| label.id).collect()
}

fn next_link(visit: &RepoRequest<'_>, page: usize) -> String {
    let mut query = visit.request.query.clone();
    query.insert("page".to_owned(), page.to_string());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
    format!("<{}{}?{query}>; rel=\"next\"", visit.state.url, visit.request.path)
}

/// Who may not write gets an issue without the labels and the due date that were asked for, and 201 all the same.
fn create(visit: &mut RepoRequest<'_>) -> Handled {
    let ApiIssue { title, body, labels, due_date } = visit.body()?;
    visit.needs_life()?;
    if title.is_empty() {
        return Err(visit.refusal(422, "[Title]: Required"));
    }
    let may_write = visit.right >= Right::Write;
    let labels = if may_write { labels } else { Vec::new() };
    let due = due_date.filter(|_| may_write).map(|due| due.to_utc());
    let new = NewIssue { author: visit.user, title, body, due, is_pull: false, labels };
    let number = visit.state.add_issue(visit.at, new);
    shown(visit, &number.to_string(), 201)
}

fn shown(visit: &RepoRequest<'_>, number: &str, status: u16) -> Handled {
    let issue = visit.issue(number)?;
    Ok(SandboxReply::json(status, &visit.state.issue_json(visit.repository(), issue)))
}

/// The author may edit, close and reopen without any right to write. An edit of the body leaves no trace but the body.
fn edit(visit: &mut RepoRequest<'_>, number: &str) -> Handled {
    let is_author = visit.issue(number)?.author == visit.user;
    if !is_author && visit.right < Right::Write {
        return Err(SandboxReply::empty(403));
    }
    let IssueEdit { title, body, state, due_date, unset_due_date } = visit.body()?;
    let now = visit.state.now();
    let issue = visit.issue_mut(number)?;
    if title.is_some() || body.is_some() {
        issue.updated = now;
    }
    issue.title = title.map_or_else(|| issue.title.clone(), |title| title.trim().to_owned());
    issue.body = body.unwrap_or_else(|| issue.body.clone());
    if visit.right >= Right::Write && (due_date.is_some() || unset_due_date.is_some()) {
        if due_date.is_none() && unset_due_date != Some(true) {
            return Err(visit.refusal(400, "The due_date cannot be empty"));
        }
        set_due(visit, number, due_date.filter(|_| unset_due_date != Some(true)))?;
    }
    if let Some(state) = state {
        set_state(visit, number, &state)?;
    }
    shown(visit, number, 201)
}

/// Sets another due date, or none. Only the day counts, in the zone that it was written in, and the issue is due at
/// its end (go-gitea/gitea `routers/api/v1/repo/issue.go`).
fn set_due(visit: &mut RepoRequest<'_>, number: &str, due: Option<DateTime<FixedOffset>>) -> Result<(), SandboxReply> {
    let after = due.and_then(end_of_day);
    let issue = visit.issue_mut(number)?;
    let before = std::mem::replace(&mut issue.due, after);
    let (index, user) = (issue.number, visit.user);
    if before != after {
        visit.state.note(visit.at, index, user, What::Due { before, after });
    }
    Ok(())
}

/// Go's zero time is no time.
fn end_of_day(day: DateTime<FixedOffset>) -> Option<DateTime<Utc>> {
    let last_second = NaiveTime::from_hms_opt(23, 59, 59)?;
    day.with_time(last_second).single().filter(|_| day.year() > 1).map(|time| time.to_utc())
}

fn set_state(visit: &mut RepoRequest<'_>, number: &str, state: &str) -> Result<(), SandboxReply> {
    let issue = visit.issue(number)?;
    let (index, is_open) = (issue.number, issue.closed.is_none());
    let (closed, what) = match state {
        "closed" => (Some(visit.state.now()), What::Closed),
        "open" => (None, What::Reopened),
        _ => return Err(visit.refusal(412, &format!("unknown state: {state}"))),
    };
    if is_open == closed.is_some() {
        visit.issue_mut(number)?.closed = closed;
        visit.state.note(visit.at, index, visit.user, what);
    }
    Ok(())
}

fn delete(visit: &mut RepoRequest<'_>, number: &str) -> Handled {
    visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let number = visit.issue(number)?.number;
    visit.repository_mut().issues.retain(|issue| issue.number != number);
    Ok(SandboxReply::empty(204))
}
