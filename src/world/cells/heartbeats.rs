//! Accepts heartbeats over HTTP: each replaces one cell's heartbeat file and its record of accepted heartbeats, and
//! nothing else.

use crate::mission::cell::Part;
use crate::mission::cell::heartbeat::{Heartbeat, WizardState};
use crate::mission::cell::heartbeat_request::{After, Before, HeartbeatRequest, HeartbeatRequestError};
use crate::mission::cell::json_file::FILE_BYTES_MAX;
use crate::mission::identity::MissionId;
use crate::mission::secret::is_same_secret;
use crate::mission::time::Timestamp;
use crate::world::cells::accepted;
use crate::world::cells::look::open_directory;
use crate::world::cells::safe_open::{self, FileRead, Resolver};
use crate::world::lock_unpoisoned::locked;
use crate::world::random;
use crate::world::store::root::Root;
use crate::world::store::staged::Staged;
use chrono::TimeDelta;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// The most bytes of a token that are read.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// The least bytes of a token: an emptied token file grants no access.
const TOKEN_BYTES_MIN: usize = 32;

/// The temporary name of a heartbeat; the stripe's lock admits one at a time per cell.
const TEMPORARY: &str = ".heartbeat.daemon";

/// The most heartbeats in a burst; after it, one per second is accepted.
const BURST: i64 = 5;

/// The number of locks: concurrent writes, at most; writes to one cell are serialised.
const STRIPES: usize = 64;

/// A smaller map of buckets is not pruned.
const TIDY_MIN: usize = 16;

/// Why a heartbeat was rejected. The previous one is kept.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatRejected {
    /// No such cell, or a wrong token; the answer must not reveal which.
    #[error("there is no such cell, or the token does not belong to it")]
    Unknown,
    /// The cell exceeds its rate limit.
    #[error("a cell may send one heartbeat a second, in bursts of at most {BURST}")]
    TooOften,
    /// The body exceeds the limit.
    #[error("the heartbeat is too large")]
    TooLarge,
    /// The body is invalid.
    #[error(transparent)]
    Fault(#[from] HeartbeatRequestError),
    /// The cell is not writable.
    #[error("the heartbeat could not be written: {0}")]
    Failed(Errno),
}

/// Replaces heartbeats in one root. It creates neither cells nor directories and needs no lock of the root, since a
/// heartbeat is replaced atomically.
#[derive(Debug)]
pub struct HeartbeatReceiver {
    root: Arc<Root>,
    stripes: [Mutex<Stripe>; STRIPES],
    hasher: RandomState,
    listener: Option<mpsc::Sender<HeartbeatEvent>>,
}

/// A cell's accepted heartbeat: the mission and the reported state.
pub type HeartbeatEvent = (MissionId, WizardState);

impl HeartbeatReceiver {
    /// Receives heartbeats for this root, whose lock the caller holds.
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self { root, stripes: std::array::from_fn(|_| Mutex::default()), hasher: random::hasher(), listener: None }
    }

    /// Sends every heartbeat to this channel if it has capacity; a dropped event is still on disk.
    #[must_use]
    pub fn heard_by(mut self, listener: mpsc::Sender<HeartbeatEvent>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Replaces the heartbeat of a cell, authorised by its token; `body` is none if it exceeded the limit. The state of
    /// the mission in Gitea does not matter.
    ///
    /// Both files are replaced atomically, but not synced: after a power failure the next heartbeat restores them.
    pub fn beat(
        &self,
        mission_id: MissionId,
        token: &[u8],
        body: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), HeartbeatRejected> {
        let cell = self.open(mission_id, token)?;
        let mut stripe = locked(self.stripe(mission_id));
        if !stripe.admits(mission_id, now) {
            return Err(HeartbeatRejected::TooOften);
        }
        let sent = HeartbeatRequest::parse(body.ok_or(HeartbeatRejected::TooLarge)?)?;
        // Still under the stripe's lock, so that of two concurrent heartbeats the later one is kept.
        let resolver = self.root.resolver();
        let before = Before { heartbeat: last_heartbeat(&cell, resolver), accepted: accepted::read(&cell, resolver) };
        let after = sent.following(before, now)?;
        replace(&cell, &after, resolver).map_err(HeartbeatRejected::Failed)?;
        if let Some(listener) = &self.listener {
            let _ = listener.try_send((mission_id, after.heartbeat.agent_state()));
        }
        Ok(())
    }

    /// The number of cells with a rate limit in memory; at most one per token.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.stripes.iter().map(|stripe| locked(stripe).buckets.len()).sum()
    }

    /// Opens a cell for the holder of its token.
    fn open(&self, mission_id: MissionId, token: &[u8]) -> Result<OwnedFd, HeartbeatRejected> {
        let cell = open_directory(&*self.root, &mission_id.to_string()).map_err(|_| HeartbeatRejected::Unknown)?;
        let known = safe_open::read(&cell, Part::Token.path(), TOKEN_BYTES_MAX, self.root.resolver());
        let is_right = match known {
            Ok(FileRead::Whole(known, _)) => {
                let known = known.trim_ascii();
                known.len() >= TOKEN_BYTES_MIN && is_same_secret(known, token)
            }
            Ok(FileRead::TooLarge | FileRead::WrongType(_)) | Err(_) => false,
        };
        if is_right { Ok(cell) } else { Err(HeartbeatRejected::Unknown) }
    }

    fn stripe(&self, mission_id: MissionId) -> &Mutex<Stripe> {
        let index = self.hasher.hash_one(mission_id) % STRIPES as u64;
        &self.stripes[usize::try_from(index).unwrap_or_default()]
    }
}

