//! Scans all cells of a root repeatedly, and reads only those that have changed.
//!
//! A cell has changed if inode, size or times of a watched path have: whatever is created, replaced or deleted in a
//! directory changes that directory's times. A write in place shows only for the heartbeat; for files that only this
//! service may write it shows after [`CellCache::forget`].

use crate::mission::cell::{CellFacts, CellObservation, ReadFailure};
use crate::mission::identity::MissionId;
use crate::world::blocking_pool::{self, LOOK_PATIENCE};
use crate::world::cells::look;
use crate::world::clock;
use crate::world::lock_unpoisoned::locked;
use crate::world::store::root::{Root, RootError};
use rustix::fs::{AtFlags, Stat, fstat, stat, statat};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The paths below a cell whose times are compared.
const WATCHED: [&str; 6] = ["", "/meta", "/config", "/state", "/logs", "/state/heartbeat.json"];

/// The resolution of file times may be this coarse, so a recent change may be followed by another one unseen.
const COARSE: Duration = Duration::from_millis(100);

/// What is known of all cells of one root.
#[derive(Debug)]
pub struct CellCache {
    root: Arc<Root>,
    seen: HashMap<MissionId, Seen>,
    /// The cells that are being read. A cell that is still here at the next scan hangs and gets no further thread.
    under_way: Arc<Mutex<HashSet<MissionId>>>,
}

/// The last observation of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The parts of the cell; the contents of `meta/mission.json` and `config/cell.json` are left out.
    pub sighting: CellObservation,
    /// "Stale after" from the cell's own configuration, in seconds.
    pub own_limit: Option<u64>,
    /// The fingerprint; none if the cell has to be read again.
    fingerprint: Option<u64>,
}

enum Look {
    Same,
    Changed(Box<Seen>),
}

impl CellCache {
    /// Creates an empty cache.
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self { root, seen: HashMap::new(), under_way: Arc::default() }
    }

    /// The last observation of a cell; none if no scan included it.
    #[must_use]
    pub fn seen(&self, id: MissionId) -> Option<&Seen> {
        self.seen.get(&id)
    }

    /// All observations of the last scan.
    pub fn all(&self) -> impl Iterator<Item = (MissionId, &Seen)> {
        self.seen.iter().map(|(id, seen)| (*id, seen))
    }

    /// Makes the next scan read every cell.
    pub fn forget(&mut self) {
        for seen in self.seen.values_mut() {
            seen.fingerprint = None;
        }
    }

    /// Scans every cell in the root and every expected one. Returns the cells that were read, whether or not they have
    /// changed.
    pub fn sweep(&mut self, expected: impl IntoIterator<Item = MissionId>) -> Result<Vec<MissionId>, RootError> {
        self.check_place()?;
        let mut ids: BTreeSet<MissionId> = self.root.cells()?.into_iter().collect();
        ids.extend(expected);
        self.seen.retain(|id, _| ids.contains(id));
        let ids: Arc<[MissionId]> = ids.into_iter().collect();
        let known = |id: &MissionId| self.seen.get(id).and_then(|seen| seen.fingerprint);
        let fingerprints: Vec<Option<u64>> = ids.iter().map(known).collect();
        let (root, at, under_way) = (Arc::clone(&self.root), Arc::clone(&ids), Arc::clone(&self.under_way));
        let looks = blocking_pool::map_with_stall_timeout(ids.len(), LOOK_PATIENCE, move |index| {
            let id = at[index];
            if !locked(&under_way).insert(id) {
                return None;
            }
            let look = look(&root, id, fingerprints[index]);
            locked(&under_way).remove(&id);
            Some(look)
        });
        let mut moved = Vec::new();
        for (id, look) in ids.iter().zip(looks) {
            let seen = match look.flatten() {
                Some(Look::Same) => continue,
                Some(Look::Changed(seen)) => *seen,
                None => {
                    Seen { sighting: CellObservation::Failed(ReadFailure::Timeout), own_limit: None, fingerprint: None }
                }
            };
            moved.push(*id);
            self.seen.insert(*id, seen);
        }
        Ok(moved)
    }

    /// Fails if the root was unmounted or mounted over, and so is not the open directory.
    fn check_place(&self) -> Result<(), RootError> {
        let path = || self.root.path().display().to_string();
        let unusable = |cause: Errno| RootError::Unusable { path: path(), cause: cause.to_string() };
        let held = fstat(&self.root).map_err(unusable)?;
        let found = match stat(self.root.path()) {
            Err(Errno::NOENT) => return Err(RootError::Missing { path: path(), flags: String::new() }),
            found => found.map_err(unusable)?,
        };
        if (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino) {
            return Ok(());
        }
        let cause =
            "the directory is not the one that the daemon started with; mount the right one, or restart the daemon";
        Err(RootError::Unusable { path: path(), cause: cause.to_owned() })
    }
}

fn look(root: &Root, id: MissionId, known: Option<u64>) -> Look {
    let fingerprint = fingerprint(root, id, clock::since_epoch());
    if fingerprint.is_some() && fingerprint == known {
        return Look::Same;
    }
    let mut sighting = look::look(root, id, root.resolver());
    let own_limit = match &mut sighting {
        CellObservation::Cell(cell) => take_stale_after(cell),
        CellObservation::Absent | CellObservation::NotADirectory(_) | CellObservation::Failed(_) => None,
    };
    let fingerprint = fingerprint.filter(|_| look::failure(&sighting).is_none() && !look::is_refused(&sighting));
    Look::Changed(Box::new(Seen { sighting, own_limit, fingerprint }))
}

/// Drops what only a plan needs, and returns "stale after".
fn take_stale_after(cell: &mut CellFacts) -> Option<u64> {
    cell.mission = None;
    cell.config.take()?.get("stale_after_seconds")?.as_u64()
}

/// The fingerprint of a cell; none if a call failed or the cell changed just now.
fn fingerprint(root: &Root, id: MissionId, now: Duration) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut path = id.to_string();
    let length = path.len();
    for below in WATCHED {
        path.truncate(length);
        path.push_str(below);
        match statat(root, path.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => {
                let newest = since_epoch(status.st_mtime, status.st_mtime_nsec)
                    .max(since_epoch(status.st_ctime, status.st_ctime_nsec));
                if newest + COARSE > now {
                    return None;
                }
                hash_status(&mut hasher, &status);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => hasher.write_u8(0),
            Err(_) => return None,
        }
    }
    Some(hasher.finish())
}

fn hash_status(hasher: &mut DefaultHasher, status: &Stat) {
    hasher.write_u64(status.st_ino);
    hasher.write_i64(status.st_size);
    for part in [status.st_mtime, status.st_ctime] {
        hasher.write_i64(part);
    }
    hasher.write_u64(status.st_mtime_nsec);
    hasher.write_u64(status.st_ctime_nsec);
}

fn since_epoch(seconds: i64, nanoseconds: u64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default()) + Duration::from_nanos(nanoseconds)
}
