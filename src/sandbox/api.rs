//! The API: who asks, whether the token's scope and the account's rights allow it, and which handler answers.

use crate::sandbox::exchange::{Reply, Request};
use crate::sandbox::state::{Actor, Issue, Repository, Right, Scopes, State};
use crate::sandbox::{comments, issues, labels, repositories, timeline};
use serde::de::DeserializeOwned;
use serde_json::json;

/// A request about one repository, by somebody who may at least read it.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) state: &'a mut State,
    pub(super) request: &'a Request,
    /// Who asks; 0 is nobody in particular.
    pub(super) user: i64,
    pub(super) is_job: bool,
    pub(super) right: Right,
    /// The repository's place in the state.
    pub(super) at: usize,
}

pub(super) type Answer = Result<Reply, Reply>;

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    route(state, request).unwrap_or_else(|refusal| refusal)
}

fn route(state: &mut State, request: &Request) -> Answer {
    let actor = authenticate(state, request)?;
    let segments = request.segments();
    let segments = segments.strip_prefix(&["api", "v1"]).unwrap_or_default();
    check_scope(state, actor.as_ref(), request, segments)?;
    match (request.method.as_str(), segments) {
        ("GET", ["version"]) => Ok(Reply::json(200, &json!({ "version": "1.26.0+sandbox" }))),
        ("GET", ["settings", "api"]) => {
            Ok(Reply::json(200, &json!({ "max_response_items": issues::PAGE_MAX, "default_paging_num": 30 })))
        }
        ("GET", ["user"]) => {
            let user = signed_in(state, actor.as_ref())?;
            Ok(Reply::json(200, &state.user_json(&state.user(user))))
        }
        ("POST", ["user", "repos"]) => {
            let user = signed_in(state, actor.as_ref())?;
            repositories::create(state, request, user)
        }
        (_, ["repositories", id]) => {
            let at = id.parse().ok().and_then(|id| state.repository_by_id(id));
            visit(state, request, actor.as_ref(), at).and_then(|mut visit| repositories::route(&mut visit, &[]))
        }
        (_, ["repos", owner, name, rest @ ..]) => {
            let at = state.repository_named(owner, name);
            if let Some(now) = state.moved_to(owner, name).filter(|_| at.is_none()) {
                return Err(moved(request, owner, name, &now));
            }
            visit(state, request, actor.as_ref(), at).and_then(|mut visit| about_repository(&mut visit, rest))
        }
        _ => Err(Reply::not_found(&state.url)),
    }
}

fn about_repository(visit: &mut Visit<'_>, rest: &[&str]) -> Answer {
    match rest {
        ["issues" | "labels", ..] if !visit.repository().has_issues => Err(Reply::not_found(&visit.state.url)),
        ["labels", rest @ ..] => labels::route(visit, rest),
        ["issues", "comments", id] => comments::one(visit, id),
        ["issues", number, "comments"] => comments::of_issue(visit, number),
        ["issues", number, "timeline"] => timeline::of_issue(visit, number),
        ["issues", number, "labels", rest @ ..] => labels::of_issue(visit, number, rest),
        ["issues", rest @ ..] => issues::route(visit, rest),
        _ => repositories::route(visit, rest),
    }
}

fn authenticate(state: &State, request: &Request) -> Result<Option<Actor>, Reply> {
    let Some(header) = &request.authorization else { return Ok(None) };
    let token = header.strip_prefix("token ").or_else(|| header.strip_prefix("Bearer "));
    let actor = token.and_then(|token| state.actor(token));
    let refused = || Reply::refusal(&state.url, 401, "user does not exist [uid: 0, name: ]");
    actor.map(Some).ok_or_else(refused)
}

fn signed_in(state: &State, actor: Option<&Actor>) -> Result<i64, Reply> {
    actor.map(|actor| actor.user).ok_or_else(|| Reply::refusal(&state.url, 401, "token is required"))
}

