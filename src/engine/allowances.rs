//! What the daemon keeps in mind of alarms: who may speak in the next look, and what is to be said for many.

use crate::mission::alarm::Ledger;
use crate::mission::change::Change;
use crate::mission::identity::RepositoryId;
use crate::mission::observation::Allowance;
use std::collections::BTreeMap;

/// What is kept in mind of alarms.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// Who may speak, by repository and number, until somebody has looked at it.
    pub(super) allowed: BTreeMap<(RepositoryId, i64), Allowance>,
    /// What is to be done for many.
    pub(super) task: Option<Task>,
    /// How many waited for another hour at the last sweep.
    pub(super) waiting: usize,
}

/// What is to be done for many.
#[derive(Debug)]
pub(super) enum Task {
    /// Find out whether a comment was posted.
    Settle(Ledger),
    /// Say it, or remember it.
    Do(Change),
}

impl Alarms {
    /// Whether a mission may speak in the look that is under way.
    pub(super) fn allowance(&self, place: (RepositoryId, i64)) -> Allowance {
        self.allowed.get(&place).copied().unwrap_or(Allowance::Held)
    }

    /// The look at it has ended, whatever came of it.
    pub(super) fn end(&mut self, place: (RepositoryId, i64)) {
        self.allowed.remove(&place);
    }
}
