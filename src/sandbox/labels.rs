//! Labels of a repository, and labels on an issue.

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

const MAY_NOT: &str = "user should have a permission to write to a repo";

pub(super) fn route(visit: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (visit.request.method.as_str(), rest) {
        ("GET", []) => Ok(list(visit)),
        ("POST", []) => create(visit),
        ("PATCH", [id]) => edit(visit, id),
        ("DELETE", [id]) => delete(visit, id),
        _ => Err(visit.not_found()),
    }
}

/// By name; without a page all at once (go-gitea/gitea `models/issues/label.go`).
fn list(visit: &RepoRequest<'_>) -> SandboxReply {
    let repository = visit.repository();
    let mut labels: Vec<&SandboxLabel> = repository.labels.iter().collect();
    labels.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let total = labels.len();
    if let Some(page) = visit.request.number("page") {
        let size = visit.request.page_size();
        labels = labels.into_iter().skip(page.saturating_sub(1) * size).take(size).collect();
    }
    let json = labels.into_iter().map(|label| visit.state.label_json(repository, label)).collect();
    SandboxReply::json(200, &json).with("x-total-count", &total.to_string())
}

/// A second label of one name is accepted.
fn create(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Write, MAY_NOT)?;
    let NewLabel { name, color, description, exclusive: is_exclusive, is_archived } = visit.body()?;
    let color = checked_color(visit, &color)?;
    let id =
        visit.state.add_label(visit.at, SandboxLabel { id: 0, name, color, description, is_exclusive, is_archived });
    shown(visit, id, 201)
}

fn edit(visit: &mut RepoRequest<'_>, id: &str) -> Handled {
    visit.needs(Right::Write, MAY_NOT)?;
    let LabelEdit { name, color, description, exclusive, is_archived } = visit.body()?;
    let color = color.map(|color| checked_color(visit, &color)).transpose()?;
    let not_found = visit.not_found();
    let id: i64 = id.parse().map_err(|_| visit.not_found())?;
    let label = visit.repository_mut().labels.iter_mut().find(|label| label.id == id).ok_or(not_found)?;
    label.name = name.unwrap_or_else(|| label.name.clone());
    label.color = color.unwrap_or_else(|| label.color.clone());
    label.description = description.unwrap_or_else(|| label.description.clone());
    label.is_exclusive = exclusive.unwrap_or(label.is_exclusive);
    // Leaving it out un-archives the label (go-gitea/gitea `routers/api/v1/repo/label.go`).
    label.is_archived = is_archived.unwrap_or(false);
    shown(visit, id, 200)
}

/// Issues lose it, and their timelines forget it, without a word.
fn delete(visit: &mut RepoRequest<'_>, id: &str) -> Handled {
    visit.needs(Right::Write, MAY_NOT)?;
    let id: i64 = id.parse().map_err(|_| visit.not_found())?;
    let repository = visit.repository_mut();
    repository.labels.retain(|label| label.id != id);
    for issue in &mut repository.issues {
        issue.labels.remove(&id);
        issue.entries.retain(|entry| entry.what.label() != Some(id));
    }
    Ok(SandboxReply::empty(204))
}

fn shown(visit: &RepoRequest<'_>, id: i64, status: u16) -> Handled {
    let label = visit.repository().labels.iter().find(|label| label.id == id).ok_or_else(|| visit.not_found())?;
    Ok(SandboxReply::json(status, &visit.state.label_json(visit.repository(), label)))
}

fn checked_color(visit: &RepoRequest<'_>, color: &str) -> Result<String, SandboxReply> {
    let digits = color.trim_start_matches('#');
    let is_color = matches!(digits.len(), 3 | 6) && digits.chars().all(|c| c.is_ascii_hexdigit());
    if is_color { Ok(digits.to_lowercase()) } else { Err(visit.refusal(422, &format!("invalid color: #{digits}"))) }
}

pub(super) fn of_issue(visit: &mut RepoRequest<'_>, number: &str, rest: &[&str]) -> Handled {
    let method = visit.request.method.clone();
    visit.issue(number)?;
    if method != "GET" {
        visit.needs(Right::Write, "write permission is required")?;
    }
    match (method.as_str(), rest) {
        ("GET", []) => on_issue(visit, number),
        ("POST" | "PUT", []) => write(visit, number, method == "PUT"),
        ("DELETE", [id]) => take_off(visit, number, id),
        _ => Err(visit.not_found()),
    }
}

fn on_issue(visit: &RepoRequest<'_>, number: &str) -> Handled {
    let issue = visit.issue(number)?;
    Ok(SandboxReply::json(200, &visit.state.issue_labels_json(visit.repository(), issue)))
}

/// The answer is the whole list afterwards, whatever became of what was asked for.
fn write(visit: &mut RepoRequest<'_>, number: &str, replace: bool) -> Handled {
    let mut ids = wanted(visit)?;
    if replace {
        drop_siblings(&visit.repository().labels, &mut ids);
    }
    let (at, user) = (visit.at, visit.user);
    let issue = visit.issue(number)?;
    let index = issue.number;
    let surplus: Vec<i64> = issue.labels.difference(&ids).copied().collect();
    for id in surplus.into_iter().filter(|_| replace) {
        visit.state.take_label(at, index, user, id);
    }
    visit.state.put_labels(at, index, user, &ids.into_iter().collect::<Vec<_>>());
    on_issue(visit, number)
}

/// All ids or all names; what is unknown is dropped without a word (go-gitea/gitea `routers/api/v1/repo/issue_label.go`).
fn wanted(visit: &RepoRequest<'_>) -> Result<BTreeSet<i64>, SandboxReply> {
    let Named { labels } = visit.body()?;
    let known = &visit.repository().labels;
    let ids: Vec<i64> = labels.iter().filter_map(Value::as_i64).collect();
    let names: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
    if ids.len() == labels.len() || names.len() == labels.len() {
        let is_named = |label: &&SandboxLabel| ids.contains(&label.id) || names.contains(&label.name.as_str());
        return Ok(known.iter().filter(is_named).map(|label| label.id).collect());
    }
    Err(visit.refusal(400, "labels should be an array of strings or integers"))
}

/// Of several labels of one exclusive scope in a whole list the last by its name is kept, also where another one was on the
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

fn take_off(visit: &mut RepoRequest<'_>, number: &str, id: &str) -> Handled {
    let id: i64 = id.parse().map_err(|_| visit.not_found())?;
    if !visit.repository().labels.iter().any(|label| label.id == id) {
        return Err(visit.refusal(422, "label does not exist [label_id: 0]"));
    }
    if visit.is_job {
        // Its right is asked for again, as that of an ordinary user (go-gitea/gitea#37011).
        return Err(visit.internal());
    }
    let number = visit.issue(number)?.number;
    visit.state.take_label(visit.at, number, visit.user, id);
    Ok(SandboxReply::empty(204))
}
