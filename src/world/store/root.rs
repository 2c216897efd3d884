//! A missions root: whose it is, whether it is ours to write in, and what it remembers.

use crate::mission::cell::CellObservation;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::fleet::admission::Space;
use crate::mission::identity::{MissionId, RepositoryId, RootId};
use crate::mission::observation::ArchiveSight;
use crate::mission::record::{IssueKey, Record};
use crate::mission::root_metadata::RootFile;
use crate::mission::text::{Printable, shell_word};
use crate::world::cells::look::{self, open_directory};
use crate::world::cells::safe_open::{self, CREATE_NEW, FileRead, Resolver};
use crate::world::random;
use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, RenameFlags, fstat, fstatvfs, fsync, mkdirat, openat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The service's own directory in a root; nobody else may look into it.
pub(super) const OWN: &str = ".lazarus";
/// Where the root says what it is.
pub(super) const ROOT_FILE: &str = "root.json";
/// Where cells and files are made before they are moved into place.
pub(super) const STAGING: &str = "staging";
/// Where the cells of closed missions are.
pub(super) const ARCHIVE: &str = "archive";
/// Where the records are.
pub(super) const RECORDS: &str = "missions";
/// The file that one writer at a time holds locked.
pub(super) const LOCK: &str = "lock";
/// The file that a daemon holds locked, also one without a forge, which lets others write.
pub(super) const RESIDENCE: &str = "daemon.lock";
/// The mode of a root: who works in a cell passes through it, and nobody else lists or locks it.
pub const ROOT_MODE: u32 = 0o711;

/// So many archives of one mission are looked at in search of a free name.
const ARCHIVES_MAX: usize = 10_000;

/// The most that is read of a file of ours.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Why a root cannot be used. All of these need a person, and nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It does not exist.
    #[error(
        "the missions root `{path}` does not exist; create it with `lazarus-reconcile init --root {}{flags}`, or mount the disk that holds it",
        shell_word(.path)
    )]
    Missing {
        /// Where.
        path: String,
        /// The other flags that were given, each after a blank.
        flags: String,
    },
    /// It cannot be opened.
    #[error("the missions root `{path}` cannot be opened: {cause}")]
    Unusable {
        /// Where.
        path: String,
        /// Why.
        cause: String,
    },
    /// It was never initialised, and this is not the moment to do it.
    #[error(
        "the missions root `{path}` is not initialised, and {why}; run `lazarus-reconcile init --root {}{flags}` once, on the host itself",
        shell_word(.path)
    )]
    NotInitialised {
        /// Where.
        path: String,
        /// Why it is not done now.
        why: &'static str,
        /// The other flags that were given, each after a blank.
        flags: String,
    },
    /// It holds something that no missions root holds.
    #[error(
        "`{path}` is not a missions root and cannot become one: it holds `{entry}`; name an empty directory, or move that away"
    )]
    Occupied {
        /// Where.
        path: String,
        /// What is in the way.
        entry: String,
    },
    /// Its own file is unreadable or lost.
    #[error("`{file}` cannot be used: {cause}; restore it from a backup, nothing was changed")]
    Damaged {
        /// Which file.
        file: String,
        /// Why.
        cause: String,
    },
    /// A comment of ours says that this host's missions are on another root.
    #[error(
        "the missions root `{path}` is not the one of host `{host}`: the comment on {issue} says that its missions are on root {root}; is that disk not mounted? If it is lost, run `lazarus-reconcile init --root {} --replace {root}{flags}`",
        shell_word(.path)
    )]
    AnotherRootExpected {
        /// Where.
        path: String,
        /// Which issue's comment says so.
        issue: String,
        /// This host.
        host: String,
        /// The root that was expected.
        root: RootId,
        /// The other flags that were given, each after a blank.
        flags: String,
    },
    /// Its missions come from another forge.
    #[error(
        "the missions root `{path}` belongs to the Gitea server `{remembered}`, and `{found}` does not have the same repositories, or does not show them to the token; correct `forge.url`, or use another root"
    )]
    Foreign {
        /// Where.
        path: String,
        /// What it remembers.
        remembered: String,
        /// What is configured.
        found: String,
    },
    /// It belongs to another user.
    #[error(
        "the missions root `{path}` belongs to user {owner}, and this process runs as user {user}; run it as `sudo -u {owner} …`, or change the owner of the directory"
    )]
    NotOwner {
        /// Where.
        path: String,
        /// Its owner.
        owner: String,
        /// Us.
        user: String,
    },
    /// Nothing can be written in it.
    #[error("the missions root `{path}` is not writable: {cause}; fix that, nothing was changed")]
    Unwritable {
        /// Where.
        path: String,
        /// Why.
        cause: String,
    },
    /// Another process writes in it.
    #[error(
        "another process writes in the missions root `{path}`: pid {pid} (`{command}`){waited}; wait for it to end, or stop it"
    )]
    Locked {
        /// Where.
        path: String,
        /// Its process id.
        pid: String,
        /// What it is.
        command: String,
        /// How long we waited, in words.
        waited: String,
    },
}

