//! The timeline of an issue: what was said and done on it, by whom, and when.

use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::TimelineEntry;
use crate::sandbox::repo_request::{Handled, RepoRequest};
use serde_json::{Value, json};

/// `…/issues/{number}/timeline`. `X-Total-Count` is the length of the page, not of the whole, and a missing issue is
/// "internal" (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`); without a page everything comes at once.
pub(super) fn of_issue(visit: &RepoRequest<'_>, number: &str) -> Handled {
    let period = visit.period()?;
    let issue = visit.find_issue(number).ok_or_else(|| visit.internal())?;
    let shown = |entry: &TimelineEntry| {
        let mut json = visit.state.comment_json(visit.repository(), issue, entry);
        json["type"] = json!(entry.what.kind());
        let label = visit.repository().labels.iter().find(|known| Some(known.id) == entry.what.label());
        json["label"] = label.map_or(Value::Null, |label| visit.state.label_json(visit.repository(), label));
        json
    };
    let mut entries: Vec<Value> = issue.entries.iter().filter(|entry| period.has(entry.updated)).map(shown).collect();
    if let Some(page) = visit.request.number("page") {
        let size = visit.request.page_size();
        entries = entries.into_iter().skip(page.saturating_sub(1) * size).take(size).collect();
    }
    let count = entries.len().to_string();
    Ok(SandboxReply::json(200, &Value::Array(entries)).with("x-total-count", &count))
}
