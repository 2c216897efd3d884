//! What one pass comes to, gathered until it is reported.

use crate::engine::failure::{Failure, FatalError};
use crate::engine::report::{MissionResult, Report};
use crate::engine::survey::Scope;
use crate::mission::plan::change::Change;
use crate::world::lock_unpoisoned::locked;
use std::sync::Mutex;
use tokio::sync::watch;

/// What has been gathered so far.
#[derive(Debug)]
pub(super) struct Gathered {
    /// What the pass is about.
    pub(super) scope: Scope,
    pub(super) found: Mutex<PassFindings>,
    /// How many turns of how many have ended.
    progress: watch::Sender<(usize, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct PassFindings {
    /// Why there was no pass.
    pub(super) fatal: Option<FatalError>,
    /// Changes that belong to no single issue.
    pub(super) changes: Vec<Change>,
    pub(super) results: Vec<MissionResult>,
    pub(super) failures: Vec<Failure>,
    /// What is to be said for many, after all else.
    pub(super) alert: Option<Change>,
}

impl Gathered {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, found: Mutex::default(), progress: watch::Sender::new((0, 0)) }
    }

    pub(super) fn progress(&self) -> watch::Receiver<(usize, usize)> {
        self.progress.subscribe()
    }

    /// So many turns are to end.
    pub(super) fn expect(&self, total: usize) {
        self.progress.send_modify(|progress| progress.1 = total);
    }

    /// Takes what a turn came to. What an earlier one did, which was put off, belongs to it.
    pub(super) fn take(&self, mut result: MissionResult) {
        let results = &mut locked(&self.found).results;
        let is_same = |known: &MissionResult| known.mission.is_of_issue_of(&result.mission);
        if let Some(at) = results.iter().position(is_same) {
            let mut before = results.swap_remove(at).mission.changes;
            before.append(&mut result.mission.changes);
            result.mission.changes = before;
        }
        results.push(result);
    }

    /// A key is done with.
    pub(super) fn step(&self, is_mission: bool) {
        self.progress.send_modify(|progress| progress.0 += usize::from(is_mission));
    }

    pub(super) fn report(&self) -> Result<Report, FatalError> {
        let PassFindings { fatal: refusal, changes, results, failures: troubles, alert: _ } =
            std::mem::take(&mut *locked(&self.found));
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(Report::new(&changes, results, troubles)),
        }
    }
}
