//! Runs checkouts of missions' repositories in the background, within a limit of concurrent ones: no turn waits for a checkout,
//! and a callback reports its end.

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

/// The most concurrent checkouts; the others wait in the background.
const CHECKOUTS_MAX: usize = 2;

/// The callback for a checkout that has ended, or that takes long enough to be published.
#[derive(Clone)]
pub struct Caller(Arc<dyn Fn(&IssueKey) + Send + Sync>);

impl Caller {
    /// Creates a callback, which must not block.
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
    known: Arc<Mutex<HashMap<MissionId, Requested>>>,
    running: watch::Sender<usize>,
    caller: Caller,
    ca_file: Option<PathBuf>,
    limits: CheckoutLimits,
}

/// A requested checkout, until its result is taken.
#[derive(Debug)]
struct Requested {
    issue: IssueKey,
    what: UnderWay,
    begun: Instant,
    /// The time of its end, and its result.
    ended: Option<(Instant, Result<CommitId, CheckoutError>)>,
}

/// What one thread needs for one checkout.
#[derive(Debug)]
pub(super) struct CheckoutRequest {
    pub(super) issue: IssueKey,
    pub(super) mission_id: MissionId,
    pub(super) source: WorktreeSource,
    from: CheckoutSource,
    group: Option<u32>,
}

impl Checkouts {
    /// Uses the private CA of the forge, if it has one.
    #[must_use]
    pub fn new(ca_file: Option<PathBuf>, caller: Caller) -> Self {
        let turns = Arc::new(Semaphore::new(CHECKOUTS_MAX));
        let (known, running, limits) = (Arc::default(), watch::Sender::new(0), CheckoutLimits::default());
        Self { turns, known, running, caller, ca_file, limits }
    }

    pub(super) fn request(
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

    /// Fails if a checkout for this cell is running: its staging directory must not be touched.
    pub(super) fn check_idle(&self, mission_id: MissionId) -> Result<(), WorldError> {
        match locked(&self.known).get(&mission_id).filter(|known| known.ended.is_none()) {
            Some(running) => Err(WorldError::CheckoutUnderWay(Box::new(running.under_way()))),
            None => Ok(()),
        }
    }

    /// Takes the result of a checkout for this cell, if it has ended. The result for another source is dropped.
    pub(super) fn take(&self, request: &CheckoutRequest) -> Option<Result<CommitId, CheckoutError>> {
        let mut known = locked(&self.known);
        let ended = known.get(&request.mission_id).is_some_and(|known| known.ended.is_some());
        let known = ended.then(|| known.remove(&request.mission_id)).flatten()?;
        known.ended.filter(|_| known.what.source == request.source).map(|(_, result)| result)
    }

    /// Starts a checkout in staging as soon as a slot is free. It first removes the remains of an earlier one.
    pub(super) fn begin(&self, request: CheckoutRequest, writer: Arc<Writer>, now: Timestamp) -> CheckoutUnderWay {
        let what = UnderWay { source: request.source.clone(), since: now };
        let known = Requested { issue: request.issue.clone(), what, begun: clock::instant(), ended: None };
        let (mission_id, under_way) = (request.mission_id, known.under_way());
        locked(&self.known).insert(mission_id, known);
        self.running.send_modify(|running| *running += 1);
        tokio::spawn(self.clone().carry_out(request, writer));
        under_way
    }

    async fn carry_out(self, request: CheckoutRequest, writer: Arc<Writer>) {
        let (issue, mission_id, limits) = (request.issue.clone(), request.mission_id, self.limits);
        let mut work = std::pin::pin!(async {
            let _turn = self.turns.acquire().await;
            // On its own thread, so that neither other work nor the end of the process waits for it.
            let result = apart(move || request.stage(&writer, limits)).await;
            result.unwrap_or_else(|| Err(CheckoutError::failed("check out the repository", &"no thread is available")))
        });
        let result = if let Ok(result) = clock::timeout(PUBLISHED_AFTER, &mut work).await {
            result
        } else {
            self.caller.call(&issue);
            work.await
        };
        if let Some(known) = locked(&self.known).get_mut(&mission_id) {
            known.ended = Some((clock::instant(), result));
        }
        self.caller.call(&issue);
        self.running.send_modify(|running| *running -= 1);
    }

    /// The number of running checkouts. The callback for the end of one comes before the number falls.
    #[must_use]
    pub fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    /// Whether a checkout for this issue is running, or its result has not been taken.
    #[must_use]
    pub fn is_known(&self, place: (RepositoryId, i64)) -> bool {
        locked(&self.known).values().any(|known| known.is_of(place))
    }

    /// Drops results for an issue that ended before `by`; returns the ids of their cells.
    pub(super) fn forget(&self, place: (RepositoryId, i64), by: Instant) -> Vec<MissionId> {
        let mut known = locked(&self.known);
        let has_ended = |known: &Requested| known.ended.as_ref().is_some_and(|(at, _)| *at < by);
        let ended = known.iter().filter(|(_, known)| known.is_of(place) && has_ended(known));
        let ended: Vec<MissionId> = ended.map(|(id, _)| *id).collect();
        known.retain(|id, _| !ended.contains(id));
        ended
    }
}

impl Requested {
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

/// What remains to be done for a worktree.
#[derive(Debug)]
pub(super) enum Remaining {
    /// Nothing remains.
    Nothing,
    /// Its repository has to be checked out in staging.
    Checkout,
}

/// Places the result of a checkout, if it has ended and is still wanted; otherwise returns whether a checkout is needed. A
/// failure is recorded with the time of the next attempt.
pub(super) fn finish(
    writer: &Writer,
    (issue, mission_id): (&IssueKey, MissionId),
    (source, result): (&WorktreeSource, Option<Result<CommitId, CheckoutError>>),
    now: Timestamp,
) -> Result<Remaining, WorldError> {
    let done = put_in_place(writer, (issue, mission_id), (source, result), now);
    if let Err(error) = &done {
        let why = error.to_string();
        writer.remember(issue, |record| record.worktree.fail(source.clone(), why, now))?;
    }
    done
}

fn put_in_place(
    writer: &Writer,
    (issue, mission_id): (&IssueKey, MissionId),
    (source, result): (&WorktreeSource, Option<Result<CommitId, CheckoutError>>),
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
    let Some(result) = result else { return Ok(Remaining::Checkout) };
    let checked_out = CheckedOut { source: source.clone(), commit: result? };
    // The identity of the directory survives a move.
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

/// Records that a worktree was placed, and notes its commit in the cell.
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
