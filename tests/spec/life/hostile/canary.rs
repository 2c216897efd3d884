//! What lies beside a root, and must neither change nor be read.

use crate::support::host::Host;
use crate::support::worktree::files;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What every file of it says.
pub(super) const SONG: &str = "the-canary-sings";

/// A directory that looks like a cell, whatever part of a cell leads to it.
pub(super) struct Canary {
    directory: PathBuf,
    before: Vec<(PathBuf, String)>,
}

impl Canary {
    /// Beside the root of a host.
    pub(super) fn beside(host: &Host) -> Self {
        let directory = host.path().join("canary");
        let manifest = |more: &str| {
            format!("{{ \"mission_id\": \"{SONG}\", \"name\": \"{SONG}\", \"canary\": \"{SONG}\"{more} }}\n")
        };
        let beat = manifest(r#", "timestamp": "2026-11-23T14:00:00Z", "state": "done", "sequence": 7"#);
        for (path, contents) in [
            ("meta/mission.json", manifest("")),
            ("config/cell.json", manifest("")),
            ("config/heartbeat.token", SONG.repeat(4)),
            ("state/heartbeat.json", beat),
            ("logs/daemon.log", SONG.to_owned()),
            ("artifacts/hand-off.txt", SONG.to_owned()),
            ("worktree/.git/config", format!("[core]\n\tbare = false\n[x]\n\ty = {SONG}\n")),
            ("worktree/.git/HEAD", "ref: refs/heads/main\n".to_owned()),
            // Its parts by their names alone, for a link that stands for a directory.
            ("mission.json", manifest("")),
            ("cell.json", manifest("")),
            ("heartbeat.token", SONG.repeat(4)),
            ("heartbeat.json", SONG.to_owned()),
            ("daemon.log", SONG.to_owned()),
        ] {
            let path = directory.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        std::fs::create_dir(directory.join("empty")).unwrap();
        let before = Self::look(&directory);
        Self { directory, before }
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// Every path with its kind, rights, owner and times, and what is in it.
    fn look(directory: &Path) -> Vec<(PathBuf, String)> {
        let look = |path: PathBuf| {
            let whole = directory.join(&path);
            let status = std::fs::symlink_metadata(&whole).unwrap();
            let contents = std::fs::read_to_string(&whole).unwrap_or_default();
            let (mode, owner, group) = (status.mode(), status.uid(), status.gid());
            let written = (status.mtime(), status.mtime_nsec());
            (path, format!("{mode:o} {owner} {group} {written:?} {contents}"))
        };
        let beside: Vec<PathBuf> = files(directory);
        std::iter::once(PathBuf::new()).chain(beside).map(look).collect()
    }

    /// It is as it was.
    pub(super) fn check(&self) {
        assert_eq!(Self::look(&self.directory), self.before);
    }
}
