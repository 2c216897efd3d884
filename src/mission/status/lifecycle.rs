//! Which of the few situations a mission is in; everything else follows from it.

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

/// So many passes in a row have to be told that there is no such issue.
const MISSES_MIN: u32 = 2;

/// What is the matter with an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Not a proposal, and never was one, or closed before we ever saw it: somebody else's issue.
    NotAProposal,
    /// For another host to answer, which has no cell for it yet: left alone.
    NotForThisHost,
    /// Another root serves it: left alone. A cell that this root made meanwhile is moved away.
    OwnedByOtherRoot(OwnedByOtherRoot, Teardown),
    /// Closed, and known to us.
    Closed(Teardown),
    /// The forge says that there is no such issue; another pass has to be told the same.
    Missing,
    /// It was deleted.
    Deleted(Teardown),
    /// Valid, but it cannot have a cell now.
    Waits(Box<Waits>),
    /// Answers need correcting.
    Invalid(Vec<Problem>),
    /// It has a cell, or gets one now.
    Active(Box<Active>),
    /// It should get a cell, but something we must not touch is in the cell's place.
    Blocked(Obstacle),
}

/// A valid proposal without a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// What it asks for.
    pub proposal: Proposal,
    /// What it waits for.
    pub waiting: Waiting,
    /// The approval that it has, where it only waits for room.
    pub approval: Option<Approval>,
}

/// What a valid proposal waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// The host that it names.
    Host(HostName),
    /// Somebody's approval.
    Approval(ApprovalRequest),
    /// Room.
    Room(CapacityLimit),
    /// Its repository, which is being checked out.
    Checkout(UnderWay),
}

/// A mission with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// What governs the cell: the latest answers, or the last good ones.
    pub proposal: Proposal,
    /// What a later edit asked for, but does not get.
    pub refused: Vec<Refused>,
    /// What a later edit asked for, and gets once it is approved.
    pub edit: Option<Edit>,
    /// The approval that it rests on, if it needed one.
    pub approval: Option<Approval>,
    /// That a person has paused it.
    pub suspension: Option<Suspension>,
}

/// An edit that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What it asks for.
    pub proposal: Proposal,
    /// The approval.
    pub request: ApprovalRequest,
}

/// A later edit that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The answers need correcting; the mission goes on as it was.
    Problems(Vec<Problem>),
    /// A cell stays on its host.
    Host(HostName),
    /// A mission keeps its cell.
    Cell(Option<MissionId>),
    /// A worktree with somebody's work in it is never replaced.
    Worktree(Option<WorktreeSource>),
}

/// What is in the way of a new cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Something that is no directory.
    NotADirectory(FileKind),
    /// We cannot even look.
    Unseen(ReadFailure),
    /// The cell of another issue.
    Taken(IssueKey),
}

impl Lifecycle {
    /// The situation of a mission among all others. Says nothing about health.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        let alone = Self::alone(observation);
        alone.overruled(observation).unwrap_or(alone)
    }

    /// The situation as it would be if there were no other missions: nobody else owned its cell, and there were room.
    #[must_use]
    pub fn alone(observation: &Observation) -> Self {
        observation.here.effort.judge();
        find(observation)
    }

    /// What other missions make of it, where that is something else: one of them owns the cell, or all of them together
    /// leave no room; or its repository is being checked out for long, since the others are looked at meanwhile.
    #[must_use]
    pub fn overruled(&self, observation: &Observation) -> Option<Self> {
        if observation.binding().is_some() {
            return None;
        }
        let is_asked_for = matches!(self, Self::Active(_) | Self::Invalid(_) | Self::Blocked(_));
        if !is_asked_for && !self.waits_for_approval() {
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

    /// Whether a new cell would be made if there were room: what [`crate::mission::fleet::admission`] decides about. The cell of an
    /// adopted one is there already.
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
    // Also with a cell of our own: the smaller comment id keeps the mission, and whoever lost leaves it alone.
    if let Some(elsewhere) = other_owner(observation) {
        return Lifecycle::OwnedByOtherRoot(elsewhere, teardown(observation));
    }
    match issue.state {
        IssueState::Closed => Lifecycle::Closed(teardown(observation)),
        IssueState::Deleted if is_surely_deleted(observation) => Lifecycle::Deleted(teardown(observation)),
        IssueState::Deleted => Lifecycle::Missing,
        IssueState::Open if observation.binding().is_some() => Lifecycle::Active(Box::new(bound(observation))),
        IssueState::Open => unbound(observation),
    }
}

/// That it was closed is evidence enough. That it is not there has to be told twice.
fn is_surely_deleted(observation: &Observation) -> bool {
    let known = |state, misses| state != IssueState::Open || misses + 1 >= MISSES_MIN;
    observation.record.as_ref().is_some_and(|record| known(record.state, record.not_found_count))
}

/// Whether an issue that we do not know asks for a cell: its first line says so, or its label.
#[must_use]
pub fn is_proposal(issue: &IssueFacts) -> bool {
    is_filed_as_proposal(&issue.body, issue.labels.iter().map(|label| label.name.as_str()))
}

/// The same, by the body and the names of the labels.
pub fn is_filed_as_proposal<'a>(body: &str, mut labels: impl Iterator<Item = &'a str>) -> bool {
    let first = body.lines().map(str::trim).find(|line| !line.is_empty());
    first == Some(Form::embedded().marker.as_str()) || labels.any(|name| name == Label::Proposal.name())
}

