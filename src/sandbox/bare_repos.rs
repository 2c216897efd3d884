//! The bare repositories that git serves: registered ones, or ones built from a repository's files in a temporary
//! directory.

use crate::sandbox::seams;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The most bytes of git's response to one request.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A fixed committer and time, so that the same files always give the same commit id.
const COMMITTER: &str = "Sandbox <sandbox@noreply.localhost> 1700000000 +0000";

/// The files of a branch, by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The source that a repository is served from.
#[derive(Debug)]
pub(super) enum RepoSource {
    /// Its files, as one commit on `main`.
    Files { id: i64, files: Files },
    /// A bare repository outside of the sandbox's directory.
    At(PathBuf),
}

/// The directory of bare repositories, created on first use.
#[derive(Debug)]
pub(super) struct BareRepos(Mutex<Built>);

#[derive(Debug)]
struct Built {
    directory: PathBuf,
    /// The files that each repository was built from.
    files: BTreeMap<i64, Files>,
    state: DirectoryState,
}

#[derive(Debug)]
enum DirectoryState {
    Absent,
    Created,
    Removed,
}

impl BareRepos {
    /// The bare repositories of the sandbox at this port; the directory does not exist yet.
    pub(super) fn new(port: u16) -> Self {
        let name = format!("lazarus-sandbox-{port}-{}", seams::random_id());
        let directory = std::env::temp_dir().join(name);
        Self(Mutex::new(Built { directory, files: BTreeMap::new(), state: DirectoryState::Absent }))
    }

    /// The bare repository of a source; built, or rebuilt, if its files have changed.
    pub(super) fn path_of(&self, source: &RepoSource) -> io::Result<PathBuf> {
        let (id, files) = match source {
            RepoSource::Files { id, files } => (id, files),
            RepoSource::At(path) => return Ok(path.clone()),
        };
        let mut built = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = built.directory()?.join(format!("{id}.git"));
        if !built.files.contains_key(id) {
            run(git().args(["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]).arg(&path), &[])?;
        }
        if built.files.get(id) != Some(files) {
            commit(&path, files)?;
            built.files.insert(*id, files.clone());
        }
        Ok(path)
    }

    /// Removes the directory for good; later requests fail.
    pub(super) fn close(&self) {
        let mut built = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        built.state = DirectoryState::Removed;
        let _ = std::fs::remove_dir_all(&built.directory);
    }
}

impl Built {
    fn directory(&mut self) -> io::Result<&Path> {
        match self.state {
            DirectoryState::Removed => return Err(io::ErrorKind::NotFound.into()),
            DirectoryState::Created => {}
            DirectoryState::Absent => DirBuilder::new().mode(0o700).create(&self.directory)?,
        }
        self.state = DirectoryState::Created;
        Ok(&self.directory)
    }
}

/// Points `main` at one commit of these files. Commits of former files stay, as they do on a forge.
fn commit(path: &Path, files: &Files) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut stream = format!("commit refs/heads/main\ncommitter {COMMITTER}\ndata 5\nFiles\n").into_bytes();
    for (name, contents) in files {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(stream, "M 100644 inline \"{name}\"\ndata {}\n", contents.len())?;
        stream.extend_from_slice(contents);
        stream.push(b'\n');
    }
    run(git().arg("--git-dir").arg(path).args(["fast-import", "--quiet", "--force"]), &stream)?;
    Ok(())
}

/// Git without the configuration and the environment of this process and its user.
pub(super) fn git() -> Command {
    let mut git = Command::new("git");
    let inherited = std::env::vars_os().map(|(name, _)| name);
    inherited.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")).for_each(|name| {
        git.env_remove(name);
    });
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    // A registered repository is served whichever account owns its files.
    git.args(["-c", "safe.directory=*"]);
    git
}

/// The output of a command for this input; an exit with an error still counts if there is output.
pub(super) fn run(command: &mut Command, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut answer = Vec::new();
    let read = thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        // Output beyond the limit fails with a closed pipe.
        stdout.map_or(Ok(0), |stdout| stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer))
    });
    let status = child.wait()?;
    read?;
    if status.success() || !answer.is_empty() {
        return Ok(answer);
    }
    Err(io::Error::other(format!("{status}")))
}