/// Which scope a call needs goes by its path and method (go-gitea/gitea `routers/api/v1/api.go`).
fn check_scope(state: &State, actor: Option<&Actor>, request: &Request, segments: &[&str]) -> Result<(), Reply> {
    let Some(Actor { scopes: Scopes::Some(scopes), .. }) = actor else { return Ok(()) };
    let category = match segments {
        ["repos", _, _, "issues" | "labels", ..] => "issue",
        ["repos" | "repositories", ..] | ["user", "repos"] => "repository",
        ["user", ..] => "user",
        _ => return Ok(()),
    };
    let (read, write) = (format!("read:{category}"), format!("write:{category}"));
    let has = |scope: &String| scopes.contains(scope);
    let (allowed, required) =
        if request.method == "GET" { (has(&read) || has(&write), read) } else { (has(&write), write) };
    if allowed {
        return Ok(());
    }
    let message = format!(
        "token does not have at least one of required scope(s), required=[{required}], token scope={}",
        scopes.join(",")
    );
    Err(Reply::refusal(&state.url, 403, &message))
}

/// A renamed repository answers 301 with a path only (go-gitea/gitea#34005).
fn moved(request: &Request, owner: &str, name: &str, now: &str) -> Reply {
    let path = request.path.replacen(&format!("/repos/{owner}/{name}"), &format!("/repos/{now}"), 1);
    if request.method == "GET" {
        Reply::html(301, &format!("<a href=\"{path}\">Moved Permanently</a>.\n\n")).with("location", &path)
    } else {
        Reply::redirect(301, &path)
    }
}

fn visit<'a>(
    state: &'a mut State,
    request: &'a Request,
    actor: Option<&Actor>,
    at: Option<usize>,
) -> Result<Visit<'a>, Reply> {
    let right = at.map_or(Right::None, |at| state.right(actor, at));
    let Some(at) = at.filter(|_| right > Right::None) else { return Err(Reply::not_found(&state.url)) };
    if actor.is_none() && request.method != "GET" {
        return Err(Reply::refusal(&state.url, 401, "token is required"));
    }
    let user = actor.map_or(0, |actor| actor.user);
    let is_job = actor.is_some_and(|actor| matches!(actor.scopes, Scopes::Job(_)));
    Ok(Visit { state, request, user, is_job, right, at })
}

impl Visit<'_> {
    pub(super) fn repository(&self) -> &Repository {
        &self.state.repositories[self.at]
    }

    pub(super) fn repository_mut(&mut self) -> &mut Repository {
        &mut self.state.repositories[self.at]
    }

    /// The issue of this number; none where there is none.
    pub(super) fn find_issue(&self, number: &str) -> Option<&Issue> {
        let number: i64 = number.parse().ok()?;
        self.repository().issues.iter().find(|issue| issue.number == number)
    }

    pub(super) fn issue(&self, number: &str) -> Result<&Issue, Reply> {
        self.find_issue(number).ok_or_else(|| self.not_found())
    }

    pub(super) fn issue_mut(&mut self, number: &str) -> Result<&mut Issue, Reply> {
        let not_found = self.not_found();
        let number: Option<i64> = number.parse().ok();
        self.repository_mut().issues.iter_mut().find(|issue| Some(issue.number) == number).ok_or(not_found)
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        self.request.json(&self.state.url)
    }

    pub(super) fn not_found(&self) -> Reply {
        Reply::not_found(&self.state.url)
    }

    pub(super) fn internal(&self) -> Reply {
        Reply::internal(&self.state.url)
    }

    pub(super) fn refusal(&self, status: u16, message: &str) -> Reply {
        Reply::refusal(&self.state.url, status, message)
    }

    pub(super) fn needs(&self, right: Right, message: &str) -> Result<(), Reply> {
        if self.right >= right { Ok(()) } else { Err(self.refusal(403, message)) }
    }

    /// Comments and new issues are refused in an archived repository; label writes are not.
    pub(super) fn needs_life(&self) -> Result<(), Reply> {
        let Repository { owner_login, name, is_archived, .. } = self.repository();
        if !is_archived {
            return Ok(());
        }
        Err(self.refusal(423, &format!("{owner_login}/{name} is archived")))
    }
}
