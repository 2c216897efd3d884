//! Which of the few situations a mission is in; everything else follows from it.

use crate::mission::admission::{Admission, Limit};
use crate::mission::cell::{Failure, FileKind, Sighting};
use crate::mission::form::Form;
use crate::mission::identity::{HostName, MissionId, RootId};
use crate::mission::label::Label;
use crate::mission::observation::{Comments, IssueFacts, Observation};
use crate::mission::problem::Problem;
use crate::mission::proposal::{self, Intake, Proposal};
use crate::mission::record::Elsewhere;
use serde::Serialize;

/// What is the matter with an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Not a proposal, and never was one: somebody else's issue.
    NotAProposal,
    /// Not open: left alone, and so is its cell.
    NotOpen,
    /// Another root serves it: left alone.
    Elsewhere(Elsewhere),
    /// Valid, but it cannot have a cell now.
    Waits(Box<Proposal>, Waiting),
    /// Answers need correcting.
    Invalid(Vec<Problem>),
    /// It has a cell, or gets one now.
    Active(Box<Active>),
    /// It should get a cell, but something we must not touch is in the cell's place.
    Blocked(Obstacle),
}

/// What a valid proposal waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// The host that it names.
    Host(HostName),
    /// The taking over of a cell that exists, which is not built yet.
    ExistingCell(MissionId),
    /// Room.
    Room(Limit),
}

/// A mission with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// What governs the cell: the latest answers, or the last good ones.
    pub proposal: Proposal,
    /// What a later edit asked for, but does not get.
    pub refused: Vec<Refused>,
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
    Cell(MissionId),
}

/// What is in the way of a new cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Something that is no directory.
    NotADirectory(FileKind),
    /// We cannot even look.
    Unseen(Failure),
}

/// Finds the situation. Says nothing about health.
#[must_use]
pub fn situation(observation: &Observation) -> Situation {
    if !observation.issue.is_open {
        return Situation::NotOpen;
    }
    if observation.record.is_none() && !is_proposal(&observation.issue) {
        return Situation::NotAProposal;
    }
    let parsed = parse(observation);
    // Also with a cell of our own: the smaller comment id keeps the mission, and whoever lost leaves it alone.
    if let Some(elsewhere) = elsewhere(observation) {
        return Situation::Elsewhere(elsewhere);
    }
    if observation.binding().is_some() {
        return Situation::Active(Box::new(bound(observation, parsed)));
    }
    let proposal = match parsed {
        Ok(proposal) => Box::new(proposal),
        Err(problems) => return Situation::Invalid(problems),
    };
    if let Some(waiting) = waiting(observation, &proposal) {
        return Situation::Waits(proposal, waiting);
    }
    match observation.sighting {
        Sighting::NotADirectory(kind) => Situation::Blocked(Obstacle::NotADirectory(kind)),
        Sighting::Failed(failure) => Situation::Blocked(Obstacle::Unseen(failure)),
        Sighting::Absent | Sighting::Cell(_) => {
            Situation::Active(Box::new(Active { proposal: *proposal, refused: Vec::new() }))
        }
    }
}

/// Whether an issue that we do not know asks for a cell: its first line says so, or its label.
#[must_use]
pub fn is_proposal(issue: &IssueFacts) -> bool {
    let first = issue.body.lines().map(str::trim).find(|line| !line.is_empty());
    first == Some(Form::embedded().marker.as_str())
        || issue.labels.iter().any(|label| label.name == Label::Proposal.name())
}

/// Whether a new cell would be made if there were room: what [`crate::mission::admission`] decides about.
#[must_use]
pub fn wants_room(observation: &Observation) -> bool {
    let mut imagined = observation.clone();
    imagined.admission = Admission::Admitted;
    imagined.binding().is_none() && matches!(situation(&imagined), Situation::Active(_))
}

fn parse(observation: &Observation) -> Result<Proposal, Vec<Problem>> {
    let issue = &observation.issue;
    let intake = Intake { repository: &issue.key.repository, worktrees: &observation.here.worktrees };
    proposal::parse(Form::embedded(), &issue.title, &issue.body, intake)
}

/// A bound mission takes valid edits, keeps its host and its cell, and keeps running on invalid ones.
fn bound(observation: &Observation, parsed: Result<Proposal, Vec<Problem>>) -> Active {
    let binding = observation.binding().expect("only called for bound missions, always: situation()");
    let accepted = Proposal { name: binding.name.clone(), spec: binding.spec.clone(), invisible: binding.invisible };
    let mut proposal = match parsed {
        Ok(proposal) => proposal,
        Err(problems) => {
            return Active { proposal: accepted, refused: vec![Refused::Problems(problems)] };
        }
    };
    let mut refused = Vec::new();
    let is_news =
        |host: &mut HostName| !host.is_same(&observation.here.host) && Some(&*host) != accepted.spec.host.as_ref();
    if let Some(host) = proposal.spec.host.take_if(is_news) {
        refused.push(Refused::Host(host));
        proposal.spec.host = accepted.spec.host;
    }
    if let Some(cell) = proposal.spec.cell.take_if(|cell| *cell != binding.mission_id) {
        refused.push(Refused::Cell(cell));
        proposal.spec.cell = accepted.spec.cell;
    }
    Active { proposal, refused }
}

fn elsewhere(observation: &Observation) -> Option<Elsewhere> {
    let is_other = |root: RootId| !observation.here.is_this_root(root);
    if observation.comments == Comments::Unread {
        return observation.record.as_ref()?.elsewhere.clone().filter(|elsewhere| is_other(elsewhere.root));
    }
    let ours = observation.our_comments();
    let (_, marker) = ours.first()?;
    let (mission_id, root) = (marker.mission?, marker.root?);
    let issue = &observation.issue;
    is_other(root).then(|| Elsewhere {
        mission_id,
        root,
        host: marker.host.clone(),
        updated_at: issue.updated_at,
        comments: issue.comments,
    })
}

fn waiting(observation: &Observation, proposal: &Proposal) -> Option<Waiting> {
    let here = &observation.here;
    if let Some(host) = proposal.spec.host.as_ref().filter(|host| !host.is_same(&here.host)) {
        return Some(Waiting::Host(host.clone()));
    }
    if let Some(cell) = proposal.spec.cell {
        return Some(Waiting::ExistingCell(cell));
    }
    match observation.admission {
        Admission::Admitted => None,
        Admission::Full(limit) => Some(Waiting::Room(limit)),
    }
}
