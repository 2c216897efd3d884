//! Decides whether a worktree is checked out now, and where it is placed.

use crate::mission::cell::worktree::{CheckedOut, DirectoryId, Worktree, WorktreeSource};
use crate::mission::identity::{RepositoryName, RepositoryPattern};
use crate::mission::observation::{Observation, Origin};
use crate::mission::proposal::Spec;

/// The next step for a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutDecision {
    /// No checkout is due.
    Nothing,
    /// The forge has to be asked about this repository first.
    Ask(RepositoryName),
    /// The repository is not allowed, or does not exist.
    Refused(WorktreeSource),
    /// Check this out.
    CheckOut(WorktreeSource),
}

/// Decides the next step; `is_new` if the cell is about to be created.
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

/// A private repository needs an exact entry, since a pattern may include repositories that the operator did not
/// intend.
fn is_allowed(observation: &Observation, repository: &RepositoryName, is_private: bool) -> bool {
    let covers = |pattern: &&RepositoryPattern| match pattern {
        RepositoryPattern::One(_) => true,
        RepositoryPattern::OfOwner(_) => !is_private,
    };
    let patterns = observation.here.worktrees.iter();
    patterns.filter(covers).any(|pattern| pattern.allows(repository))
}

/// The state of the place that a checkout goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorktreeSite {
    /// There is no cell yet.
    NoCell,
    /// The cell's worktree is an empty directory, or missing.
    Free,
    /// The worktree has contents, or is not a directory.
    Taken {
        /// The directory's identity, if it is one.
        directory: Option<DirectoryId>,
    },
}

/// Where a checkout is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It is checked out into staging and stays there, for the cell that is about to be created.
    Stage,
    /// It is checked out into staging and moved into the cell.
    Fill,
    /// An earlier process stopped after it had moved this into the cell; only the record is missing.
    Record(CheckedOut),
    /// Nothing to do: the worktree was handed over already.
    Nothing,
    /// No checkout, since a worktree with contents is never replaced.
    Refuse,
}

/// Decides where a checkout is placed, from the state of the place right before it and the record.
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
