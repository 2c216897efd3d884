//! Heartbeats that come over the network: each replaces one cell's heartbeat file, and what is remembered of those that
//! were accepted, and touches nothing else.

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

/// The most that is read of a token.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// A shorter token is none: a file that somebody emptied lets nobody in.
const TOKEN_BYTES_MIN: usize = 32;

/// What a beat is called before it is whole; each cell has one at a time.
const TEMPORARY: &str = ".heartbeat.daemon";

/// So many beats may come at once; one a second may follow.
const BURST: i64 = 5;

/// So many beats are written at once, at most; those of one cell one after the other.
const STRIPES: usize = 64;

/// Fewer buckets than this are not worth tidying.
const TIDY_MIN: usize = 16;

/// Why a beat was not taken. The heartbeat before still stands.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatRejected {
    /// No such cell, or another token; which of the two is nobody's business.
    #[error("there is no such cell, or the token does not belong to it")]
    Unknown,
    /// Too many at once.
    #[error("a cell may send one heartbeat a second, in bursts of at most {BURST}")]
    TooOften,
    /// More than a heartbeat could need.
    #[error("the heartbeat is too large")]
    TooLarge,
    /// Something is wrong with what it says.
    #[error(transparent)]
    Fault(#[from] HeartbeatRequestError),
    /// The cell cannot be written in.
    #[error("the heartbeat could not be written: {0}")]
    Failed(Errno),
}

/// A way to replace heartbeats in one root. It makes no cell and no directory, and it needs no lock of the root: whoever
/// has it lives beside the root's one writer, and a heartbeat is replaced in one step.
#[derive(Debug)]
pub struct HeartbeatReceiver {
    root: Arc<Root>,
    stripes: [Mutex<Stripe>; STRIPES],
    hasher: RandomState,
    listener: Option<mpsc::Sender<HeartbeatEvent>>,
}

/// Whose wizard has just beaten, and what it said.
pub type HeartbeatEvent = (MissionId, WizardState);

impl HeartbeatReceiver {
    /// A way into this root, which has an owner who holds its lock.
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self { root, stripes: std::array::from_fn(|_| Mutex::default()), hasher: random::hasher(), listener: None }
    }

    /// Tells somebody of every beat, as long as it can take it; one that it misses is on the disk all the same.
    #[must_use]
    pub fn heard_by(mut self, listener: mpsc::Sender<HeartbeatEvent>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Replaces the heartbeat of a cell by one that was sent with this token; `body` is none where it was too large to
    /// be read. Whatever the forge thinks of the mission does not matter.
    ///
    /// Both files are whole at every moment, but not made durable: a beat that a power cut takes comes again.
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
        // Still under the stripe's lock, so that of two heartbeats sent at once the later one stays.
        let resolver = self.root.resolver();
        let before = Before { heartbeat: last_heartbeat(&cell, resolver), accepted: accepted::read(&cell, resolver) };
        let after = sent.following(before, now)?;
        replace(&cell, &after, resolver).map_err(HeartbeatRejected::Failed)?;
        if let Some(listener) = &self.listener {
            let _ = listener.try_send((mission_id, after.heartbeat.agent_state()));
        }
        Ok(())
    }

    /// How many cells beat of late; never more than there are tokens.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.stripes.iter().map(|stripe| locked(stripe).buckets.len()).sum()
    }

    /// Opens a cell for whoever has its token.
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

/// Replaces the heartbeat, and what is remembered of those accepted. What can fail is done before either is seen: a
/// heartbeat that counts and is forgotten could be replayed, and one that is remembered and does not count is lost.
fn replace(cell: &OwnedFd, after: &After, resolver: Resolver) -> Result<(), Errno> {
    let After { heartbeat, accepted, is_told_apart } = after;
    let accepted = match accepted::stage(cell, accepted, resolver) {
        Err(error) if *is_told_apart => return Err(error),
        staged => staged.ok(),
    };
    stage_heartbeat(cell, heartbeat, TEMPORARY, resolver)?.place(Part::Heartbeat.name())?;
    accepted.map_or(Ok(()), accepted::place)
}

/// Makes a heartbeat ready to take the place of a cell's last one. The group may read and replace it, and the directory
/// hands its group on to it.
pub(crate) fn stage_heartbeat(
    cell: impl AsFd,
    heartbeat: &Heartbeat,
    temporary: &str,
    resolver: Resolver,
) -> Result<Staged, Errno> {
    let state = safe_open::open(cell, Part::State.path(), OFlags::PATH | OFlags::DIRECTORY, resolver)?;
    Staged::write(state, temporary, Mode::from_raw_mode(Part::Heartbeat.mode()), heartbeat)
}

/// A cell's last heartbeat, where one can be read.
pub(crate) fn last_heartbeat(cell: impl AsFd, resolver: Resolver) -> Option<Heartbeat> {
    match safe_open::read(cell, Part::Heartbeat.path(), FILE_BYTES_MAX, resolver) {
        Ok(FileRead::Whole(bytes, _)) => Heartbeat::parse(&bytes).ok().map(|(heartbeat, _)| heartbeat),
        Ok(FileRead::TooLarge | FileRead::WrongType(_)) | Err(_) => None,
    }
}

/// What is remembered of some of the cells.
#[derive(Debug, Default)]
struct Stripe {
    buckets: HashMap<MissionId, Bucket>,
    tidied: usize,
}

/// How many beats a cell may still send.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: i64,
    filled_at: Timestamp,
}

impl Stripe {
    fn admits(&mut self, mission_id: MissionId, now: Timestamp) -> bool {
        if self.buckets.len() >= TIDY_MIN.max(2 * self.tidied) {
            // A full bucket says what no bucket says.
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
            // The clock was set back; that fills nothing, and is believed from now on.
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
