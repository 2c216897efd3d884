//! A checkout in a process of its own: what its environment says changes nothing, and it runs nothing but git.

use crate::support::git_forge::{GitForge, Manner};
use crate::support::host::appoint_guard;
use crate::support::worktree::{BRANCH, Place, files};
use lazarus::mission::identity::{ForgeUrl, RepositoryName};
use lazarus::world::forge::Token;
use lazarus::world::git::{CheckoutLimits, CheckoutSource, Destination, Git};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const NAME: &str = "wizards/trap";
const TOKEN: &str = "canary0123456789abcdef";

/// Where a checkout in a process of its own finds what to do.
const ORDER: &str = "LAZARUS_SPEC_CHECKOUT";

/// The checkout of another test, which needs an environment of its own for it; otherwise nothing.
#[test]
fn a_checkout_in_a_process_of_its_own() {
    let Ok(order) = std::env::var(ORDER) else { return };
    appoint_guard();
    let (url, directory) = order.split_once(' ').unwrap();
    let token = Token::parse(TOKEN).unwrap();
    let source = CheckoutSource::new(&ForgeUrl::parse(url).unwrap(), &RepositoryName::parse(NAME).unwrap());
    let destination = Destination { directory: Path::new(directory), branch: BRANCH, group: None };
    let came = Git::find().unwrap().check_out(&source.read_with(Some(token)), destination, CheckoutLimits::default());
    std::io::stdout().write_all(format!("came: {came:?}\n").as_bytes()).unwrap();
}

/// That checkout, started by a command that may trace it.
fn run_apart(mut command: Command, forge: &GitForge, place: &Place) -> Output {
    command.args(["--exact", "world::git_apart::a_checkout_in_a_process_of_its_own", "--nocapture"]);
    command.env(ORDER, format!("{} {}", forge.url, place.worktree().display())).output().unwrap()
}

fn trap() -> (GitForge, String) {
    let forge = GitForge::new(Manner::Private(TOKEN));
    let bare = forge.repository(NAME);
    let commit = bare.publish(&bare.tree(&[("100644", "README", &bare.blob("x")), ("120000", "z", &bare.blob("y"))]));
    (forge, commit)
}

/// All files of a worktree with their contents, those left out that hold times.
fn contents(place: &Place) -> Vec<(String, Vec<u8>)> {
    let worktree = place.worktree();
    let kept = files(&worktree).into_iter().filter(|path| worktree.join(path).is_file() && !path.ends_with("index"));
    kept.map(|path| (path.display().to_string(), std::fs::read(worktree.join(path)).unwrap())).collect()
}

#[test]
fn the_environment_of_the_process_changes_no_checkout() {
    let (forge, commit) = trap();
    let plain = Place::new();
    run_apart(Command::new(std::env::current_exe().unwrap()), &forge, &plain);
    let home = tempfile::TempDir::new().unwrap();
    let canary = home.path().join("canary");
    let script = home.path().join("git-remote-http");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", canary.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let touch = format!("touch {}", canary.display());
    let settings = format!(
        "[core]\nfsmonitor={touch}\nhooksPath={0}\nsshCommand={touch}\naskPass={1}\n[credential]\nhelper=!{touch}\n\
         [url \"http://127.0.0.1:1/\"]\ninsteadOf={2}\n[http]\nproxy=http://127.0.0.1:1\nextraHeader=X: y\n[init]\ntemplateDir={0}\n",
        home.path().display(),
        script.display(),
        forge.url,
    );
    std::fs::create_dir(home.path().join("git")).unwrap();
    for name in [".gitconfig", "git/config", "system"] {
        std::fs::write(home.path().join(name), &settings).unwrap();
    }
    std::fs::write(home.path().join(".netrc"), "machine 127.0.0.1 login x password y\n").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let poison = poison(home.path(), &script, &canary);
    assert!(poison.len() >= 40, "{}", poison.len());
    command.envs(poison);
    let place = Place::new();
    let output = run_apart(command, &forge, &place);
    let posted = String::from_utf8_lossy(&output.stdout);
    assert!(posted.contains(&format!("came: Ok(CommitId(\"{commit}\"))")), "{output:?}");
    assert!(!canary.exists());
    assert_eq!(contents(&place), contents(&plain));
    place.check_untouched();
}

