//! The daemon's memory of all missions: thrown away with the process, since the records on the disk are the truth.

use crate::daemon::allowed::Alarms;
use crate::daemon::known::{self, Brake, Known};
use crate::mission::admission::{Admission, Limit, Limits, Occupant, admit};
use crate::mission::brake::is_too_many;
use crate::mission::cell::Sighting;
use crate::mission::health::{Facts, Health, Verdict, assess};
use crate::mission::heartbeat::{Beat, WizardState};
use crate::mission::identity::{ForgeUrl, IssueId, MissionId, RepositoryId};
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::phase::Phase;
use crate::mission::record::{IssueKey, Record};
use crate::mission::situation::{Situation, is_proposal, situation};
use crate::mission::time::Timestamp;
use crate::queue::Key;
use crate::snapshot::{IssueView, MissionView};
use crate::world::watch::{Seen, Watch};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A repository's id and an issue's number in it.
pub(super) type Place = (RepositoryId, i64);

/// Everything that is kept in mind.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    known: BTreeMap<Place, Known>,
    places: HashMap<MissionId, Place>,
    views: BTreeMap<MissionId, Arc<MissionView>>,
    existing: BTreeSet<MissionId>,
    /// What listings have just told, so that a thousand news cost no thousand requests.
    news: HashMap<Place, News>,
    /// What the root's file system was short of at the last tick.
    pub(super) shortage: Option<Limit>,
    /// New cells since the last tick.
    new_cells: usize,
    /// Room that was promised to those that are being looked at.
    promised: BTreeMap<Place, Occupant>,
    /// Cells that those take over that are being looked at.
    claims: HashMap<MissionId, (Place, IssueKey)>,
    /// Who may raise an alarm.
    pub(super) alarms: Alarms,
}

/// An issue as a listing told it.
#[derive(Debug)]
struct News {
    facts: IssueFacts,
    asked_at: Instant,
}

/// How all cells look in the light of what is known.
pub(super) struct Ground<'a> {
    pub(super) missions_root: &'a str,
    pub(super) forge: Option<&'a ForgeUrl>,
    pub(super) stale_after: Duration,
    pub(super) now: Timestamp,
    pub(super) close_grace: TimeDelta,
}

impl Fleet {
    /// Takes note of a record as an audit has read it, unless its issue was looked at since.
    pub(super) fn recall(&mut self, record: &Record, read_at: Instant) {
        let before = self.known.get(&(record.issue.repository_id, record.issue.number));
        if before.and_then(|before| before.looked_at).is_some_and(|looked_at| looked_at >= read_at) {
            return;
        }
        // It is in the record only once the issue is looked at.
        let brake = before.map(|before| before.brake).filter(|brake| *brake != Brake::Off);
        let known = self.know(record);
        known.brake = brake.unwrap_or(known.brake);
    }

    /// Takes note of a record as it is now.
    pub(super) fn know(&mut self, record: &Record) -> &mut Known {
        let place = (record.issue.repository_id, record.issue.number);
        let mut known = Known::of(record);
        if let Some(before) = self.known.get(&place) {
            // Only the next sweep lets go of it.
            known.brake = if before.brake == Brake::On { Brake::On } else { known.brake };
            (known.settled, known.looked_at, known.wants_room) = (before.settled, before.looked_at, before.wants_room);
        }
        if let Some(bound) = &known.bound {
            self.places.insert(bound.mission_id, place);
        }
        self.known.insert(place, known);
        self.known.get_mut(&place).expect("it was put there a line ago, always")
    }

    pub(super) fn known_mut(&mut self, place: Place) -> Option<&mut Known> {
        self.known.get_mut(&place)
    }

    pub(super) fn all_known(&self) -> impl Iterator<Item = (&Place, &Known)> {
        self.known.iter()
    }

    /// The cells that should be there.
    pub(super) fn expected(&self) -> Vec<MissionId> {
        let ours = self.known.values().filter(|known| known.is_ours);
        ours.filter_map(|known| known.bound.as_ref().filter(|bound| bound.seen_whole)).map(|b| b.mission_id).collect()
    }

    /// Takes what a listing told of an issue; whether it is news.
    pub(super) fn offer(&mut self, facts: IssueFacts, asked_at: Instant) -> bool {
        let place = (facts.key.repository_id, facts.key.number);
        let is_news = match self.known.get(&place) {
            None => facts.is_open() && is_proposal(&facts),
            Some(known) => {
                known.settled != Some(print(&facts)) && known.looked_at.is_none_or(|looked_at| looked_at < asked_at)
            }
        };
        if is_news {
            self.news.insert(place, News { facts, asked_at });
        }
        is_news
    }

