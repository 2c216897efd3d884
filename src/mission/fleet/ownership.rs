//! Resolves which issue a cell belongs to if several want it: the one bound to it, otherwise the first that adopts it.

use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::Observation;
use crate::mission::record::IssueKey;
use crate::mission::status::lifecycle::Lifecycle;
use std::collections::HashMap;

/// The cells that issues without a binding are about to adopt.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    by_cell: HashMap<MissionId, IssueKey>,
}

impl Claims {
    /// Another issue that this mission's cell belongs to; `bound` is the one that the records bind to it. If there is
    /// none, a mission that is about to adopt the cell claims it.
    pub fn owner(
        &mut self,
        observation: &Observation,
        lifecycle: &Lifecycle,
        bound: Option<&IssueKey>,
    ) -> Option<IssueKey> {
        let key = &observation.issue.key;
        let is_another = |owner: &&IssueKey| owner.issue_id != key.issue_id;
        let claimed = self.by_cell.get(&observation.mission_id);
        if let Some(owner) = bound.filter(is_another).or(claimed.filter(is_another)) {
            return Some(owner.clone());
        }
        if matches!(lifecycle, Lifecycle::Active(_)) {
            self.take(observation);
        }
        None
    }

    /// Claims the cell for a mission that is about to get it; false if another one has claimed it before.
    pub fn take(&mut self, observation: &Observation) -> bool {
        let key = &observation.issue.key;
        if observation.binding().is_some() {
            return true;
        }
        self.by_cell.entry(observation.mission_id).or_insert_with(|| key.clone()).issue_id == key.issue_id
    }

    /// Releases the claim of an issue, by its repository's id and its number: it is not needed any more, or bound by
    /// now.
    pub fn release(&mut self, (repository_id, number): (RepositoryId, i64)) {
        self.by_cell.retain(|_, owner| (owner.repository_id, owner.number) != (repository_id, number));
    }
}
