//! Comments, with Gitea's odd answers about issues that are not there.

use crate::sandbox::hooks::HookEvent;
use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::{SandboxIssue, TimelineEntry, What};
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::state::Right;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct NewComment {
    #[serde(default)]
    body: String,
}

/// `…/issues/comments`: those of all issues and pull requests, oldest first; without a page everything comes at once
/// (go-gitea/gitea `models/issues/comment.go`).
pub(super) fn of_repository(visit: &RepoRequest<'_>) -> Handled {
    if visit.request.method != "GET" {
        return Err(visit.not_found());
    }
    let period = visit.period()?;
    let of_issue = |issue| SandboxIssue::comments(issue).map(move |entry| (issue, entry));
    let mut wanted: Vec<(&SandboxIssue, &TimelineEntry)> =
        visit.repository().issues.iter().flat_map(of_issue).collect();
    wanted.retain(|(_, entry)| period.has(entry.updated));
    wanted.sort_by_key(|(_, entry)| (entry.created, entry.id));
    let count = wanted.len().to_string();
    if let Some(page) = visit.request.number("page").filter(|page| *page > 0) {
        let size = visit.request.page_size();
        wanted = wanted.into_iter().skip((page - 1) * size).take(size).collect();
    }
    let shown = wanted.into_iter().map(|(issue, entry)| visit.state.comment_json(visit.repository(), issue, entry));
    Ok(SandboxReply::json(200, &shown.collect()).with("x-total-count", &count))
}

/// `…/issues/{number}/comments`
pub(super) fn of_issue(visit: &mut RepoRequest<'_>, number: &str) -> Handled {
    // Any failure to find the issue is "internal" here (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    let issue = visit.find_issue(number).ok_or_else(|| visit.internal())?;
    match visit.request.method.as_str() {
        // Oldest first, and all of them: `page` and `limit` are ignored.
        "GET" => {
            let period = visit.period()?;
            let wanted = issue.comments().filter(|entry| period.has(entry.updated));
            let shown: Vec<Value> =
                wanted.map(|entry| visit.state.comment_json(visit.repository(), issue, entry)).collect();
            let count = shown.len().to_string();
            Ok(SandboxReply::json(200, &Value::Array(shown)).with("x-total-count", &count))
        }
        "POST" => create(visit, number),
        _ => Err(visit.not_found()),
    }
}

fn create(visit: &mut RepoRequest<'_>, number: &str) -> Handled {
    let body = text(visit)?;
    visit.needs_life()?;
    let issue = visit.issue(number)?;
    if issue.is_locked && visit.right < Right::Write {
        return Err(visit.refusal(403, "You cannot comment on a locked issue."));
    }
    let number = issue.number;
    needs_no_block(visit, issue.author)?;
    let id = visit.state.note(visit.at, number, visit.user, What::Comment(body)).unwrap_or_default();
    if let Some(entry) = entry(visit, id).cloned() {
        visit.deliver(number, entry, HookEvent::Created);
    }
    shown(visit, id, 201)
}

/// Whom the author of an issue or the owner of its repository blocks may not comment on it, nor edit what they have
/// written, unless they administer the repository (go-gitea/gitea `services/issue/comments.go`).
fn needs_no_block(visit: &RepoRequest<'_>, author: i64) -> Result<(), SandboxReply> {
    let blocks = |by: i64| visit.state.accounts.blocks(by, visit.user);
    if visit.right < Right::Own && (blocks(author) || blocks(visit.repository().owner)) {
        return Err(visit.refusal(403, "user is blocked"));
    }
    Ok(())
}

fn text(visit: &RepoRequest<'_>) -> Result<String, SandboxReply> {
    let NewComment { body } = visit.body()?;
    if body.is_empty() { Err(visit.refusal(422, "[Body]: Required")) } else { Ok(body) }
}

/// `…/issues/comments/{id}`
pub(super) fn one(visit: &mut RepoRequest<'_>, id: &str) -> Handled {
    let id: i64 = id.parse().map_err(|_| visit.not_found())?;
    let found = entry(visit, id).ok_or_else(|| visit.not_found())?;
    let (author, is_comment) = (found.author, matches!(found.what, What::Comment(_)));
    let method = visit.request.method.clone();
    if method != "GET" && author != visit.user && visit.right < Right::Write {
        return Err(SandboxReply::empty(403));
    }
    match (method.as_str(), is_comment) {
        // A line of a timeline is no comment (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
        ("GET" | "PATCH", false) => Ok(SandboxReply::empty(204)),
        ("DELETE", false) => Err(SandboxReply::empty(400)),
        ("GET", true) => shown(visit, id, 200),
        ("PATCH", true) => edit(visit, id),
        ("DELETE", true) => {
            delete(visit, id);
            Ok(SandboxReply::empty(204))
        }
        _ => Err(visit.not_found()),
    }
}

/// A comment or a line of a timeline.
fn entry<'a>(visit: &'a RepoRequest<'_>, id: i64) -> Option<&'a TimelineEntry> {
    visit.repository().issues.iter().flat_map(|issue| &issue.entries).find(|entry| entry.id == id)
}

/// A deletion moves no time of the issue.
fn delete(visit: &mut RepoRequest<'_>, id: i64) {
    let mut deleted = None;
    for issue in &mut visit.repository_mut().issues {
        if let Some(at) = issue.entries.iter().position(|entry| entry.id == id) {
            deleted = Some((issue.number, issue.entries.remove(at)));
        }
    }
    if let Some((number, entry)) = deleted {
        visit.deliver(number, entry, HookEvent::Deleted);
    }
}

/// An edit moves the comment's own time, but not the issue's. One that changes nothing is not stored, and its answer
/// lacks the poster.
fn edit(visit: &mut RepoRequest<'_>, id: i64) -> Handled {
    let body = What::Comment(text(visit)?);
    visit.needs_life()?;
    let has_it = |issue: &&SandboxIssue| issue.comments().any(|entry| entry.id == id);
    let Some(issue) = visit.repository().issues.iter().find(has_it) else { return Err(visit.not_found()) };
    let (author, number) = (issue.author, issue.number);
    if issue.comments().any(|entry| entry.id == id && entry.what == body) {
        let mut reply = shown(visit, id, 200)?;
        let mut json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        json["user"] = Value::Null;
        reply.body = json.to_string().into_bytes();
        return Ok(reply);
    }
    needs_no_block(visit, author)?;
    let now = visit.state.now();
    let mut entries = visit.repository_mut().issues.iter_mut().flat_map(|issue| &mut issue.entries);
    let Some(entry) = entries.find(|entry| entry.id == id) else { return Err(visit.not_found()) };
    let before = std::mem::replace(&mut entry.what, body).body();
    entry.updated = now;
    let edited = entry.clone();
    visit.deliver(number, edited, HookEvent::Edited(before));
    shown(visit, id, 200)
}

fn shown(visit: &RepoRequest<'_>, id: i64, status: u16) -> Handled {
    for issue in &visit.repository().issues {
        if let Some(entry) = issue.comments().find(|entry| entry.id == id) {
            return Ok(SandboxReply::json(status, &visit.state.comment_json(visit.repository(), issue, entry)));
        }
    }
    Err(visit.not_found())
}
