//! A missions root: its identity, ownership, records and cells.

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

/// The service's own directory in a root, closed to other accounts.
pub(super) const OWN: &str = ".lazarus";
/// The file with the root's identity.
pub(super) const ROOT_FILE: &str = "root.json";
/// The directory where cells and files are created before they are moved into place.
pub(super) const STAGING: &str = "staging";
/// The directory with the cells of closed missions.
pub(super) const ARCHIVE: &str = "archive";
/// The directory with the records.
pub(super) const RECORDS: &str = "missions";
/// The lock file of the single writer.
pub(super) const LOCK: &str = "lock";
/// The lock file of the daemon, also of one without a forge, which lets others write.
pub(super) const DAEMON_LOCK: &str = "daemon.lock";
/// The mode of a root: other accounts may pass through it, but not list or lock it.
pub const ROOT_MODE: u32 = 0o711;

/// The most archives of one mission that are checked for a free name.
const ARCHIVES_MAX: usize = 10_000;

/// The most bytes that are read of a file of this service.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Why a root cannot be used. All of these require manual action, and nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The directory does not exist.
    #[error(
        "the missions root `{path}` does not exist; create it with `lazarus-reconcile init --root {}{flags}`, or mount the disk that holds it",
        shell_word(.path)
    )]
    Missing {
        /// The path of the root.
        path: String,
        /// The other given flags, each after a blank.
        flags: String,
    },
    /// The directory cannot be opened.
    #[error("the missions root `{path}` cannot be opened: {cause}")]
    Unusable {
        /// The path of the root.
        path: String,
        /// The cause.
        cause: String,
    },
    /// The root was never initialised, and this command may not do it.
    #[error(
        "the missions root `{path}` is not initialised, and {why}; run `lazarus-reconcile init --root {}{flags}` once, on the host itself",
        shell_word(.path)
    )]
    NotInitialised {
        /// The path of the root.
        path: String,
        /// Why it is not initialised now.
        why: &'static str,
        /// The other given flags, each after a blank.
        flags: String,
    },
    /// The directory holds an entry that no missions root holds.
    #[error(
        "`{path}` is not a missions root and cannot become one: it holds `{entry}`; name an empty directory, or move that away"
    )]
    Occupied {
        /// The path of the root.
        path: String,
        /// The unexpected entry.
        entry: String,
    },
    /// A file of the service is unreadable or lost.
    #[error("`{file}` cannot be used: {cause}; restore it from a backup, nothing was changed")]
    Damaged {
        /// The path of the file.
        file: String,
        /// The cause.
        cause: String,
    },
    /// A comment of ours names another root for this host.
    #[error(
        "the missions root `{path}` is not the one of host `{host}`: the comment on {issue} says that its missions are on root {root}; is that disk not mounted? If it is lost, run `lazarus-reconcile init --root {} --replace {root}{flags}`",
        shell_word(.path)
    )]
    AnotherRootExpected {
        /// The path of the root.
        path: String,
        /// The issue with that comment.
        issue: String,
        /// This host.
        host: String,
        /// The expected root.
        root: RootId,
        /// The other given flags, each after a blank.
        flags: String,
    },
    /// Its missions come from another Gitea server.
    #[error(
        "the missions root `{path}` belongs to the Gitea server `{remembered}`, and `{found}` does not have the same repositories, or does not show them to the token; correct `forge.url`, or use another root"
    )]
    Foreign {
        /// The path of the root.
        path: String,
        /// The recorded address.
        remembered: String,
        /// The configured address.
        found: String,
    },
    /// The root belongs to another user.
    #[error(
        "the missions root `{path}` belongs to user {owner}, and this process runs as user {user}; run it as `sudo -u {owner} …`, or change the owner of the directory"
    )]
    NotOwner {
        /// The path of the root.
        path: String,
        /// The owner of the root.
        owner: String,
        /// The user of this process.
        user: String,
    },
    /// The root is not writable.
    #[error("the missions root `{path}` is not writable: {cause}; fix that, nothing was changed")]
    Unwritable {
        /// The path of the root.
        path: String,
        /// The cause.
        cause: String,
    },
    /// Another process holds the writer's lock.
    #[error(
        "another process writes in the missions root `{path}`: pid {pid} (`{command}`){waited}; wait for it to end, or stop it"
    )]
    Locked {
        /// The path of the root.
        path: String,
        /// The process id of the holder.
        pid: String,
        /// The command of the holder.
        command: String,
        /// How long the lock was waited for, as text.
        waited: String,
    },
}

impl RootError {
    /// Adds these flags to the suggested command.
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

    /// The stable name for JSON, logs and metrics.
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

/// The most attempts of the rename probe while a starting writer clears staging.
const PROBES_MAX: u32 = 8;

/// A root for reading. Writing needs a [`crate::world::store::writer::Writer`].
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OwnedFd,
    resolver: Resolver,
    file: Option<RootFile>,
}

