//! Builds the `--version` line and enables the tests against a live Gitea. Debug builds name no commit, so that a new
//! commit does not rebuild them.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LAZARUS_COMMIT");
    println!("cargo::rerun-if-env-changed=LAZARUS_TEST_GITEA");
    println!("cargo::rustc-check-cfg=cfg(live_gitea)");
    if std::env::var_os("LAZARUS_TEST_GITEA").is_some_and(|gitea| !gitea.is_empty()) {
        println!("cargo::rustc-cfg=live_gitea");
    }
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let is_release = variable("PROFILE").is_some_and(|profile| profile == "release");
    let from_git = || if is_release { commit() } else { None };
    let commit = variable("LAZARUS_COMMIT").or_else(from_git);
    let (version, target) = (variable("CARGO_PKG_VERSION"), variable("TARGET"));
    let [version, commit, target] = [version, commit, target].map(|value| value.unwrap_or("unknown".to_owned()));
    println!("cargo::rustc-env=VERSION_LINE={version} (commit {commit}, {target})");
}

/// The checkout's commit; tells cargo which files to watch for it. None without git, or if the sources lie within
/// another repository.
fn commit() -> Option<String> {
    let manifest_dir = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let top_level = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top_level != Path::new(&manifest_dir).canonicalize().ok()? {
        return None;
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        // Cargo treats a missing file as changed.
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
