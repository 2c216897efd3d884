//! Issues: listed, filed, read, edited, closed, locked and deleted.

use crate::sandbox::exchange::Reply;
use crate::sandbox::state::{Issue, NewIssue, Right, What, now};
use crate::sandbox::visit::{Answer, Visit};
use chrono::{DateTime, Utc};
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
}

#[derive(Deserialize)]
struct IssueEdit {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
}

pub(super) fn route(visit: &mut Visit<'_>, rest: &[&str]) -> Answer {
    match (visit.request.method.as_str(), rest) {
        ("GET", []) => list(visit),
        ("POST", []) => create(visit),
        ("GET", [number]) => shown(visit, number, 200),
        ("PATCH", [number]) => edit(visit, number),
        ("DELETE", [number]) => delete(visit, number),
        ("PUT", [number, "lock"]) => {
            visit.needs(Right::Write, "write permission is required")?;
            visit.issue_mut(number)?.is_locked = true;
            Ok(Reply::empty(204))
        }
        _ => Err(visit.not_found()),
    }
}

/// Newest first; a page past the end is empty.
fn list(visit: &Visit<'_>) -> Answer {
    let mut issues = filtered(visit)?;
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.id));
    let (size, page) = (visit.request.page_size(), visit.request.number("page").unwrap_or(1).max(1));
    let total = issues.len();
    let shown = issues.into_iter().skip((page - 1) * size).take(size);
    let json: Value = shown.map(|issue| visit.state.issue_json(visit.repository(), issue)).collect();
    let reply = Reply::json(200, &json).with("x-total-count", &total.to_string());
    Ok(if page * size < total { reply.with("link", &next_link(visit, page + 1)) } else { reply })
}

fn filtered<'a>(visit: &'a Visit<'_>) -> Result<Vec<&'a Issue>, Reply> {
    let request = visit.request;
    let (state, kind) = (request.query("state").unwrap_or("open"), request.query("type"));
    let since = request.query("since").map(|text| time(visit, text)).transpose()?;
    let labels = known_labels(visit, request.query("labels").unwrap_or_default());
    let is_wanted = |issue: &&Issue| {
        let of_state = match state {
            "closed" => !issue.is_open,
            "all" => true,
            _ => issue.is_open,
        };
        let of_kind = match kind {
            Some("issues") => !issue.is_pull,
            Some("pulls") => issue.is_pull,
            _ => true,
        };
        let is_new = since.is_none_or(|since| issue.updated >= since);
        of_state && of_kind && is_new && labels.iter().all(|id| issue.labels.contains(id))
    };
    Ok(visit.repository().issues.iter().filter(is_wanted).collect())
}

/// Unknown names are dropped from the filter, so that it may vanish (go-gitea/gitea `routers/api/v1/repo/issue.go`).
fn known_labels(visit: &Visit<'_>, names: &str) -> Vec<i64> {
    let names: Vec<&str> = names.split(',').collect();
    let known = visit.repository().labels.iter();
    known.filter(|label| names.contains(&label.name.as_str())).map(|label| label.id).collect()
}

fn time(visit: &Visit<'_>, text: &str) -> Result<DateTime<Utc>, Reply> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| {
        let layout = "2006-01-02T15:04:05Z07:00";
        visit.refusal(422, &format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
    })
}

fn next_link(visit: &Visit<'_>, page: usize) -> String {
    let mut query = visit.request.query.clone();
    query.insert("page".to_owned(), page.to_string());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
    format!("<{}{}?{query}>; rel=\"next\"", visit.state.url, visit.request.path)
}

/// Who may not write gets an issue without the labels that were asked for, and 201 all the same.
fn create(visit: &mut Visit<'_>) -> Answer {
    let ApiIssue { title, body, labels } = visit.body()?;
    visit.needs_life()?;
    if title.is_empty() {
        return Err(visit.refusal(422, "[Title]: Required"));
    }
    let labels = if visit.right >= Right::Write { labels } else { Vec::new() };
    let new = NewIssue { author: visit.user, title, body, is_pull: false, labels };
    let number = visit.state.add_issue(visit.at, new);
    shown(visit, &number.to_string(), 201)
}

fn shown(visit: &Visit<'_>, number: &str, status: u16) -> Answer {
    let issue = visit.issue(number)?;
    Ok(Reply::json(status, &visit.state.issue_json(visit.repository(), issue)))
}

/// The author may edit, close and reopen without any right to write. An edit of the body leaves no trace but the body.
fn edit(visit: &mut Visit<'_>, number: &str) -> Answer {
    let is_author = visit.issue(number)?.author == visit.user;
    if !is_author && visit.right < Right::Write {
        return Err(Reply::empty(403));
    }
    let IssueEdit { title, body, state } = visit.body()?;
    let (at, user) = (visit.at, visit.user);
    let issue = visit.issue_mut(number)?;
    issue.title = title.map_or_else(|| issue.title.clone(), |title| title.trim().to_owned());
    issue.body = body.unwrap_or_else(|| issue.body.clone());
    issue.updated = now();
    let was_open = issue.is_open;
    issue.is_open = state.map_or(was_open, |state| state == "open");
    let (index, is_open) = (issue.number, issue.is_open);
    if is_open != was_open {
        visit.state.note(at, index, user, if is_open { What::Reopened } else { What::Closed });
    }
    shown(visit, number, 201)
}

fn delete(visit: &mut Visit<'_>, number: &str) -> Answer {
    visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let number = visit.issue(number)?.number;
    visit.repository_mut().issues.retain(|issue| issue.number != number);
    Ok(Reply::empty(204))
}
