//! Determines the lifecycle state of a mission, from which cell changes and status follow.

use crate::mission::approval::decision::{ApprovalState, approval_state};
use crate::mission::approval::policy::{Approval, ApprovalRequest};
use crate::mission::approval::suspension::suspension;
use crate::mission::cell::teardown::{Teardown, teardown};
use crate::mission::cell::worktree::{UnderWay, WorktreeSource};
use crate::mission::cell::{CellObservation, FileKind, ReadFailure};
use crate::mission::fleet::admission::{Admission, CapacityLimit};
use crate::mission::identity::{HostName, MissionId, RootId};
use crate::mission::observation::{Comments, IssueFacts, Observation, Take};
use crate::mission::proposal::Proposal;
use crate::mission::proposal::form::Form;
use crate::mission::proposal::problem::Problem;
use crate::mission::record::{IssueKey, IssueState, OwnedByOtherRoot, Suspension};
use crate::mission::status::label::Label;
use serde::Serialize;

/// The number of consecutive passes that must find an issue missing before it counts as deleted.
const NOT_FOUND_MIN: u32 = 2;

/// The lifecycle state of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Not a proposal, or closed before this service first saw it: ignored.
    NotAProposal,
    /// Reserved for another host, which has no cell for it yet: ignored.
    NotForThisHost,
    /// Served by another root: ignored, and a cell that this root created meanwhile is archived.
    OwnedByOtherRoot(OwnedByOtherRoot, Teardown),
    /// Closed, with a record.
    Closed(Teardown),
    /// Not found by this pass; a second pass has to confirm the deletion.
    Missing,
    /// Deleted, as two passes found.
    Deleted(Teardown),
    /// Valid, but it cannot have a cell yet.
    Waits(Box<Waits>),
    /// Answers need correcting.
    Invalid(Vec<Problem>),
    /// It has a cell, or this pass creates one.
    Active(Box<Active>),
    /// It should get a cell, but its path holds something that must not be touched.
    Blocked(Obstacle),
}

/// A valid proposal without a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The valid proposal.
    pub proposal: Proposal,
    /// The condition that it waits for.
    pub waiting: Waiting,
    /// The approval that it has, if it only waits for capacity.
    pub approval: Option<Approval>,
}

/// The condition that a valid proposal waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// The host that it names.
    Host(HostName),
    /// An approval.
    Approval(ApprovalRequest),
    /// Capacity: a limit is reached.
    Room(CapacityLimit),
    /// Its repository, which is being checked out.
    Checkout(UnderWay),
}

/// A mission with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// The proposal in force: the latest one, or the last valid one.
    pub proposal: Proposal,
    /// The parts of a later edit that are not applied.
    pub refused: Vec<Refused>,
    /// A later edit that is applied once it is approved.
    pub edit: Option<Edit>,
    /// The approval of the proposal in force, if it needed one.
    pub approval: Option<Approval>,
    /// The pause, if a person has paused the mission.
    pub suspension: Option<Suspension>,
}

/// An edit that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The proposal as edited.
    pub proposal: Proposal,
    /// The request for its approval.
    pub request: ApprovalRequest,
}

/// A part of a later edit that is not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The answers need correcting; the mission continues unchanged.
    Problems(Vec<Problem>),
    /// A cell stays on its host.
    Host(HostName),
    /// A mission keeps its cell.
    Cell(Option<MissionId>),
    /// A worktree with work in it is never replaced.
    Worktree(Option<WorktreeSource>),
}

/// What blocks the path of a new cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Something other than a directory.
    NotADirectory(FileKind),
    /// The path cannot be read.
    Unseen(ReadFailure),
    /// The cell of another issue.
    Taken(IssueKey),
}