/// A bound mission takes valid edits, keeps its host, its cell and its worktree, and keeps running on invalid ones.
fn bound(observation: &Observation) -> Active {
    let binding = observation.binding().expect("only called for bound missions, always: situation()");
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
        ApprovalState::Requested(asking) => active.edit = Some(Edit { proposal, request: asking }),
    }
    active
}

/// What an edit cannot change stays as it was accepted, and is told.
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
    let lies_there = worktree.and_then(|worktree| worktree.checked_out.as_ref()).map(|out| &out.source);
    let source = WorktreeSource::of(&wanted.spec);
    if let Some(lies_there) = lies_there.filter(|lies_there| source.as_ref() != Some(lies_there)) {
        active.refused.push(Refused::Worktree(source));
        wanted.spec.repository = Some(lies_there.repository.clone());
        wanted.spec.git_ref.clone_from(&lies_there.git_ref);
    }
    wanted
}

fn unbound(observation: &Observation) -> Lifecycle {
    let parsed = observation.proposal();
    let here = &observation.here;
    let named = parsed.ok().and_then(|proposal| proposal.spec.host.clone());
    let names_this = named.as_ref().is_some_and(|host| host.is_same(&here.host));
    let is_for_another = match here.take {
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
        ApprovalState::Requested(asking) => return waits(proposal, Waiting::Approval(asking)),
    };
    if let Some(obstacle) = obstacle(&observation.sighting) {
        return Lifecycle::Blocked(obstacle);
    }
    let (refused, edit, suspension) = (Vec::new(), None, None);
    Lifecycle::Active(Box::new(Active { proposal, refused, edit, approval, suspension: suspension }))
}

fn obstacle(sighting: &CellObservation) -> Option<Obstacle> {
    match sighting {
        CellObservation::NotADirectory(kind) => Some(Obstacle::NotADirectory(*kind)),
        CellObservation::Failed(failure) => Some(Obstacle::Unseen(*failure)),
        CellObservation::Absent | CellObservation::Cell(_) => None,
    }
}

/// A cell can be taken over that is there.
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

/// And it belongs to nobody.
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
        return observation.record.as_ref()?.other_owner.clone().filter(|elsewhere| is_other(elsewhere.root));
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

/// Whether there is a comment of ours on an issue without a cell that says something else than what this host has said: the
/// host that the proposal names has taken it up.
fn another_host_commented(observation: &Observation) -> bool {
    let record = observation.record.as_ref();
    if observation.comments == Comments::Unread {
        return record.and_then(|record| record.deferred_at) == Some(observation.issue.updated_at);
    }
    let spoken = record.and_then(|record| record.comment.as_ref());
    let ours = observation.our_comments();
    let is_as_left = |id: i64, digest: &str| spoken.is_some_and(|spoken| spoken.id == id && spoken.digest == digest);
    let is_as_meant = |digest: &String| record.and_then(|record| record.comment_intent.as_ref()) == Some(digest);
    let first = ours.first().and_then(|comment| Some((comment.id, &comment.marker.as_ref()?.digest)));
    first.is_some_and(|(id, digest)| !is_as_left(id, digest) && !is_as_meant(digest))
}
