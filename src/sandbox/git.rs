//! Serves clones and fetches over smart HTTP (go-gitea/gitea `routers/web/repo/githttp.go`).

use crate::sandbox::accounts::Actor;
use crate::sandbox::bare_repos::{BareRepos, RepoSource, git, run};
use crate::sandbox::http_message::{SandboxReply, SandboxRequest, moved};
use crate::sandbox::state::{Right, SandboxState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::process::Command;

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

/// A request for git.
#[derive(Debug)]
pub(super) struct GitCall {
    source: RepoSource,
    /// Whether the request lists refs instead of fetching them.
    is_advertisement: bool,
    protocol: Option<String>,
    body: Vec<u8>,
    is_gzip: bool,
}

/// The owner, the repository and the service of a request of git; none for any other request.
pub(super) fn target(request: &SandboxRequest) -> Option<(&str, &str, &str)> {
    let (owner, name, service) = match (request.method.as_str(), request.segments().as_slice()) {
        ("GET", [owner, name, "info", "refs"]) => (*owner, *name, request.query("service").unwrap_or_default()),
        ("POST", [owner, name, service @ (UPLOAD | RECEIVE)]) => (*owner, *name, *service),
        _ => return None,
    };
    Some((owner, name.strip_suffix(".git").unwrap_or(name), service))
}

/// Checks whether the caller may read the repository. Anonymous callers cannot tell a private repository from a missing
/// one.
pub(super) fn admit(
    state: &SandboxState,
    request: &SandboxRequest,
    (owner, name, service): (&str, &str, &str),
) -> Result<GitCall, SandboxReply> {
    let not_found = || SandboxReply::text(404, "Repository not found\n");
    let caller = caller(state, request)?;
    let at = find(state, request, owner, name)?;
    let is_public = at.is_some_and(|at| !state.repositories[at].is_private);
    if !is_public || service != UPLOAD {
        let actor = caller.ok_or_else(sign_in)?;
        // With every scheme: before 1.26.2 Gitea did not check the scopes of `Authorization: token …`
        // (go-gitea/gitea#37583).
        if !actor.scopes.allow(if service == RECEIVE { "write" } else { "read" }, "repository") {
            return Err(SandboxReply::text(403, "Forbidden\n"));
        }
        at.filter(|at| state.right(Some(&actor), *at) > Right::None).ok_or_else(not_found)?;
    }
    let repository = &state.repositories[at.filter(|_| service == UPLOAD).ok_or_else(not_found)?];
    let files = || RepoSource::Files { id: repository.id, files: repository.files.clone() };
    Ok(GitCall {
        source: repository.git.clone().map_or_else(files, RepoSource::At),
        is_advertisement: request.method == "GET",
        protocol: request.header("git-protocol").filter(|text| is_safe(text)).map(str::to_owned),
        body: request.body.clone(),
        is_gzip: request.header("content-encoding") == Some("gzip"),
    })
}

fn find(
    state: &SandboxState,
    request: &SandboxRequest,
    owner: &str,
    name: &str,
) -> Result<Option<usize>, SandboxReply> {
    if state.accounts.named(owner).is_none() {
        let now = state.accounts.moved_to(owner);
        return Err(now.map_or_else(|| SandboxReply::html(404, "Not Found"), |now| moved(request, 307, owner, now)));
    }
    let at = state.repository_named(owner, name);
    if at.is_none()
        && let Some(now) = state.moved_to(owner, name)
    {
        let before = request.segments()[..2].join("/");
        return Err(moved(request, 301, &before, &now));
    }
    Ok(at)
}

/// Asks an anonymous caller to sign in, so that git prompts its user.
fn sign_in() -> SandboxReply {
    SandboxReply::text(401, "Unauthorized\n").with("www-authenticate", "Basic realm=\"Gitea\"")
}

/// The account that calls; none is anonymous. Wrong credentials are rejected even where none are needed.
fn caller(state: &SandboxState, request: &SandboxRequest) -> Result<Option<Actor>, SandboxReply> {
    let Some((scheme, text)) = request.header("authorization").and_then(|header| header.split_once(' ')) else {
        return Ok(None);
    };
    let actor = match scheme.to_lowercase().as_str() {
        "basic" => basic(state, text),
        "token" | "bearer" => state.accounts.actor(text),
        _ => return Ok(None),
    };
    let unauthorized = || SandboxReply::text(401, "Failed to authenticate user\n");
    actor.map(Some).ok_or_else(unauthorized)
}

/// The token is the password of any user, or the user without a password; otherwise the password is the account's
/// (go-gitea/gitea `services/auth/basic.go`).
fn basic(state: &SandboxState, encoded: &str) -> Option<Actor> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let token = if password.is_empty() || password == "x-oauth-basic" { user } else { password };
    state.accounts.actor(token).or_else(|| state.accounts.by_password(user, password))
}

/// Whether the value is safe as a variable of git's environment.
fn is_safe(protocol: &str) -> bool {
    protocol.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '=' | ':'))
}

/// Runs git on a separate thread, because all threads of the runtime may be waiting for this response.
pub(super) async fn serve(repos: std::sync::Arc<BareRepos>, call: GitCall) -> SandboxReply {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(answer(&repos, &call)));
    receiver.await.unwrap_or_else(|_| SandboxReply::empty(500))
}

/// Without git on the machine, every repository is missing.
fn answer(repos: &BareRepos, call: &GitCall) -> SandboxReply {
    match upload(repos, call) {
        Ok(reply) => reply,
        Err(error) if error.kind() == io::ErrorKind::NotFound => SandboxReply::text(404, "Repository not found\n"),
        Err(_) => SandboxReply::empty(500),
    }
}

fn upload(repos: &BareRepos, call: &GitCall) -> io::Result<SandboxReply> {
    let path = repos.path_of(&call.source)?;
    // Gitea sets these for all of its repositories (go-gitea/gitea `modules/git/config.go`).
    let mut command = git();
    command.args(["-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true"]);
    command.args(["upload-pack", "--stateless-rpc"]);
    if let Some(protocol) = &call.protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    if call.is_advertisement {
        let mut body = b"001e# service=git-upload-pack\n0000".to_vec();
        body.extend(run(command.arg("--advertise-refs").arg(path), &[])?);
        let reply = packets("application/x-git-upload-pack-advertisement", body);
        return Ok(reply.with("cache-control", "no-cache, max-age=0, must-revalidate"));
    }
    let inflated = if call.is_gzip { Some(run(Command::new("gzip").arg("-dc"), &call.body)?) } else { None };
    let body = run(command.arg(path), inflated.as_ref().unwrap_or(&call.body))?;
    Ok(packets("application/x-git-upload-pack-result", body))
}

fn packets(kind: &str, body: Vec<u8>) -> SandboxReply {
    SandboxReply { body, ..SandboxReply::empty(200).with("content-type", kind) }
}