    /// What a listing told of an issue, unless it was looked at since; each is taken once.
    pub(super) fn take_news(&mut self, place: Place) -> Option<IssueFacts> {
        let News { facts, asked_at } = self.news.remove(&place)?;
        let looked_at = self.known.get(&place).and_then(|known| known.looked_at);
        looked_at.is_none_or(|looked_at| looked_at < asked_at).then_some(facts)
    }

    /// A new tick: so many new cells again.
    pub(super) fn begin_pass(&mut self) {
        self.new_cells = 0;
    }

    /// Promises room, until [`Fleet::redeem`].
    pub(super) fn promise(&mut self, key: &IssueKey, mission_id: MissionId) {
        let occupant = Occupant { mission_id, author_id: key.author_id, is_open: true };
        self.promised.insert((key.repository_id, key.number), occupant);
    }

    /// What was promised was taken, by a new cell, or is not needed any more.
    pub(super) fn redeem(&mut self, place: Place, new_cell: Option<MissionId>) {
        self.promised.remove(&place);
        self.claims.retain(|_, (claimed_by, _)| *claimed_by != place);
        self.new_cells += usize::from(new_cell.is_some());
        self.existing.extend(new_cell);
    }

    /// Another issue that the cell of this one belongs to: the one that is bound to it, else the first that takes it over.
    pub(super) fn owner(&mut self, observation: &Observation) -> Option<IssueKey> {
        let (id, key) = (observation.mission_id, &observation.issue.key);
        let place = (key.repository_id, key.number);
        if let Some(owner) = self.places.get(&id).filter(|owner| **owner != place) {
            return self.known.get(owner).map(|known| known.issue.clone());
        }
        if let Some((_, claim)) = self.claims.get(&id).filter(|(owner, _)| *owner != place) {
            return Some(claim.clone());
        }
        let mut imagined = observation.clone();
        imagined.owner = None;
        if matches!(situation(&imagined), Situation::Active(_)) {
            self.claims.insert(id, (place, key.clone()));
        }
        None
    }

    /// Whether there is room for one that wants it, beside all others that wait; if so, it is promised.
    pub(super) fn admission(&mut self, key: &IssueKey, mission_id: MissionId, limits: Limits) -> Admission {
        let place = (key.repository_id, key.number);
        if self.promised.contains_key(&place) {
            return Admission::Admitted;
        }
        let others = self.known.iter().filter(|(other, known)| known.wants_room && known.is_ours && **other != place);
        let others = others.filter(|(other, _)| !self.promised.contains_key(other));
        let candidates = others.map(|(_, known)| &known.issue).chain([key]);
        let admission = self.admit(candidates, limits).remove(&key.issue_id).unwrap_or(Admission::Admitted);
        if admission == Admission::Admitted {
            self.promise(key, mission_id);
        }
        admission
    }

    /// Those that waited for room and have it now.
    pub(super) fn admitted(&self, limits: Limits) -> Vec<Key> {
        let waiting = || self.known.iter().filter(|(_, known)| known.wants_room && known.is_ours);
        let admissions = self.admit(waiting().map(|(_, known)| &known.issue), limits);
        let has_room = |known: &Known| admissions.get(&known.issue.issue_id) == Some(&Admission::Admitted);
        let admitted = waiting().filter(|(_, known)| has_room(known));
        admitted.map(|((repository, number), _)| Key::Issue { repository: *repository, number: *number }).collect()
    }

