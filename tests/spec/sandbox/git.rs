//! Git clones from the sandbox over HTTP as it does from a real Gitea: each fact is checked on both, with the real git.

use crate::support::forge::{FORM_PATH, Forge, client};
use crate::support::repository::Repository;
use crate::support::stories;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazarus::mission::proposal::form::FORM;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

stories![
    anybody_clones_a_public_repository,
    a_branch_and_a_commit_are_fetched_alone,
    a_private_repository_is_cloned_with_a_token,
    an_unreadable_repository_answers_like_a_missing_one,
    wrong_credentials_are_refused_for_every_repository,
    git_is_redirected_to_a_renamed_repository,
    a_request_may_be_compressed,
];

/// Runs git in a directory, with nothing of this machine's own settings; what it prints, if it goes well.
async fn try_git(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut git = tokio::process::Command::new("git");
    git.args(["-c", "protocol.version=2", "-c", "init.defaultBranch=main"]).args(arguments).current_dir(directory);
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    git.env("NO_PROXY", "127.0.0.1").env("GIT_ASKPASS", "true").stdin(Stdio::null());
    for (who, name) in [("AUTHOR", "GIT_AUTHOR"), ("COMMITTER", "GIT_COMMITTER")] {
        git.env(format!("{name}_NAME"), who).env(format!("{name}_EMAIL"), "x@x.test");
    }
    let output = git.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn git(directory: &Path, arguments: &[&str]) -> String {
    try_git(directory, arguments).await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Where a repository is cloned from, by somebody who says so.
fn url(repository: &Repository, credentials: &str) -> String {
    let url = repository.forge.url.replacen("http://", &format!("http://{credentials}"), 1);
    format!("{url}/{}.git", repository.name)
}

async fn private(forge: &Forge) -> Repository {
    let repository = forge.repository().await;
    forge.change(Method::PATCH, &repository.path(), json!({ "private": true })).await;
    repository
}

async fn anybody_clones_a_public_repository(forge: Forge) {
    let repository = forge.repository().await;
    let directory = tempfile::tempdir().unwrap();
    git(directory.path(), &["clone", "--quiet", &url(&repository, ""), "here"]).await;
    let here = directory.path().join("here");
    assert_eq!(std::fs::read(here.join(FORM_PATH)).unwrap(), FORM.as_bytes());
    let (_, name) = repository.name.split_once('/').unwrap();
    assert_eq!(std::fs::read_to_string(here.join("README.md")).unwrap(), format!("# {name}\n\n"));
    assert_eq!(git(&here, &["branch", "--show-current"]).await, "main");
    // A name without `.git` is as good.
    let bare = url(&repository, "").replace(".git", "");
    assert_eq!(git(&here, &["ls-remote", &bare, "main"]).await, git(&here, &["ls-remote", "origin", "main"]).await);
}

async fn a_branch_and_a_commit_are_fetched_alone(forge: Forge) {
    let repository = forge.repository().await;
    let (directory, url) = (tempfile::tempdir().unwrap(), url(&repository, ""));
    let at = directory.path();
    let clone = ["clone", "--quiet", "--depth=1", "--single-branch", "--branch=main", "--no-tags", &url, "branch"];
    git(at, &clone).await;
    let commit = git(&at.join("branch"), &["rev-parse", "HEAD"]).await;
    // What comes later does not hide a commit that was there.
    let file = json!({ "content": STANDARD.encode("Later."), "message": "Later", "branch": "main" });
    forge.change(Method::POST, &format!("{}/contents/later", repository.path()), file).await;
    git(at, &["init", "--quiet", "commit"]).await;
    let commit_at = at.join("commit");
    git(&commit_at, &["fetch", "--quiet", "--depth=1", "--filter=blob:none", &url, &commit]).await;
    assert_eq!(git(&commit_at, &["rev-parse", "FETCH_HEAD"]).await, commit);
    git(&commit_at, &["fetch", "--quiet", &url, "main"]).await;
    assert_ne!(git(&commit_at, &["rev-parse", "FETCH_HEAD"]).await, commit);
    assert_eq!(git(&commit_at, &["show", "FETCH_HEAD:later"]).await, "Later.");
    assert!(try_git(&commit_at, &["fetch", "--quiet", &url, "no-such-branch"]).await.is_err());
}

async fn a_private_repository_is_cloned_with_a_token(forge: Forge) {
    let repository = private(&forge).await;
    let directory = tempfile::tempdir().unwrap();
    let (token, password) = (forge.token("bot"), forge.password("bot"));
    let posted = [
        format!("anybody:{token}@"),
        format!("{token}:x-oauth-basic@"),
        format!("{token}:@"),
        format!("bot:{password}@"),
    ];
    for (at, credentials) in posted.iter().enumerate() {
        let (url, name) = (url(&repository, credentials), at.to_string());
        git(directory.path(), &["clone", "--quiet", &url, &name]).await;
        assert!(directory.path().join(&name).join(FORM_PATH).is_file(), "{credentials}");
    }
    let header = format!("http.extraHeader=Authorization: token {token}");
    let refs = git(directory.path(), &["-c", &header, "ls-remote", &url(&repository, "")]).await;
    assert!(refs.ends_with("refs/heads/main"), "{refs}");
    assert!(try_git(directory.path(), &["ls-remote", &url(&repository, "")]).await.is_err());
}

/// Asks what there is, as git does.
async fn asked(forge: &Forge, name: &str, authorization: &str) -> Response {
    let client = client();
    let mut request = client.get(format!("{}/{name}.git/info/refs?service=git-upload-pack", forge.url));
    if !authorization.is_empty() {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.send().await.unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn an_unreadable_repository_answers_like_a_missing_one(forge: Forge) {
    let (repository, public) = (private(&forge).await, forge.repository().await);
    let narrow = forge.new_token("bot", &["write:issue"]);
    let status = async |name: &str, authorization: &str| asked(&forge, name, authorization).await.status().as_u16();
    for name in [&repository.name, "owner/none"] {
        let answer = asked(&forge, name, "").await;
        assert_eq!(answer.status().as_u16(), 401, "{name}");
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Basic realm=\"Gitea\"", "{name}");
        assert_eq!(status(name, &basic("stranger", forge.token("stranger"))).await, 404, "{name}");
    }
    assert_eq!(status("nobody-at-all/none", "").await, 404);
    // The scopes of a token count where they are needed; in the token's own scheme since 1.26.2 (go-gitea/gitea#37583).
    assert_eq!(status(&repository.name, &basic("x", &narrow)).await, 403);
    let version = forge.get("/version").await["version"].as_str().unwrap().to_owned();
    let is_older = ["1.22.", "1.23.", "1.24.", "1.25.", "1.26.0", "1.26.1"].iter().any(|old| version.starts_with(old));
    let expected = if is_older { 200 } else { 403 };
    assert_eq!(status(&repository.name, &format!("token {narrow}")).await, expected, "{version}");
    assert_eq!(status(&public.name, &basic("x", &narrow)).await, 200);
    let answer = asked(&forge, &public.name, "").await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/x-git-upload-pack-advertisement");
    assert!(answer.text().await.unwrap().starts_with("001e# service=git-upload-pack\n0000"));
}

async fn wrong_credentials_are_refused_for_every_repository(forge: Forge) {
    let (repository, public) = (private(&forge).await, forge.repository().await);
    for posted in [basic("bot", "0123456789abcdef"), "token 0123456789abcdef".to_owned(), basic("0123456789abcdef", "")]
    {
        for name in [&repository.name, &public.name] {
            let answer = asked(&forge, name, &posted).await;
            assert_eq!(answer.status().as_u16(), 401, "{name} {posted}");
            assert!(!answer.headers().contains_key(WWW_AUTHENTICATE), "{name} {posted}");
        }
    }
    assert_eq!(asked(&forge, &public.name, "Negotiate x").await.status().as_u16(), 200);
}

async fn git_is_redirected_to_a_renamed_repository(forge: Forge) {
    let repository = forge.repository().await;
    let new = format!("{}-now", repository.name);
    forge.change(Method::PATCH, &repository.path(), json!({ "name": new.split_once('/').unwrap().1 })).await;
    let answer = asked(&forge, &repository.name, "").await;
    let location = answer.headers()[LOCATION].to_str().unwrap();
    assert_eq!(answer.status().as_u16(), 301);
    assert_eq!(location, format!("/{new}/info/refs?service=git-upload-pack"));
    let refs = git(Path::new("/"), &["ls-remote", &url(&repository, "")]).await;
    assert!(refs.ends_with("refs/heads/main"), "{refs}");
}

async fn a_request_may_be_compressed(forge: Forge) {
    let repository = forge.repository().await;
    let list_refs = "0014command=ls-refs\n00010009peel\n0000";
    let post = async |body: Vec<u8>, is_compressed: bool| {
        let request = client();
        let mut request = request.post(format!("{}/git-upload-pack", url(&repository, "")));
        request =
            request.header(CONTENT_TYPE, "application/x-git-upload-pack-request").header("Git-Protocol", "version=2");
        if is_compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let plain = post(list_refs.into(), false).await;
    assert!(plain.0 == 200 && plain.1.contains("refs/heads/main"), "{plain:?}");
    assert_eq!(post(compressed(list_refs), true).await, plain);
}

fn compressed(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

/// A bare repository with so many commits on `main`.
async fn bare(commits: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    git(directory.path(), &["init", "--quiet", "--bare", "."]).await;
    extend(directory.path(), commits).await;
    directory
}

async fn extend(bare: &Path, commits: usize) {
    let mut stream = String::new();
    for at in 0..commits {
        let from = if at == 0 { "from refs/heads/main^0\n" } else { "" };
        let commit = format!("commit refs/heads/main\ncommitter X <x@x.test> {at} +0000\ndata 1\nx\n{from}\n");
        stream.push_str(&commit);
    }
    if git(bare, &["for-each-ref"]).await.is_empty() {
        stream = stream.replacen("from refs/heads/main^0\n", "", 1);
    }
    let mut import =
        Command::new("git").args(["fast-import", "--quiet"]).current_dir(bare).stdin(Stdio::piped()).spawn();
    import.as_mut().unwrap().stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.unwrap().wait().unwrap().success());
}

#[tokio::test]
async fn a_registered_repository_is_served_with_its_history() {
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    let bare = bare(300).await;
    forge.engine().serve_git(repository.id, bare.path());
    let (directory, url) = (tempfile::tempdir().unwrap(), url(&repository, ""));
    git(directory.path(), &["clone", "--quiet", &url, "here"]).await;
    let here = directory.path().join("here");
    assert_eq!(git(&here, &["rev-list", "--count", "HEAD"]).await, "300");
    // Both went on without each other, so that git says at length what it has, and compresses it.
    extend(bare.path(), 3).await;
    for at in 0..60 {
        git(&here, &["commit", "--quiet", "--allow-empty", "--message", &at.to_string()]).await;
    }
    git(&here, &["fetch", "--quiet", "origin"]).await;
    assert_eq!(git(&here, &["rev-list", "--count", "HEAD..origin/main"]).await, "3");
}

#[tokio::test]
async fn the_same_files_are_the_same_commit() {
    let forges = [Forge::sandbox().await, Forge::sandbox().await];
    let mut commits = Vec::new();
    for forge in &forges {
        let repository = forge.repository_named("quests").await;
        commits.push(git(Path::new("/"), &["ls-remote", &url(&repository, ""), "refs/heads/main"]).await);
    }
    assert!(commits[0] == commits[1] && commits[0].ends_with("refs/heads/main"), "{commits:?}");
}

#[tokio::test]
async fn git_delays_only_its_own_request_and_leaves_nothing_behind() {
    let forge = Forge::sandbox().await;
    let (made, stuck) = (forge.repository().await, forge.repository().await);
    git(Path::new("/"), &["ls-remote", &url(&made, "")]).await;
    let port = forge.url.rsplit(':').next().unwrap().to_owned();
    let directories = || {
        let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&format!("lazarus-sandbox-{port}-"))).count()
    };
    assert_eq!(directories(), 1);

    // Git hangs where its first file is a pipe that nobody writes in.
    let bare = bare(1).await;
    let head = bare.path().join("HEAD");
    std::fs::remove_file(&head).unwrap();
    mknodat(CWD, &head, FileType::Fifo, Mode::RWXU, 0).unwrap();
    forge.engine().serve_git(stuck.id, bare.path());
    let (asking, name) = (forge.clone(), stuck.name.clone());
    let waiting = tokio::spawn(async move { asked(&asking, &name, "").await.status().as_u16() });
    let pipe = tokio::task::spawn_blocking(move || std::fs::File::create(head).unwrap()).await.unwrap();
    forge.get(&stuck.path()).await;
    git(Path::new("/"), &["ls-remote", &url(&made, "")]).await;
    assert!(!waiting.is_finished());
    drop(pipe);
    assert_eq!(waiting.await.unwrap(), 500);

    drop((forge, made, stuck));
    assert_eq!(directories(), 0);
}

#[tokio::test]
async fn without_git_on_the_machine_there_are_no_repositories() {
    const NOWHERE: &str = "/nonexistent";
    if std::env::var_os("PATH").is_none_or(|path| path != NOWHERE) {
        // The path of a process is its own: once more, in one that finds nothing.
        let again = ["--exact", "sandbox::git::without_git_on_the_machine_there_are_no_repositories"];
        let run = Command::new(std::env::current_exe().unwrap()).args(again).env("PATH", NOWHERE).output().unwrap();
        let output = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && output.contains("1 passed"), "{output}");
        return;
    }
    let forge = Forge::sandbox().await;
    let repository = forge.repository().await;
    for _ in 0..2 {
        assert_eq!(asked(&forge, &repository.name, "").await.status().as_u16(), 404);
    }
    forge.get(&repository.path()).await;
}
