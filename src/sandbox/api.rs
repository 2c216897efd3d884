//! Routes API requests: authenticates the caller, checks the account and the token's scope, and calls a handler.

use crate::sandbox::accounts::{Actor, Scopes};
use crate::sandbox::http_message::{PAGE_MAX, SandboxReply, SandboxRequest, moved};
use crate::sandbox::repo_request::{Handled, RepoRequest, authorize};
use crate::sandbox::state::SandboxState;
use crate::sandbox::{comments, issues, labels, repositories, setup, timeline};
use serde_json::json;

pub(super) fn answer(state: &mut SandboxState, request: &SandboxRequest) -> SandboxReply {
    route(state, request).unwrap_or_else(|rejection| rejection)
}

fn route(state: &mut SandboxState, request: &SandboxRequest) -> Handled {
    let actor = authenticate(state, request)?;
    let segments = request.segments();
    let segments = segments.strip_prefix(&["api", "v1"]).unwrap_or_default();
    check_account(state, actor.as_ref())?;
    check_scope(state, actor.as_ref(), request, segments)?;
    match (request.method.as_str(), segments) {
        ("GET", ["version"]) => Ok(SandboxReply::json(200, &json!({ "version": state.version }))),
        ("GET", ["settings", "api"]) => {
            Ok(SandboxReply::json(200, &json!({ "max_response_items": PAGE_MAX, "default_paging_num": 30 })))
        }
        ("GET", ["user"]) => {
            let user = signed_in(state, actor.as_ref())?;
            let user = state.accounts.get(user);
            let mut json = state.user_json(&user);
            // Only an account itself sees this.
            json["is_admin"] = json!(user.is_admin);
            Ok(SandboxReply::json(200, &json))
        }
        ("PUT", ["user", "blocks", login]) => {
            let user = signed_in(state, actor.as_ref())?;
            let blocked = state.accounts.named(login).map(|user| user.id);
            let blocked = blocked.ok_or_else(|| SandboxReply::not_found(&state.url))?;
            state.accounts.block(user, blocked);
            Ok(SandboxReply::empty(204))
        }
        ("DELETE", ["user", "blocks", login]) => {
            let user = signed_in(state, actor.as_ref())?;
            let blocked = state.accounts.named(login).map(|user| user.id);
            let blocked = blocked.ok_or_else(|| SandboxReply::not_found(&state.url))?;
            state.accounts.unblock(user, blocked);
            Ok(SandboxReply::empty(204))
        }
        ("GET", ["notifications"]) => {
            signed_in(state, actor.as_ref())?;
            Ok(SandboxReply::json(200, &json!([])))
        }
        ("POST", ["user", "repos"]) => {
            let user = signed_in(state, actor.as_ref())?;
            repositories::create(state, request, user)
        }
        ("GET", ["users", login]) => account(state, request, actor.as_ref(), login),
        ("PATCH", ["admin", "users", login]) => edit_account(state, request, actor.as_ref(), login),
        (_, ["repositories", id]) => {
            let at = id.parse().ok().and_then(|id| state.repository_by_id(id));
            authorize(state, request, actor.as_ref(), at).and_then(|mut context| repositories::route(&mut context, &[]))
        }
        (_, ["repos", owner, name, rest @ ..]) => {
            let at = state.repository_named(owner, name);
            if at.is_none() {
                check_not_moved(state, request, owner, name)?;
            }
            authorize(state, request, actor.as_ref(), at).and_then(|mut context| about_repository(&mut context, rest))
        }
        _ => Err(SandboxReply::not_found(&state.url)),
    }
}

fn about_repository(context: &mut RepoRequest<'_>, rest: &[&str]) -> Handled {
    match rest {
        ["issues" | "labels", ..]
            if !context.repository().has_issues || context.repository().external_tracker.is_some() =>
        {
            Err(SandboxReply::not_found(&context.state.url))
        }
        ["labels", rest @ ..] => labels::route(context, rest),
        ["issues", "comments"] => comments::of_repository(context),
        ["issues", "comments", id] => comments::one(context, id),
        ["issues", number, "comments"] => comments::of_issue(context, number),
        ["issues", number, "timeline"] => timeline::of_issue(context, number),
        ["issues", number, "labels", rest @ ..] => labels::of_issue(context, number, rest),
        ["issues", rest @ ..] => issues::route(context, rest),
        ["issue_templates" | "contents"]
        | ["issue_config" | "branches" | "branch_protections" | "pulls" | "hooks", ..] => setup::route(context, rest),
        _ => repositories::route(context, rest),
    }
}

