//! A place for a worktree, and those who look at it and work in it.

use crate::support::host::appoint_guard;
use lazarus::mission::identity::CommitId;
use lazarus::world::git::{CheckoutError, CheckoutLimits, CheckoutSource, Destination, Git};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The branch that is made.
pub(crate) const BRANCH: &str = "mission/one";

/// A directory with room for a worktree, and with things beside it that nobody may touch.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        appoint_guard();
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("outside")).unwrap();
        std::fs::write(directory.path().join("outside/canary"), "sings").unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn worktree(&self) -> PathBuf {
        self.path().join("worktree")
    }

    pub(crate) fn check_out(&self, source: &CheckoutSource) -> Result<CommitId, CheckoutError> {
        self.check_out_within(source, CheckoutLimits::default(), None)
    }

    /// Whatever comes of it, nothing beside the worktree has changed, and after an error nothing is left.
    pub(crate) fn check_out_within(
        &self,
        source: &CheckoutSource,
        limits: CheckoutLimits,
        group: Option<u32>,
    ) -> Result<CommitId, CheckoutError> {
        let directory = self.worktree();
        let destination = Destination { directory: &directory, branch: BRANCH, group };
        let came = Git::find().unwrap().check_out(source, destination, limits);
        assert_eq!(came.is_ok(), directory.exists(), "{came:?}");
        assert_eq!(lodgers(self.path()), [], "nobody is left at work");
        self.check_untouched();
        came
    }

    pub(crate) fn check_untouched(&self) {
        let beside: Vec<PathBuf> =
            files(self.path()).into_iter().filter(|path| !path.starts_with("worktree")).collect();
        assert_eq!(beside, [Path::new("outside"), Path::new("outside/canary")]);
        assert_eq!(std::fs::read_to_string(self.path().join("outside/canary")).unwrap(), "sings");
    }

    /// The worktree's own files, git's left out.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = files(&self.worktree()).into_iter().filter(|path| !path.starts_with(".git"));
        files.map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    /// git as somebody runs it who works there: what it prints, and that it succeeds.
    pub(crate) fn wizard(&self, arguments: &[&str]) -> String {
        let posted = self.wizards_git(arguments).output().unwrap();
        assert!(posted.status.success(), "{arguments:?}: {posted:?}");
        String::from_utf8(posted.stdout).unwrap().trim_end().to_owned()
    }

    /// The same, as another user of this group.
    pub(crate) fn wizard_of(&self, group: u32, arguments: &[&str]) -> String {
        let posted = self.wizards_git(arguments).uid(group).gid(group).output().unwrap();
        assert!(posted.status.success(), "{arguments:?}: {posted:?}");
        String::from_utf8(posted.stdout).unwrap().trim_end().to_owned()
    }

    fn wizards_git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Merlin", "-c", "user.email=merlin@example.com"]).args(arguments);
        command.current_dir(self.worktree()).env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1");
        // Without this git works for nobody but the owner.
        let trusted = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];
        command.envs(trusted);
        command
    }
}

/// Everything below a directory, in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(&path).unwrap().map(Result::unwrap) {
            found.push(entry.path().strip_prefix(directory).unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Group and mode, as `<group> <mode>`.
pub(crate) fn rights(path: &Path) -> String {
    let status = std::fs::symlink_metadata(path).unwrap();
    format!("{} {:o}", status.gid(), status.mode())
}

/// The processes that are at work below a directory, with the first letters of their commands.
pub(crate) fn lodgers(directory: &Path) -> Vec<(i32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))
    });
    let lodgers = processes
        .filter(|(_, process)| std::fs::read_link(process.join("cwd")).is_ok_and(|place| place.starts_with(directory)));
    let command = |process: PathBuf| std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    lodgers.map(|(pid, process)| (pid, command(process).trim_end().to_owned())).collect()
}
