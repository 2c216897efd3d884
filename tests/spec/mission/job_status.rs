//! What the cron heartbeat says of a run, and which missions fail it, row by row.

use lazarus::mission::cell::health::Health::{self, Healthy, Incomplete, Stale, Uninitialized, Unknown};
use lazarus::mission::fleet::job_status::{JobStatus, fails_a_run, job_status};
use lazarus::mission::status::phase::Phase::{self, Active, Closed, Invalid, Pending, Suspended};

type Mission = (Option<Phase>, Option<Health>);

const WELL: Mission = (Some(Active), Some(Healthy));
const STALE: Mission = (Some(Active), Some(Stale));

/// Every phase and every health, and that they are not known.
fn all() -> Vec<Mission> {
    let phases = [None, Some(Pending), Some(Invalid), Some(Active), Some(Suspended), Some(Closed)];
    let healths = [None, Some(Healthy), Some(Stale), Some(Incomplete), Some(Uninitialized), Some(Unknown)];
    phases.into_iter().flat_map(|phase| healths.map(|health| (phase, health))).collect()
}

#[test]
fn a_job_that_does_not_do_its_work_is_in_error() {
    for has_errors in [false, true] {
        for missions in [vec![], vec![WELL], vec![STALE], all()] {
            assert_eq!(job_status(false, has_errors, missions), JobStatus::Error);
        }
    }
}

#[test]
fn one_error_or_one_failing_mission_is_a_warning() {
    for (has_errors, missions, expected) in [
        (false, vec![], JobStatus::Ok),
        (false, vec![WELL, WELL], JobStatus::Ok),
        (false, vec![WELL, STALE], JobStatus::Warning),
        (false, vec![STALE, WELL], JobStatus::Warning),
        (false, vec![(None, None), WELL], JobStatus::Ok),
        (true, vec![], JobStatus::Warning),
        (true, vec![WELL], JobStatus::Warning),
        (true, vec![STALE], JobStatus::Warning),
    ] {
        assert_eq!(job_status(true, has_errors, missions.clone()), expected, "{has_errors} {missions:?}");
    }
}

#[test]
fn a_mission_fails_by_its_health_unless_it_is_suspended_or_closed() {
    for (phase, health) in all() {
        let is_watched = !matches!(phase, Some(Closed | Suspended));
        let is_failing = is_watched && matches!(health, Some(Stale | Incomplete | Unknown));
        let is_warning = job_status(true, false, [(phase, health)]) == JobStatus::Warning;
        assert_eq!(is_warning, is_failing, "heartbeat: {phase:?} {health:?}");
        let is_failed = fails_a_run(phase, health);
        assert_eq!(is_failed, is_failing, "--exit-code: {phase:?} {health:?}");
    }
}

#[test]
fn a_phase_is_parsed_only_from_its_exact_name() {
    for phase in Phase::ALL {
        assert_eq!(Phase::named(phase.word()), Some(phase));
    }
    for other in ["", "other-host", "Active", "active "] {
        assert_eq!(Phase::named(other), None, "{other}");
    }
}
