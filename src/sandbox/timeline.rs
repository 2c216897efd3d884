//! The timeline of an issue: comments, and changes of labels, state and due date.

use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::SandboxTimelineEntry;
use crate::sandbox::repo_request::{Handled, RepoRequest};
use serde_json::{Value, json};

/// `…/issues/{number}/timeline`. `X-Total-Count` is the length of the page, not of the whole, and a missing issue is
/// "internal" (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`); without `page` all in one response.
pub(super) fn of_issue(context: &RepoRequest<'_>, number: &str) -> Handled {
    let period = context.period()?;
    let issue = context.find_issue(number).ok_or_else(|| context.internal())?;
    let shown = |entry: &SandboxTimelineEntry| {
        let mut json = context.state.comment_json(context.repository(), issue, entry);
        json["type"] = json!(entry.what.kind());
        let label = context.repository().labels.iter().find(|known| Some(known.id) == entry.what.label());
        json["label"] = label.map_or(Value::Null, |label| context.state.label_json(context.repository(), label));
        json
    };
    let mut entries: Vec<Value> = issue.entries.iter().filter(|entry| period.has(entry.updated)).map(shown).collect();
    if let Some(page) = context.request.number("page") {
        let size = context.request.page_size();
        entries = entries.into_iter().skip(page.saturating_sub(1) * size).take(size).collect();
    }
    let count = entries.len().to_string();
    Ok(SandboxReply::json(200, &Value::Array(entries)).with("x-total-count", &count))
}
