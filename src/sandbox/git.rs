//! Git over smart HTTP, for those who clone and fetch (go-gitea/gitea `routers/web/repo/githttp.go`).

use crate::sandbox::accounts::Actor;
use crate::sandbox::bare_repos::{RepoSource, Shelf, git, run};
use crate::sandbox::http_message::{SandboxReply, SandboxRequest, moved};
use crate::sandbox::state::{Right, SandboxState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::process::Command;

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

/// Something for git to do.
#[derive(Debug)]
pub(super) struct GitCall {
    source: RepoSource,
    /// Whether it is asked what there is, and not for it.
    is_advertisement: bool,
    protocol: Option<String>,
    body: Vec<u8>,
    is_gzip: bool,
}

/// The owner, the repository and the service that a request of git names; none where it is none of git's.
pub(super) fn asked(request: &SandboxRequest) -> Option<(&str, &str, &str)> {
    let (owner, name, service) = match (request.method.as_str(), request.segments().as_slice()) {
        ("GET", [owner, name, "info", "refs"]) => (*owner, *name, request.query("service").unwrap_or_default()),
        ("POST", [owner, name, service @ (UPLOAD | RECEIVE)]) => (*owner, *name, *service),
        _ => return None,
    };
    Some((owner, name.strip_suffix(".git").unwrap_or(name), service))
}

/// Looks whether whoever asks may have it. Nobody in particular learns nothing of a repository that is private or not
/// there.
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
        // Whatever the scheme: before 1.26.2 the scopes of a token that comes as `Authorization: token …` were not asked for
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

/// Whoever is nobody is asked to sign in, and git then asks its user.
fn sign_in() -> SandboxReply {
    SandboxReply::text(401, "Unauthorized\n").with("www-authenticate", "Basic realm=\"Gitea\"")
}

/// Who asks; none is nobody in particular. Whoever says something that is wrong is refused even where nobody need say
/// anything.
fn caller(state: &SandboxState, request: &SandboxRequest) -> Result<Option<Actor>, SandboxReply> {
    let Some((scheme, text)) = request.header("authorization").and_then(|header| header.split_once(' ')) else {
        return Ok(None);
    };
    let actor = match scheme.to_lowercase().as_str() {
        "basic" => basic(state, text),
        "token" | "bearer" => state.accounts.actor(text),
        _ => return Ok(None),
    };
    let refused = || SandboxReply::text(401, "Failed to authenticate user\n");
    actor.map(Some).ok_or_else(refused)
}

/// The token is the password of whatever user, or the user without a password; else it is a password
/// (go-gitea/gitea `services/auth/basic.go`).
fn basic(state: &SandboxState, encoded: &str) -> Option<Actor> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let token = if password.is_empty() || password == "x-oauth-basic" { user } else { password };
    state.accounts.actor(token).or_else(|| state.accounts.by_password(user, password))
}

/// It becomes a variable of git's environment.
fn is_safe(protocol: &str) -> bool {
    protocol.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '=' | ':'))
}

/// Lets git answer, on a thread of its own: a runtime's threads may all be taken by those who wait for this answer.
pub(super) async fn serve(shelf: std::sync::Arc<Shelf>, call: GitCall) -> SandboxReply {
    let (say, heard) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || say.send(answer(&shelf, &call)));
    heard.await.unwrap_or_else(|_| SandboxReply::empty(500))
}

/// On a machine without git there are no repositories.
fn answer(shelf: &Shelf, call: &GitCall) -> SandboxReply {
    match upload(shelf, call) {
        Ok(reply) => reply,
        Err(error) if error.kind() == io::ErrorKind::NotFound => SandboxReply::text(404, "Repository not found\n"),
        Err(_) => SandboxReply::empty(500),
    }
}

fn upload(shelf: &Shelf, call: &GitCall) -> io::Result<SandboxReply> {
    let path = shelf.find(&call.source)?;
    // What Gitea sets for all of its repositories (go-gitea/gitea `modules/git/config.go`).
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
