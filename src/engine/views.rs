//! The dashboard's views of missions, updated after each observation.

use crate::engine::fleet::{Fleet, IssueRef, ViewContext};
use crate::engine::snapshot::{IssueView, MissionView};
use crate::engine::tracked::Tracked;
use crate::mission::cell::archive::ArchiveName;
use crate::mission::cell::health::{Health, Verdict};
use crate::mission::cell::heartbeat::{ObservedHeartbeat, WizardState};
use crate::mission::cell::{CellFacts, CellObservation};
use crate::mission::identity::{ForgeUrl, MissionId};
use crate::mission::paths::{archive_path, cell_path};
use crate::mission::record::{IssueKey, IssueState};
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Fleet {
    /// Updates the view of a cell.
    pub(super) fn show(
        &mut self,
        id: MissionId,
        sighting: &CellObservation,
        verdict: Verdict,
        context: &ViewContext<'_>,
    ) {
        let before = self.views.get(&id);
        let cell = sighting.cell();
        let known = self.of_mission(id);
        let published = known.and_then(|known| known.record.published.as_ref());
        let is_published =
            published.is_some_and(|published| published.verdict.is_some_and(|v| v.health == verdict.health));
        let since = match before.filter(|before| before.health == Some(verdict.health)) {
            _ if is_published => published.map(|published| published.since),
            Some(before) => before.since,
            None => Some(context.now),
        };
        let reported_state = cell.and_then(agent_state);
        let agent_state_since = match before.filter(|before| before.agent_state == reported_state) {
            _ if published.is_some_and(|published| published.agent_state == reported_state) => {
                published.and_then(|published| published.agent_state_since)
            }
            Some(before) => before.agent_state_since,
            None => reported_state.map(|_| context.now),
        };
        let bound = known.and_then(|known| known.record.binding.as_ref());
        let view = MissionView {
            mission_id: id,
            has_cell: true,
            is_archived: false,
            path: cell_path(context.missions_root, id),
            phase: known.and_then(phase),
            health: Some(verdict.health),
            reason: Some(verdict.reason.to_string()),
            since,
            last_heartbeat_at: cell.and_then(stamp),
            ever_heartbeat: bound.is_some_and(|bound| bound.ever_heartbeat),
            needs_a_person: known.is_some_and(|known| known.record.approval_request.is_some()),
            agent_state: reported_state,
            agent_state_since,
            problem: verdict.problem(),
            notes: cell.and_then(|cell| cell.heartbeat.as_ref()).map_or_else(Vec::new, ObservedHeartbeat::remarks),
            message: cell.and_then(|cell| cell.heartbeat.as_ref()?.heartbeat.message.clone()),
            wizard: bound.and_then(|bound| bound.spec.wizard.clone()),
            name: known.and_then(|known| known.record.name().map(str::to_owned)),
            repository: bound.and_then(|bound| bound.spec.repository.as_ref().map(ToString::to_string)),
            issue: known.map(|known| issue_view(known, context.forge)),
            comment_refusal: known.and_then(refusal),
            is_published: known
                .is_none_or(|known| known.record.published().is_some_and(|v| v.health == verdict.health)),
            changes: known.map(|known| Arc::clone(&known.changes)).unwrap_or_default(),
        };
        if before.is_none_or(|before| **before != view) {
            self.views.insert(id, Arc::new(view));
        }
    }

    /// Whether a cell is shown as healthy, with this agent state.
    pub(super) fn is_shown(&self, id: MissionId, reported_state: WizardState) -> bool {
        let view = self.views.get(&id);
        view.is_some_and(|view| view.health == Some(Health::Healthy) && view.agent_state == Some(reported_state))
    }

    /// Shows a proposal that has no cell.
    pub(super) fn show_waiting(&mut self, id: MissionId, place: IssueRef, context: &ViewContext<'_>) {
        let Some(known) = self.known.get(&place) else { return };
        if let Some(cell) = self.views.get(&id).filter(|view| view.has_cell) {
            let (phase, issue) = (phase(known), Some(issue_view(known, context.forge)));
            let name = known.record.name().map(str::to_owned);
            let view = MissionView { phase, issue, name, comment_refusal: refusal(known), ..(**cell).clone() };
            self.views.insert(id, Arc::new(view));
            return;
        }
        let view = without_cell(known, (id, cell_path(context.missions_root, id)), context);
        self.views.insert(id, Arc::new(view));
    }

    /// Shows all ended missions with an archive, and hides those whose archive was deleted.
    pub(super) fn show_all_archived(&mut self, context: &ViewContext<'_>) {
        let archived: BTreeMap<MissionId, IssueRef> =
            self.known.keys().filter_map(|place| Some((self.archived(*place)?.0, *place))).collect();
        self.views.retain(|id, view| !view.is_archived || archived.contains_key(id));
        for place in archived.into_values() {
            self.show_archived(place, context);
        }
    }

    /// Shows an ended mission with an archive.
    pub(super) fn show_archived(&mut self, place: IssueRef, context: &ViewContext<'_>) {
        let Some((id, known, name)) = self.archived(place) else { return };
        if self.views.get(&id).is_some_and(|view| view.has_cell || view.is_archived) {
            return;
        }
        let path = archive_path(context.missions_root, name);
        let view = MissionView { is_archived: true, ..without_cell(known, (id, path), context) };
        self.views.insert(id, Arc::new(view));
    }

    fn archived(&self, place: IssueRef) -> Option<(MissionId, &Tracked, ArchiveName)> {
        let known = self.known.get(&place)?;
        let (id, name) = known.mission_id().zip(known.record.kept_archive())?;
        (self.places.get(&id) == Some(&place)).then_some((id, known, name))
    }

    /// Shows all proposals without a cell, and hides those that are not pending any more.
    pub(super) fn show_all_waiting(&mut self, context: &ViewContext<'_>) {
        let Some(forge) = context.forge else { return };
        let is_waiting = |known: &Tracked| known.record.is_served_here() && known.record.binding.is_none();
        let waiting = self.known.iter().filter(|(_, known)| is_waiting(known));
        let id = |issue: &IssueKey| MissionId::of_issue(forge, issue.repository_id, issue.issue_id);
        let waiting: BTreeMap<MissionId, IssueRef> =
            waiting.map(|(place, known)| (id(known.issue()), *place)).collect();
        self.views.retain(|id, view| view.has_cell || view.is_archived || waiting.contains_key(id));
        for (id, place) in waiting {
            self.show_waiting(id, place, context);
        }
    }

    /// Hides a mission without a cell.
    pub(super) fn hide(&mut self, id: MissionId) {
        if self.views.get(&id).is_some_and(|view| !view.has_cell) {
            self.views.remove(&id);
        }
    }

    /// Removes the view of a cell that was archived.
    pub(super) fn drop_cell(&mut self, id: MissionId) {
        self.views.remove(&id);
    }

    /// All views.
    pub(super) fn views(&self) -> Vec<Arc<MissionView>> {
        self.views.values().cloned().collect()
    }
}

