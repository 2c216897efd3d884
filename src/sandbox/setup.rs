//! What makes a repository ready for missions: files by commits, branches, pull requests and webhooks.

use crate::sandbox::bare_repos::Files;
use crate::sandbox::http_message::SandboxReply;
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::state::{RegisteredHook, Right, SandboxPull};
use crate::sandbox::templates;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

const ADMIN_ONLY: &str = "user should be an owner or a collaborator with admin write of a repository";

#[derive(Deserialize)]
struct Commit {
    new_branch: Option<String>,
    files: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    operation: String,
    path: String,
    content: String,
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Protection {
    rule_name: String,
}

#[derive(Deserialize)]
struct NewPull {
    head: String,
    base: String,
    title: String,
    body: String,
}

#[derive(Deserialize)]
struct HookBody {
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

pub(super) fn route(visit: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (visit.request.method.as_str(), rest) {
        ("GET", ["issue_templates"]) => Ok(templates::list(visit)),
        ("GET", ["issue_config"]) => Ok(templates::config(visit)),
        ("GET", ["issue_config", "validate"]) => Ok(templates::check_config(visit)),
        ("POST", ["contents"]) => commit(visit),
        ("GET", ["branches", name]) => branch(visit, name),
        ("POST", ["branch_protections"]) => protect(visit),
        ("GET", ["pulls", base, head]) => {
            let pulls = &visit.repository().pulls;
            let pull = pulls.iter().find(|pull| pull.base == *base && pull.head == *head);
            pull.map(|pull| SandboxReply::json(200, &pull_json(visit, pull))).ok_or_else(|| visit.not_found())
        }
        ("POST", ["pulls"]) => open_pull(visit),
        ("GET", ["hooks"]) => {
            visit.needs(Right::Own, ADMIN_ONLY)?;
            Ok(SandboxReply::json(200, &visit.repository().hooks.iter().map(hook_json).collect()))
        }
        ("POST", ["hooks"]) => make_hook(visit),
        ("PATCH", ["hooks", id]) => edit_hook(visit, id),
        _ => Err(visit.not_found()),
    }
}

/// The id of a file's contents. Only that other contents have another one matters.
pub(super) fn blob_id(contents: &[u8]) -> String {
    let digest = Sha256::digest(contents);
    digest.iter().take(20).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn commit(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Write, "user should have a permission to write to the target branch")?;
    visit.needs_life()?;
    let Commit { new_branch, files: changes } = visit.body()?;
    if new_branch.is_none() && visit.repository().is_protected {
        return Err(visit.refusal(403, "branch main is protected"));
    }
    if new_branch.as_ref().is_some_and(|branch| visit.repository().branches.contains_key(branch)) {
        return Err(visit.refusal(422, "branch already exists"));
    }
    let mut files = visit.repository().files.clone();
    for Change { operation, path, content, sha } in changes {
        let decoded = STANDARD.decode(content).map_err(|error| visit.refusal(422, &error.to_string()))?;
        let known = files.get(&path).map(|contents| blob_id(contents));
        match (operation.as_str(), known) {
            ("create", Some(_)) => {
                return Err(visit.refusal(422, &format!("repository file already exists [path: {path}]")));
            }
            ("update", None) => return Err(visit.not_found()),
            ("update", known) if known != sha => return Err(visit.refusal(422, "sha does not match")),
            _ => files.insert(path, decoded),
        };
    }
    let repository = visit.repository_mut();
    match new_branch {
        Some(branch) => {
            repository.branches.insert(branch, files);
        }
        None => repository.files = files,
    }
    Ok(SandboxReply::json(201, &json!({ "files": [] })))
}

fn files<'a>(visit: &'a RepoRequest<'_>, branch: &str) -> Option<&'a Files> {
    let repository = visit.repository();
    if branch == "main" { Some(&repository.files) } else { repository.branches.get(branch) }
}

fn branch(visit: &RepoRequest<'_>, name: &str) -> Handled {
    files(visit, name).ok_or_else(|| visit.not_found())?;
    let is_protected = name == "main" && visit.repository().is_protected;
    let may_push = visit.right >= Right::Write && !is_protected;
    Ok(SandboxReply::json(200, &json!({ "name": name, "protected": is_protected, "user_can_push": may_push })))
}

fn protect(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Own, ADMIN_ONLY)?;
    let Protection { rule_name } = visit.body()?;
    visit.repository_mut().is_protected = true;
    Ok(SandboxReply::json(201, &json!({ "rule_name": rule_name, "enable_push": false })))
}

fn open_pull(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs_life()?;
    let NewPull { head, base, title, body } = visit.body()?;
    files(visit, &head).ok_or_else(|| visit.not_found())?;
    let (author, at) = (visit.user, visit.at);
    let issue = crate::sandbox::issue::NewIssue { author, title, body, due: None, is_pull: true, labels: Vec::new() };
    let number = visit.state.add_issue(at, issue);
    visit.repository_mut().pulls.push(SandboxPull { number, head, base });
    let pull = visit.repository().pulls.last().map(|pull| pull_json(visit, pull));
    Ok(SandboxReply::json(201, &pull.unwrap_or_default()))
}

fn pull_json(visit: &RepoRequest<'_>, pull: &SandboxPull) -> Value {
    let (repository, SandboxPull { number, head, base }) = (visit.repository(), pull);
    let page = format!("{}/{}/{}/pulls/{number}", visit.state.url, repository.owner_login, repository.name);
    json!({ "number": number, "html_url": page, "head": { "ref": head }, "base": { "ref": base }, "state": "open" })
}

fn make_hook(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Own, ADMIN_ONLY)?;
    let HookBody { active, events, config } = visit.body()?;
    let hooks = &mut visit.repository_mut().hooks;
    let id = hooks.last().map_or(1, |hook| hook.id + 1);
    hooks.push(RegisteredHook { id, is_active: active, events: expanded(events), config });
    let json = hooks.last().map(hook_json);
    Ok(SandboxReply::json(201, &json.unwrap_or_default()))
}

fn edit_hook(visit: &mut RepoRequest<'_>, id: &str) -> Handled {
    visit.needs(Right::Own, ADMIN_ONLY)?;
    let HookBody { active, events, config } = visit.body()?;
    let not_found = visit.not_found();
    let hooks = visit.repository_mut().hooks.iter_mut();
    let hook = hooks.into_iter().find(|hook| hook.id.to_string() == id).ok_or(not_found)?;
    *hook = RegisteredHook { id: hook.id, is_active: active, events: expanded(events), config };
    Ok(SandboxReply::json(200, &hook_json(hook)))
}

/// `issues` means all events of issues, and `issues_only` the plain ones, which are called `issues` where hooks are listed
/// (go-gitea/gitea `routers/api/v1/utils/hook.go`).
fn expanded(events: Vec<String>) -> Vec<String> {
    let all = ["issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment"];
    if events.iter().any(|event| event == "issues") {
        return all.map(str::to_owned).to_vec();
    }
    let listed = |event: String| if event == "issues_only" { "issues".to_owned() } else { event };
    events.into_iter().map(listed).collect()
}

/// Without its secret.
fn hook_json(hook: &RegisteredHook) -> Value {
    let RegisteredHook { id, is_active, events, config } = hook;
    let shown: BTreeMap<_, _> = config.iter().filter(|(key, _)| *key != "secret").collect();
    json!({ "id": id, "type": "gitea", "active": is_active, "events": events, "config": shown })
}