impl RootError {
    /// The same, with these flags in what it suggests.
    #[must_use]
    pub fn suggesting(mut self, given: &str) -> Self {
        match &mut self {
            Self::Missing { flags, .. }
            | Self::NotInitialised { flags, .. }
            | Self::AnotherRootExpected { flags, .. } => given.clone_into(flags),
            Self::Unusable { .. }
            | Self::Occupied { .. }
            | Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::NotOwner { .. }
            | Self::Unwritable { .. }
            | Self::Locked { .. } => {}
        }
        self
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "root-missing",
            Self::Unusable { .. } => "root-unusable",
            Self::NotInitialised { .. } => "root-not-initialised",
            Self::Occupied { .. } => "root-occupied",
            Self::Damaged { .. } => "root-damaged",
            Self::AnotherRootExpected { .. } => "root-expected",
            Self::Foreign { .. } => "root-foreign",
            Self::NotOwner { .. } => "root-owner",
            Self::Unwritable { .. } => "root-unwritable",
            Self::Locked { .. } => "root-locked",
        }
    }
}

/// How often it is tried whether files can be renamed, beside a writer that begins at the same moment.
const PROBES_MAX: u32 = 8;

/// A root to look at. Writing needs a [`crate::world::store::writer::Writer`].
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OwnedFd,
    resolver: Resolver,
    file: Option<RootFile>,
}

/// A root that others may do too much with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeProblem {
    /// Whether others may write in it, and not only list it.
    pub is_open: bool,
    /// What they may do.
    pub found: String,
    /// The command that mends it.
    pub next: String,
}

/// What is remembered of every issue we ever spoke on.
#[derive(Debug, Default)]
pub struct Records {
    /// By repository id and issue id.
    pub by_issue: BTreeMap<(i64, i64), Record>,
    /// Files that cannot be read, with the reason; nothing is decided about their issues.
    pub damaged: BTreeMap<(i64, i64), String>,
}

impl Records {
    /// The ids of the issues of a repository that have a record, readable or not.
    #[must_use]
    pub fn issues_of(&self, repository: RepositoryId) -> BTreeSet<i64> {
        let whole = (repository, i64::MIN)..=(repository, i64::MAX);
        let damaged = self.damaged.range(whole.clone()).map(|((_, issue), _)| *issue);
        self.by_issue.range(whole).map(|((_, issue), _)| *issue).chain(damaged).collect()
    }
}

