//! A host with a missions root of its own, on which the real binaries run.

use crate::support::repository::Repository;
use chrono::DateTime;
use lazarus::mission::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// An account that may do nothing.
const NOBODY: u32 = 65_534;

/// A directory with a root, a token file and nothing else; gone when dropped.
pub(crate) struct Host {
    directory: TempDir,
}

/// What was in a root at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, String>);

impl Snapshot {
    /// How many paths there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What there was.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// The paths that are new, gone or different in `later`.
    pub(crate) fn changed(&self, later: &Self) -> Vec<PathBuf> {
        let paths: BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        paths.into_iter().filter(|path| self.0.get(*path) != later.0.get(*path)).cloned().collect()
    }
}

/// What a run of a binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    /// A fresh host; its root is an empty directory. It is in memory where that can be had, since what is made durable
    /// again and again takes its time on a disk; no program can be counted on to run from there.
    pub(crate) fn new() -> Self {
        Self::in_directory(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    /// The same on a disk, with much room.
    pub(crate) fn on_disk() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap())
    }

    fn in_directory(directory: TempDir) -> Self {
        let root = directory.path().join("missions");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o711)).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("missions")
    }

    /// The cells in the root, sorted.
    pub(crate) fn cells(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().path());
        let mut cells: Vec<_> = entries.filter(|path| !path.ends_with(".lazarus")).collect();
        cells.sort_unstable();
        cells
    }

    /// The cells in the archive, sorted.
    pub(crate) fn archives(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root().join(".lazarus/archive")).into_iter().flatten();
        let mut archives: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        archives.sort_unstable();
        archives
    }

    /// Everything in the root: every path with its contents, but for the lock, which tells who held it last.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut found = BTreeMap::new();
        let mut left = vec![self.root()];
        while let Some(path) = left.pop() {
            if path.is_dir() && !path.is_symlink() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if path.ends_with(".lazarus/daemon.lock") {
                continue;
            }
            let is_read = path.is_file() && !path.ends_with(".lazarus/lock");
            let contents = if is_read { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
            found.insert(path, contents);
        }
        Snapshot(found)
    }

    /// The one cell in the root.
    pub(crate) fn cell(&self) -> PathBuf {
        match self.cells().as_slice() {
            [cell] => cell.clone(),
            cells => panic!("one cell was expected: {cells:?}"),
        }
    }

    /// A binary of ours in an empty environment, in this host's directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        let path = match program {
            "lazarus-reconcile" => env!("CARGO_BIN_EXE_lazarus-reconcile"),
            "lazarus-pit" => env!("CARGO_BIN_EXE_lazarus-pit"),
            other => panic!("no binary {other}"),
        };
        let mut command = Command::new(path);
        command.env_clear().current_dir(self.path()).env("LAZARUS_HOST", "alpha");
        command.env("LAZARUS_MISSIONS_ROOT", self.root());
        // Where git is.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// `lazarus-reconcile`, set up for a repository and the bot's token.
    pub(crate) fn reconciler(&self, repository: &Repository) -> Command {
        let token = self.path().join("token");
        if !token.exists() {
            std::fs::write(&token, repository.forge.token("bot")).unwrap();
        }
        let mut command = self.command("lazarus-reconcile");
        command.env("LAZARUS_GITEA_URL", &repository.forge.url).env("LAZARUS_GITEA_TOKEN_FILE", token);
        command.env("LAZARUS_REPOSITORIES", &repository.name);
        command
    }

    /// The same command as an account that may do nothing. Root may everything, and so it becomes nobody, to whom then
    /// belongs what is directly in this host's directory.
    pub(crate) fn unprivileged(&self, command: &Command) -> Command {
        let program = self.path().join("program");
        std::fs::copy(command.get_program(), &program).unwrap();
        let mut unprivileged = Command::new(program);
        unprivileged.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        unprivileged.current_dir(self.path()).args(command.get_args());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(self.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            for entry in std::fs::read_dir(self.path()).unwrap() {
                std::os::unix::fs::chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            unprivileged.uid(NOBODY).gid(NOBODY);
        }
        unprivileged
    }

    /// One pass as a JSON document; panics unless it exits with 0.
    pub(crate) async fn once(&self, repository: &Repository) -> Value {
        let run = run(self.reconciler(repository).args(["--once", "--json"])).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }

    /// Beats in a cell.
    pub(crate) async fn beat(&self, cell: &Path, arguments: &[&str]) {
        let run = run(self.command("lazarus-pit").arg("beat").arg("--cell").arg(cell).args(arguments)).await;
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    }
}

/// A heartbeat of this time, in the file as in its own times: the clock of a test is not the host's.
pub(crate) fn beat_at(cell: &Path, stamp: Timestamp, state: &str) {
    let path = cell.join("state/heartbeat.json");
    std::fs::write(&path, json!({ "timestamp": stamp, "state": state }).to_string()).unwrap();
    let written = DateTime::parse_from_rfc3339(&stamp.to_string()).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written.into()).unwrap();
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command to its end, without holding up the sandbox that it may talk to.
pub(crate) async fn run(command: &mut Command) -> Run {
    let child = command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let child = child.stderr(std::process::Stdio::piped());
    let mut spawned = child.spawn();
    // A program that was just copied is held open for writing by whatever another test is starting at this moment.
    while spawned.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy) {
        tokio::task::yield_now().await;
        spawned = child.spawn();
    }
    let child = spawned.unwrap();
    let output: Output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Run { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// How many changes of a pass there were, root and labels included.
pub(crate) fn changes(report: &Value) -> usize {
    let missions = report["missions"].as_array().unwrap().iter();
    let of_missions: usize = missions.map(|mission| mission["changes"].as_array().unwrap().len()).sum();
    of_missions + report["changes"].as_array().unwrap().len()
}

/// How many requests of a pass could have changed something.
pub(crate) fn writes(report: &Value) -> u64 {
    ["post", "patch", "put", "delete"].iter().map(|method| report["requests"][method].as_u64().unwrap()).sum()
}
