//! Creates, reads, changes, renames, transfers and shares repositories, and their files.

use crate::sandbox::http_message::{SandboxReply, SandboxRequest};
use crate::sandbox::repo_request::{Handled, RepoRequest};
use crate::sandbox::setup;
use crate::sandbox::state::{Right, SandboxRepository, SandboxState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct NewRepository {
    name: String,
    // Some clients send null for absent options.
    auto_init: Option<bool>,
    private: Option<bool>,
}

#[derive(Deserialize)]
struct RepositoryEdit {
    name: Option<String>,
    private: Option<bool>,
    archived: Option<bool>,
    has_issues: Option<bool>,
    external_tracker: Option<Tracker>,
}

#[derive(Deserialize)]
struct Tracker {
    external_tracker_url: String,
}

#[derive(Deserialize)]
struct Collaboration {
    #[serde(default)]
    permission: String,
}

#[derive(Deserialize)]
struct Transfer {
    new_owner: String,
}

#[derive(Deserialize)]
struct NewFile {
    content: String,
}

pub(super) fn create(state: &mut SandboxState, request: &SandboxRequest, owner: i64) -> Handled {
    let NewRepository { name, auto_init, private } = request.json(&state.url)?;
    let login = state.accounts.get(owner).login;
    if state.repository_named(&login, &name).is_some() {
        return Err(SandboxReply::error(&state.url, 409, "The repository with the same name already exists."));
    }
    let at = state.add_repository(owner, &name);
    state.repositories[at].is_private = private.unwrap_or_default();
    if auto_init.unwrap_or_default() {
        state.repositories[at].files.insert("README.md".to_owned(), format!("# {name}\n\n").into_bytes());
    }
    Ok(SandboxReply::json(201, &state.repository_json(&state.repositories[at], Right::Own)))
}

pub(super) fn route(context: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (context.request.method.as_str(), rest) {
        ("GET", []) => {
            let json = context.state.repository_json(context.repository(), context.right);
            Ok(SandboxReply::json(200, &json))
        }
        ("PATCH", []) => edit(context),
        ("DELETE", []) => {
            context.require(Right::Own, "user should be the owner of the repo")?;
            context.state.repositories.remove(context.at);
            Ok(SandboxReply::empty(204))
        }
        ("POST", ["transfer"]) => offer(context),
        ("POST", ["transfer", "accept"]) => accept(context),
        ("GET", ["assignees"]) => {
            let writers = context.repository().writers.iter().copied();
            let who: BTreeSet<i64> = writers.chain([context.repository().owner]).collect();
            Ok(SandboxReply::json(200, &people(context, who)))
        }
        ("GET", ["collaborators"]) => Ok(collaborators(context)),
        ("PUT", ["collaborators", login]) => {
            context
                .require(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
            let Collaboration { permission } = context.body()?;
            let not_found = context.not_found();
            let user = context.state.accounts.named(login).ok_or(not_found)?.id;
            let repository = context.repository_mut();
            let list = if permission == "read" { &mut repository.readers } else { &mut repository.writers };
            list.insert(user);
            Ok(SandboxReply::empty(204))
        }
        ("DELETE", ["collaborators", login]) => {
            context
                .require(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
            let user = context.state.accounts.named(login).map(|user| user.id);
            let repository = context.repository_mut();
            repository.readers.retain(|reader| Some(*reader) != user);
            repository.writers.retain(|writer| Some(*writer) != user);
            Ok(SandboxReply::empty(204))
        }
        ("POST", ["contents", path @ ..]) => write_file(context, &path.join("/")),
        ("GET", ["contents", path @ ..]) => read_file(context, &path.join("/")),
        _ => Err(context.not_found()),
    }
}

/// Every reader of a repository sees its collaborators, private profiles included.
fn people(context: &RepoRequest<'_>, who: impl IntoIterator<Item = i64>) -> Value {
    let accounts = &context.state.accounts;
    who.into_iter().map(|id| context.state.user_json(&accounts.get(id))).collect()
}

fn collaborators(context: &RepoRequest<'_>) -> SandboxReply {
    let SandboxRepository { readers, writers, .. } = context.repository();
    let (size, page) = (context.request.page_size(), context.request.number("page").unwrap_or(1).max(1));
    let all: BTreeSet<i64> = readers.union(writers).copied().collect();
    let shown = all.iter().copied().skip((page - 1) * size).take(size);
    SandboxReply::json(200, &people(context, shown)).with("x-total-count", &all.len().to_string())
}

fn edit(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let RepositoryEdit { name, private, archived, has_issues, external_tracker } = context.body()?;
    if let Some(name) = name.filter(|name| *name != context.repository().name) {
        context.state.rename(context.at, &name);
    }
    let repository = context.repository_mut();
    repository.is_private = private.unwrap_or(repository.is_private);
    repository.is_archived = archived.unwrap_or(repository.is_archived);
    // An edit of the issue settings also decides between the own and the external tracker (go-gitea/gitea
    // `routers/api/v1/repo/repo.go`).
    if let Some(has_issues) = has_issues {
        repository.has_issues = has_issues;
        repository.external_tracker = external_tracker.map(|tracker| tracker.external_tracker_url);
    }
    Ok(SandboxReply::json(200, &context.state.repository_json(context.repository(), context.right)))
}

/// An administrator's transfer is immediate; any other needs the new owner's acceptance, who may read until then
/// (go-gitea/gitea `services/repository/transfer.go`).
fn offer(context: &mut RepoRequest<'_>) -> Handled {
    context.require(Right::Own, "user should be the owner of the repo")?;
    let Transfer { new_owner } = context.body()?;
    let unknown = || context.error(404, "The new owner does not exist or cannot be found");
    let new_owner = context.state.accounts.named(&new_owner).ok_or_else(unknown)?.clone();
    let SandboxRepository { name, offered_to, .. } = context.repository();
    if offered_to.is_some() {
        return Err(context.error(409, "repository is already being transferred [uname: , name: ]"));
    }
    if context.state.repository_named(&new_owner.login, name).is_some() {
        return Err(
            context.error(422, &format!("repository already exists [uname: {}, name: {name}]", new_owner.login))
        );
    }
    if context.state.accounts.get(context.user).is_admin {
        context.state.transfer(context.at, new_owner.id);
        return Ok(described(context, 202));
    }
    let repository = context.repository_mut();
    repository.offered_to = Some(new_owner.id);
    repository.readers.insert(new_owner.id);
    Ok(described(context, 201))
}

fn accept(context: &mut RepoRequest<'_>) -> Handled {
    match context.repository().offered_to {
        None => Err(context.not_found()),
        Some(user) if user != context.user => Err(context.error(403, "permission denied")),
        Some(user) => {
            context.state.transfer(context.at, user);
            Ok(described(context, 202))
        }
    }
}

fn described(context: &RepoRequest<'_>, status: u16) -> SandboxReply {
    SandboxReply::json(status, &context.state.repository_json(context.repository(), Right::Own))
}

fn write_file(context: &mut RepoRequest<'_>, path: &str) -> Handled {
    context.require(Right::Write, "user should have a permission to write to the target branch")?;
    context.require_not_archived()?;
    let NewFile { content } = context.body()?;
    let decoded = STANDARD.decode(content).map_err(|error| context.error(422, &error.to_string()))?;
    if context.repository().files.contains_key(path) {
        return Err(context.error(422, &format!("repository file already exists [path: {path}]")));
    }
    context.repository_mut().files.insert(path.to_owned(), decoded);
    Ok(SandboxReply::json(201, &json!({ "content": { "name": file_name(path), "path": path, "type": "file" } })))
}

fn read_file(context: &RepoRequest<'_>, path: &str) -> Handled {
    let Some(contents) = context.repository().files.get(path) else { return folder(context, path) };
    let encoded = STANDARD.encode(contents);
    let name = file_name(path);
    let sha = setup::blob_id(contents);
    let json =
        json!({ "name": name, "path": path, "type": "file", "sha": sha, "encoding": "base64", "content": encoded });
    Ok(SandboxReply::json(200, &json))
}

/// Lists a folder, not recursively.
fn folder(context: &RepoRequest<'_>, path: &str) -> Handled {
    let inside = context.repository().files.iter().filter_map(|(file, contents)| {
        let below = if path.is_empty() { file } else { file.strip_prefix(path)?.strip_prefix('/')? };
        Some(match below.split_once('/') {
            Some((folder, _)) => (folder, None),
            None => (below, Some(contents)),
        })
    });
    let entries: BTreeMap<&str, Option<&Vec<u8>>> = inside.collect();
    let entry = |(name, contents): (&str, Option<&Vec<u8>>)| {
        let at = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let kind = if contents.is_some() { "file" } else { "dir" };
        let sha = contents.map(|contents| setup::blob_id(contents)).unwrap_or_default();
        json!({ "name": name, "path": at, "type": kind, "sha": sha, "content": null })
    };
    let entries: Vec<_> = entries.into_iter().map(entry).collect();
    if entries.is_empty() { Err(context.not_found()) } else { Ok(SandboxReply::json(200, &json!(entries))) }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