impl Root {
    /// Opens a root and reads what it says of itself. Writes nothing.
    pub fn open(path: &Path) -> Result<Self, RootError> {
        let shown = || path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => RootError::Missing { path: shown(), flags: String::new() },
            Errno::NOTDIR => RootError::Unusable { path: shown(), cause: "it is not a directory; name one".to_owned() },
            error => RootError::Unusable { path: shown(), cause: error.to_string() },
        })?;
        let mut root = Self { path: path.to_owned(), directory, resolver: Resolver::Kernel, file: None };
        root.file = root.read_file()?;
        Ok(root)
    }

    /// What the root says of itself; none before it is initialised.
    #[must_use]
    pub fn file(&self) -> Option<&RootFile> {
        self.file.as_ref()
    }

    /// Its path as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How paths in it are resolved.
    #[must_use]
    pub fn resolver(&self) -> Resolver {
        self.resolver
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn read_file(&self) -> Result<Option<RootFile>, RootError> {
        let path = format!("{OWN}/{ROOT_FILE}");
        let damaged = |cause: String| RootError::Damaged { file: format!("{}/{path}", self.shown()), cause };
        match safe_open::read(&self.directory, &path, FILE_BYTES_MAX, self.resolver) {
            Ok(FileRead::Whole(bytes, _)) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
            }
            Ok(FileRead::TooLarge) => Err(damaged("it is far too large".to_owned())),
            Ok(FileRead::WrongType(kind)) => Err(damaged(format!("it is {kind}"))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => {
                self.check_owner()?;
                let cause = format!("`{path}`: {error}");
                Err(RootError::Unusable { path: self.shown(), cause })
            }
        }
    }

    /// Whether a root that is not initialised may become one: it is empty, or holds only cells and `lost+found`.
    pub fn check_can_be_initialised(&self) -> Result<(), RootError> {
        for name in self.names(".")? {
            let is_known = matches!(name.as_str(), "lost+found" | OWN) || is_cell_name(&name);
            if !is_known {
                let entry = Printable::new(&name).to_string();
                return Err(RootError::Occupied { path: self.shown(), entry });
            }
        }
        let remembers = self.open_own().and_then(|own| names_in(own.as_fd(), RECORDS)).unwrap_or_default();
        if remembers.is_empty() {
            return Ok(());
        }
        let file = format!("{}/{OWN}/{ROOT_FILE}", self.shown());
        Err(RootError::Damaged { file, cause: "it is missing, but there are records beside it".to_owned() })
    }

    /// Writing commands run as the root's owner, or what they make would be nobody's to change.
    pub fn check_owner(&self) -> Result<(), RootError> {
        let path = self.shown();
        let status = fstat(&self.directory)
            .map_err(|error| RootError::Unusable { path: path.clone(), cause: error.to_string() })?;
        let user = rustix::process::geteuid().as_raw();
        if status.st_uid == user {
            return Ok(());
        }
        Err(RootError::NotOwner { path, owner: user_name(status.st_uid), user: user_name(user) })
    }

    /// What is wrong with the mode of the root, if anything is, and the command that mends it.
    pub fn mode_problem(&self) -> std::io::Result<Option<ModeProblem>> {
        let mode = fstat(&self.directory)?.st_mode & 0o7777;
        let (shown, command) = (self.shown(), |change: &str| format!("`chmod {change} {}`", shell_word(&self.shown())));
        Ok(if mode & 0o022 != 0 {
            let found = format!("other users may create and rename entries in `{shown}` (mode {mode:04o})");
            Some(ModeProblem { is_open: true, found, next: command("go-w") })
        } else if mode & 0o044 != 0 {
            let found = format!("other users may list `{shown}` (mode {mode:04o})");
            Some(ModeProblem { is_open: false, found, next: command(&format!("{ROOT_MODE:o}")) })
        } else {
            None
        })
    }

    /// The modes of the root and of the service's own directory in it.
    pub fn modes(&self) -> std::io::Result<(u32, u32)> {
        let own = self.open_own()?;
        Ok((fstat(&self.directory)?.st_mode & 0o7777, fstat(&own)?.st_mode & 0o7777))
    }

    /// Whether a file can be made durable and renamed in the service's own directory: what every change is made by. The
    /// file is removed again.
    pub fn probe_rename(&self) -> Result<(), RootError> {
        self.try_rename().map_err(|error| self.unwritable(&error))
    }

    fn try_rename(&self) -> Result<(), Errno> {
        let own = self.open_own()?;
        let staging = open_directory(&own, STAGING)?;
        let name = format!("doctor.{}", random::id());
        for attempt in 1.. {
            let file = openat(&staging, &*name, CREATE_NEW, Mode::from_raw_mode(0o600))?;
            let renamed =
                fsync(&file).and_then(|()| renameat_with(&staging, &*name, &own, &*name, RenameFlags::NOREPLACE));
            // A writer that begins clears what lies in staging, and what nobody renames is its to clear.
            if renamed == Err(Errno::NOENT) && attempt < PROBES_MAX {
                continue;
            }
            let left = if renamed.is_ok() { &own } else { &staging };
            match unlinkat(left, &*name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return renamed,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The cells in the root, by name.
    pub fn cells(&self) -> Result<Vec<MissionId>, RootError> {
        let mut cells: Vec<_> = self
            .names(".")?
            .iter()
            .filter(|name| is_cell_name(name))
            .filter_map(|name| MissionId::parse(name).ok())
            .collect();
        cells.sort_unstable();
        Ok(cells)
    }

    fn names(&self, path: &str) -> Result<Vec<String>, RootError> {
        names_in(self.directory.as_fd(), path)
            .map_err(|error| RootError::Unusable { path: self.shown(), cause: error.to_string() })
    }

    /// Nothing can be written here, and why.
    pub(super) fn unwritable(&self, cause: &dyn std::fmt::Display) -> RootError {
        RootError::Unwritable { path: self.shown(), cause: cause.to_string() }
    }

    /// Opens the service's own directory.
    pub(super) fn open_own(&self) -> Result<OwnedFd, Errno> {
        open_directory(&self.directory, OWN)
    }

    /// What is left of its file system, where that can be told.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        let status = fstatvfs(&self.directory).ok()?;
        let inodes = (status.f_files > 0).then_some((status.f_favail, status.f_files));
        let bytes = (status.f_bavail.saturating_mul(status.f_frsize), status.f_blocks.saturating_mul(status.f_frsize));
        Some(Space { bytes, inodes })
    }

    /// What lies in the archive under a name that we remember, and a name after it that nothing lies under. Reading blocks.
    #[must_use]
    pub fn look_in_archive(&self, kept: Option<ArchiveName>, mission_id: MissionId) -> ArchiveSight {
        let first = kept.unwrap_or(ArchiveName::first(mission_id));
        let archive = match self.open_own().and_then(|own| open_directory(&own, ARCHIVE)) {
            Ok(archive) => archive,
            // None is made before something is moved there.
            Err(Errno::NOENT) => return ArchiveSight { kept: None, free: first },
            // That we cannot look is no sign that nothing is there.
            Err(error) => {
                let kept = kept.map(|_| CellObservation::Failed(look::failed(error)));
                return ArchiveSight { kept, free: first };
            }
        };
        let is_free = |name: &ArchiveName| safe_open::kind_at(archive.as_fd(), &name.to_string()) == Err(Errno::NOENT);
        let names = std::iter::successors(Some(first), |name| Some(name.next()));
        let free = names.take(ARCHIVES_MAX).find(is_free).unwrap_or(first);
        let kept = kept.filter(|kept| !is_free(kept));
        let look = |name: ArchiveName| look::look_at(&archive, &name.to_string(), self.resolver);
        ArchiveSight { kept: kept.map(look), free }
    }

    /// The names in the archive, whatever lies under them; none where they cannot be read. Reading blocks.
    #[must_use]
    pub fn archive_names(&self) -> Option<BTreeSet<ArchiveName>> {
        let names = self.open_own().and_then(|own| names_in(own.as_fd(), ARCHIVE));
        match names {
            Ok(names) => Some(names.iter().filter_map(|name| ArchiveName::parse(name).ok()).collect()),
            Err(Errno::NOENT) => Some(BTreeSet::new()),
            Err(_) => None,
        }
    }

    /// Everything that is remembered.
    pub fn records(&self) -> Result<Records, RootError> {
        let mut records = Records::default();
        if self.file.is_none() {
            return Ok(records);
        }
        let damaged = |error: Errno| RootError::Damaged {
            file: format!("{}/{OWN}/{RECORDS}", self.shown()),
            cause: error.to_string(),
        };
        let own = self.open_own().map_err(damaged)?;
        let directory = open_directory(&own, RECORDS).map_err(damaged)?;
        for name in names_in(own.as_fd(), RECORDS).map_err(damaged)? {
            let Some(key) = record_key(&name) else { continue };
            match read_record(directory.as_fd(), &name, self.resolver) {
                Ok(record) => records.by_issue.extend(record.map(|record| (key, record))),
                Err(cause) => {
                    let file = format!("{}/{OWN}/{RECORDS}/{name}", self.shown());
                    let message = format!(
                        "the record `{file}` cannot be used: {cause}; restore it from a backup, or move it away and the next pass finds its cell again"
                    );
                    records.damaged.insert(key, message);
                }
            }
        }
        Ok(records)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The file of one issue's record.
pub(super) fn record_name(issue: &IssueKey) -> String {
    format!("{}-{}.json", issue.repository_id, issue.issue_id)
}

fn record_key(name: &str) -> Option<(i64, i64)> {
    let (repository, issue) = name.strip_suffix(".json")?.split_once('-')?;
    Some((repository.parse().ok()?, issue.parse().ok()?))
}

/// Reads one record; none where there is none. That it cannot be read is no sign that there is none.
pub(super) fn read_record(directory: BorrowedFd<'_>, name: &str, resolver: Resolver) -> Result<Option<Record>, String> {
    match safe_open::read(directory, name, FILE_BYTES_MAX, resolver) {
        Ok(FileRead::Whole(bytes, _)) => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
        Err(Errno::NOENT) => Ok(None),
        Ok(FileRead::TooLarge) => Err("it is far too large".to_owned()),
        Ok(FileRead::WrongType(kind)) => Err(format!("it is {kind}")),
        Err(error) => Err(error.to_string()),
    }
}

fn is_cell_name(name: &str) -> bool {
    MissionId::parse(name).is_ok_and(|id| id.to_string() == name)
}

pub(super) fn names_in(at: BorrowedFd<'_>, path: &str) -> Result<Vec<String>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(at, path, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "." | "..") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What a user is called here.
pub(crate) fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// A file that is open for locking; nobody but our account may open it.
pub(super) fn open_lock(own: BorrowedFd<'_>, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(own, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
}

/// Makes a directory, unless there is one.
pub(super) fn make_directory(at: BorrowedFd<'_>, path: &str, mode: u32) -> Result<(), Errno> {
    match mkdirat(at, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}
