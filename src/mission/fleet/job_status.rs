//! The overall result of a run: its status in the cron heartbeat, and the missions that fail it for `--exit-code`.

use crate::mission::cell::health::Health;
use crate::mission::status::phase::Phase;
use serde::Serialize;

/// The status of a job in its cron heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// It did its work, without errors and failing missions.
    Ok,
    /// It did its work, with errors or failing missions.
    Warning,
    /// It could not do its work.
    Error,
}

/// The status of a job, from whether it does its work, whether it has errors, and the phase and health of the missions
/// that it found.
#[must_use]
pub fn job_status(
    does_its_work: bool,
    has_errors: bool,
    missions: impl IntoIterator<Item = (Option<Phase>, Option<Health>)>,
) -> JobStatus {
    let is_failing = |(phase, health)| fails_a_run(phase, health);
    if !does_its_work {
        JobStatus::Error
    } else if has_errors || missions.into_iter().any(is_failing) {
        JobStatus::Warning
    } else {
        JobStatus::Ok
    }
}

/// Whether a mission counts as failing, for the cron heartbeat and for `--exit-code`. Suspended and closed missions do
/// not count.
#[must_use]
pub fn fails_a_run(phase: Option<Phase>, health: Option<Health>) -> bool {
    let is_watched = !matches!(phase, Some(Phase::Suspended | Phase::Closed));
    is_watched && health.is_some_and(Health::is_failing)
}