impl Lifecycle {
    /// The lifecycle of a mission, taking all other missions into account. Independent of health.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        let alone = Self::alone(observation);
        alone.overruled(observation).unwrap_or(alone)
    }

    /// The lifecycle without other missions: no other issue owns the cell, and capacity is unlimited.
    #[must_use]
    pub fn alone(observation: &Observation) -> Self {
        observation.here.effort.judge();
        find(observation)
    }

    /// The lifecycle that other facts impose, if it differs: another mission owns the cell, all together exhaust the
    /// capacity, or its checkout has been running for long.
    #[must_use]
    pub fn overruled(&self, observation: &Observation) -> Option<Self> {
        if observation.binding().is_some() {
            return None;
        }
        let wants_cell = matches!(self, Self::Active(_) | Self::Invalid(_) | Self::Blocked(_));
        if !wants_cell && !self.waits_for_approval() {
            return None;
        }
        if let Some(problem) = observation.proposal().ok().and_then(|proposal| cell_of_another(observation, proposal)) {
            return Some(Self::Invalid(vec![problem]));
        }
        if let (Self::Active(active), Admission::Full(limit)) = (self, observation.admission) {
            let (proposal, approval) = (active.proposal.clone(), active.approval.clone());
            return Some(Self::Waits(Box::new(Waits { proposal, waiting: Waiting::Room(limit), approval })));
        }
        if let (Self::Active(active), Some(under_way), CellObservation::Absent) =
            (self, observation.slow_checkout(), &observation.sighting)
        {
            let (proposal, approval) = (active.proposal.clone(), active.approval.clone());
            let waiting = Waiting::Checkout(under_way.clone());
            return Some(Self::Waits(Box::new(Waits { proposal, waiting, approval })));
        }
        let is_taken = matches!(self, Self::Active(_) | Self::Blocked(_));
        observation.owner.clone().filter(|_| is_taken).map(|owner| Self::Blocked(Obstacle::Taken(owner)))
    }

    /// Whether a new cell would be created if there were capacity, which [`crate::mission::fleet::admission`] decides
    /// about. An adopted cell exists already.
    #[must_use]
    pub fn wants_capacity(&self, observation: &Observation) -> bool {
        let is_free = observation.binding().is_none() && observation.owner.is_none();
        let is_new = matches!(self, Self::Active(active) if is_free && active.proposal.spec.cell.is_none());
        is_new || matches!(self, Self::Waits(waits) if matches!(waits.waiting, Waiting::Room(_) | Waiting::Checkout(_)))
    }

    /// Whether a person has to approve it first.
    pub(in crate::mission) fn waits_for_approval(&self) -> bool {
        matches!(self, Self::Waits(waits) if matches!(waits.waiting, Waiting::Approval(_)))
    }
}

fn find(observation: &Observation) -> Lifecycle {
    let issue = &observation.issue;
    if observation.record.is_none() && !(issue.is_open() && is_proposal(issue)) {
        return Lifecycle::NotAProposal;
    }
    // This holds even if this root has a cell: the smaller comment id keeps the mission.
    if let Some(owner) = other_owner(observation) {
        return Lifecycle::OwnedByOtherRoot(owner, teardown(observation));
    }
    match issue.state {
        IssueState::Closed => Lifecycle::Closed(teardown(observation)),
        IssueState::Deleted if is_surely_deleted(observation) => Lifecycle::Deleted(teardown(observation)),
        IssueState::Deleted => Lifecycle::Missing,
        IssueState::Open if observation.binding().is_some() => Lifecycle::Active(Box::new(bound(observation))),
        IssueState::Open => unbound(observation),
    }
}

/// One pass suffices if the issue was closed before; otherwise two passes must find it missing.
fn is_surely_deleted(observation: &Observation) -> bool {
    let is_confirmed = |state, misses| state != IssueState::Open || misses + 1 >= NOT_FOUND_MIN;
    observation.record.as_ref().is_some_and(|record| is_confirmed(record.state, record.not_found_count))
}

