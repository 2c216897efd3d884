//! Repositories: made, described, changed, renamed, shared and filled.

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
    // Some clients send null for what they leave open.
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
struct Offer {
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
        return Err(SandboxReply::refusal(&state.url, 409, "The repository with the same name already exists."));
    }
    let at = state.add_repository(owner, &name);
    state.repositories[at].is_private = private.unwrap_or_default();
    if auto_init.unwrap_or_default() {
        state.repositories[at].files.insert("README.md".to_owned(), format!("# {name}\n\n").into_bytes());
    }
    Ok(SandboxReply::json(201, &state.repository_json(&state.repositories[at], Right::Own)))
}

pub(super) fn route(visit: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match (visit.request.method.as_str(), rest) {
        ("GET", []) => {
            let json = visit.state.repository_json(visit.repository(), visit.right);
            Ok(SandboxReply::json(200, &json))
        }
        ("PATCH", []) => edit(visit),
        ("DELETE", []) => {
            visit.needs(Right::Own, "user should be the owner of the repo")?;
            visit.state.repositories.remove(visit.at);
            Ok(SandboxReply::empty(204))
        }
        ("POST", ["transfer"]) => offer(visit),
        ("POST", ["transfer", "accept"]) => accept(visit),
        ("GET", ["assignees"]) => {
            let writers = visit.repository().writers.iter().copied();
            let who: BTreeSet<i64> = writers.chain([visit.repository().owner]).collect();
            Ok(SandboxReply::json(200, &people(visit, who)))
        }
        ("GET", ["collaborators"]) => Ok(collaborators(visit)),
        ("PUT", ["collaborators", login]) => {
            visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
            let Collaboration { permission } = visit.body()?;
            let not_found = visit.not_found();
            let user = visit.state.accounts.named(login).ok_or(not_found)?.id;
            let repository = visit.repository_mut();
            let list = if permission == "read" { &mut repository.readers } else { &mut repository.writers };
            list.insert(user);
            Ok(SandboxReply::empty(204))
        }
        ("DELETE", ["collaborators", login]) => {
            visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
            let user = visit.state.accounts.named(login).map(|user| user.id);
            let repository = visit.repository_mut();
            repository.readers.retain(|reader| Some(*reader) != user);
            repository.writers.retain(|writer| Some(*writer) != user);
            Ok(SandboxReply::empty(204))
        }
        ("POST", ["contents", path @ ..]) => write_file(visit, &path.join("/")),
        ("GET", ["contents", path @ ..]) => read_file(visit, &path.join("/")),
        _ => Err(visit.not_found()),
    }
}

/// Who works in a repository is told to whoever may read there, private profiles included.
fn people(visit: &RepoRequest<'_>, who: impl IntoIterator<Item = i64>) -> Value {
    let accounts = &visit.state.accounts;
    who.into_iter().map(|id| visit.state.user_json(&accounts.get(id))).collect()
}

fn collaborators(visit: &RepoRequest<'_>) -> SandboxReply {
    let SandboxRepository { readers, writers, .. } = visit.repository();
    let (size, page) = (visit.request.page_size(), visit.request.number("page").unwrap_or(1).max(1));
    let all: BTreeSet<i64> = readers.union(writers).copied().collect();
    let shown = all.iter().copied().skip((page - 1) * size).take(size);
    SandboxReply::json(200, &people(visit, shown)).with("x-total-count", &all.len().to_string())
}

fn edit(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let RepositoryEdit { name, private, archived, has_issues, external_tracker } = visit.body()?;
    if let Some(name) = name.filter(|name| *name != visit.repository().name) {
        visit.state.rename(visit.at, &name);
    }
    let repository = visit.repository_mut();
    repository.is_private = private.unwrap_or(repository.is_private);
    repository.is_archived = archived.unwrap_or(repository.is_archived);
    // Whoever says anything of issues says which of the two it is (go-gitea/gitea `routers/api/v1/repo/repo.go`).
    if let Some(has_issues) = has_issues {
        repository.has_issues = has_issues;
        repository.external_tracker = external_tracker.map(|tracker| tracker.external_tracker_url);
    }
    Ok(SandboxReply::json(200, &visit.state.repository_json(visit.repository(), visit.right)))
}

/// An administrator's transfer happens at once, anybody else's when the new owner accepts it, who may read until then
/// (go-gitea/gitea `services/repository/transfer.go`).
fn offer(visit: &mut RepoRequest<'_>) -> Handled {
    visit.needs(Right::Own, "user should be the owner of the repo")?;
    let Offer { new_owner } = visit.body()?;
    let unknown = || visit.refusal(404, "The new owner does not exist or cannot be found");
    let new_owner = visit.state.accounts.named(&new_owner).ok_or_else(unknown)?.clone();
    let SandboxRepository { name, offered_to, .. } = visit.repository();
    if offered_to.is_some() {
        return Err(visit.refusal(409, "repository is already being transferred [uname: , name: ]"));
    }
    if visit.state.repository_named(&new_owner.login, name).is_some() {
        return Err(
            visit.refusal(422, &format!("repository already exists [uname: {}, name: {name}]", new_owner.login))
        );
    }
    if visit.state.accounts.get(visit.user).is_admin {
        visit.state.transfer(visit.at, new_owner.id);
        return Ok(described(visit, 202));
    }
    let repository = visit.repository_mut();
    repository.offered_to = Some(new_owner.id);
    repository.readers.insert(new_owner.id);
    Ok(described(visit, 201))
}

fn accept(visit: &mut RepoRequest<'_>) -> Handled {
    match visit.repository().offered_to {
        None => Err(visit.not_found()),
        Some(user) if user != visit.user => Err(visit.refusal(403, "permission denied")),
        Some(user) => {
            visit.state.transfer(visit.at, user);
            Ok(described(visit, 202))
        }
    }
}

fn described(visit: &RepoRequest<'_>, status: u16) -> SandboxReply {
    SandboxReply::json(status, &visit.state.repository_json(visit.repository(), Right::Own))
}

fn write_file(visit: &mut RepoRequest<'_>, path: &str) -> Handled {
    visit.needs(Right::Write, "user should have a permission to write to the target branch")?;
    visit.needs_life()?;
    let NewFile { content } = visit.body()?;
    let decoded = STANDARD.decode(content).map_err(|error| visit.refusal(422, &error.to_string()))?;
    if visit.repository().files.contains_key(path) {
        return Err(visit.refusal(422, &format!("repository file already exists [path: {path}]")));
    }
    visit.repository_mut().files.insert(path.to_owned(), decoded);
    Ok(SandboxReply::json(201, &json!({ "content": { "name": file_name(path), "path": path, "type": "file" } })))
}

fn read_file(visit: &RepoRequest<'_>, path: &str) -> Handled {
    let Some(contents) = visit.repository().files.get(path) else { return folder(visit, path) };
    let content = STANDARD.encode(contents);
    let name = file_name(path);
    let sha = setup::blob_id(contents);
    let json =
        json!({ "name": name, "path": path, "type": "file", "sha": sha, "encoding": "base64", "content": content });
    Ok(SandboxReply::json(200, &json))
}

/// What is in a folder, and not below it.
fn folder(visit: &RepoRequest<'_>, path: &str) -> Handled {
    let inside = visit.repository().files.iter().filter_map(|(file, contents)| {
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
    if entries.is_empty() { Err(visit.not_found()) } else { Ok(SandboxReply::json(200, &json!(entries))) }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