fn refusal(known: &Tracked) -> Option<String> {
    known.record.comment_refusal().map(str::to_owned)
}

/// The view of a mission without a cell; `path` is that of its archive or future cell.
fn without_cell(known: &Tracked, (mission_id, path): (MissionId, String), context: &ViewContext<'_>) -> MissionView {
    let record = &known.record;
    let bound = record.binding.as_ref();
    MissionView {
        mission_id,
        has_cell: false,
        is_archived: false,
        path,
        phase: phase(known),
        health: None,
        reason: None,
        since: record.published.as_ref().map(|published| published.since),
        last_heartbeat_at: None,
        ever_heartbeat: bound.is_some_and(|bound| bound.ever_heartbeat),
        needs_a_person: record.approval_request.is_some(),
        agent_state: None,
        agent_state_since: None,
        problem: None,
        notes: Vec::new(),
        message: None,
        wizard: bound.and_then(|bound| bound.spec.wizard.clone()),
        name: record.name().map(str::to_owned),
        repository: bound.and_then(|bound| bound.spec.repository.as_ref().map(ToString::to_string)),
        issue: Some(issue_view(known, context.forge)),
        comment_refusal: refusal(known),
        is_published: true,
        changes: Arc::clone(&known.changes),
    }
}

/// The published phase; `closed` for a closed issue, which publishes nothing new.
fn phase(known: &Tracked) -> Option<Phase> {
    let is_open = known.record.state == IssueState::Open;
    if is_open { known.record.published.as_ref().map(|published| published.phase) } else { Some(Phase::Closed) }
}

fn issue_view(known: &Tracked, forge: Option<&ForgeUrl>) -> IssueView {
    let (name, number) = (&known.issue().repository, known.issue().number);
    let forge = forge.map(ToString::to_string).unwrap_or_default();
    IssueView { name: known.issue().to_string(), url: format!("{forge}/{name}/issues/{number}") }
}

/// The state that the agent reports, once there was a heartbeat.
fn agent_state(cell: &CellFacts) -> Option<WizardState> {
    stamp(cell).and(cell.heartbeat.as_ref()).map(|observed| observed.heartbeat.agent_state())
}

/// The time of the last heartbeat, by its timestamp or its file's mtime, whichever is older.
fn stamp(cell: &CellFacts) -> Option<Timestamp> {
    let observed = cell.heartbeat.as_ref()?;
    Some(observed.heartbeat.timestamp?.min(observed.written_at))
}
