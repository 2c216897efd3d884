//! Which programs are run over a whole life: git, for a checkout and only in staging; for everything else none.

use crate::life::hostile::canary::Canary;
use crate::life::hostile::trace::traced;
use crate::support::forge::Forge;
use crate::support::host::Host;
use crate::support::missions::body;
use crate::support::repository::Repository;
use crate::support::stories;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

stories![only_git_is_run_and_only_in_staging];

struct Life {
    repository: Repository,
    host: Host,
    canary: Canary,
}

impl Life {
    /// One command; how many programs it ran, each of them as it may be. None where nothing can be traced.
    async fn run(&self, arguments: &[&str]) -> Option<usize> {
        let mut command = self.host.reconciler(&self.repository);
        let (run, trace) = traced(&self.host, "a whole life", command.args(arguments)).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        self.canary.check();
        let trace = trace?;
        trace.check(&self.host, self.repository.forge.token("bot"), &self.canary);
        Some(trace.programs().len())
    }

    async fn check_runs_git(&self, when: &str) {
        let count = self.run(&["--once"]).await;
        assert!(count.is_none_or(|count| count >= 10), "{when}: {count:?}");
    }

    async fn check_runs_nothing(&self, when: &str) {
        let count = self.run(&["--once"]).await;
        assert!(count.is_none_or(|count| count == 0), "{when}: {count:?}");
    }
}

/// Everything in a worktree that makes a plain `git status` there run something.
fn spring(worktree: &Path, canary: &Path) {
    let command = format!("touch {}", canary.join("ran").display());
    let settings = format!(
        "[core]\n\tfsmonitor = {command}\n\thooksPath = .git/hooks\n\tsshCommand = {command}\n\tpager = {command}\n\
         [filter \"x\"]\n\tclean = {command}\n\tsmudge = {command}\n[credential]\n\thelper = !{command}\n\
         [include]\n\tpath = {}\n[alias]\n\tstatus = !{command}\n",
        canary.join("worktree/.git/config").display()
    );
    let own = worktree.join(".git");
    let before = std::fs::read_to_string(own.join("config")).unwrap();
    std::fs::write(own.join("config"), before + &settings).unwrap();
    std::fs::write(worktree.join(".gitattributes"), "* filter=x\n").unwrap();
    std::fs::create_dir_all(own.join("hooks")).unwrap();
    for hook in ["post-checkout", "post-index-change", "pre-commit", "reference-transaction"] {
        let path = own.join("hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\n{command}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

async fn only_git_is_run_and_only_in_staging(forge: Forge) {
    let (repository, host) = (forge.repository().await, Host::new());
    let canary = Canary::beside(&host);
    let life = Life { repository, host, canary };
    let own = life.repository.name.as_str();
    let early = life.repository.file("reader", "Mission: early", &[("repository", own), ("ref", "main")]).await;
    life.check_runs_git("a worktree for a new cell").await;
    let cell = life.host.cell();
    let late = life.repository.file("reader", "Mission: late", &[]).await;
    life.check_runs_nothing("a cell without a repository").await;
    spring(&cell.join("worktree"), life.canary.path());
    life.check_runs_nothing("a worktree that waits for the next git").await;
    let edited = |answers: &[(&str, &str)]| body(answers);
    let asked = edited(&[("Repository", own), ("Ref", "main"), ("Wizard", "circe"), ("Stale after", "1 hour")]);
    life.repository.edit("reader", early, |_| asked.clone()).await;
    life.check_runs_nothing("other answers").await;
    let asked = edited(&[("Repository", own), ("Ref", "other")]);
    life.repository.edit("reader", early, |_| asked.clone()).await;
    life.check_runs_nothing("another ref, which is not taken").await;
    let asked = edited(&[("Repository", own)]);
    life.repository.edit("reader", late, |_| asked.clone()).await;
    life.check_runs_git("a worktree for a cell that is there").await;
    for cell in life.host.cells() {
        std::fs::remove_dir_all(cell.join("logs")).unwrap();
        std::fs::remove_file(cell.join("config/cell.json")).unwrap();
    }
    life.check_runs_nothing("repairs").await;
    assert_eq!((life.run(&["scan"]).await.unwrap_or(0), life.run(&["--once", "--dry-run"]).await.unwrap_or(0)), (0, 0));
    for state in ["closed", "open", "closed"] {
        for number in [early, late] {
            life.repository.set_state(number, state).await;
        }
        life.check_runs_nothing(state).await;
    }
    assert_eq!(life.host.archives().len(), 2);
    assert_eq!(life.run(&["gc", "--older-than", "0s", "--yes"]).await.unwrap_or(0), 0);
    assert_eq!(life.host.archives().len(), 0);
}

/// The oracle itself: each of these breaks one of its rules.
#[tokio::test]
async fn the_oracle_detects_each_forbidden_action() {
    let forge = Forge::sandbox().await;
    let host = Host::new();
    let canary = Canary::beside(&host);
    let cell = host.root().join("52985a61-b87c-52fd-9ad8-9a45c2899dd4");
    std::fs::create_dir(&cell).unwrap();
    symlink(canary.path(), host.root().join("link")).unwrap();
    let (cell, root, token) = (cell.display(), host.root().display().to_string(), forge.token("bot"));
    let attempts = [
        "true".to_owned(),
        format!("exec git -C {cell} --version"),
        format!("exec git --git-dir={cell} --version"),
        format!("cd {cell} && exec git --version"),
        format!("GIT_DIR={cell} exec git --version"),
        format!("exec git --version {token}"),
        format!("exec git config --file {cell}/config --list"),
        format!("exec 3< {root}/link/heartbeat.json"),
        format!("exec 3> {}/beside", host.path().display()),
        format!("exec 3> {root}/../beside"),
        format!("echo x >> {root}/link/new"),
        "/bin/true; true".to_owned(),
    ];
    for (at, attempt) in attempts.iter().enumerate() {
        let mut command = Command::new("sh");
        command.args(["-c", attempt]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let Some(trace) = traced(&host, "what must not happen", &command).await.1 else { return };
        assert_eq!(trace.offences(&host, token, &canary).is_empty(), at == 0, "{attempt}");
    }
}
