//! Collects the results of a single pass for its report.

use crate::engine::failure::{Failure, FatalError};
use crate::engine::report::{MissionResult, Report};
use crate::engine::survey::Scope;
use crate::mission::plan::change::Change;
use crate::world::lock_unpoisoned::locked;
use std::sync::Mutex;
use tokio::sync::watch;

/// The results of a single pass so far.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The scope of the pass.
    pub(super) scope: Scope,
    pub(super) found: Mutex<PassFindings>,
    /// How many turns have ended, and how many there are.
    progress: watch::Sender<(usize, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct PassFindings {
    /// The error that prevented the pass.
    pub(super) fatal: Option<FatalError>,
    /// Changes that belong to no single issue.
    pub(super) changes: Vec<Change>,
    pub(super) results: Vec<MissionResult>,
    pub(super) failures: Vec<Failure>,
    /// The fleet alert, which is applied last.
    pub(super) alert: Option<Change>,
}

impl Gathered {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, found: Mutex::default(), progress: watch::Sender::new((0, 0)) }
    }

    pub(super) fn progress(&self) -> watch::Receiver<(usize, usize)> {
        self.progress.subscribe()
    }

    /// Sets the number of turns.
    pub(super) fn expect(&self, total: usize) {
        self.progress.send_modify(|progress| progress.1 = total);
    }

    /// Records the result of a turn. The changes of an earlier turn that was postponed belong to it.
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

    /// Counts a finished key.
    pub(super) fn step(&self, is_mission: bool) {
        self.progress.send_modify(|progress| progress.0 += usize::from(is_mission));
    }

    pub(super) fn report(&self) -> Result<Report, FatalError> {
        let PassFindings { fatal, changes, results, failures, alert: _ } = std::mem::take(&mut *locked(&self.found));
        match fatal {
            Some(error) => Err(error),
            None => Ok(Report::new(&changes, results, failures)),
        }
    }
}
