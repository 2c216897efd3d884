//! The checks of a scan in bare system calls, without parsing the files: a lower bound for any scan.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The argument with which this program runs itself for the bare scan.
pub(crate) const FLAG: &str = "--bare-scan";

/// The parts that are checked without being opened.
const CHECKED: [&str; 5] = ["artifacts", "worktree", "logs", "logs/daemon.log", "config/heartbeat.token"];
/// The files that are read.
const READ: [&str; 3] = ["meta/mission.json", "config/cell.json", "state/heartbeat.json"];

/// Makes the system calls of a scan for every cell, on one thread per processor.
pub(crate) fn scan(root: &Path) {
    let root = OwnedFd::from(File::open(root).unwrap());
    let entries = Dir::read_from(&root).unwrap().map(|entry| entry.unwrap().file_name().to_owned());
    let names: Vec<_> = entries.filter(|name| name.count_bytes() == 36).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    check(&openat(&root, name, flags, Mode::empty()).unwrap());
                }
            });
        }
    });
}

fn check(cell: &OwnedFd) {
    for path in CHECKED {
        let _ = statat(cell, path, AtFlags::SYMLINK_NOFOLLOW);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for path in READ {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = openat2(cell, path, flags, Mode::empty(), resolve) else { continue };
        let mut contents = vec![0; usize::try_from(fstat(&file).unwrap().st_size).unwrap()];
        rustix::io::read(&file, &mut contents).unwrap();
    }
}
