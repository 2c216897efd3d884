//! The bare repositories that git serves: registered ones, or ones made of a repository's files, in a directory of the
//! sandbox's own that goes with it.

use crate::sandbox::seams;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The most that git may answer to one request.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Who commits what is made of files, and when, so that the same files are the same commit everywhere.
const COMMITTER: &str = "Sandbox <sandbox@noreply.localhost> 1700000000 +0000";

/// The files of a branch, by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What a repository is served from.
#[derive(Debug)]
pub(super) enum RepoSource {
    /// Its files, made a commit on `main`.
    Files { id: i64, files: Files },
    /// A bare repository that somebody else keeps.
    At(PathBuf),
}

/// Where the bare repositories stand.
#[derive(Debug)]
pub(super) struct Shelf(Mutex<Shelved>);

#[derive(Debug)]
struct Shelved {
    directory: PathBuf,
    /// Of which files each repository was made.
    made: BTreeMap<i64, Files>,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    Unmade,
    Made,
    Closed,
}

impl Shelf {
    /// A shelf of the sandbox at this port. There is no directory until one is needed.
    pub(super) fn new(port: u16) -> Self {
        let name = format!("lazarus-sandbox-{port}-{}", seams::word());
        let directory = std::env::temp_dir().join(name);
        Self(Mutex::new(Shelved { directory, made: BTreeMap::new(), standing: Standing::Unmade }))
    }

    /// The bare repository of a source; made, or made anew, if it must be.
    pub(super) fn find(&self, source: &RepoSource) -> io::Result<PathBuf> {
        let (id, files) = match source {
            RepoSource::Files { id, files } => (id, files),
            RepoSource::At(path) => return Ok(path.clone()),
        };
        let mut shelved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = shelved.opened()?.join(format!("{id}.git"));
        if !shelved.made.contains_key(id) {
            run(git().args(["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]).arg(&path), &[])?;
        }
        if shelved.made.get(id) != Some(files) {
            commit(&path, files)?;
            shelved.made.insert(*id, files.clone());
        }
        Ok(path)
    }

    /// Takes everything away, and makes nothing any more.
    pub(super) fn close(&self) {
        let mut shelved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelved.standing = Standing::Closed;
        let _ = std::fs::remove_dir_all(&shelved.directory);
    }
}

impl Shelved {
    fn opened(&mut self) -> io::Result<&Path> {
        match self.standing {
            Standing::Closed => return Err(io::ErrorKind::NotFound.into()),
            Standing::Made => {}
            Standing::Unmade => DirBuilder::new().mode(0o700).create(&self.directory)?,
        }
        self.standing = Standing::Made;
        Ok(&self.directory)
    }
}

/// Makes `main` one commit of these files. Commits of former files stay, as they do on a forge.
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

/// Git, without anything that this process or its user has set up for it.
pub(super) fn git() -> Command {
    let mut git = Command::new("git");
    let inherited = std::env::vars_os().map(|(name, _)| name);
    inherited.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")).for_each(|name| {
        git.env_remove(name);
    });
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    // Whoever registered a repository has said that it is to be served, whoever owns it.
    git.args(["-c", "safe.directory=*"]);
    git
}

/// What a command answers to this input. A failure with an answer is an answer.
pub(super) fn run(command: &mut Command, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut answer = Vec::new();
    let read = thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        // Whatever is more than the limit meets a closed pipe.
        stdout.map_or(Ok(0), |stdout| stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer))
    });
    let status = child.wait()?;
    read?;
    if status.success() || !answer.is_empty() {
        return Ok(answer);
    }
    Err(io::Error::other(format!("{status}")))
}
