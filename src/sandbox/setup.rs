//! The endpoints that set up a repository for missions: commits, branches, pull requests and webhooks.

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

pub(super) fn route(context: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (context.request.method.as_str(), rest) {
        ("GET", ["issue_templates"]) => Ok(templates::list(context)),
        ("GET", ["issue_config"]) => Ok(templates::config(context)),
        ("GET", ["issue_config", "validate"]) => Ok(templates::check_config(context)),
        ("POST", ["contents"]) => commit(context),
        ("GET", ["branches", name]) => branch(context, name),
        ("POST", ["branch_protections"]) => protect(context),
        ("GET", ["pulls", base, head]) => {
            let pulls = &context.repository().pulls;
            let pull = pulls.iter().find(|pull| pull.base == *base && pull.head == *head);
            pull.map(|pull| SandboxReply::json(200, &pull_json(context, pull))).ok_or_else(|| context.not_found())
        }
        ("POST", ["pulls"]) => open_pull(context),
        ("GET", ["hooks"]) => {
            context.require(Right::Own, ADMIN_ONLY)?;
            Ok(SandboxReply::json(200, &context.repository().hooks.iter().map(hook_json).collect()))
        }
        ("POST", ["hooks"]) => create_hook(context),
        ("PATCH", ["hooks", id]) => edit_hook(context, id),
        _ => Err(context.not_found()),
    }
}

/// The id of a file's contents. It only has to differ for different contents.
pub(super) fn blob_id(contents: &[u8]) -> String {
    let digest = Sha256::digest(contents);
    digest.iter().take(20).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn commit(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Write, "user should have a permission to write to the target branch")?;
    context.require_not_archived()?;
    let Commit { new_branch, files: changes } = context.body()?;
    if new_branch.is_none() && context.repository().is_protected {
        return Err(context.error(403, "branch main is protected"));
    }
    if new_branch.as_ref().is_some_and(|branch| context.repository().branches.contains_key(branch)) {
        return Err(context.error(422, "branch already exists"));
    }
    let mut files = context.repository().files.clone();
    for Change { operation, path, content, sha } in changes {
        let decoded = STANDARD.decode(content).map_err(|error| context.error(422, &error.to_string()))?;
        let known = files.get(&path).map(|contents| blob_id(contents));
        match (operation.as_str(), known) {
            ("create", Some(_)) => {
                return Err(context.error(422, &format!("repository file already exists [path: {path}]")));
            }
            ("update", None) => return Err(context.not_found()),
            ("update", known) if known != sha => return Err(context.error(422, "sha does not match")),
            _ => files.insert(path, decoded),
        };
    }
    let repository = context.repository_mut();
    match new_branch {
        Some(branch) => {
            repository.branches.insert(branch, files);
        }
        None => repository.files = files,
    }
    Ok(SandboxReply::json(201, &json!({ "files": [] })))
}

fn files<'a>(context: &'a RepoRequest<'_>, branch: &str) -> Option<&'a Files> {
    let repository = context.repository();
    if branch == "main" { Some(&repository.files) } else { repository.branches.get(branch) }
}

fn branch(context: &RepoRequest<'_>, name: &str) -> Handled {
    files(context, name).ok_or_else(|| context.not_found())?;
    let is_protected = name == "main" && context.repository().is_protected;
    let may_push = context.right >= Right::Write && !is_protected;
    Ok(SandboxReply::json(200, &json!({ "name": name, "protected": is_protected, "user_can_push": may_push })))
}

fn protect(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Own, ADMIN_ONLY)?;
    let Protection { rule_name } = context.body()?;
    context.repository_mut().is_protected = true;
    Ok(SandboxReply::json(201, &json!({ "rule_name": rule_name, "enable_push": false })))
}

fn open_pull(context: &mut RepoRequest<'_>) -> Handled {
    context.require_not_archived()?;
    let NewPull { head, base, title, body } = context.body()?;
    files(context, &head).ok_or_else(|| context.not_found())?;
    let (author, at) = (context.user, context.at);
    let issue = crate::sandbox::issue::NewIssue { author, title, body, due: None, is_pull: true, labels: Vec::new() };
    let number = context.state.add_issue(at, issue);
    context.repository_mut().pulls.push(SandboxPull { number, head, base });
    let pull = context.repository().pulls.last().map(|pull| pull_json(context, pull));
    Ok(SandboxReply::json(201, &pull.unwrap_or_default()))
}

fn pull_json(context: &RepoRequest<'_>, pull: &SandboxPull) -> Value {
    let (repository, SandboxPull { number, head, base }) = (context.repository(), pull);
    let page = format!("{}/{}/{}/pulls/{number}", context.state.url, repository.owner_login, repository.name);
    json!({ "number": number, "html_url": page, "head": { "ref": head }, "base": { "ref": base }, "state": "open" })
}

fn create_hook(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Own, ADMIN_ONLY)?;
    let HookBody { active, events, config } = context.body()?;
    let hooks = &mut context.repository_mut().hooks;
    let id = hooks.last().map_or(1, |hook| hook.id + 1);
    hooks.push(RegisteredHook { id, is_active: active, events: expanded(events), config });
    let json = hooks.last().map(hook_json);
    Ok(SandboxReply::json(201, &json.unwrap_or_default()))
}

fn edit_hook(context: &mut RepoRequest<'_>, id: &str) -> Handled {
    context.require(Right::Own, ADMIN_ONLY)?;
    let HookBody { active, events, config } = context.body()?;
    let not_found = context.not_found();
    let hooks = context.repository_mut().hooks.iter_mut();
    let hook = hooks.into_iter().find(|hook| hook.id.to_string() == id).ok_or(not_found)?;
    *hook = RegisteredHook { id: hook.id, is_active: active, events: expanded(events), config };
    Ok(SandboxReply::json(200, &hook_json(hook)))
}

/// `issues` means all events of issues, and `issues_only` the plain ones, which listings of hooks call `issues`
/// (go-gitea/gitea `routers/api/v1/utils/hook.go`).
fn expanded(events: Vec<String>) -> Vec<String> {
    let all = ["issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment"];
    if events.iter().any(|event| event == "issues") {
        return all.map(str::to_owned).to_vec();
    }
    let listed = |event: String| if event == "issues_only" { "issues".to_owned() } else { event };
    events.into_iter().map(listed).collect()
}

/// The hook without its secret.
fn hook_json(hook: &RegisteredHook) -> Value {
    let RegisteredHook { id, is_active, events, config } = hook;
    let shown: BTreeMap<_, _> = config.iter().filter(|(key, _)| *key != "secret").collect();
    json!({ "id": id, "type": "gitea", "active": is_active, "events": events, "config": shown })
}
