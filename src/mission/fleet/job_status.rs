//! How a run went as a whole: what the cron heartbeat says of it, and which missions fail it for `--exit-code`.

use crate::mission::cell::health::Health;
use crate::mission::status::phase::Phase;
use serde::Serialize;

/// How a job went, as its cron heartbeat says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// It did its work, and found nothing that people should look at.
    Ok,
    /// It did its work, and found something that people should look at.
    Warning,
    /// It could not do its work.
    Error,
}

/// What the cron heartbeat says of a job that does its work or not, with errors or without, and has found these missions,
/// each with its phase and its health where they are known.
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

/// Whether a mission counts as failing, for the cron heartbeat and for `--exit-code`. Whoever has paused one knows how it
/// is, and the cell of a closed one may be as it likes.
#[must_use]
pub fn fails_a_run(phase: Option<Phase>, health: Option<Health>) -> bool {
    let is_watched = !matches!(phase, Some(Phase::Suspended | Phase::Closed));
    is_watched && health.is_some_and(Health::is_failing)
}