    /// By the issue's id.
    fn admit<'a>(&self, candidates: impl Iterator<Item = &'a IssueKey>, limits: Limits) -> HashMap<IssueId, Admission> {
        let new = self.new_cells + self.promised.len();
        let left = Limits { new_cells_per_pass: limits.new_cells_per_pass.saturating_sub(new), ..limits };
        let occupants = self.known.values().filter_map(Known::occupant).chain(self.promised.values().copied());
        let told = |admission| match admission {
            // The limit as it is set, and not what is left of it.
            Admission::Full(Limit::NewCellsPerPass(_)) => {
                Admission::Full(Limit::NewCellsPerPass(limits.new_cells_per_pass))
            }
            Admission::Admitted
            | Admission::Full(
                Limit::Cells(_) | Limit::CellsPerAuthor(_) | Limit::FreeBytes(_) | Limit::FreeInodes(_),
            ) => admission,
        };
        let admissions = admit(candidates, occupants, &self.existing, left, self.shortage);
        admissions.into_iter().map(|((_, issue), admission)| (issue, told(admission))).collect()
    }

    /// Judges every cell after a sweep; the missions that have to be looked at.
    pub(super) fn judge(&mut self, watch: &Watch, ground: &Ground<'_>) -> Vec<Key> {
        self.existing = watch.all().filter(|(_, seen)| seen.sighting != Sighting::Absent).map(|(id, _)| id).collect();
        self.views.retain(|id, view| watch.seen(*id).is_some() || !view.has_cell);
        let verdicts: Vec<(MissionId, Verdict)> =
            watch.all().map(|(id, seen)| (id, self.verdict(id, seen, ground))).collect();
        let turning = self.turning(&verdicts, watch);
        let all = self.known.values().filter(|known| known.is_ours && known.bound.is_some()).count();
        let is_braked = is_too_many(turning.len(), all);
        let mut keys = Vec::new();
        for (id, verdict) in verdicts {
            let Some(seen) = watch.seen(id) else { continue };
            self.show(id, &seen.sighting, verdict, ground);
            let Some(place) = self.places.get(&id).copied() else { continue };
            let Some(known) = self.known.get_mut(&place) else { continue };
            if is_braked && turning.contains(&id) {
                known.brake = Brake::On;
                continue;
            }
            if known.brake == Brake::On {
                known.brake = Brake::Released;
            }
            if known.needs_a_look(verdict, &seen.sighting, ground.now, ground.close_grace) {
                keys.push(Key::Issue { repository: place.0, number: place.1 });
            }
        }
        keys
    }

    fn turning(&self, verdicts: &[(MissionId, Verdict)], watch: &Watch) -> BTreeSet<MissionId> {
        let is_turning = |(id, verdict): &&(MissionId, Verdict)| {
            let known = self.places.get(id).and_then(|place| self.known.get(place));
            known.zip(watch.seen(*id)).is_some_and(|(known, seen)| known.is_turning(*verdict, &seen.sighting))
        };
        verdicts.iter().filter(is_turning).map(|(id, _)| *id).collect()
    }

    fn of_mission(&self, id: MissionId) -> Option<&Known> {
        self.known.get(self.places.get(&id)?)
    }

    fn verdict(&self, id: MissionId, seen: &Seen, ground: &Ground<'_>) -> Verdict {
        let sighting = &seen.sighting;
        if let Some(verdict) = self.of_mission(id).and_then(|known| known.verdict(sighting, ground.now)) {
            return verdict;
        }
        let stale_after = seen.own_limit.map_or(ground.stale_after, Duration::from_secs);
        assess(&Facts { sighting, bound: false, ever_beat: false, stale_after, now: ground.now })
    }

    /// Brings what is shown of a cell up to date.
    pub(super) fn show(&mut self, id: MissionId, sighting: &Sighting, verdict: Verdict, ground: &Ground<'_>) {
        let before = self.views.get(&id);
        let cell = known::facts(sighting);
        let known = self.of_mission(id);
        let said = known.and_then(|known| known.said);
        let is_same_as_said = said.is_some_and(|said| said.verdict.is_some_and(|v| v.health == verdict.health));
        let since = match before.filter(|before| before.health == Some(verdict.health)) {
            _ if is_same_as_said => said.map(|said| said.since),
            Some(before) => before.since,
            None => Some(ground.now),
        };
        let bound = known.and_then(|known| known.bound.as_ref());
        let view = MissionView {
            mission_id: id,
            has_cell: true,
            path: format!("{}/{id}", ground.missions_root),
            phase: known.and_then(phase),
            health: Some(verdict.health),
            reason: Some(verdict.reason.to_string()),
            problem: verdict.problem(),
            since,
            beaten_at: cell.and_then(known::stamp),
            says: cell.and_then(known::says),
            message: cell.and_then(|cell| cell.heartbeat.as_ref()?.heartbeat.message.clone()),
            notes: cell.and_then(|cell| cell.heartbeat.as_ref()).map_or_else(Vec::new, Beat::remarks),
            wizard: bound.and_then(|bound| bound.wizard.clone()),
            name: bound.map(|bound| bound.name.clone()),
            repository: bound.and_then(|bound| bound.repository.clone()),
            issue: known.map(|known| issue_view(known, ground.forge)),
            changes: known.map(|known| known.changes.clone()).unwrap_or_default(),
        };
        if before.is_none_or(|before| **before != view) {
            self.views.insert(id, Arc::new(view));
        }
    }

    /// Whether a cell is shown as well, with a wizard that says this.
    pub(super) fn is_shown(&self, id: MissionId, says: WizardState) -> bool {
        let view = self.views.get(&id);
        view.is_some_and(|view| view.health == Some(Health::Healthy) && view.says == Some(says))
    }

    /// Takes note of how one cell looks; its issue, if that has to be looked at.
    pub(super) fn notice(&mut self, id: MissionId, sighting: &Sighting, ground: &Ground<'_>) -> Option<Key> {
        let place = *self.places.get(&id)?;
        let verdict = self.known.get(&place)?.verdict(sighting, ground.now)?;
        self.show(id, sighting, verdict, ground);
        let known = self.known.get(&place)?;
        let needs_a_look = known.needs_a_look(verdict, sighting, ground.now, ground.close_grace);
        needs_a_look.then_some(Key::Issue { repository: place.0, number: place.1 })
    }

    /// Shows a proposal that has no cell.
    pub(super) fn show_waiting(&mut self, id: MissionId, place: Place, ground: &Ground<'_>) {
        let Some(known) = self.known.get(&place) else { return };
        if let Some(cell) = self.views.get(&id).filter(|view| view.has_cell) {
            let (phase, issue) = (phase(known), Some(issue_view(known, ground.forge)));
            let view = MissionView { phase, issue, ..(**cell).clone() };
            self.views.insert(id, Arc::new(view));
            return;
        }
        let view = MissionView {
            mission_id: id,
            has_cell: false,
            path: format!("{}/{id}", ground.missions_root),
            phase: phase(known),
            health: None,
            reason: None,
            problem: None,
            since: known.said.map(|said| said.since),
            beaten_at: None,
            says: None,
            message: None,
            notes: Vec::new(),
            wizard: None,
            name: None,
            repository: None,
            issue: Some(issue_view(known, ground.forge)),
            changes: known.changes.clone(),
        };
        self.views.insert(id, Arc::new(view));
    }

    /// Shows every proposal that waits without a cell, and none that does not wait any more.
    pub(super) fn show_all_waiting(&mut self, ground: &Ground<'_>) {
        let Some(forge) = ground.forge else { return };
        let is_waiting = |known: &Known| known.is_ours && known.bound.is_none();
        let waiting = self.known.iter().filter(|(_, known)| is_waiting(known));
        let id = |issue: &IssueKey| MissionId::of_issue(forge, issue.repository_id, issue.issue_id);
        let waiting: BTreeMap<MissionId, Place> = waiting.map(|(place, known)| (id(&known.issue), *place)).collect();
        self.views.retain(|id, view| view.has_cell || waiting.contains_key(id));
        for (id, place) in waiting {
            self.show_waiting(id, place, ground);
        }
    }

    /// Does not show it any more, unless it has a cell.
    pub(super) fn hide(&mut self, id: MissionId) {
        if self.views.get(&id).is_some_and(|view| !view.has_cell) {
            self.views.remove(&id);
        }
    }

    /// Everything that is shown.
    pub(super) fn views(&self) -> Vec<Arc<MissionView>> {
        self.views.values().cloned().collect()
    }
}

/// What was said last; an issue that is closed is left alone and says nothing new.
fn phase(known: &Known) -> Option<Phase> {
    if known.is_open { known.said.map(|said| said.phase) } else { Some(Phase::Closed) }
}

fn issue_view(known: &Known, forge: Option<&ForgeUrl>) -> IssueView {
    let (name, number) = (&known.issue.repository, known.issue.number);
    let forge = forge.map(ToString::to_string).unwrap_or_default();
    IssueView { name: known.issue.to_string(), url: format!("{forge}/{name}/issues/{number}") }
}

/// By which an issue is recognised that nothing has happened to.
pub(super) fn print(facts: &IssueFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    let IssueFacts { key, title, body, url, labels, state, due_at, updated_at, comments } = facts;
    (key.issue_id, title, body, url, state, due_at, updated_at, comments).hash(&mut hasher);
    for label in labels {
        (label.id, &label.name, label.is_exclusive).hash(&mut hasher);
    }
    hasher.finish()
}
