//! Whether a worktree is to be checked out now (it may be wanted, allowed, tried already, or not the time yet), and where to.

use crate::mission::cell::worktree::{CheckedOut, DirectoryId, Worktree, WorktreeSource};
use crate::mission::identity::{RepositoryName, RepositoryPattern};
use crate::mission::observation::{Observation, Origin};
use crate::mission::proposal::Spec;

/// What is to be done about a worktree now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutDecision {
    /// Nothing.
    Nothing,
    /// Nothing before the forge was asked about this repository.
    Ask(RepositoryName),
    /// It may not be used, or is not there.
    Refused(WorktreeSource),
    /// It is to be checked out.
    CheckOut(WorktreeSource),
}

/// Decides what is to be done; `is_new` where the cell is about to be made.
#[must_use]
pub fn decide_checkout(observation: &Observation, spec: &Spec, is_new: bool) -> CheckoutDecision {
    let Some(source) = WorktreeSource::of(spec) else { return CheckoutDecision::Nothing };
    let worktree = observation.record.as_ref().map(|record| &record.worktree);
    if !is_new && worktree.is_some_and(|worktree| worktree.checked_out.is_some()) {
        return CheckoutDecision::Nothing;
    }
    let failed = worktree.and_then(|worktree| worktree.failed.as_ref()).filter(|failed| failed.source == source);
    if failed.is_some_and(|failed| failed.retry_at > observation.here.now) {
        return CheckoutDecision::Nothing;
    }
    if source.repository.is_same(&observation.issue.key.repository) {
        return CheckoutDecision::CheckOut(source);
    }
    match observation.origin {
        Origin::Unasked => CheckoutDecision::Ask(source.repository),
        Origin::Unanswered => CheckoutDecision::Nothing,
        Origin::Found { is_private } if is_allowed(observation, &source.repository, is_private) => {
            CheckoutDecision::CheckOut(source)
        }
        Origin::Found { .. } | Origin::NotFound => CheckoutDecision::Refused(source),
    }
}

/// A private repository needs an entry of its own, since a pattern may let in what nobody thought of.
fn is_allowed(observation: &Observation, repository: &RepositoryName, is_private: bool) -> bool {
    let lets_in = |pattern: &&RepositoryPattern| match pattern {
        RepositoryPattern::One(_) => true,
        RepositoryPattern::OfOwner(_) => !is_private,
    };
    let patterns = observation.here.worktrees.iter();
    patterns.filter(lets_in).any(|pattern| pattern.allows(repository))
}

/// What a checkout finds where it has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorktreeSite {
    /// There is no cell yet.
    NoCell,
    /// The cell's worktree is an empty directory, or missing.
    Free,
    /// Something is in it, or something else in its place.
    Taken {
        /// Which directory it is, if it is one.
        directory: Option<DirectoryId>,
    },
}

/// What a checkout comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It is made in staging and stays there, for the cell that is about to be created.
    Stage,
    /// It is made in staging and moved into the cell.
    Fill,
    /// An earlier process was stopped right after it had moved this into the cell; that is still to be recorded.
    Record(CheckedOut),
    /// Nothing: the worktree was handed over already.
    Nothing,
    /// Nothing, since a worktree that somebody has filled is never replaced.
    Refuse,
}

/// Decides where a checkout goes, from what is there right before it is made and what is remembered.
#[must_use]
pub fn placement(site: &WorktreeSite, worktree: &Worktree) -> Placement {
    let directory = match site {
        WorktreeSite::NoCell => return Placement::Stage,
        WorktreeSite::Free => return Placement::Fill,
        WorktreeSite::Taken { directory } => directory.as_ref(),
    };
    let placed = worktree.placing.as_ref().filter(|placing| directory == Some(&placing.directory));
    match (placed, &worktree.checked_out) {
        (Some(placing), _) => Placement::Record(placing.checked_out.clone()),
        (None, Some(_)) => Placement::Nothing,
        (None, None) => Placement::Refuse,
    }
}