/// Replaces the heartbeat and the record of accepted ones. Everything that can fail comes first: a heartbeat without
/// its record could be replayed, and a record without its heartbeat would lose it.
fn replace(cell: &OwnedFd, after: &After, resolver: Resolver) -> Result<(), Errno> {
    let After { heartbeat, accepted, is_told_apart } = after;
    let accepted = match accepted::stage(cell, accepted, resolver) {
        Err(error) if *is_told_apart => return Err(error),
        staged => staged.ok(),
    };
    stage_heartbeat(cell, heartbeat, TEMPORARY, resolver)?.place(Part::Heartbeat.name())?;
    accepted.map_or(Ok(()), accepted::place)
}

/// Writes a heartbeat under a temporary name. The group may read and replace it; the set-group-id directory gives it
/// the group.
pub(crate) fn stage_heartbeat(
    cell: impl AsFd,
    heartbeat: &Heartbeat,
    temporary: &str,
    resolver: Resolver,
) -> Result<Staged, Errno> {
    let state = safe_open::open(cell, Part::State.path(), OFlags::PATH | OFlags::DIRECTORY, resolver)?;
    Staged::write(state, temporary, Mode::from_raw_mode(Part::Heartbeat.mode()), heartbeat)
}

/// Reads a cell's last heartbeat, if it is readable.
pub(crate) fn last_heartbeat(cell: impl AsFd, resolver: Resolver) -> Option<Heartbeat> {
    match safe_open::read(cell, Part::Heartbeat.path(), FILE_BYTES_MAX, resolver) {
        Ok(FileRead::Whole(bytes, _)) => Heartbeat::parse(&bytes).ok().map(|(heartbeat, _)| heartbeat),
        Ok(FileRead::TooLarge | FileRead::WrongType(_)) | Err(_) => None,
    }
}

/// The state of some of the cells, behind one lock.
#[derive(Debug, Default)]
struct Stripe {
    buckets: HashMap<MissionId, Bucket>,
    tidied: usize,
}

/// The heartbeats that a cell may still send.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: i64,
    filled_at: Timestamp,
}

impl Stripe {
    fn admits(&mut self, mission_id: MissionId, now: Timestamp) -> bool {
        if self.buckets.len() >= TIDY_MIN.max(2 * self.tidied) {
            // A full bucket carries no information.
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.tidied = self.buckets.len();
        }
        self.buckets.entry(mission_id).or_insert(Bucket { left: BURST, filled_at: now }).take(now)
    }
}

impl Bucket {
    fn is_full(self, now: Timestamp) -> bool {
        self.left.saturating_add(now.after(self.filled_at).num_seconds()) >= BURST
    }

    fn take(&mut self, now: Timestamp) -> bool {
        let passed = now.after(self.filled_at).num_seconds();
        if passed < 0 {
            // The clock was set back: nothing is added, and the new time counts.
            self.filled_at = now;
        } else {
            self.left = self.left.saturating_add(passed).min(BURST);
            self.filled_at = self.filled_at.plus(TimeDelta::seconds(passed));
        }
        let is_admitted = self.left > 0;
        self.left -= i64::from(is_admitted);
        is_admitted
    }
}