fn authenticate(state: &SandboxState, request: &SandboxRequest) -> Result<Option<Actor>, SandboxReply> {
    let Some(header) = request.header("authorization") else { return Ok(None) };
    let token = header.strip_prefix("token ").or_else(|| header.strip_prefix("Bearer "));
    let actor = token.and_then(|token| state.accounts.actor(token));
    let unauthorized = || SandboxReply::error(&state.url, 401, "user does not exist [uid: 0, name: ]");
    actor.map(Some).ok_or_else(unauthorized)
}

/// A disabled account is rejected before any other check, without the address of the documentation
/// (go-gitea/gitea `routers/api/v1/api.go`).
fn check_account(state: &SandboxState, actor: Option<&Actor>) -> Result<(), SandboxReply> {
    let Some(actor) = actor else { return Ok(()) };
    let user = state.accounts.get(actor.user);
    let message = if user.is_prohibited {
        "This account is prohibited from signing in, please contact your site administrator.".to_owned()
    } else if user.must_change_password {
        format!("You must change your password. Change it at: {}/user/change_password", state.url)
    } else {
        return Ok(());
    };
    Err(SandboxReply::json(403, &json!({ "message": message })))
}

fn edit_account(state: &mut SandboxState, request: &SandboxRequest, actor: Option<&Actor>, login: &str) -> Handled {
    if !state.accounts.get(signed_in(state, actor)?).is_admin {
        return Err(SandboxReply::error(&state.url, 403, "user should be the site admin"));
    }
    let edit = request.json(&state.url)?;
    let edited = state.accounts.edit(login, edit);
    let user = edited.ok_or_else(|| SandboxReply::not_found(&state.url))?;
    Ok(SandboxReply::json(200, &state.user_json(&user)))
}

fn signed_in(state: &SandboxState, actor: Option<&Actor>) -> Result<i64, SandboxReply> {
    actor.map(|actor| actor.user).ok_or_else(|| SandboxReply::error(&state.url, 401, "token is required"))
}

/// The path and method decide which scope a call needs (go-gitea/gitea `routers/api/v1/api.go`).
fn check_scope(
    state: &SandboxState,
    actor: Option<&Actor>,
    request: &SandboxRequest,
    segments: &[&str],
) -> Result<(), SandboxReply> {
    let Some(Actor { scopes: Scopes::Some(scopes), .. }) = actor else { return Ok(()) };
    let category = match segments {
        ["repos", _, _, "issues" | "labels", ..] => "issue",
        ["repos" | "repositories", ..] | ["user", "repos"] => "repository",
        ["user" | "users", ..] => "user",
        ["notifications", ..] => "notification",
        _ => return Ok(()),
    };
    let access = if request.method == "GET" { "read" } else { "write" };
    if actor.is_some_and(|actor| actor.scopes.allow(access, category)) {
        return Ok(());
    }
    let message = format!(
        "token does not have at least one of required scope(s), required=[{access}:{category}], token scope={}",
        scopes.join(",")
    );
    Err(SandboxReply::error(&state.url, 403, &message))
}

/// A private profile is visible to its owner and to administrators; for other accounts it does not exist
/// (go-gitea/gitea `routers/api/v1/user/user.go`).
fn account(state: &SandboxState, request: &SandboxRequest, actor: Option<&Actor>, login: &str) -> Handled {
    let caller = actor.map(|actor| state.accounts.get(actor.user));
    let unknown = || SandboxReply::error(&state.url, 404, &format!("user does not exist [uid: 0, name: {login}]"));
    if let Some(user) = state.accounts.named(login) {
        let is_visible = !user.is_private || caller.is_some_and(|caller| caller.is_admin || caller.id == user.id);
        return if is_visible { Ok(SandboxReply::json(200, &state.user_json(user))) } else { Err(unknown()) };
    }
    if let Some(now) = state.accounts.moved_to(login) {
        return Err(moved(request, 307, login, now));
    }
    Err(unknown())
}

/// A renamed account answers 307 and a renamed repository 301 (go-gitea/gitea#34005), each with a path only.
fn check_not_moved(
    state: &SandboxState,
    request: &SandboxRequest,
    owner: &str,
    name: &str,
) -> Result<(), SandboxReply> {
    if let Some(now) = state.accounts.moved_to(owner) {
        return Err(moved(request, 307, owner, now));
    }
    let now = state.moved_to(owner, name);
    now.map_or(Ok(()), |now| Err(moved(request, 301, &format!("{owner}/{name}"), &now)))
}
