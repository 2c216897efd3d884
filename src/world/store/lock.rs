//! The locks of a root: one writer at a time, and who holds them.

use crate::world::clock;
use crate::world::store::root::{DAEMON_LOCK, LOCK, OWN, Root, RootError, make_directory, names_in, open_lock};
use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

/// The suffix of the lock file's content while a daemon holds the root.
const DAEMON: &str = " (daemon)";

/// The most bytes of the lock file that are read.
const HOLDER_BYTES_MAX: u64 = 4096;

/// The interval between attempts to take a held lock.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// The most attempts to lock a directory that is not a root yet, since the lock file may be removed meanwhile.
const TRIES_MAX: u32 = 100;

/// How a writer locks a root.
#[derive(Clone, Copy, Debug)]
pub struct LockOptions {
    /// How long to wait for another writer to end.
    pub lock_wait: Duration,
    /// Whether the lock is held for the life of the process, so that waiting for it is useless.
    pub is_lasting: bool,
    /// The group of new cells.
    pub group: Option<u32>,
}

/// Exclusive access to a directory that may become a root, by the lock of its later writers.
#[derive(Debug)]
pub struct UninitializedRoot {
    pub(super) root: Arc<Root>,
    /// Held while this value lives; none if the directory cannot become a root.
    lock: Option<File>,
    _former: Option<File>,
}

impl UninitializedRoot {
    pub(super) fn take(root: Root, access: LockOptions) -> Result<Self, RootError> {
        let can_be_root = root.check_can_be_initialised().is_ok();
        let lock = if can_be_root { Some(take_uninitialized(&root, access)?) } else { None };
        let former = take_former(&root, access.lock_wait, "its first pass")?;
        Ok(Self { root: Arc::new(root), lock, _former: former })
    }

    /// Takes the writer's lock, which is held until both this value and the returned one are dropped.
    pub(super) fn lock(&self, own: BorrowedFd<'_>, access: LockOptions) -> Result<File, RootError> {
        match &self.lock {
            Some(lock) => lock.try_clone().map_err(|error| self.root.unwritable(&error)),
            None => take(&self.root, own, access),
        }
    }
}

impl Drop for UninitializedRoot {
    /// Removes the lock file from a directory that did not become a root.
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        let Ok(own) = self.root.open_own() else { return };
        if names_in(own.as_fd(), ".").is_ok_and(|names| names == [LOCK]) {
            let removed = unlinkat(&own, LOCK, AtFlags::empty());
            let removed = removed.and_then(|()| unlinkat(&*self.root, OWN, AtFlags::REMOVEDIR));
            if let Err(error) = removed {
                tracing::debug!("`{}/{OWN}` is left: {error}", self.root.path().display());
            }
        }
    }
}

/// Takes the writer's lock before there is a root. The previous holder may have removed it together with its directory.
fn take_uninitialized(root: &Root, access: LockOptions) -> Result<File, RootError> {
    let mut tries = 0;
    loop {
        tries += 1;
        make_directory(root.as_fd(), OWN, 0o700).map_err(|cause| root.unwritable(&cause))?;
        let taken = root.open_own().map_err(|cause| root.unwritable(&cause)).and_then(|own| {
            let lock = take(root, own.as_fd(), access)?;
            let is_there = fstat(&lock).is_ok_and(|status| status.st_nlink > 0);
            if is_there { Ok(lock) } else { Err(root.unwritable(&Errno::NOENT)) }
        });
        match taken {
            Err(RootError::Unwritable { .. }) if tries < TRIES_MAX => {}
            taken => return taken,
        }
    }
}

/// Marks that a daemon runs on a root, including one without a forge, which lets others write.
#[derive(Debug)]
pub struct DaemonLock {
    _lock: File,
    _former: Option<File>,
}

impl DaemonLock {
    /// Takes the lock; fails if another daemon holds it.
    pub fn take(root: &Root) -> Result<Self, RootError> {
        let access = LockOptions { lock_wait: Duration::ZERO, is_lasting: true, group: None };
        let own = root.open_own().map_err(|cause| root.unwritable(&cause))?;
        let lock = take_named(root, own.as_fd(), DAEMON_LOCK, access)?;
        Ok(Self { _lock: lock, _former: take_former(root, Duration::ZERO, "a daemon")? })
    }
}

