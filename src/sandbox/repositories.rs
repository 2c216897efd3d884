//! Repositories: made, described, changed, renamed, shared and filled.

use crate::sandbox::exchange::{Reply, Request};
use crate::sandbox::state::{Right, State};
use crate::sandbox::visit::{Answer, Visit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct NewRepository {
    name: String,
}

#[derive(Deserialize)]
struct RepositoryEdit {
    name: Option<String>,
    private: Option<bool>,
    archived: Option<bool>,
    has_issues: Option<bool>,
}

#[derive(Deserialize)]
struct Collaboration {
    #[serde(default)]
    permission: String,
}

#[derive(Deserialize)]
struct NewFile {
    content: String,
}

pub(super) fn create(state: &mut State, request: &Request, owner: i64) -> Answer {
    let NewRepository { name } = request.json(&state.url)?;
    let login = state.user(owner).login;
    if state.repository_named(&login, &name).is_some() {
        return Err(Reply::refusal(&state.url, 409, "The repository with the same name already exists."));
    }
    let at = state.add_repository(owner, &name);
    Ok(Reply::json(201, &state.repository_json(&state.repositories[at], Right::Own)))
}

pub(super) fn route(visit: &mut Visit<'_>, rest: &[&str]) -> Answer {
    match (visit.request.method.as_str(), rest) {
        ("GET", []) => {
            let json = visit.state.repository_json(visit.repository(), visit.right);
            Ok(Reply::json(200, &json))
        }
        ("PATCH", []) => edit(visit),
        ("DELETE", []) => {
            visit.needs(Right::Own, "user should be the owner of the repo")?;
            visit.state.repositories.remove(visit.at);
            Ok(Reply::empty(204))
        }
        ("PUT", ["collaborators", login]) => {
            visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
            let Collaboration { permission } = visit.body()?;
            let not_found = visit.not_found();
            let user = visit.state.user_named(login).ok_or(not_found)?.id;
            let repository = visit.repository_mut();
            let list = if permission == "read" { &mut repository.readers } else { &mut repository.writers };
            list.insert(user);
            Ok(Reply::empty(204))
        }
        ("POST", ["contents", path @ ..]) => write_file(visit, &path.join("/")),
        ("GET", ["contents", path @ ..]) => read_file(visit, &path.join("/")),
        _ => Err(visit.not_found()),
    }
}

fn edit(visit: &mut Visit<'_>) -> Answer {
    visit.needs(Right::Own, "user should be an owner or a collaborator with admin write of a repository")?;
    let RepositoryEdit { name, private, archived, has_issues } = visit.body()?;
    if let Some(name) = name.filter(|name| *name != visit.repository().name) {
        visit.state.rename(visit.at, &name);
    }
    let repository = visit.repository_mut();
    repository.is_private = private.unwrap_or(repository.is_private);
    repository.is_archived = archived.unwrap_or(repository.is_archived);
    repository.has_issues = has_issues.unwrap_or(repository.has_issues);
    Ok(Reply::json(200, &visit.state.repository_json(visit.repository(), visit.right)))
}

fn write_file(visit: &mut Visit<'_>, path: &str) -> Answer {
    visit.needs(Right::Write, "user should have a permission to write to the target branch")?;
    visit.needs_life()?;
    let NewFile { content } = visit.body()?;
    let decoded = STANDARD.decode(content).map_err(|error| visit.refusal(422, &error.to_string()))?;
    if visit.repository().files.contains_key(path) {
        return Err(visit.refusal(422, &format!("repository file already exists [path: {path}]")));
    }
    visit.repository_mut().files.insert(path.to_owned(), decoded);
    Ok(Reply::json(201, &json!({ "content": { "name": file_name(path), "path": path, "type": "file" } })))
}

fn read_file(visit: &Visit<'_>, path: &str) -> Answer {
    let contents = visit.repository().files.get(path).ok_or_else(|| visit.not_found())?;
    let content = STANDARD.encode(contents);
    let name = file_name(path);
    let json = json!({ "name": name, "path": path, "type": "file", "encoding": "base64", "content": content });
    Ok(Reply::json(200, &json))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
