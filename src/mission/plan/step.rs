//! One turn over one mission, as a state machine without I/O: its driver fetches facts and applies changes.
//!
//! Passes, the daemon, previews and the law tests drive the same state machine. A turn has two halves: the changes of
//! the cell, then, after a second observation, the changes of the status.

use crate::mission::cell::worktree::CheckoutUnderWay;
use crate::mission::failure::MissionFailure;
use crate::mission::observation::{Comments, Observation};
use crate::mission::plan::cell::{plan_approval, plan_cell};
use crate::mission::plan::change::Change;
use crate::mission::plan::comment::doubted;
use crate::mission::plan::missing_facts::{MissingFacts, missing_facts};
use crate::mission::plan::plan_status;
use crate::mission::plan::project::project;
use crate::mission::status::lifecycle::Lifecycle;

/// The maximum number of rereads of the comments in one turn, after a post or after our comment was found deleted.
const REREADS_MAX: u8 = 2;

/// The next step of a turn.
#[derive(Debug)]
pub enum Step {
    /// Fetch these facts into the observation, then [`Turn::answered`] or [`Turn::unanswered`].
    Ask(MissingFacts),
    /// Apply these changes, in any order and independently; report each by [`Turn::made`], [`Turn::failed`] or
    /// [`Turn::found_comment_deleted`]. If a checkout is still running, report [`Turn::put_off`] and apply none of the rest.
    Apply(Vec<Change>),
    /// Observe the cell and the record again.
    Look,
    /// Nothing is left to do.
    Done,
}

/// The stage of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Facts may be missing.
    Facts,
    /// The cell's half is to be planned.
    Cell,
    /// The cell's changes were tried.
    CellTried,
    /// The status's half is to be planned.
    Status,
    /// The comments were requested again, before an edit that depends on the current comment.
    Verify,
    /// They are unavailable, so that edit is left out.
    Unverified,
    /// The status's changes were tried.
    StatusTried,
    /// The comments were requested again, after a post or a deletion.
    Reread,
    /// A changed failure is to be recorded.
    Failures,
    /// Nothing is left to do.
    Done,
}

/// One turn over one mission.
#[derive(Debug)]
pub struct Turn {
    stage: Stage,
    /// Cached; determined again only when the facts change.
    lifecycle: Option<Lifecycle>,
    made: Vec<Change>,
    /// The first failure that requires manual action.
    failed: Option<MissionFailure>,
    /// The running checkout that the remaining changes of the cell wait for.
    put_off: Option<CheckoutUnderWay>,
    /// Whether the last changes posted a comment or found ours deleted, so that the comments must be read again.
    is_unsure: bool,
    rereads: u8,
}

impl Default for Turn {
    fn default() -> Self {
        let (lifecycle, made, failed, put_off) = (None, Vec::new(), None, None);
        Self { stage: Stage::Facts, lifecycle, made, failed, put_off, is_unsure: false, rereads: 0 }
    }
}

impl Turn {
    /// The next step, from the current observation.
    pub fn next(&mut self, seen: &mut Observation) -> Step {
        match self.stage {
            Stage::Facts => {
                let missing = self.missing(seen);
                if missing.is_empty() { self.plan_cell(seen) } else { Step::Ask(missing) }
            }
            Stage::Cell => self.plan_cell(seen),
            Stage::CellTried => {
                if let Some(under_way) = self.put_off.take() {
                    (seen.checkout, self.lifecycle) = (Some(Box::new(under_way)), None);
                    let lifecycle = self.lifecycle(seen);
                    let overruled = lifecycle.overruled(seen);
                    if let Some(change) = plan_approval(seen, overruled.as_ref().unwrap_or(lifecycle)) {
                        return Step::Apply(vec![change]);
                    }
                }
                *seen = project(seen, &self.made);
                seen.obstructed.clone_from(&self.failed);
                (self.lifecycle, self.stage) = (None, Stage::Status);
                Step::Look
            }
            Stage::Status => {
                let planned = self.planned_status(seen);
                // Another root may have claimed the mission first; a later pass confirms the claim, since the later of
                // two edits wins. An edit would also replace the text that a person may be about to approve.
                if planned.iter().any(|change| is_to_be_verified(seen, change)) {
                    self.stage = Stage::Verify;
                    return Step::Ask(MissingFacts { comments: true, ..MissingFacts::default() });
                }
                self.try_status(planned, seen)
            }
            Stage::Verify => {
                let planned = self.planned_status(seen);
                self.try_status(planned, seen)
            }
            Stage::Unverified => {
                let mut planned = self.planned_status(seen);
                let count = planned.len();
                planned.retain(|change| !is_to_be_verified(seen, change));
                if planned.len() < count {
                    planned.extend(doubted(seen));
                }
                self.try_status(planned, seen)
            }
            // Two roots may claim an issue concurrently, and Gitea has no lock. The comment with the smaller id keeps
            // the mission, and of two roots that read after posting at least one sees both comments.
            Stage::StatusTried if self.is_unsure && self.rereads < REREADS_MAX => {
                (self.is_unsure, self.stage) = (false, Stage::Reread);
                self.rereads += 1;
                Step::Ask(MissingFacts { comments: true, record: true, ..MissingFacts::default() })
            }
            Stage::Reread => {
                seen.repaired.clear();
                let mut planned = self.planned_status(seen);
                // The labels were corrected before, as far as possible.
                planned.retain(|change| !change.is_about_labels());
                self.try_status(planned, seen)
            }
            Stage::StatusTried => {
                self.stage = Stage::Failures;
                self.next(seen)
            }
            Stage::Failures => {
                self.stage = Stage::Done;
                self.record_failure(seen)
            }
            Stage::Done => Step::Done,
        }
    }

