//! Comments, with Gitea's special responses for missing issues.

use crate::sandbox::hooks::HookEvent;
use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::{SandboxIssue, SandboxTimelineEntry, What};
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::state::Right;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct NewComment {
    #[serde(default)]
    body: String,
}

/// `…/issues/comments`: those of all issues and pull requests, oldest first; without `page` all in one response
/// (go-gitea/gitea `models/issues/comment.go`).
pub(super) fn of_repository(context: &RepoRequest<'_>) -> Handled {
    if context.request.method != "GET" {
        return Err(context.not_found());
    }
    let period = context.period()?;
    let of_issue = |issue| SandboxIssue::comments(issue).map(move |entry| (issue, entry));
    let mut wanted: Vec<(&SandboxIssue, &SandboxTimelineEntry)> =
        context.repository().issues.iter().flat_map(of_issue).collect();
    wanted.retain(|(_, entry)| period.has(entry.updated));
    wanted.sort_by_key(|(_, entry)| (entry.created, entry.id));
    let count = wanted.len().to_string();
    if let Some(page) = context.request.number("page").filter(|page| *page > 0) {
        let size = context.request.page_size();
        wanted = wanted.into_iter().skip((page - 1) * size).take(size).collect();
    }
    let shown = wanted.into_iter().map(|(issue, entry)| context.state.comment_json(context.repository(), issue, entry));
    Ok(SandboxReply::json(200, &shown.collect()).with("x-total-count", &count))
}

/// `…/issues/{number}/comments`
pub(super) fn of_issue(context: &mut RepoRequest<'_>, number: &str) -> Handled {
    // Any failure to find the issue is "internal" here (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    let issue = context.find_issue(number).ok_or_else(|| context.internal())?;
    match context.request.method.as_str() {
        // Oldest first, and all of them: `page` and `limit` are ignored.
        "GET" => {
            let period = context.period()?;
            let wanted = issue.comments().filter(|entry| period.has(entry.updated));
            let shown: Vec<Value> =
                wanted.map(|entry| context.state.comment_json(context.repository(), issue, entry)).collect();
            let count = shown.len().to_string();
            Ok(SandboxReply::json(200, &Value::Array(shown)).with("x-total-count", &count))
        }
        "POST" => create(context, number),
        _ => Err(context.not_found()),
    }
}

fn create(context: &mut RepoRequest<'_>, number: &str) -> Handled {
    let body = text(context)?;
    context.require_not_archived()?;
    let issue = context.issue(number)?;
    if issue.is_locked && context.right < Right::Write {
        return Err(context.error(403, "You cannot comment on a locked issue."));
    }
    let number = issue.number;
    require_not_blocked(context, issue.author)?;
    let id = context.state.note(context.at, number, context.user, What::Comment(body)).unwrap_or_default();
    if let Some(entry) = entry(context, id).cloned() {
        context.deliver(number, entry, HookEvent::Created);
    }
    shown(context, id, 201)
}

/// An account that the issue's author or the repository's owner blocks may not comment, nor edit its comments, unless
/// it administers the repository (go-gitea/gitea `services/issue/comments.go`).
fn require_not_blocked(context: &RepoRequest<'_>, author: i64) -> Result<(), SandboxReply> {
    let blocks = |by: i64| context.state.accounts.blocks(by, context.user);
    if context.right < Right::Own && (blocks(author) || blocks(context.repository().owner)) {
        return Err(context.error(403, "user is blocked"));
    }
    Ok(())
}

fn text(context: &RepoRequest<'_>) -> Result<String, SandboxReply> {
    let NewComment { body } = context.body()?;
    if body.is_empty() { Err(context.error(422, "[Body]: Required")) } else { Ok(body) }
}

/// `…/issues/comments/{id}`
pub(super) fn one(context: &mut RepoRequest<'_>, id: &str) -> Handled {
    let id: i64 = id.parse().map_err(|_| context.not_found())?;
    let found = entry(context, id).ok_or_else(|| context.not_found())?;
    let (author, is_comment) = (found.author, matches!(found.what, What::Comment(_)));
    let method = context.request.method.clone();
    if method != "GET" && author != context.user && context.right < Right::Write {
        return Err(SandboxReply::empty(403));
    }
    match (method.as_str(), is_comment) {
        // A timeline entry is no comment (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
        ("GET" | "PATCH", false) => Ok(SandboxReply::empty(204)),
        ("DELETE", false) => Err(SandboxReply::empty(400)),
        ("GET", true) => shown(context, id, 200),
        ("PATCH", true) => edit(context, id),
        ("DELETE", true) => {
            delete(context, id);
            Ok(SandboxReply::empty(204))
        }
        _ => Err(context.not_found()),
    }
}

/// A comment or another timeline entry.
fn entry<'a>(context: &'a RepoRequest<'_>, id: i64) -> Option<&'a SandboxTimelineEntry> {
    context.repository().issues.iter().flat_map(|issue| &issue.entries).find(|entry| entry.id == id)
}

/// A deletion does not change the issue's `updated_at`.
fn delete(context: &mut RepoRequest<'_>, id: i64) {
    let mut deleted = None;
    for issue in &mut context.repository_mut().issues {
        if let Some(at) = issue.entries.iter().position(|entry| entry.id == id) {
            deleted = Some((issue.number, issue.entries.remove(at)));
        }
    }
    if let Some((number, entry)) = deleted {
        context.deliver(number, entry, HookEvent::Deleted);
    }
}

/// An edit changes the `updated_at` of the comment, not of the issue. One that changes nothing is not stored, and its
/// response lacks the poster.
fn edit(context: &mut RepoRequest<'_>, id: i64) -> Handled {
    let body = What::Comment(text(context)?);
    context.require_not_archived()?;
    let has_it = |issue: &&SandboxIssue| issue.comments().any(|entry| entry.id == id);
    let Some(issue) = context.repository().issues.iter().find(has_it) else { return Err(context.not_found()) };
    let (author, number) = (issue.author, issue.number);
    if issue.comments().any(|entry| entry.id == id && entry.what == body) {
        let mut reply = shown(context, id, 200)?;
        let mut json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        json["user"] = Value::Null;
        reply.body = json.to_string().into_bytes();
        return Ok(reply);
    }
    require_not_blocked(context, author)?;
    let now = context.state.now();
    let mut entries = context.repository_mut().issues.iter_mut().flat_map(|issue| &mut issue.entries);
    let Some(entry) = entries.find(|entry| entry.id == id) else { return Err(context.not_found()) };
    let before = std::mem::replace(&mut entry.what, body).body();
    entry.updated = now;
    let edited = entry.clone();
    context.deliver(number, edited, HookEvent::Edited(before));
    shown(context, id, 200)
}

fn shown(context: &RepoRequest<'_>, id: i64, status: u16) -> Handled {
    for issue in &context.repository().issues {
        if let Some(entry) = issue.comments().find(|entry| entry.id == id) {
            return Ok(SandboxReply::json(status, &context.state.comment_json(context.repository(), issue, entry)));
        }
    }
    Err(context.not_found())
}
