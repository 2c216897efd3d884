//! Serves the daemon's readiness, and the health report of every cell as JSON.

use crate::diagnose::document::Document;
use crate::diagnose::scan::{CellReport, HealthReport};
use crate::engine::snapshot::{GatewayView, MissionView, Passes, Snapshot};
use crate::http::reply::{self, Reply};
use crate::mission::cell::health::Health;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use hyper::StatusCode;
use serde::Serialize;

/// The JSON document of `/health`: that of `scan --json`, and the daemon's passes and gateways.
#[derive(Debug, Serialize)]
struct DaemonReport<'a> {
    #[serde(flatten)]
    report: HealthReport,
    ready: bool,
    not_ready: Option<String>,
    passes: &'a Passes,
    gateways: &'a [GatewayView],
}

/// 200 while the daemon is ready; otherwise 503 with the reason.
pub(super) fn readiness(snapshot: &Snapshot) -> Reply {
    match snapshot.readiness() {
        Ok(()) => reply::text(StatusCode::OK, "ready"),
        Err(reason) => reply::text(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

/// The health report as JSON; none if it cannot be serialized.
pub(super) fn document(snapshot: &Snapshot) -> Option<Vec<u8>> {
    let not_ready = snapshot.readiness().err();
    let report = DaemonReport {
        report: cells(snapshot),
        ready: not_ready.is_none(),
        not_ready,
        passes: &snapshot.passes,
        gateways: &snapshot.gateways,
    };
    serde_json::to_vec(&Document::new(report)).ok()
}

fn cells(snapshot: &Snapshot) -> HealthReport {
    let now = snapshot.tick.now();
    let cells: Vec<CellReport> = snapshot.missions.iter().filter_map(|view| cell(view, now)).collect();
    HealthReport::of(now, snapshot.missions_root.clone(), snapshot.host.to_string(), cells)
}

/// A cell's entry; none without a cell or before its first check.
fn cell(view: &MissionView, now: Timestamp) -> Option<CellReport> {
    let health: Health = view.health.filter(|_| view.has_cell)?;
    Some(CellReport {
        mission_id: view.mission_id,
        health,
        reason: view.reason.clone().unwrap_or_default(),
        problem: view.problem.clone(),
        path: view.path.clone(),
        heartbeat_age_seconds: view.last_heartbeat_at.map(|last| now.after(last).num_seconds()),
        agent_state: view.agent_state,
        notes: view.notes.clone(),
        phase: view.phase.map(Phase::word),
        wizard: view.wizard.clone(),
        since: view.since,
        issue: view.issue.as_ref().map(|issue| issue.name.clone()),
    })
}
