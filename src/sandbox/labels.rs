//! Labels of a repository and labels on an issue.

use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::issue::SandboxLabel;
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::state::Right;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct NewLabel {
    name: String,
    color: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    is_archived: bool,
}

#[derive(Deserialize)]
struct LabelEdit {
    name: Option<String>,
    color: Option<String>,
    description: Option<String>,
    exclusive: Option<bool>,
    is_archived: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    labels: Vec<Value>,
}

const WRITERS_ONLY: &str = "user should have a permission to write to a repo";

pub(super) fn route(context: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (context.request.method.as_str(), rest) {
        ("GET", []) => Ok(list(context)),
        ("POST", []) => create(context),
        ("PATCH", [id]) => edit(context, id),
        ("DELETE", [id]) => delete(context, id),
        _ => Err(context.not_found()),
    }
}

/// Sorted by name; without `page` all in one response (go-gitea/gitea `models/issues/label.go`).
fn list(context: &RepoRequest<'_>) -> SandboxReply {
    let repository = context.repository();
    let mut labels: Vec<&SandboxLabel> = repository.labels.iter().collect();
    labels.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let total = labels.len();
    if let Some(page) = context.request.number("page") {
        let size = context.request.page_size();
        labels = labels.into_iter().skip(page.saturating_sub(1) * size).take(size).collect();
    }
    let json = labels.into_iter().map(|label| context.state.label_json(repository, label)).collect();
    SandboxReply::json(200, &json).with("x-total-count", &total.to_string())
}

/// Gitea accepts several labels with the same name.
fn create(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Write, WRITERS_ONLY)?;
    let NewLabel { name, color, description, exclusive: is_exclusive, is_archived } = context.body()?;
    let color = checked_color(context, &color)?;
    let id = context
        .state
        .add_label(context.at, SandboxLabel { id: 0, name, color, description, is_exclusive, is_archived });
    shown(context, id, 201)
}

fn edit(context: &mut RepoRequest<'_>, id: &str) -> Handled {
    context.require(Right::Write, WRITERS_ONLY)?;
    let LabelEdit { name, color, description, exclusive, is_archived } = context.body()?;
    let color = color.map(|color| checked_color(context, &color)).transpose()?;
    let not_found = context.not_found();
    let id: i64 = id.parse().map_err(|_| context.not_found())?;
    let label = context.repository_mut().labels.iter_mut().find(|label| label.id == id).ok_or(not_found)?;
    label.name = name.unwrap_or_else(|| label.name.clone());
    label.color = color.unwrap_or_else(|| label.color.clone());
    label.description = description.unwrap_or_else(|| label.description.clone());
    label.is_exclusive = exclusive.unwrap_or(label.is_exclusive);
    // Leaving it out un-archives the label (go-gitea/gitea `routers/api/v1/repo/label.go`).
    label.is_archived = is_archived.unwrap_or(false);
    shown(context, id, 200)
}

/// The label disappears from issues and from their timelines, without an entry.
fn delete(context: &mut RepoRequest<'_>, id: &str) -> Handled {
    context.require(Right::Write, WRITERS_ONLY)?;
    let id: i64 = id.parse().map_err(|_| context.not_found())?;
    let repository = context.repository_mut();
    repository.labels.retain(|label| label.id != id);
    for issue in &mut repository.issues {
        issue.labels.remove(&id);
        issue.entries.retain(|entry| entry.what.label() != Some(id));
    }
    Ok(SandboxReply::empty(204))
}

fn shown(context: &RepoRequest<'_>, id: i64, status: u16) -> Handled {
    let label = context.repository().labels.iter().find(|label| label.id == id).ok_or_else(|| context.not_found())?;
    Ok(SandboxReply::json(status, &context.state.label_json(context.repository(), label)))
}

fn checked_color(context: &RepoRequest<'_>, color: &str) -> Result<String, SandboxReply> {
    let digits = color.trim_start_matches('#');
    let is_color = matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit());
    if is_color { Ok(digits.to_lowercase()) } else { Err(context.error(422, &format!("invalid color: #{digits}"))) }
}

pub(super) fn of_issue(context: &mut RepoRequest<'_>, number: &str, rest: &[&str]) -> Handled {
    let method = context.request.method.clone();
    context.issue(number)?;
    if method != "GET" {
        context.require(Right::Write, "write permission is required")?;
    }
    match (method.as_str(), rest) {
        ("GET", []) => on_issue(context, number),
        ("POST" | "PUT", []) => write(context, number, method == "PUT"),
        ("DELETE", [id]) => remove(context, number, id),
        _ => Err(context.not_found()),
    }
}

fn on_issue(context: &RepoRequest<'_>, number: &str) -> Handled {
    let issue = context.issue(number)?;
    Ok(SandboxReply::json(200, &context.state.issue_labels_json(context.repository(), issue)))
}

/// The response is the resulting list of labels, even if requested changes were dropped.
fn write(context: &mut RepoRequest<'_>, number: &str, replace: bool) -> Handled {
    let mut ids = wanted(context)?;
    if replace {
        drop_siblings(&context.repository().labels, &mut ids);
    }
    let (at, user) = (context.at, context.user);
    let issue = context.issue(number)?;
    let index = issue.number;
    let surplus: Vec<i64> = issue.labels.difference(&ids).copied().collect();
    for id in surplus.into_iter().filter(|_| replace) {
        context.state.remove_label(at, index, user, id);
    }
    context.state.add_labels(at, index, user, &ids.into_iter().collect::<Vec<_>>());
    on_issue(context, number)
}

/// All ids or all names; unknown ones are silently dropped (go-gitea/gitea `routers/api/v1/repo/issue_label.go`).
fn wanted(context: &RepoRequest<'_>) -> Result<BTreeSet<i64>, SandboxReply> {
    let Named { labels } = context.body()?;
    let known = &context.repository().labels;
    let ids: Vec<i64> = labels.iter().filter_map(Value::as_i64).collect();
    let names: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
    if ids.len() == labels.len() || names.len() == labels.len() {
        let is_named = |label: &&SandboxLabel| ids.contains(&label.id) || names.contains(&label.name.as_str());
        return Ok(known.iter().filter(is_named).map(|label| label.id).collect());
    }
    Err(context.error(400, "labels should be an array of strings or integers"))
}

/// Of several labels of one exclusive scope in a whole list the last by name is kept, even if another one was on the
/// issue before (go-gitea/gitea `models/issues/issue_label.go`).
fn drop_siblings(known: &[SandboxLabel], ids: &mut BTreeSet<i64>) {
    let mut listed: Vec<&SandboxLabel> = known.iter().filter(|label| ids.contains(&label.id)).collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    for (at, label) in listed.iter().enumerate() {
        if listed[at + 1..].iter().any(|later| later.is_sibling_of(label)) {
            ids.remove(&label.id);
        }
    }
}

fn remove(context: &mut RepoRequest<'_>, number: &str, id: &str) -> Handled {
    let id: i64 = id.parse().map_err(|_| context.not_found())?;
    if !context.repository().labels.iter().any(|label| label.id == id) {
        return Err(context.error(422, "label does not exist [label_id: 0]"));
    }
    if context.is_job {
        // Gitea checks the right again, as for an ordinary user (go-gitea/gitea#37011).
        return Err(context.internal());
    }
    let number = context.issue(number)?.number;
    context.state.remove_label(context.at, number, context.user, id);
    Ok(SandboxReply::empty(204))
}
