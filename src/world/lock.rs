//! One writer a root at a time: the locks, and who holds them.

use crate::world::clock;
use crate::world::root::{LOCK, OWN, Root, RootError, open_lock};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

/// How the lock's file ends while a daemon holds the root.
const DAEMON: &str = " (daemon)";

/// The most that is read of the lock's file.
const HOLDER_BYTES_MAX: u64 = 4096;

/// How often a lock that is held is tried again.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How a writer takes hold of a root.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// How long to wait for another writer that will end.
    pub lock_wait: Duration,
    /// Whether the root is held for as long as the process lives, so that there is no use in waiting for it.
    pub is_lasting: bool,
    /// The group that new cells are handed to.
    pub group: Option<u32>,
}

/// Sole hold of a directory that may become a root. Nothing is written for it: the directory itself is locked.
#[derive(Debug)]
pub struct Ground {
    pub(super) root: Arc<Root>,
    /// Held for as long as this lives.
    _lock: File,
}

impl Ground {
    pub(super) fn take(root: Root, wait: Duration) -> Result<Self, RootError> {
        let directory = lock_directory(&root, wait, "its first pass")?;
        Ok(Self { root: Arc::new(root), _lock: directory })
    }
}

/// The word that a daemon lives in a root, also one that has no forge and so lets others write in it.
#[derive(Debug)]
pub struct Residence(#[allow(dead_code, reason = "held for as long as this lives")] File);

impl Residence {
    /// Takes up residence, unless another daemon has.
    pub fn take(root: &Root) -> Result<Self, RootError> {
        lock_directory(root, Duration::ZERO, "a daemon").map(Self)
    }
}

fn lock_directory(root: &Root, wait: Duration, whose: &str) -> Result<File, RootError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(root, ".", flags, Mode::empty()).map(File::from);
    let directory = directory.map_err(|cause| root.unwritable(&cause))?;
    if let Err(taken) = wait_for(&directory, wait, || false).map_err(|error| root.unwritable(&error))? {
        let pid = holder(&directory).unwrap_or_else(|| "unknown".to_owned());
        return Err(taken.of(root, pid, whose.to_owned()));
    }
    Ok(directory)
}

/// The process that holds a lock without having written its number anywhere, as the kernel tells it.
fn holder(locked: &File) -> Option<String> {
    let status = locked.metadata().ok()?;
    let (device, inode) = (status.dev(), status.ino());
    let place = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&place.as_str());
        is_it.then(|| fields[4].to_owned())
    })
}

/// A lock that others hold, and how long it was waited for.
struct Taken(Duration);

impl Taken {
    fn of(self, root: &Root, pid: String, command: String) -> RootError {
        let waited = if self.0.is_zero() { String::new() } else { format!(", waited {} s", self.0.as_secs()) };
        RootError::Locked { path: root.path().display().to_string(), pid, command, waited }
    }
}

/// A `--once` will end, so it is waited for; a daemon will not.
fn wait_for(lock: &File, wait: Duration, is_in_vain: impl Fn() -> bool) -> std::io::Result<Result<(), Taken>> {
    let started = clock::blocking_instant();
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Ok(())),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if is_in_vain() => return Ok(Err(Taken(Duration::ZERO))),
            Err(TryLockError::WouldBlock) if clock::blocking_instant() - started >= wait => {
                return Ok(Err(Taken(wait)));
            }
            Err(TryLockError::WouldBlock) => {
                if !is_told {
                    is_told = true;
                    tracing::info!("another process writes in the missions root; waiting {} s for it", wait.as_secs());
                }
                clock::block_for(LOCK_POLL);
            }
        }
    }
}

/// Takes the lock of a root, and writes down who holds it.
pub(super) fn take(root: &Root, own: BorrowedFd<'_>, access: Access) -> Result<File, RootError> {
    let mut lock = open_lock(own).map_err(|cause| root.unwritable(&cause))?;
    let unwritable = |error: std::io::Error| RootError::Unwritable {
        path: format!("{}/{OWN}/{LOCK}", root.path().display()),
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

/// What the lock's file says; another process may be writing it.
fn read_holder(mut lock: &File) -> String {
    let mut holder = String::new();
    let read = lock.rewind().and_then(|()| lock.take(HOLDER_BYTES_MAX).read_to_string(&mut holder));
    read.map(|_| holder.trim().to_owned()).unwrap_or_default()
}

/// The process that writes in a root at this moment: its id and what it is. Takes no lock.
#[must_use]
pub fn writer(root: &Root) -> Option<String> {
    let own = root.open_own().ok()?;
    let lock = openat(&own, LOCK, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let lock = File::from(lock);
    let pid = holder(&lock)?;
    let said = read_holder(&lock);
    Some(format!("pid {}", if said.is_empty() { pid } else { said }))
}

/// How this process was called, for the one who finds the lock taken.
fn command() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(program).chain(words.take(2)).collect::<Vec<_>>().join(" ")
}
