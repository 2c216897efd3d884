//! The web pages that users file proposals with: sign in, open the form, submit it.

use crate::sandbox::accounts::Actor;
use crate::sandbox::form::FormTemplate;
use crate::sandbox::http_message::{SandboxReply, SandboxRequest};
use crate::sandbox::issue::NewIssue;
use crate::sandbox::state::{Right, SandboxState};
use serde_json::json;
use std::fmt::Write;

const SESSION: &str = "i_like_gitea";

pub(super) fn answer(state: &mut SandboxState, request: &SandboxRequest) -> SandboxReply {
    match (request.method.as_str(), request.segments().as_slice()) {
        ("POST", ["user", "login"]) => log_in(state, request),
        (method @ ("GET" | "POST"), [owner, name, "issues", "new"]) => {
            let Some(actor) = signed_in(state, request) else { return SandboxReply::redirect(303, "/user/login") };
            let found = state.repository_named(owner, name);
            match found.filter(|at| state.right(Some(&actor), *at) > Right::None) {
                None => SandboxReply::html(404, "<title>Page Not Found</title>"),
                Some(at) if method == "GET" => page(state, request, at),
                Some(at) => file(state, request, &actor, at),
            }
        }
        _ => SandboxReply::html(404, "<title>Page Not Found</title>"),
    }
}

fn log_in(state: &mut SandboxState, request: &SandboxRequest) -> SandboxReply {
    let form = request.form();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let Some(actor) = state.accounts.by_password(field("user_name"), field("password")) else {
        return SandboxReply::html(200, "<title>Sign In</title>Username or password is incorrect.");
    };
    let session = state.accounts.log_in(actor.user);
    SandboxReply::redirect(303, "/").with("set-cookie", &format!("{SESSION}={session}; Path=/; HttpOnly"))
}

fn signed_in(state: &SandboxState, request: &SandboxRequest) -> Option<Actor> {
    let cookies = request.header("cookie")?.split(';');
    let mut sessions = cookies.filter_map(|cookie| cookie.trim().strip_prefix(SESSION)?.strip_prefix('='));
    sessions.find_map(|session| state.accounts.session(session))
}

/// The template's labels are preselected in a hidden input, for readers too
/// (go-gitea/gitea `templates/repo/issue/sidebar/label_list.tmpl`).
fn page(state: &SandboxState, request: &SandboxRequest, at: usize) -> SandboxReply {
    let path = request.query("template").unwrap_or_default();
    let repository = &state.repositories[at];
    let Some(template) = repository.files.get(path).and_then(|file| FormTemplate::parse(file)) else {
        return SandboxReply::html(200, "<title>New Issue</title>");
    };
    let chosen = repository.labels.iter().filter(|label| {
        let is_it = |name: &String| name.eq_ignore_ascii_case(&label.name);
        template.labels.iter().any(is_it)
    });
    let ids: Vec<String> = chosen.map(|label| label.id.to_string()).collect();
    let mut html = "<title>New Issue</title><form id=\"new-issue\" method=\"post\">".to_owned();
    let _ = write!(html, "<input name=\"title\" required maxlength=\"255\" value=\"{}\">", escaped(&template.title));
    let _ = write!(html, "<input type=\"hidden\" name=\"template-file\" value=\"{}\">", escaped(path));
    let _ = write!(html, "<input name=\"label_ids\" type=\"hidden\" value=\"{}\">", ids.join(","));
    for name in template.inputs() {
        let _ = write!(html, "<input name=\"{}\">", escaped(&name));
    }
    SandboxReply::html(200, &html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Only the title is checked; any label of the repository is accepted from any account
/// (go-gitea/gitea `routers/web/repo/issue_new.go`).
fn file(state: &mut SandboxState, request: &SandboxRequest, actor: &Actor, at: usize) -> SandboxReply {
    let posted = request.form();
    let field = |name: &str| posted.get(name).map_or("", String::as_str);
    let title = field("title").to_owned();
    if title.trim().is_empty() {
        return SandboxReply::json(
            400,
            &json!({ "errorMessage": "The title cannot be empty.", "renderFormat": "text" }),
        );
    }
    let repository = &state.repositories[at];
    let template = repository.files.get(field("template-file")).and_then(|file| FormTemplate::parse(file));
    let body = template.map_or_else(|| field("content").to_owned(), |template| template.render(&posted));
    let labels = field("label_ids").split(',').filter_map(|id| id.parse().ok()).collect();
    let link = format!("/{}/{}", repository.owner_login, repository.name);
    let number = state.add_issue(at, NewIssue { author: actor.user, title, body, due: None, is_pull: false, labels });
    SandboxReply::json(200, &json!({ "redirect": format!("{link}/issues/{number}") }))
}
