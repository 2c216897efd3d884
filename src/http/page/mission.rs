//! The data of a mission page.

use crate::engine::snapshot::{MissionView, Snapshot};
use crate::http::page::format::{Frame, IssueLink, When, message, outdated, whole};
use crate::mission::cell::health::Health;
use crate::mission::identity::MissionId;
use crate::mission::paths::{heartbeat_command, init_cell_command, scan_command};
use crate::mission::record::Event;
use crate::mission::status::phase::Phase;
use crate::mission::text::shell_word;
use crate::mission::time::Timestamp;
use serde::Serialize;
use url::Url;

/// The context of `mission.html`.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one condition of the template")]
pub struct MissionPage {
    frame: Frame,
    id: MissionId,
    has_cell: bool,
    is_archived: bool,
    path: String,
    phase: Option<&'static str>,
    health: Option<&'static str>,
    reason: Option<String>,
    why: Option<String>,
    place: Option<String>,
    problem: Option<String>,
    since: Option<When>,
    last_heartbeat: Option<When>,
    ever_heartbeat: bool,
    needs_approval: bool,
    agent_state: Option<String>,
    agent_state_since: Option<When>,
    message: Option<String>,
    notes: Vec<String>,
    wizard: Option<String>,
    name: Option<String>,
    repository: Option<String>,
    issue: Option<IssueLink>,
    /// Why the comment on the issue is out of date.
    outdated: Option<String>,
    changes: Vec<Change>,
    heartbeat_command: String,
    /// The command for agents on other hosts, if `daemon.public_url` is set.
    post_command: Option<String>,
    scan_command: String,
    init_command: String,
}

#[derive(Clone, Debug, Serialize)]
struct Change {
    when: When,
    what: String,
}

impl MissionPage {
    /// The mission with this id.
    #[must_use]
    pub fn find(snapshot: &Snapshot, id: MissionId) -> Option<Self> {
        let mission = snapshot.missions.iter().find(|mission| mission.mission_id == id)?;
        Some(Self::new(snapshot, mission))
    }

    fn new(snapshot: &Snapshot, mission: &MissionView) -> Self {
        let now = snapshot.tick.now();
        let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
        let reason = mission.reason.as_deref().and_then(whole);
        let (why, place) = parts(reason.as_deref());
        let change = |Event { at, what }: &Event| Some(Change { when: When::new(*at, now), what: message(what)? });
        Self {
            frame: Frame::new(snapshot),
            id: mission.mission_id,
            has_cell: mission.has_cell,
            is_archived: mission.is_archived,
            path: mission.path.clone(),
            phase: mission.phase.map(Phase::word),
            health: mission.health.map(Health::word),
            why,
            place,
            reason,
            problem: mission.problem.as_deref().and_then(plain),
            since: when(mission.since),
            last_heartbeat: when(mission.last_heartbeat_at),
            ever_heartbeat: mission.ever_heartbeat,
            needs_approval: mission.needs_a_person,
            agent_state: mission.agent_state.map(|state| state.to_string()),
            agent_state_since: when(mission.agent_state_since),
            message: mission.message.as_deref().and_then(whole),
            notes: mission.notes.iter().filter_map(|note| plain(note)).collect(),
            wizard: mission.wizard.as_ref().map(ToString::to_string),
            name: mission.name.as_deref().and_then(whole),
            repository: mission.repository.as_deref().and_then(whole),
            issue: mission.issue.as_ref().map(|issue| IssueLink::new(issue, snapshot.forge.as_ref())),
            outdated: outdated(snapshot, mission),
            changes: mission.changes.iter().rev().filter_map(change).collect(),
            heartbeat_command: heartbeat_command(&snapshot.missions_root, mission.mission_id),
            post_command: snapshot.public_url.as_ref().map(|url| post_command(url, mission.mission_id)),
            scan_command: scan_command(&snapshot.missions_root),
            init_command: init_cell_command(&snapshot.missions_root, &mission.mission_id.to_string()),
        }
    }
}

/// A text of the service without backticks, which are for terminals and comments.
fn plain(text: &str) -> Option<String> {
    whole(&text.replace('`', ""))
}

/// Takes the cell's token from the variable `TOKEN`, because no page shows it.
fn post_command(url: &Url, id: MissionId) -> String {
    let address = format!("{}/missions/{id}/heartbeat", url.as_str().trim_end_matches('/'));
    let arguments = r#"-H "Authorization: Bearer $TOKEN" -d '{"state":"working"}'"#;
    format!("curl {arguments} {}", shell_word(&address))
}

/// Splits a reason into its fixed word and the path that it is about.
fn parts(reason: Option<&str>) -> (Option<String>, Option<String>) {
    match reason.map(|reason| reason.split_once(' ').unwrap_or((reason, ""))) {
        Some((why, "")) => (Some(why.to_owned()), None),
        Some((why, place)) => (Some(why.to_owned()), Some(place.to_owned())),
        None => (None, None),
    }
}
