//! Has missions' repositories checked out, beside all else that is done; so many at once, and no more. Nobody waits for one:
//! whoever wants it is told that it is under way, and called when it has ended.

use crate::mission::cell::checkout::{Placement, placement};
use crate::mission::cell::worktree::{
    CheckedOut, CheckoutUnderWay, PUBLISHED_AFTER, Placing, UnderWay, Worktree, WorktreeSource,
};
use crate::mission::identity::{CommitId, ForgeUrl, MissionId, RepositoryId};
use crate::mission::record::{IssueKey, Record};
use crate::mission::time::Timestamp;
use crate::world::blocking_pool::apart;
use crate::world::forge::Token;
use crate::world::git::{CheckoutError, CheckoutLimits, CheckoutSource, Destination, Git};
use crate::world::lock_unpoisoned::locked;
use crate::world::store::writer::{Placed, WriteError, Writer};
use crate::world::{WorldError, clock};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// So many checkouts at once; the others wait for their turn, and nobody waits for them.
const CHECKOUTS_MAX: usize = 2;

/// Called when there is news of a checkout: it has ended, or takes so long that it is to be told.
#[derive(Clone)]
pub struct Caller(Arc<dyn Fn(&IssueKey) + Send + Sync>);

impl Caller {
    /// What is called must not wait.
    pub fn new(call: impl Fn(&IssueKey) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    fn call(&self, issue: &IssueKey) {
        (self.0)(issue);
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

/// All checkouts of a process.
#[derive(Clone, Debug)]
pub struct Checkouts {
    turns: Arc<Semaphore>,
    known: Arc<Mutex<HashMap<MissionId, Known>>>,
    running: watch::Sender<usize>,
    caller: Caller,
    ca_file: Option<PathBuf>,
    limits: CheckoutLimits,
}

/// A checkout that was asked for, until somebody has taken what came of it.
#[derive(Debug)]
struct Known {
    issue: IssueKey,
    what: UnderWay,
    begun: Instant,
    /// Once it has ended: when, and what came of it.
    came: Option<(Instant, Result<CommitId, CheckoutError>)>,
}

/// One checkout, for the one thread that carries it out.
#[derive(Debug)]
pub(super) struct CheckoutRequest {
    pub(super) issue: IssueKey,
    pub(super) mission_id: MissionId,
    pub(super) source: WorktreeSource,
    from: CheckoutSource,
    group: Option<u32>,
}

impl Checkouts {
    /// With the private CA of the forge, if it has one, and the one who is called.
    #[must_use]
    pub fn new(ca_file: Option<PathBuf>, caller: Caller) -> Self {
        let turns = Arc::new(Semaphore::new(CHECKOUTS_MAX));
        let (known, running, limits) = (Arc::default(), watch::Sender::new(0), CheckoutLimits::default());
        Self { turns, known, running, caller, ca_file, limits }
    }

    pub(super) fn order(
        &self,
        (issue, mission_id): (&IssueKey, MissionId),
        source: &WorktreeSource,
        (forge, token): (&ForgeUrl, Token),
        group: Option<u32>,
    ) -> CheckoutRequest {
        let from = CheckoutSource::new(forge, &source.repository).at(source.git_ref.clone());
        let from = from.read_with(Some(token)).trusting(self.ca_file.clone());
        CheckoutRequest { issue: issue.clone(), mission_id, source: source.clone(), from, group }
    }

    /// The checkout for this cell that has not ended, if there is one. What lies in staging for it is not to be touched.
    pub(super) fn under_way(&self, mission_id: MissionId) -> Option<CheckoutUnderWay> {
        locked(&self.known).get(&mission_id).filter(|known| known.came.is_none()).map(Known::under_way)
    }

    /// Takes what came of a checkout of this source for this cell, if it has ended. That of another source is forgotten.
    pub(super) fn take(&self, order: &CheckoutRequest) -> Option<Result<CommitId, CheckoutError>> {
        let mut known = locked(&self.known);
        let ended = known.get(&order.mission_id).is_some_and(|known| known.came.is_some());
        let known = ended.then(|| known.remove(&order.mission_id)).flatten()?;
        known.came.filter(|_| known.what.source == order.source).map(|(_, came)| came)
    }

    /// Begins a checkout in staging, as soon as it is its turn. What is left there of an earlier one goes first.
    pub(super) fn begin(&self, order: CheckoutRequest, writer: Arc<Writer>, now: Timestamp) -> CheckoutUnderWay {
        let what = UnderWay { source: order.source.clone(), since: now };
        let known = Known { issue: order.issue.clone(), what, begun: clock::instant(), came: None };
        let (mission_id, under_way) = (order.mission_id, known.under_way());
        locked(&self.known).insert(mission_id, known);
        self.running.send_modify(|running| *running += 1);
        tokio::spawn(self.clone().carry_out(order, writer));
        under_way
    }

    async fn carry_out(self, order: CheckoutRequest, writer: Arc<Writer>) {
        let (issue, mission_id, limits) = (order.issue.clone(), order.mission_id, self.limits);
        let mut work = std::pin::pin!(async {
            let _turn = self.turns.acquire().await;
            // It holds no thread that other work waits for, nor the end of the process.
            let came = apart(move || order.stage(&writer, limits)).await;
            came.unwrap_or_else(|| Err(CheckoutError::failed("check out the repository", &"there is no thread for it")))
        });
        let came = if let Ok(came) = clock::timeout(PUBLISHED_AFTER, &mut work).await {
            came
        } else {
            self.caller.call(&issue);
            work.await
        };
        if let Some(known) = locked(&self.known).get_mut(&mission_id) {
            known.came = Some((clock::instant(), came));
        }
        self.caller.call(&issue);
        self.running.send_modify(|running| *running -= 1);
    }

    /// How many have not ended. Whoever is called for one has been called before it is not counted any more.
    #[must_use]
    pub fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    /// Whether one for this issue is under way, or nobody has taken yet what came of it.
    #[must_use]
    pub fn is_known(&self, place: (RepositoryId, i64)) -> bool {
        locked(&self.known).values().any(|known| known.is_of(place))
    }

    /// Forgets those for an issue that had ended by then; the cells that they were for.
    pub(super) fn forget(&self, place: (RepositoryId, i64), by: Instant) -> Vec<MissionId> {
        let mut known = locked(&self.known);
        let has_ended = |known: &Known| known.came.as_ref().is_some_and(|(at, _)| *at < by);
        let ended = known.iter().filter(|(_, known)| known.is_of(place) && has_ended(known));
        let ended: Vec<MissionId> = ended.map(|(id, _)| *id).collect();
        known.retain(|id, _| !ended.contains(id));
        ended
    }
}

impl Known {
    fn is_of(&self, (repository, number): (RepositoryId, i64)) -> bool {
        self.issue.repository_id == repository && self.issue.number == number
    }

    fn under_way(&self) -> CheckoutUnderWay {
        CheckoutUnderWay { what: self.what.clone(), lasted: clock::instant() - self.begun }
    }
}

impl CheckoutRequest {
    fn stage(&self, writer: &Writer, limits: CheckoutLimits) -> Result<CommitId, CheckoutError> {
        let staged = staged_worktree(self.mission_id);
        writer.discard_worktree(&staged);
        let (branch, path) = (format!("mission/{}", self.mission_id), writer.staging_path(&staged));
        let destination = Destination { directory: &path, branch: &branch, group: self.group };
        Git::find()?.check_out(&self.from, destination, limits)
    }
}

/// What is left to do for a worktree.
#[derive(Debug)]
pub(super) enum Remaining {
    /// Nothing.
    Nothing,
    /// To check out its repository, in staging.
    Checkout,
}

/// Puts what came of a checkout in its place, if one has ended and is still wanted; else says whether one is. A failure is
/// remembered with the time of the next try.
pub(super) fn finish(
    writer: &Writer,
    (issue, mission_id): (&IssueKey, MissionId),
    (source, came): (&WorktreeSource, Option<Result<CommitId, CheckoutError>>),
    now: Timestamp,
) -> Result<Remaining, WorldError> {
    let done = put_in_place(writer, (issue, mission_id), (source, came), now);
    if let Err(error) = &done {
        let why = error.to_string();
        writer.remember(issue, |record| record.worktree.fail(source.clone(), why, now))?;
    }
    done
}

fn put_in_place(
    writer: &Writer,
    (issue, mission_id): (&IssueKey, MissionId),
    (source, came): (&WorktreeSource, Option<Result<CommitId, CheckoutError>>),
    now: Timestamp,
) -> Result<Remaining, WorldError> {
    let known = writer.remembered(issue)?.map(|record| record.worktree).unwrap_or_default();
    let staged = staged_worktree(mission_id);
    let has_cell = match placement(&writer.look_at_worktree(mission_id)?, &known) {
        Placement::Stage => false,
        Placement::Fill => true,
        Placement::Record(checked_out) => {
            hand_over(writer, (issue, mission_id), checked_out, now)?;
            return Ok(Remaining::Nothing);
        }
        Placement::Nothing => return Ok(Remaining::Nothing),
        Placement::Refuse => {
            writer.discard_worktree(&staged);
            return Err(WorldError::WorktreeInUse { mission_id });
        }
    };
    let Some(came) = came else { return Ok(Remaining::Checkout) };
    let checked_out = CheckedOut { source: source.clone(), commit: came? };
    // By its directory it is found wherever it is moved.
    let placing = Placing { checked_out: checked_out.clone(), directory: writer.identify_staged(&staged)? };
    writer.remember(issue, |record| record.worktree.placing = Some(Box::new(placing)))?;
    if !has_cell {
        return Ok(Remaining::Nothing);
    }
    match writer.place_worktree(mission_id, &staged)? {
        Placed::Here => hand_over(writer, (issue, mission_id), checked_out, now)?,
        Placed::InTheWay => {
            writer.discard_worktree(&staged);
            return Err(WorldError::WorktreeInUse { mission_id });
        }
    }
    Ok(Remaining::Nothing)
}

/// Records that a worktree is in its place, and tells the cell.
pub(super) fn hand_over(
    writer: &Writer,
    (issue, mission_id): (&IssueKey, MissionId),
    checked_out: CheckedOut,
    now: Timestamp,
) -> Result<(), WriteError> {
    let CheckedOut { source, commit } = checked_out.clone();
    writer.log(mission_id, "check-out", &format!("check out {source}, commit {commit}"), now);
    writer.remember(issue, |record| record.worktree.hand_over(checked_out))?;
    writer.note_commit(mission_id, &commit);
    Ok(())
}

/// The name of a worktree in staging.
pub(super) fn staged_worktree(mission_id: MissionId) -> String {
    format!("{mission_id}.worktree")
}

/// Replaces a record except for its worktree fields, which belong to the checkout.
pub(super) fn keep_worktree(
    writer: &Writer,
    record: &Record,
    change: impl FnOnce(&mut Worktree),
) -> Result<Record, WriteError> {
    writer.remember(&record.issue, |known| {
        let mut worktree = std::mem::take(&mut known.worktree);
        change(&mut worktree);
        *known = Record { worktree, ..record.clone() };
    })
}
