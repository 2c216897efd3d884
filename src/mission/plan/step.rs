//! One turn over one mission, as a machine without I/O: it says which facts are missing, what to change and when to look
//! again, and whoever drives it does that.
//!
//! A pass, the daemon, a preview and the law tests drive this one machine. A turn has two halves: the cell's changes, a
//! second look, and the status's changes.

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

/// How often the comments are read again in one turn, at most: after a post, and after a comment of ours was found deleted.
const REREADS_MAX: u8 = 2;

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Fetch these facts into the observation, then [`Turn::answered`] or [`Turn::unanswered`].
    Ask(MissingFacts),
    /// Make these changes, in any order, each whatever became of the others; tell of each by [`Turn::made`] and
    /// [`Turn::found_comment_deleted`]. Where a checkout is not over yet, it and those that are left are put off:
    /// [`Turn::put_off`].
    Apply(Vec<Change>),
    /// Look at the cell and at the record again.
    Look,
    /// Nothing is left to do.
    Done,
}

/// Where a turn is.
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
    /// The comments were asked for again, right before an edit that depends on how our comment stands now.
    Verify,
    /// They could not be read, so there is no such edit.
    Unverified,
    /// The status's changes were tried.
    StatusTried,
    /// The comments were asked for again, after a post or a deletion.
    Reread,
    /// What failed is to be remembered, where that is news.
    Failures,
    /// Nothing is left to do.
    Done,
}

/// One turn over one mission.
#[derive(Debug)]
pub struct Turn {
    stage: Stage,
    /// Found once for the facts at hand, and again only when they change.
    situation: Option<Lifecycle>,
    made: Vec<Change>,
    /// The first failure that stays until a person does something.
    failed: Option<MissionFailure>,
    /// The checkout that the rest of the cell's changes waits for.
    put_off: Option<CheckoutUnderWay>,
    /// Whether the last changes posted a comment, or found one of ours deleted: then nobody knows what stands on the issue.
    is_unsure: bool,
    rereads: u8,
}

impl Default for Turn {
    fn default() -> Self {
        let (situation, made, failed, put_off) = (None, Vec::new(), None, None);
        Self { stage: Stage::Facts, situation, made, failed, put_off, is_unsure: false, rereads: 0 }
    }
}