fn poison(home: &Path, script: &Path, canary: &Path) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let touch = format!("touch {}", canary.display());
    let nowhere = "http://127.0.0.1:1".to_owned();
    let mut poison: Vec<(&str, String)> = Vec::new();
    poison.extend(
        ["HOME", "XDG_CONFIG_HOME", "CURL_HOME", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"].map(|key| (key, path(home))),
    );
    poison.extend(
        [
            "GIT_ASKPASS",
            "SSH_ASKPASS",
            "GIT_SSH",
            "GIT_PROXY_COMMAND",
            "GIT_EXTERNAL_DIFF",
            "GIT_EDITOR",
            "EDITOR",
            "SHELL",
        ]
        .map(|key| (key, path(script))),
    );
    poison.extend(["GIT_SSH_COMMAND", "GIT_PAGER", "PAGER", "GIT_SEQUENCE_EDITOR"].map(|key| (key, touch.clone())));
    poison.extend(
        ["GIT_TRACE", "GIT_TRACE2", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE_SETUP"]
            .map(|key| (key, path(canary))),
    );
    poison.extend(
        ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"].map(|key| (key, nowhere.clone())),
    );
    poison.extend(
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"]
            .map(|key| (key, "/nonexistent".to_owned())),
    );
    poison.extend(
        ["GIT_INDEX_FILE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "LD_PRELOAD"]
            .map(|key| (key, "/nonexistent/x".to_owned())),
    );
    poison
        .extend(["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG"].map(|key| (key, path(&home.join("system")))));
    let fixed = [
        ("GIT_CONFIG_PARAMETERS", format!("'core.fsmonitor'='{touch}'")),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", "core.hooksPath".to_owned()),
        ("GIT_CONFIG_VALUE_0", path(home)),
        ("GIT_DEFAULT_HASH", "sha256".to_owned()),
        ("GIT_NAMESPACE", "elsewhere".to_owned()),
        ("GIT_ALLOW_PROTOCOL", "ext:file".to_owned()),
        ("GIT_PROTOCOL", "version=9".to_owned()),
        ("GIT_SSL_NO_VERIFY", "1".to_owned()),
        ("GIT_REPLACE_REF_BASE", "refs/heads/".to_owned()),
        ("LANG", "de_DE.UTF-8".to_owned()),
        ("LANGUAGE", "de".to_owned()),
    ];
    poison.extend(fixed);
    poison
}

#[test]
fn a_checkout_runs_only_git_and_no_argument_holds_the_token() {
    if Command::new("strace").arg("-V").output().is_err() {
        std::io::stderr().write_all(b"skipped: what a checkout runs, since there is no strace\n").unwrap();
        return;
    }
    let (forge, commit) = trap();
    let place = Place::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-v", "-s", "4096", "-e", "trace=execve,execveat", "-o"]).arg(log.path());
    let output = run_apart(
        {
            traced.arg(std::env::current_exe().unwrap());
            traced
        },
        &forge,
        &place,
    );
    let log = std::fs::read_to_string(log.path()).unwrap();
    if log.is_empty() {
        std::io::stderr().write_all(b"skipped: what a checkout runs, since strace cannot trace here\n").unwrap();
        return;
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains(&commit), "{output:?}");
    let git = Git::find().unwrap();
    let parts = Command::new(git.path()).arg("--exec-path").output().unwrap();
    let parts = String::from_utf8(parts.stdout).unwrap().trim_end().to_owned();
    let mut run: Vec<String> = Vec::new();
    for line in log.lines().filter(|line| line.contains("execve(") && !line.contains(" = -1 ")).skip(1) {
        let call = line.split_once("execve(").unwrap().1;
        let (arguments, environment) = call.split_once("], [").unwrap();
        let program = arguments.split('"').nth(1).unwrap();
        let is_guard = program == env!("CARGO_BIN_EXE_lazarus-reconcile");
        assert!(is_guard || program == git.path().to_str().unwrap() || program.starts_with(&parts), "{line}");
        assert!(!arguments.contains(TOKEN) && !arguments.contains("Authorization"), "{arguments}");
        if is_guard {
            continue;
        }
        let has_token = environment.contains("Authorization: Basic ");
        let words = arguments.split_once('[').unwrap().1.split(", ").map(|word| word.trim_matches('"'));
        let part = words.skip(1).find(|word| *word == "--version" || !word.starts_with(['-', '/'])).unwrap();
        let part = if part.starts_with(&forge.url) { "the same" } else { part };
        run.push(format!("{part} {}", if has_token { "with the token" } else { "without" }));
    }
    run.dedup();
    assert_eq!(
        run,
        [
            "--version without",
            "init without",
            "fetch with the token",
            "remote-http with the token",
            "the same with the token",
            "index-pack with the token",
            "rev-list with the token",
            "rev-parse without",
            "ls-tree without",
            "reset without",
            "config without",
            "remote without",
        ]
    );
}