    /// The missing facts that the plan depends on; nothing is planned before they are fetched.
    pub fn missing(&mut self, seen: &mut Observation) -> MissingFacts {
        loop {
            let lifecycle = self.lifecycle(seen);
            let overruled = lifecycle.overruled(seen);
            let missing = missing_facts(seen, overruled.as_ref().unwrap_or(lifecycle));
            if !missing.comments || missing.timeline || seen.issue.comments > 0 {
                return missing;
            }
            // An issue without comments needs no request for them.
            seen.comments = Comments::Read(Vec::new());
            self.lifecycle = None;
        }
    }

    /// The mission's lifecycle by the current facts, without other missions.
    pub fn lifecycle(&mut self, seen: &Observation) -> &Lifecycle {
        self.lifecycle.get_or_insert_with(|| Lifecycle::alone(seen))
    }

    /// The requested facts are in the observation now.
    pub fn answered(&mut self) {
        self.lifecycle = None;
    }

    /// The requested facts are unavailable. An edit that depends on them, and everything not planned yet, waits for a
    /// later pass.
    pub fn unanswered(&mut self) {
        self.stage = if self.stage == Stage::Verify { Stage::Unverified } else { Stage::Done };
    }

    /// A change was applied.
    pub fn made(&mut self, change: Change) {
        self.is_unsure |= matches!(change, Change::PostComment { .. });
        self.made.push(change);
    }

    /// A checkout is running. The mission gets another turn when it ends, or takes long enough to be published.
    pub fn put_off(&mut self, under_way: CheckoutUnderWay) {
        self.put_off = Some(under_way);
    }

    /// A change failed, and stays impossible until a person acts.
    pub fn failed(&mut self, failure: MissionFailure) {
        let is_of_comment = failure.is_of_comment;
        self.failed.get_or_insert(failure).is_of_comment |= is_of_comment;
    }

    /// A change found our comment deleted. Returns whether the comments are read again.
    pub fn found_comment_deleted(&mut self) -> bool {
        self.is_unsure = true;
        self.rereads < REREADS_MAX
    }

    /// The lifecycle that the status was planned for, and all applied changes. Recording a posted comment is part of
    /// its post.
    #[must_use]
    pub fn end(mut self, seen: &Observation) -> (Lifecycle, Vec<Change>) {
        let mut made = std::mem::take(&mut self.made);
        if made.iter().any(|change| matches!(change, Change::PostComment { .. })) {
            made.retain(|change| !matches!(change, Change::RecordComment { .. }));
        }
        let lifecycle = self.lifecycle.unwrap_or_else(|| Lifecycle::alone(seen));
        (lifecycle.overruled(seen).unwrap_or(lifecycle), made)
    }

    fn plan_cell(&mut self, seen: &mut Observation) -> Step {
        let lifecycle = self.lifecycle(seen);
        let overruled = lifecycle.overruled(seen);
        let planned = plan_cell(seen, overruled.as_ref().unwrap_or(lifecycle));
        if planned.is_empty() {
            // Nothing has changed that would need a second observation.
            self.stage = Stage::Status;
            return self.next(seen);
        }
        self.stage = Stage::CellTried;
        Step::Apply(planned)
    }

