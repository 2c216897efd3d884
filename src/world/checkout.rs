//! Checks out a mission's repository and places it in the cell, within a limit of concurrent checkouts.

use crate::mission::cell::checkout::{Placement, placement};
use crate::mission::cell::worktree::{CheckedOut, Placing, Worktree, WorktreeSource};
use crate::mission::identity::{ForgeUrl, MissionId};
use crate::mission::record::{IssueKey, Record};
use crate::mission::time::Timestamp;
use crate::world::WorldError;
use crate::world::forge::Token;
use crate::world::git::{CheckoutLimits, CheckoutSource, Destination, Git};
use crate::world::store::writer::{Placed, WriteError, Writer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most concurrent checkouts; other missions continue meanwhile.
const CHECKOUTS_MAX: usize = 2;

/// The state shared by all checkouts of a process.
#[derive(Clone, Debug)]
pub struct Checkouts {
    turns: Arc<Semaphore>,
    ca_file: Option<PathBuf>,
    limits: CheckoutLimits,
}

impl Checkouts {
    /// Uses the private CA of the forge, if configured.
    #[must_use]
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self { turns: Arc::new(Semaphore::new(CHECKOUTS_MAX)), ca_file, limits: CheckoutLimits::default() }
    }

    /// Waits for a free slot.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    pub(super) fn order(
        &self,
        forge: &ForgeUrl,
        source: &WorktreeSource,
        token: Token,
        group: Option<u32>,
    ) -> CheckoutRequest {
        let from = CheckoutSource::new(forge, &source.repository).at(source.git_ref.clone());
        let from = from.read_with(Some(token)).trusting(self.ca_file.clone());
        CheckoutRequest { from, limits: self.limits, group }
    }
}

/// One checkout, to run on a thread that may block.
#[derive(Debug)]
pub(super) struct CheckoutRequest {
    from: CheckoutSource,
    limits: CheckoutLimits,
    group: Option<u32>,
}

impl CheckoutRequest {
    /// Checks out and fills the cell's worktree; before the cell exists, the worktree stays in staging. A failure is
    /// recorded with the time of the next attempt.
    pub(super) fn into_cell(
        self,
        writer: &Writer,
        (issue, mission_id): (&IssueKey, MissionId),
        source: WorktreeSource,
        now: Timestamp,
    ) -> Result<(), WorldError> {
        let done = self.carry_out(writer, (issue, mission_id), &source, now);
        if let Err(error) = &done {
            let why = error.to_string();
            writer.remember(issue, |record| record.worktree.fail(source, why, now))?;
        }
        done
    }

    fn carry_out(
        &self,
        writer: &Writer,
        (issue, mission_id): (&IssueKey, MissionId),
        source: &WorktreeSource,
        now: Timestamp,
    ) -> Result<(), WorldError> {
        let known = writer.remembered(issue)?.map(|record| record.worktree).unwrap_or_default();
        match placement(&writer.look_at_worktree(mission_id)?, &known) {
            Placement::Stage => self.stage(writer, (issue, mission_id), source).map(drop),
            Placement::Fill => {
                let checked_out = self.stage(writer, (issue, mission_id), source)?;
                let staged = staged_worktree(mission_id);
                match writer.place_worktree(mission_id, &staged)? {
                    Placed::Here => Ok(hand_over(writer, (issue, mission_id), checked_out, now)?),
                    Placed::InTheWay => {
                        writer.discard_worktree(&staged);
                        Err(WorldError::WorktreeInUse { mission_id })
                    }
                }
            }
            Placement::Record(checked_out) => Ok(hand_over(writer, (issue, mission_id), checked_out, now)?),
            Placement::Nothing => Ok(()),
            Placement::Refuse => Err(WorldError::WorktreeInUse { mission_id }),
        }
    }

    /// Checks out in staging, and records the directory's identity, by which it is found after a move.
    fn stage(
        &self,
        writer: &Writer,
        (issue, mission_id): (&IssueKey, MissionId),
        source: &WorktreeSource,
    ) -> Result<CheckedOut, WorldError> {
        let staged = staged_worktree(mission_id);
        writer.discard_worktree(&staged);
        let (branch, path) = (format!("mission/{mission_id}"), writer.staging_path(&staged));
        let destination = Destination { directory: &path, branch: &branch, group: self.group };
        let commit = Git::find()?.check_out(&self.from, destination, self.limits)?;
        let checked_out = CheckedOut { source: source.clone(), commit };
        let placing = Placing { checked_out: checked_out.clone(), directory: writer.identify_staged(&staged)? };
        writer.remember(issue, |record| record.worktree.placing = Some(Box::new(placing)))?;
        Ok(checked_out)
    }
}

/// Records that a worktree is in place, in the record and in the cell.
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