/// A root whose mode gives other users too many rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeProblem {
    /// Whether others may write, and not only list.
    pub is_open: bool,
    /// The rights that they have.
    pub found: String,
    /// The command that fixes it.
    pub next: String,
}

/// The records of all issues that this service ever commented on.
#[derive(Debug, Default)]
pub struct Records {
    /// The readable records by repository id and issue id.
    pub by_issue: BTreeMap<(i64, i64), Record>,
    /// The unreadable records with the reason; nothing is decided about their issues.
    pub damaged: BTreeMap<(i64, i64), String>,
}

impl Records {
    /// The ids of a repository's issues that have a record, readable or not.
    #[must_use]
    pub fn issues_of(&self, repository: RepositoryId) -> BTreeSet<i64> {
        let whole = (repository, i64::MIN)..=(repository, i64::MAX);
        let damaged = self.damaged.range(whole.clone()).map(|((_, issue), _)| *issue);
        self.by_issue.range(whole).map(|((_, issue), _)| *issue).chain(damaged).collect()
    }
}

impl Root {
    /// Opens a root and reads its identity. Writes nothing.
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

    /// The root's identity; none before it is initialised.
    #[must_use]
    pub fn file(&self) -> Option<&RootFile> {
        self.file.as_ref()
    }

    /// The path as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How paths in the root are resolved.
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

    /// Whether an uninitialised directory may become a root: it is empty, or holds only cells and `lost+found`.
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

    /// Writing commands must run as the root's owner, so that the owner can change what they create.
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

    /// What is wrong with the mode of the root, if anything, and the command that fixes it.
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

    /// The modes of the root and of the service's own directory.
    pub fn modes(&self) -> std::io::Result<(u32, u32)> {
        let own = self.open_own()?;
        Ok((fstat(&self.directory)?.st_mode & 0o7777, fstat(&own)?.st_mode & 0o7777))
    }

    /// Checks that a file can be synced and renamed in the service's own directory, as every change needs. The file is
    /// removed again.
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
            // A starting writer clears staging, including the file of this probe.
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

    /// The ids of all cells in the root.
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

    /// The error for a root that is not writable.
    pub(super) fn unwritable(&self, cause: &dyn std::fmt::Display) -> RootError {
        RootError::Unwritable { path: self.shown(), cause: cause.to_string() }
    }

    /// Opens the service's own directory.
    pub(super) fn open_own(&self) -> Result<OwnedFd, Errno> {
        open_directory(&self.directory, OWN)
    }

    /// The free space of its file system, if known.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        let status = fstatvfs(&self.directory).ok()?;
        let inodes = (status.f_files > 0).then_some((status.f_favail, status.f_files));
        let bytes = (status.f_bavail.saturating_mul(status.f_frsize), status.f_blocks.saturating_mul(status.f_frsize));
        Some(Space { bytes, inodes })
    }

    /// Looks up a recorded archive, and the next free name in the archive. Blocks.
    #[must_use]
    pub fn look_in_archive(&self, kept: Option<ArchiveName>, mission_id: MissionId) -> ArchiveSight {
        let first = kept.unwrap_or(ArchiveName::first(mission_id));
        let archive = match self.open_own().and_then(|own| open_directory(&own, ARCHIVE)) {
            Ok(archive) => archive,
            // The archive directory is created with the first archived cell.
            Err(Errno::NOENT) => return ArchiveSight { kept: None, free: first },
            // A failed read does not prove that nothing is there.
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

    /// All names in the archive; none if it is unreadable. Blocks.
    #[must_use]
    pub fn archive_names(&self) -> Option<BTreeSet<ArchiveName>> {
        let names = self.open_own().and_then(|own| names_in(own.as_fd(), ARCHIVE));
        match names {
            Ok(names) => Some(names.iter().filter_map(|name| ArchiveName::parse(name).ok()).collect()),
            Err(Errno::NOENT) => Some(BTreeSet::new()),
            Err(_) => None,
        }
    }

    /// Reads all records.
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

/// The file name of an issue's record.
pub(super) fn record_name(issue: &IssueKey) -> String {
    format!("{}-{}.json", issue.repository_id, issue.issue_id)
}

fn record_key(name: &str) -> Option<(i64, i64)> {
    let (repository, issue) = name.strip_suffix(".json")?.split_once('-')?;
    Some((repository.parse().ok()?, issue.parse().ok()?))
}

/// Reads one record; none if it does not exist. An unreadable one is an error.
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

/// The name of a user on this host.
pub(crate) fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Opens a lock file, which only this service's account may open.
pub(super) fn open_lock(own: BorrowedFd<'_>, name: &str) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(own, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
}

/// Creates a directory unless it exists.
pub(super) fn make_directory(at: BorrowedFd<'_>, path: &str, mode: u32) -> Result<(), Errno> {
    match mkdirat(at, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}