/// Takes the lock of earlier versions, which was the directory itself. Any account that may read the directory can hold
/// it, so it counts only if this service's account does. To be removed after one version.
fn take_former(root: &Root, wait: Duration, whose: &str) -> Result<Option<File>, RootError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(root, ".", flags, Mode::empty()).map(File::from);
    let directory = directory.map_err(|cause| root.unwritable(&cause))?;
    let is_foreign = || own_holder(&directory).is_none();
    match wait_for(&directory, wait, is_foreign).map_err(|error| root.unwritable(&error))? {
        Ok(()) => Ok(Some(directory)),
        Err(taken) => match own_holder(&directory) {
            Some(pid) => Err(taken.of(root, pid, whose.to_owned())),
            None => Ok(None),
        },
    }
}

/// The process of this service's account that holds a lock without a recorded process id.
fn own_holder(locked: &File) -> Option<String> {
    holders(locked).into_iter().find(|pid| is_our_account(pid))
}

/// The processes that hold a lock, from `/proc/locks`.
fn holders(locked: &File) -> Vec<String> {
    let Ok(status) = locked.metadata() else { return Vec::new() };
    let (device, inode) = (status.dev(), status.ino());
    let lock_id = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&lock_id.as_str());
        is_it.then(|| fields[4].to_owned())
    };
    locks.lines().filter_map(holder).collect()
}

/// Whether a process runs as this service's account, and not through a set-user-id program.
fn is_our_account(pid: &str) -> bool {
    let user = rustix::process::geteuid().as_raw().to_string();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_whitespace().all(|id| id == user))
}

/// A lock held by another process, and how long it was waited for.
struct Taken(Duration);

impl Taken {
    fn of(self, root: &Root, pid: String, command: String) -> RootError {
        let waited = if self.0.is_zero() { String::new() } else { format!(", waited {} s", self.0.as_secs()) };
        RootError::Locked { path: root.path().display().to_string(), pid, command, waited }
    }
}

/// Waits for a `--once` process, which ends; a daemon does not.
fn wait_for(lock: &File, wait: Duration, is_useless: impl Fn() -> bool) -> std::io::Result<Result<(), Taken>> {
    let started = clock::blocking_instant();
    let mut is_logged = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Ok(())),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if is_useless() => return Ok(Err(Taken(Duration::ZERO))),
            Err(TryLockError::WouldBlock) if clock::blocking_instant() - started >= wait => {
                return Ok(Err(Taken(wait)));
            }
            Err(TryLockError::WouldBlock) => {
                if !is_logged {
                    is_logged = true;
                    tracing::info!("another process writes in the missions root; waiting {} s for it", wait.as_secs());
                }
                clock::block_for(LOCK_POLL);
            }
        }
    }
}

/// Takes the lock of a root and records its holder.
pub(super) fn take(root: &Root, own: BorrowedFd<'_>, access: LockOptions) -> Result<File, RootError> {
    take_named(root, own, LOCK, access)
}

fn take_named(root: &Root, own: BorrowedFd<'_>, name: &str, access: LockOptions) -> Result<File, RootError> {
    let mut lock = open_lock(own, name).map_err(|cause| root.unwritable(&cause))?;
    let unwritable = |error: std::io::Error| RootError::Unwritable {
        path: format!("{}/{OWN}/{name}", root.path().display()),
        cause: error.to_string(),
    };
    let is_daemon = || read_holder(&lock).ends_with(DAEMON);
    if let Err(taken) = wait_for(&lock, access.lock_wait, is_daemon).map_err(unwritable)? {
        let holder = read_holder(&lock);
        let (pid, command) = holder.trim().split_once(' ').unwrap_or(("unknown", "unknown"));
        return Err(taken.of(root, pid.to_owned(), command.to_owned()));
    }
    let lasting = if access.is_lasting { DAEMON } else { "" };
    let holder = format!("{} {}{lasting}\n", std::process::id(), command());
    let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(holder.as_bytes()));
    written.map_err(unwritable)?;
    Ok(lock)
}

/// Reads the lock file; another process may be writing it.
fn read_holder(mut lock: &File) -> String {
    let mut holder = String::new();
    let read = lock.rewind().and_then(|()| lock.take(HOLDER_BYTES_MAX).read_to_string(&mut holder));
    read.map(|_| holder.trim().to_owned()).unwrap_or_default()
}

/// The process that currently writes in a root: its id and command. Takes no lock.
#[must_use]
pub fn writer(root: &Root) -> Option<String> {
    let own = root.open_own().ok()?;
    let lock = openat(&own, LOCK, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let lock = File::from(lock);
    let pid = holders(&lock).into_iter().next()?;
    let holder = read_holder(&lock);
    Some(format!("pid {}", if holder.is_empty() { pid } else { holder }))
}

/// The command line of this process, for the holder's record.
fn command() -> String {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(program).chain(arguments.take(2)).collect::<Vec<_>>().join(" ")
}
