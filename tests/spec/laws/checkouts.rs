//! Checkouts in that world: git, what lies in staging, and what is in a worktree.

use crate::laws::world::World;
use lazarus::mission::cell::CellObservation;
use lazarus::mission::cell::checkout::{Placement, WorktreeSite, placement};
use lazarus::mission::cell::worktree::{CheckedOut, DirectoryId, Placing, WorktreeSource};
use lazarus::mission::identity::CommitId;
use lazarus::mission::observation::Observation;
use lazarus::mission::record::Record;
use serde_json::json;

impl World {
    /// As git and disk do; whether it succeeded.
    pub(super) fn check_out(&mut self, before: &Observation, source: &WorktreeSource) -> bool {
        let checked_out = CheckedOut { source: source.clone(), commit: commit() };
        let there = self.cells.get_mut(&before.mission_id);
        let known = &mut self.record.get_or_insert_with(|| Record::new(self.issue.key.clone())).worktree;
        match (placement(&site(there.as_deref()), known), there) {
            (Placement::Nothing, _) => return true,
            (Placement::Stage | Placement::Fill, _) if !self.is_git_well => {
                known.fail(checked_out.source, "no".to_owned(), self.here.now);
                return false;
            }
            (Placement::Stage, None) => {
                let directory = DirectoryId::new(7, None);
                self.staged = Some(directory.clone());
                known.placing = Some(Box::new(Placing { checked_out, directory }));
            }
            (Placement::Fill, Some(there)) => {
                note_commit(there, &checked_out);
                known.hand_over(checked_out);
            }
            (other, _) => panic!("nobody dies or fills a worktree in this world: {other:?}"),
        }
        true
    }

    /// A new cell gets what lies in staging for it, and nothing else does.
    pub(super) fn take_staged(&mut self, after: &mut Observation, wanted: Option<&WorktreeSource>) {
        let known = &mut after.record.as_mut().unwrap().worktree;
        *known = std::mem::take(known).of_new_cell(wanted, self.staged.take().as_ref());
        if let Some(Placing { checked_out, directory: _ }) = known.placing.take().map(|placing| *placing) {
            note_commit(&mut after.sighting, &checked_out);
            known.hand_over(checked_out);
        }
    }
}

fn commit() -> CommitId {
    CommitId::parse(&"5a".repeat(20)).unwrap()
}

/// A worktree is empty here as long as no commit is told of it.
fn site(there: Option<&CellObservation>) -> WorktreeSite {
    let Some(CellObservation::Cell(cell)) = there else { return WorktreeSite::NoCell };
    let commit = cell.mission.as_ref().and_then(|mission| mission.get("worktree")?.get("commit")?.as_str());
    commit.map_or(WorktreeSite::Free, |_| WorktreeSite::Taken { directory: None })
}

fn note_commit(there: &mut CellObservation, checked_out: &CheckedOut) {
    let CellObservation::Cell(cell) = there else { return };
    if let Some(mission) = &mut cell.mission {
        let worktree = mission.entry("worktree").or_insert_with(|| json!({}));
        worktree["commit"] = checked_out.commit.to_string().into();
    }
}