/// Whether an issue without a record is a proposal, by its first line or its label.
#[must_use]
pub fn is_proposal(issue: &IssueFacts) -> bool {
    is_filed_as_proposal(&issue.body, issue.labels.iter().map(|label| label.name.as_str()))
}

/// As [`is_proposal`], by the body and the names of the labels.
pub fn is_filed_as_proposal<'a>(body: &str, mut labels: impl Iterator<Item = &'a str>) -> bool {
    let first = body.lines().map(str::trim).find(|line| !line.is_empty());
    first == Some(Form::embedded().marker.as_str()) || labels.any(|name| name == Label::Proposal.name())
}

/// A bound mission applies valid edits, keeps host, cell and worktree, and continues unchanged after invalid edits.
fn bound(observation: &Observation) -> Active {
    let binding = observation.binding().expect("only called for bound missions, always: find()");
    let accepted = binding.proposal();
    let mut active = Active {
        proposal: accepted,
        refused: Vec::new(),
        edit: None,
        approval: observation.record.as_ref().and_then(|record| record.approval.clone()),
        suspension: suspension(observation),
    };
    let proposal = match observation.proposal() {
        Ok(proposal) => keep_what_stays(observation, &mut active, proposal.clone()),
        Err(problems) => {
            active.refused.push(Refused::Problems(problems.to_vec()));
            return active;
        }
    };
    match approval_state(observation, &proposal) {
        ApprovalState::NotRequired => active.proposal = proposal,
        ApprovalState::Approved(approval) => {
            active.proposal = proposal;
            active.approval = Some(approval);
        }
        ApprovalState::Requested(request) => active.edit = Some(Edit { proposal, request }),
    }
    active
}

/// Resets what an edit cannot change to its accepted value, and lists it as refused.
fn keep_what_stays(observation: &Observation, active: &mut Active, mut wanted: Proposal) -> Proposal {
    let accepted = active.proposal.spec.clone();
    let is_news = |host: &mut HostName| !host.is_same(&observation.here.host) && Some(&*host) != accepted.host.as_ref();
    if let Some(host) = wanted.spec.host.take_if(is_news) {
        active.refused.push(Refused::Host(host));
        wanted.spec.host.clone_from(&accepted.host);
    }
    let is_own = wanted.spec.cell == Some(observation.mission_id);
    if wanted.spec.cell != accepted.cell && !is_own {
        active.refused.push(Refused::Cell(wanted.spec.cell));
        wanted.spec.cell = accepted.cell;
    }
    let worktree = observation.record.as_ref().map(|record| &record.worktree);
    let checked_out = worktree.and_then(|worktree| worktree.checked_out.as_ref()).map(|out| &out.source);
    let source = WorktreeSource::of(&wanted.spec);
    if let Some(checked_out) = checked_out.filter(|checked_out| source.as_ref() != Some(checked_out)) {
        active.refused.push(Refused::Worktree(source));
        wanted.spec.repository = Some(checked_out.repository.clone());
        wanted.spec.git_ref.clone_from(&checked_out.git_ref);
    }
    wanted
}

fn unbound(observation: &Observation) -> Lifecycle {
    let parsed = observation.proposal();
    let context = &observation.here;
    let named = parsed.ok().and_then(|proposal| proposal.spec.host.clone());
    let names_this = named.as_ref().is_some_and(|host| host.is_same(&context.host));
    let is_for_another = match context.take {
        Take::Named => !names_this,
        Take::Any => named.is_some() && !names_this && another_host_commented(observation),
    };
    if is_for_another {
        return Lifecycle::NotForThisHost;
    }
    let proposal = match parsed {
        Ok(proposal) => proposal.clone(),
        Err(problems) => return Lifecycle::Invalid(problems.to_vec()),
    };
    let waits = |proposal, waiting| Lifecycle::Waits(Box::new(Waits { proposal, waiting, approval: None }));
    if let Some(host) = named.filter(|_| !names_this) {
        return waits(proposal, Waiting::Host(host));
    }
    if let Some(problem) = no_such_cell(observation, &proposal) {
        return Lifecycle::Invalid(vec![problem]);
    }
    let approval = match approval_state(observation, &proposal) {
        ApprovalState::NotRequired => None,
        ApprovalState::Approved(approval) => Some(approval),
        ApprovalState::Requested(request) => return waits(proposal, Waiting::Approval(request)),
    };
    if let Some(obstacle) = obstacle(&observation.sighting) {
        return Lifecycle::Blocked(obstacle);
    }
    let (refused, edit, suspension) = (Vec::new(), None, None);
    Lifecycle::Active(Box::new(Active { proposal, refused, edit, approval, suspension }))
}

