//! Which issue a cell belongs to, where several want it: the one that is bound to it, else the first that takes it over.

use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::Observation;
use crate::mission::record::IssueKey;
use crate::mission::status::lifecycle::Lifecycle;
use std::collections::HashMap;

/// Cells that issues without a binding are about to take.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    by_cell: HashMap<MissionId, IssueKey>,
}

impl Claims {
    /// Another issue that this mission's cell belongs to; `bound` is the one that the records bind to it. Where there is no
    /// other one and the mission is about to take the cell, it has it from then on.
    pub fn owner(
        &mut self,
        observation: &Observation,
        alone: &Lifecycle,
        bound: Option<&IssueKey>,
    ) -> Option<IssueKey> {
        let key = &observation.issue.key;
        let is_another = |owner: &&IssueKey| owner.issue_id != key.issue_id;
        let claimed = self.by_cell.get(&observation.mission_id);
        if let Some(owner) = bound.filter(is_another).or(claimed.filter(is_another)) {
            return Some(owner.clone());
        }
        if matches!(alone, Lifecycle::Active(_)) {
            self.take(observation);
        }
        None
    }

    /// Takes the cell for a mission that is about to have it; false where another one took it before.
    pub fn take(&mut self, observation: &Observation) -> bool {
        let key = &observation.issue.key;
        if observation.binding().is_some() {
            return true;
        }
        self.by_cell.entry(observation.mission_id).or_insert_with(|| key.clone()).issue_id == key.issue_id
    }

    /// What an issue, by its repository's id and its number, was about to take is free again, or bound to it by now.
    pub fn release(&mut self, (repository_id, number): (RepositoryId, i64)) {
        self.by_cell.retain(|_, owner| (owner.repository_id, owner.number) != (repository_id, number));
    }
}