impl Turn {
    /// What is to be done next, by what is seen now.
    pub fn next(&mut self, seen: &mut Observation) -> Step {
        match self.stage {
            Stage::Facts => {
                let missing = self.missing(seen);
                if missing.is_empty() { self.plan_cell(seen) } else { Step::Ask(missing) }
            }
            Stage::Cell => self.plan_cell(seen),
            Stage::CellTried => {
                if let Some(under_way) = self.put_off.take() {
                    (seen.checkout, self.situation) = (Some(Box::new(under_way)), None);
                    let situation = self.situation(seen);
                    let overruled = situation.overruled(seen);
                    if let Some(change) = plan_approval(seen, overruled.as_ref().unwrap_or(situation)) {
                        return Step::Apply(vec![change]);
                    }
                }
                *seen = project(seen, &self.made);
                seen.obstructed.clone_from(&self.failed);
                (self.situation, self.stage) = (None, Stage::Status);
                Step::Look
            }
            Stage::Status => {
                let planned = self.planned_status(seen);
                // Another root may have been quicker. That it was not is confirmed by a later pass, since of two edits
                // the last one stays. And what a person may have read before approving is lost by an edit.
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
            // Two roots may take an issue at once, and the forge knows no lock. Of two comments of ours the smaller id
            // keeps the mission, and of two roots that look after they have posted, one at least sees both.
            Stage::StatusTried if self.is_unsure && self.rereads < REREADS_MAX => {
                (self.is_unsure, self.stage) = (false, Stage::Reread);
                self.rereads += 1;
                Step::Ask(MissingFacts { comments: true, record: true, ..MissingFacts::default() })
            }
            Stage::Reread => {
                seen.repaired.clear();
                let mut planned = self.planned_status(seen);
                // The labels are right already, as far as they could be put right.
                planned.retain(|change| !change.is_about_labels());
                self.try_status(planned, seen)
            }
            Stage::StatusTried => {
                self.stage = Stage::Failures;
                self.next(seen)
            }
            Stage::Failures => {
                self.stage = Stage::Done;
                self.remember_failure(seen)
            }
            Stage::Done => Step::Done,
        }
    }

    /// The facts that the plan depends on and that are not there yet; nothing is planned before they are.
    pub fn missing(&mut self, seen: &mut Observation) -> MissingFacts {
        loop {
            let situation = self.situation(seen);
            let overruled = situation.overruled(seen);
            let missing = missing_facts(seen, overruled.as_ref().unwrap_or(situation));
            if !missing.comments || missing.timeline || seen.issue.comments > 0 {
                return missing;
            }
            // An issue without comments need not be asked for them.
            seen.comments = Comments::Read(Vec::new());
            self.situation = None;
        }
    }

    /// The mission's situation by the facts at hand, before other missions have a say in it.
    pub fn situation(&mut self, seen: &Observation) -> &Lifecycle {
        self.situation.get_or_insert_with(|| Lifecycle::alone(seen))
    }

    /// What was asked for has been put into the observation.
    pub fn answered(&mut self) {
        self.situation = None;
    }

    /// What was asked for could not be had. An edit that depends on it waits for a later pass, and so does all that was
    /// not planned yet.
    pub fn unanswered(&mut self) {
        self.stage = if self.stage == Stage::Verify { Stage::Unverified } else { Stage::Done };
    }

    /// A change was made.
    pub fn made(&mut self, change: Change) {
        self.is_unsure |= matches!(change, Change::PostComment { .. });
        self.made.push(change);
    }

    /// A checkout is under way. The mission has another turn once it has ended, or takes so long that it is told.
    pub fn put_off(&mut self, under_way: CheckoutUnderWay) {
        self.put_off = Some(under_way);
    }

    /// A change could not be made, nor will it be before a person does something.
    pub fn failed(&mut self, failure: MissionFailure) {
        let is_of_comment = failure.is_of_comment;
        self.failed.get_or_insert(failure).is_of_comment |= is_of_comment;
    }

    /// A change found that our comment is not there any more; whether the comments are read again for that.
    pub fn found_comment_deleted(&mut self) -> bool {
        self.is_unsure = true;
        self.rereads < REREADS_MAX
    }

    /// The situation that the status was planned for, and every change that was made. That a comment was found to be ours
    /// is a part of having posted it.
    #[must_use]
    pub fn end(mut self, seen: &Observation) -> (Lifecycle, Vec<Change>) {
        let mut made = std::mem::take(&mut self.made);
        if made.iter().any(|change| matches!(change, Change::PostComment { .. })) {
            made.retain(|change| !matches!(change, Change::RecordComment { .. }));
        }
        let situation = self.situation.unwrap_or_else(|| Lifecycle::alone(seen));
        (situation.overruled(seen).unwrap_or(situation), made)
    }

    fn plan_cell(&mut self, seen: &mut Observation) -> Step {
        let situation = self.situation(seen);
        let overruled = situation.overruled(seen);
        let planned = plan_cell(seen, overruled.as_ref().unwrap_or(situation));
        if planned.is_empty() {
            // Nothing has changed that would need a second look.
            self.stage = Stage::Status;
            return self.next(seen);
        }
        self.stage = Stage::CellTried;
        Step::Apply(planned)
    }

    fn planned_status(&mut self, seen: &Observation) -> Vec<Change> {
        let situation = self.situation(seen);
        let overruled = situation.overruled(seen);
        plan_status(seen, overruled.as_ref().unwrap_or(situation))
    }

    fn remember_failure(&self, seen: &Observation) -> Step {
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

/// Whether an edit takes a mission, or replaces a text by which a person may approve something.
fn is_to_be_verified(seen: &Observation, change: &Change) -> bool {
    let is_asking = seen.record.as_ref().is_some_and(|record| record.approval_request.is_some());
    change.is_claim() || (is_asking && matches!(change, Change::EditComment { .. }))
}

/// A mission that is looked at: what is seen of it, and how far its turn is.
#[derive(Debug)]
pub struct Candidate {
    /// What is seen.
    pub seen: Observation,
    /// How far it is.
    pub turn: Turn,
    /// Its first step, once it has begun.
    first: Option<Step>,
}

impl Candidate {
    /// A turn that is about to begin.
    #[must_use]
    pub fn new(seen: Observation) -> Self {
        Self { seen, turn: Turn::default(), first: None }
    }

    /// As [`Turn::missing`].
    pub fn missing(&mut self) -> MissingFacts {
        self.turn.missing(&mut self.seen)
    }

    /// As [`Turn::situation`].
    pub fn situation(&mut self) -> &Lifecycle {
        self.turn.situation(&self.seen)
    }

    /// Plans the first step; whether there is nothing to do.
    pub fn is_quiet(&mut self) -> bool {
        let Self { seen, turn, first } = self;
        matches!(first.get_or_insert_with(|| turn.next(seen)), Step::Done)
    }

    /// The mission's situation among all others.
    pub fn situation_in_fleet(&mut self) -> Lifecycle {
        let alone = self.turn.situation(&self.seen);
        alone.overruled(&self.seen).unwrap_or_else(|| alone.clone())
    }

    /// As [`Turn::next`].
    pub fn next_step(&mut self) -> Step {
        self.first.take().unwrap_or_else(|| self.turn.next(&mut self.seen))
    }

    /// What the turn would do in a world where nothing else happens: what is not known stays so, and every change succeeds.
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
                    let (situation, changes) = turn.end(&seen);
                    return Simulation { changes, seen, situation, after: world };
                }
            }
        }
    }
}

/// What a turn would do.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The changes that it would make.
    pub changes: Vec<Change>,
    /// The facts that the status was planned from.
    pub seen: Observation,
    /// The situation by them.
    pub situation: Lifecycle,
    /// The world once all of it is done.
    pub after: Observation,
}

/// As [`Candidate::simulate`], for a turn that has not begun.
#[must_use]
pub fn simulate(observation: &Observation) -> Simulation {
    Candidate::new(observation.clone()).simulate()
}

/// The changes that a turn would make: what a dry run prints.
#[must_use]
pub fn preview(observation: &Observation) -> Vec<Change> {
    simulate(observation).changes
}