fn obstacle(sighting: &CellObservation) -> Option<Obstacle> {
    match sighting {
        CellObservation::NotADirectory(kind) => Some(Obstacle::NotADirectory(*kind)),
        CellObservation::Failed(failure) => Some(Obstacle::Unseen(*failure)),
        CellObservation::Absent | CellObservation::Cell(_) => None,
    }
}

/// The problem if the cell to adopt does not exist.
fn no_such_cell(observation: &Observation, proposal: &Proposal) -> Option<Problem> {
    let cell = proposal.spec.cell?;
    match &observation.sighting {
        CellObservation::Absent | CellObservation::NotADirectory(_) => {
            let host = &observation.here.host;
            let right = "Leave it empty for a new cell, or name one that `lazarus-reconcile scan` shows there";
            Some(wrong_cell(cell, format!("is no cell on `{host}`"), right))
        }
        CellObservation::Cell(_) | CellObservation::Failed(_) => None,
    }
}

/// The problem if the cell to adopt belongs to another issue.
fn cell_of_another(observation: &Observation, proposal: &Proposal) -> Option<Problem> {
    let (cell, owner) = (proposal.spec.cell?, observation.owner.as_ref()?);
    let right = "Leave it empty for a new cell, or go on in that issue";
    Some(wrong_cell(cell, format!("belongs to `{owner}` already"), right))
}

fn wrong_cell(cell: MissionId, wrong: String, right: &str) -> Problem {
    let field = Form::embedded().field("cell").map(|field| field.label.clone()).unwrap_or_default();
    Problem { field, answer: Some(cell.to_string()), wrong, right: right.to_owned() }
}

fn other_owner(observation: &Observation) -> Option<OwnedByOtherRoot> {
    let is_other = |root: RootId| !observation.here.is_this_root(root);
    if observation.comments == Comments::Unread {
        return observation.record.as_ref()?.other_owner.clone().filter(|owner| is_other(owner.root));
    }
    let ours = observation.our_comments();
    let marker = ours.first()?.marker.as_ref()?;
    let (mission_id, root) = (marker.mission?, marker.root?);
    let issue = &observation.issue;
    is_other(root).then(|| OwnedByOtherRoot {
        mission_id,
        root,
        host: marker.host.clone(),
        updated_at: issue.updated_at,
        comments: issue.comments,
    })
}

/// Whether another host with the same account has commented on an issue without a cell: the host that the proposal
/// names serves it.
fn another_host_commented(observation: &Observation) -> bool {
    let record = observation.record.as_ref();
    if observation.comments == Comments::Unread {
        return record.and_then(|record| record.deferred_at) == Some(observation.issue.updated_at);
    }
    let known = record.and_then(|record| record.comment.as_ref());
    let ours = observation.our_comments();
    let is_as_left = |id: i64, digest: &str| known.is_some_and(|known| known.id == id && known.digest == digest);
    let is_as_intended = |digest: &String| record.and_then(|record| record.comment_intent.as_ref()) == Some(digest);
    let first = ours.first().and_then(|comment| Some((comment.id, &comment.marker.as_ref()?.digest)));
    first.is_some_and(|(id, digest)| !is_as_left(id, digest) && !is_as_intended(digest))
}