    fn planned_status(&mut self, seen: &Observation) -> Vec<Change> {
        let lifecycle = self.lifecycle(seen);
        let overruled = lifecycle.overruled(seen);
        plan_status(seen, overruled.as_ref().unwrap_or(lifecycle))
    }

    fn record_failure(&self, seen: &Observation) -> Step {
        let before = seen.record.as_ref().and_then(|record| record.failure.as_deref());
        let now = self.failed.clone().map(|failed| failed.after(before));
        if now.as_ref() == before {
            return Step::Done;
        }
        let issue = seen.issue.key.clone();
        Step::Apply(vec![Change::RecordFailure { issue, failure: now.map(Box::new) }])
    }

    fn try_status(&mut self, planned: Vec<Change>, seen: &mut Observation) -> Step {
        self.stage = Stage::StatusTried;
        if planned.is_empty() { self.next(seen) } else { Step::Apply(planned) }
    }
}

/// Whether an edit claims a mission, or replaces a text that a person may be about to approve.
fn is_to_be_verified(seen: &Observation, change: &Change) -> bool {
    let is_requesting = seen.record.as_ref().is_some_and(|record| record.approval_request.is_some());
    change.is_claim() || (is_requesting && matches!(change, Change::EditComment { .. }))
}

/// A mission in a pass, with its observation and its turn.
#[derive(Debug)]
pub struct Candidate {
    /// The current observation.
    pub seen: Observation,
    /// The turn in progress.
    pub turn: Turn,
    /// The first step, once planned.
    first: Option<Step>,
}

impl Candidate {
    /// A candidate whose turn has not begun.
    #[must_use]
    pub fn new(seen: Observation) -> Self {
        Self { seen, turn: Turn::default(), first: None }
    }

    /// As [`Turn::missing`].
    pub fn missing(&mut self) -> MissingFacts {
        self.turn.missing(&mut self.seen)
    }

    /// As [`Turn::lifecycle`].
    pub fn lifecycle(&mut self) -> &Lifecycle {
        self.turn.lifecycle(&self.seen)
    }

    /// Plans the first step. Returns whether there is nothing to do.
    pub fn is_quiet(&mut self) -> bool {
        let Self { seen, turn, first } = self;
        matches!(first.get_or_insert_with(|| turn.next(seen)), Step::Done)
    }

    /// The mission's lifecycle, taking all other missions into account.
    pub fn lifecycle_in_fleet(&mut self) -> Lifecycle {
        let alone = self.turn.lifecycle(&self.seen);
        alone.overruled(&self.seen).unwrap_or_else(|| alone.clone())
    }

    /// As [`Turn::next`].
    pub fn next_step(&mut self) -> Step {
        self.first.take().unwrap_or_else(|| self.turn.next(&mut self.seen))
    }

    /// Simulates the turn: unknown facts stay unknown, every change succeeds, and nothing else happens.
    #[must_use]
    pub fn simulate(self) -> Simulation {
        let Self { mut seen, mut turn, first: _ } = self;
        let mut world = seen.clone();
        turn.stage = Stage::Cell;
        loop {
            match turn.next(&mut seen) {
                Step::Ask(_) => {
                    seen.comments.clone_from(&world.comments);
                    seen.record.clone_from(&world.record);
                    turn.answered();
                }
                Step::Apply(planned) => {
                    world = project(&world, &planned);
                    for change in planned {
                        turn.made(change);
                    }
                }
                Step::Look => {}
                Step::Done => {
                    let (lifecycle, changes) = turn.end(&seen);
                    return Simulation { changes, seen, lifecycle, after: world };
                }
            }
        }
    }
}

/// The result of a simulated turn.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The changes that the turn would apply.
    pub changes: Vec<Change>,
    /// The observation that the status was planned from.
    pub seen: Observation,
    /// The lifecycle by that observation.
    pub lifecycle: Lifecycle,
    /// The observation after all changes.
    pub after: Observation,
}

/// As [`Candidate::simulate`], for a turn that has not begun.
#[must_use]
pub fn simulate(observation: &Observation) -> Simulation {
    Candidate::new(observation.clone()).simulate()
}

/// The changes that a turn would apply, as a dry run prints them.
#[must_use]
pub fn preview(observation: &Observation) -> Vec<Change> {
    simulate(observation).changes
}
