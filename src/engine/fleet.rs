//! The in-memory state of all missions, rebuilt from the records on the disk at each start.

use crate::engine::queue::Key;
use crate::engine::snapshot::MissionView;
use crate::engine::tracked::{HoldState, Tracked};
use crate::mission::alert::state::FleetAlertRecord;
use crate::mission::cell::CellObservation;
use crate::mission::cell::health::{Facts, Verdict, assess};
use crate::mission::cell::starts::Starts;
use crate::mission::fleet::admission::{Admission, Capacity, CapacityLimit, CapacityLimits, Occupant, admit};
use crate::mission::fleet::host_clock::waits;
use crate::mission::fleet::mass_change_guard::{Closing, has_cell, held, held_closings};
use crate::mission::fleet::ownership::Claims;
use crate::mission::identity::{ForgeUrl, MissionId, RepositoryId};
use crate::mission::observation::{AlertPermit, IssueFacts};
use crate::mission::plan::change::Change;
use crate::mission::plan::step::Candidate;
use crate::mission::record::{IssueKey, IssueState, Record};
use crate::mission::status::lifecycle::is_proposal;
use crate::mission::time::Timestamp;
use crate::world::cells::cell_cache::{CellCache, Seen};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A repository's id and an issue's number in it.
pub(crate) type IssueRef = (RepositoryId, i64);

/// The in-memory state of all missions.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(super) known: BTreeMap<IssueRef, Tracked>,
    pub(super) places: HashMap<MissionId, IssueRef>,
    pub(super) views: BTreeMap<MissionId, Arc<MissionView>>,
    pub(crate) existing: BTreeSet<MissionId>,
    /// Issues from recent listings, so that a thousand changes do not need a thousand requests.
    listed: HashMap<IssueRef, ListedIssue>,
    /// The limit that the root's file system was below at the last check.
    pub(crate) shortage: Option<CapacityLimit>,
    /// Whether this host's clock has jumped since the last pass.
    pub(super) is_clock_unsure: bool,
    /// New cells since the last tick.
    pub(super) new_cells: usize,
    /// Capacity that is reserved for turns in progress.
    reserved: BTreeMap<IssueRef, Occupant>,
    /// Reservations whose checkout is still running since an earlier pass, which has counted them.
    carried: BTreeSet<IssueRef>,
    /// Missions with cells that were found closed since the last tick.
    closed: BTreeSet<IssueRef>,
    /// Those that were found closed in the pass before.
    closed_before: BTreeSet<IssueRef>,
    /// Cells that turns in progress are about to adopt.
    claims: Claims,
    /// The state of alerts.
    pub(super) alerts: Alerts,
}

/// An issue from a listing.
#[derive(Debug)]
struct ListedIssue {
    facts: ListedFacts,
    asked_at: Instant,
}

/// The facts from a listing.
#[derive(Debug)]
pub(super) enum ListedFacts {
    /// The issue alone.
    Facts(Box<IssueFacts>),
    /// All facts for a turn, which has begun.
    Ready(Box<Candidate>),
}

/// The context that the views of all cells share.
pub(super) struct ViewContext<'a> {
    pub(super) missions_root: &'a str,
    pub(super) forge: Option<&'a ForgeUrl>,
    pub(super) stale_after: Duration,
    pub(super) now: Timestamp,
    pub(super) starts: &'a Starts,
    pub(super) close_grace: TimeDelta,
}

impl ViewContext<'_> {
    /// The time, and the daemon's starts.
    pub(super) fn time(&self) -> (Timestamp, &Starts) {
        (self.now, self.starts)
    }
}

impl Fleet {
    /// Loads a record that an audit has read, unless its issue was reconciled since.
    pub(crate) fn load(&mut self, record: &Record, read_at: Instant) {
        let before = self.known.get(&place_of(&record.issue));
        if before.and_then(|before| before.looked_at).is_some_and(|looked_at| looked_at >= read_at) {
            return;
        }
        // The record has it only after the next turn.
        let hold = before.map(|before| before.hold).filter(|hold| *hold != HoldState::None);
        let closing = before.map(|before| before.closing).filter(|closing| *closing != HoldState::None);
        let known = self.track(record);
        known.hold = hold.unwrap_or(known.hold);
        known.closing = closing.unwrap_or(known.closing);
    }

    /// Begins a pass; returns the missions whose closing the last pass held back, to be reconciled again.
    pub(super) fn begin_pass(&mut self) -> Vec<Key> {
        self.new_cells = 0;
        self.closed_before = std::mem::take(&mut self.closed);
        self.carried = self.reserved.keys().copied().collect();
        let held = self.known.iter_mut().filter(|(_, known)| known.closing == HoldState::Held);
        let confirmed = held.map(|((repository, number), known)| {
            known.closing = HoldState::Confirmed;
            Key::Issue { repository: *repository, number: *number }
        });
        confirmed.collect()
    }

    /// Records an issue that a single turn found closed. Without a listing of this pass that confirms it, it is held until the
    /// next pass: a series of webhooks is no better evidence than a listing.
    pub(super) fn find_one_closed(&mut self, facts: &IssueFacts) {
        let place = place_of(&facts.key);
        let is_listed = self.closed.contains(&place);
        self.find_closed([facts]);
        if !is_listed
            && self.closed.contains(&place)
            && let Some(known) = self.known.get_mut(&place)
        {
            known.closing = HoldState::Held;
        }
    }

    /// Records issues that a pass found closed. If there are too many in this pass and the one before, they are held until
    /// the next pass.
    pub(crate) fn find_closed<'a>(&mut self, found: impl IntoIterator<Item = &'a IssueFacts>) {
        for facts in found.into_iter().filter(|facts| facts.state == IssueState::Closed) {
            let place = place_of(&facts.key);
            let is_changed = |known: &Tracked| known.closing != HoldState::Confirmed && has_cell(&known.record);
            if self.known.get(&place).is_some_and(is_changed) {
                self.closed.insert(place);
            }
        }
        // Every turn calls this, and hardly any finds a closed issue.
        if self.closed.is_empty() {
            return;
        }
        let closings = self.known.iter().map(|(place, known)| {
            // One that was not held still counts.
            let is_closed = self.closed.contains(place) || self.closed_before.contains(place);
            let has_cell = is_closed || has_cell(&known.record);
            (*place, Closing { has_cell, is_closed, awaits_confirmation: known.closing == HoldState::Confirmed })
        });
        let held = held_closings(closings);
        let mut count = 0;
        for place in held.intersection(&self.closed) {
            let Some(known) = self.known.get_mut(place).filter(|known| has_cell(&known.record)) else { continue };
            count += usize::from(known.closing != HoldState::Held);
            known.closing = HoldState::Held;
        }
        if count > 0 {
            tracing::warn!(
                "{} missions with cells were closed together; their cells are archived once the next pass confirms that",
                held.len()
            );
        }
    }

    /// Whether a mission degraded or was closed together with too many others and waits for the next pass, or its cell
    /// would be archived because of a clock jump.
    pub(crate) fn is_held(&self, place: IssueRef) -> bool {
        let is_held = |known: &Tracked| known.hold == HoldState::Held || known.closing == HoldState::Held;
        let is_moved_away = |known: &Tracked| self.is_clock_unsure && known.record.ended_at.is_some();
        self.known.get(&place).is_some_and(|known| is_held(known) || is_moved_away(known))
    }

    /// Stores the current record of a mission.
    pub(super) fn track(&mut self, record: &Record) -> &mut Tracked {
        let place = place_of(&record.issue);
        let mut known = Tracked::new(record);
        if let Some(before) = self.known.get(&place) {
            // Only the next scan of the cells releases it.
            known.hold = if before.hold == HoldState::Held { HoldState::Held } else { known.hold };
            known.closing = if before.closing == HoldState::Held { HoldState::Held } else { known.closing };
            (known.settled, known.looked_at, known.wants_capacity) =
                (before.settled, before.looked_at, before.wants_capacity);
            known.suspect_at = before.suspect_at;
            if known.changes == before.changes {
                known.changes = Arc::clone(&before.changes);
            }
        }
        if let Some(id) = known.mission_id() {
            self.places.insert(id, place);
        }
        self.known.insert(place, known);
        self.known.get_mut(&place).expect("the key was inserted in the line before")
    }

    /// Stores the current comment of a record.
    pub(super) fn note_comment(&mut self, record: &Record) {
        if let Some(known) = self.known.get_mut(&place_of(&record.issue)) {
            known.record.comment.clone_from(&record.comment);
        }
    }

    /// The cells that should exist.
    pub(super) fn expected(&self) -> Vec<MissionId> {
        let ours = self.known.values().filter(|known| known.record.is_served_here());
        let whole = ours.filter_map(|known| known.record.binding.as_ref().filter(|binding| binding.was_complete));
        whole.map(|binding| binding.mission_id).collect()
    }

    /// The ids of the known issues of a repository.
    pub(super) fn issues_of(&self, repository: RepositoryId) -> BTreeSet<i64> {
        let known = self.known.range((repository, i64::MIN)..=(repository, i64::MAX));
        known.map(|(_, known)| known.record.issue.issue_id).collect()
    }

    /// Stores an issue of a listing if it has changed; whether it has.
    pub(super) fn enqueue_if_changed(&mut self, facts: IssueFacts, asked_at: Instant) -> bool {
        let place = place_of(&facts.key);
        let is_changed = self.is_event(&facts, asked_at);
        if is_changed {
            self.listed.insert(place, ListedIssue { facts: ListedFacts::Facts(Box::new(facts)), asked_at });
        }
        is_changed
    }

    /// Stores a mission whose turn has begun, unless its issue was reconciled since; whether it did. The mission claims
    /// the cell that it is about to get.
    pub(super) fn enqueue_candidate(&mut self, mut candidate: Candidate, asked_at: Instant) -> bool {
        let place = place_of(&candidate.seen.issue.key);
        let is_changed = self.is_event(&candidate.seen.issue, asked_at);
        if is_changed {
            self.confirms(&mut candidate);
            self.listed.insert(place, ListedIssue { facts: ListedFacts::Ready(Box::new(candidate)), asked_at });
        }
        is_changed
    }

    fn is_event(&self, facts: &IssueFacts, asked_at: Instant) -> bool {
        match self.known.get(&place_of(&facts.key)) {
            None => facts.is_open() && is_proposal(facts),
            Some(known) => {
                known.settled != Some(fingerprint(facts))
                    && known.looked_at.is_none_or(|looked_at| looked_at < asked_at)
            }
        }
    }

    /// Takes the listed facts of an issue, unless it was reconciled since.
    pub(super) fn take_listed(&mut self, place: IssueRef) -> Option<(ListedFacts, Instant)> {
        let ListedIssue { facts, asked_at } = self.listed.remove(&place)?;
        let looked_at = self.known.get(&place).and_then(|known| known.looked_at);
        looked_at.is_none_or(|looked_at| looked_at < asked_at).then_some((facts, asked_at))
    }

    /// Whether a planned turn is still valid: the owner of its cell has not changed.
    pub(super) fn confirms(&mut self, candidate: &mut Candidate) -> bool {
        let Candidate { seen, turn, .. } = candidate;
        let bound = self.places.get(&seen.mission_id).and_then(|place| self.known.get(place));
        self.claims.owner(seen, turn.lifecycle(seen), bound.map(Tracked::issue)) == seen.owner
    }

    /// Reserves capacity, until [`Fleet::release`].
    pub(super) fn reserve(&mut self, key: &IssueKey, mission_id: MissionId) {
        let occupant = Occupant { mission_id, author_id: key.author_id, is_open: true };
        self.reserved.insert(place_of(key), occupant);
    }

    /// Releases a reservation: a new cell uses it, or it is not needed any more.
    pub(super) fn release(&mut self, place: IssueRef, new_cell: Option<MissionId>) {
        self.reserved.remove(&place);
        self.claims.release(place);
        let is_carried = self.carried.remove(&place);
        self.new_cells += usize::from(new_cell.is_some() && !is_carried);
        self.existing.extend(new_cell);
    }

    /// The issue that a cell is bound to.
    pub(crate) fn bound_to(&self, id: MissionId) -> Option<&IssueKey> {
        self.known.get(self.places.get(&id)?).map(Tracked::issue)
    }

    /// Finds the owner of the cell, and reserves capacity for a new cell if there is some, considering all others that
    /// wait.
    pub(super) fn place(&mut self, candidate: &mut Candidate, limits: CapacityLimits) {
        let lifecycle = candidate.turn.lifecycle(&candidate.seen);
        let bound = self.places.get(&candidate.seen.mission_id).and_then(|place| self.known.get(place));
        candidate.seen.owner = self.claims.owner(&candidate.seen, lifecycle, bound.map(Tracked::issue));
        if !lifecycle.wants_capacity(&candidate.seen) {
            return;
        }
        let (key, place) = (&candidate.seen.issue.key, place_of(&candidate.seen.issue.key));
        if self.reserved.contains_key(&place) {
            candidate.seen.admission = Admission::Admitted;
            return;
        }
        let others = self.waiting().filter(|(other, _)| **other != place && !self.reserved.contains_key(other));
        let candidates = others.map(|(_, known)| known.issue()).chain([key]);
        let admission = self.admit(candidates, limits).remove(&(key.repository_id, key.issue_id));
        candidate.seen.admission = admission.unwrap_or(Admission::Admitted);
        if candidate.seen.admission == Admission::Admitted {
            let (key, mission_id) = (key.clone(), candidate.seen.mission_id);
            self.reserve(&key, mission_id);
        }
    }

    fn waiting(&self) -> impl Iterator<Item = (&IssueRef, &Tracked)> {
        self.known.iter().filter(|(_, known)| known.wants_capacity && known.record.is_served_here())
    }

    /// The missions that waited for capacity and have it now.
    pub(super) fn admitted(&self, limits: CapacityLimits) -> Vec<Key> {
        let admissions = self.admit(self.waiting().map(|(_, known)| known.issue()), limits);
        let has_capacity = |known: &Tracked| {
            let key = known.issue();
            admissions.get(&(key.repository_id, key.issue_id)) == Some(&Admission::Admitted)
        };
        // A mission with a reservation has a turn in progress, or gets one when its checkout ends.
        let admitted =
            self.waiting().filter(|(place, known)| has_capacity(known) && !self.reserved.contains_key(place));
        admitted.map(|((repository, number), _)| Key::Issue { repository: *repository, number: *number }).collect()
    }

    /// Admits candidates, considering all cells and reservations; reservations are kept. By repository id and issue id.
    pub(crate) fn admit<'a>(
        &self,
        candidates: impl Iterator<Item = &'a IssueKey>,
        limits: CapacityLimits,
    ) -> HashMap<(RepositoryId, i64), Admission> {
        let new_cells = self.new_cells + self.reserved.len() - self.carried.len();
        let (reserved, candidates): (Vec<_>, Vec<_>) =
            candidates.partition(|key| self.reserved.contains_key(&place_of(key)));
        let occupants =
            self.known.values().filter_map(|known| Occupant::of(&known.record)).chain(self.reserved.values().copied());
        let capacity = Capacity { existing: &self.existing, limits, shortage: self.shortage, new_cells };
        let mut admissions = admit(candidates, occupants, capacity);
        admissions.extend(reserved.into_iter().map(|key| ((key.repository_id, key.issue_id), Admission::Admitted)));
        admissions
    }

    /// Assesses every cell after a scan; returns the missions that need a turn.
    pub(super) fn judge(&mut self, watch: &CellCache, context: &ViewContext<'_>) -> Vec<Key> {
        self.existing =
            watch.all().filter(|(_, seen)| seen.sighting != CellObservation::Absent).map(|(id, _)| id).collect();
        self.views.retain(|id, view| watch.seen(*id).is_some() || !view.has_cell);
        self.show_all_archived(context);
        let verdicts: Vec<(MissionId, Verdict)> =
            watch.all().map(|(id, seen)| (id, self.verdict(id, seen, context))).collect();
        let guarded = verdicts.iter().filter_map(|(id, verdict)| {
            let (known, seen) = (self.of_mission(*id)?, watch.seen(*id)?);
            Some((*id, known.guarded(*verdict, &seen.sighting)))
        });
        let mut held = held(guarded);
        if self.is_clock_unsure {
            held.extend(verdicts.iter().filter(|(id, verdict)| self.waits_for_clock(*id, *verdict)).map(|(id, _)| *id));
        }
        let mut keys = Vec::new();
        for (id, verdict) in verdicts {
            let Some(seen) = watch.seen(id) else { continue };
            self.show(id, &seen.sighting, verdict, context);
            let Some(place) = self.places.get(&id).copied() else { continue };
            let Some(known) = self.known.get_mut(&place) else { continue };
            if held.contains(&id) {
                known.hold = HoldState::Held;
                continue;
            }
            if known.hold == HoldState::Held {
                known.hold = HoldState::Confirmed;
            }
            let is_unsure = self.is_clock_unsure && known.record.ended_at.is_some();
            if !is_unsure && known.needs_turn(verdict, &seen.sighting, (context.now, context.close_grace)) {
                keys.push(Key::Issue { repository: place.0, number: place.1 });
            }
        }
        keys
    }

    /// Whether a health is published only once another pass confirms it, because of a clock jump.
    fn waits_for_clock(&self, id: MissionId, verdict: Verdict) -> bool {
        let record = self.of_mission(id).map(|known| &known.record);
        record.is_some_and(|record| record.is_served_here() && waits(record, verdict))
    }

    pub(super) fn of_mission(&self, id: MissionId) -> Option<&Tracked> {
        self.known.get(self.places.get(&id)?)
    }

    fn verdict(&self, id: MissionId, seen: &Seen, context: &ViewContext<'_>) -> Verdict {
        let sighting = &seen.sighting;
        if let Some(verdict) = self.of_mission(id).and_then(|known| known.verdict(sighting, context.time())) {
            return verdict;
        }
        let stale_after = seen.own_limit.map_or(context.stale_after, Duration::from_secs);
        assess(&Facts { sighting, bound: false, ever_heartbeat: false, stale_after, now: context.now })
    }

    /// Records the observation of one cell; returns its issue if that needs a turn.
    pub(super) fn observe(
        &mut self,
        id: MissionId,
        sighting: &CellObservation,
        context: &ViewContext<'_>,
    ) -> Option<Key> {
        let place = *self.places.get(&id)?;
        let verdict = self.known.get(&place)?.verdict(sighting, context.time())?;
        self.show(id, sighting, verdict, context);
        let known = self.known.get(&place)?;
        let needs_turn = known.needs_turn(verdict, sighting, (context.now, context.close_grace));
        needs_turn.then_some(Key::Issue { repository: place.0, number: place.1 })
    }
}

pub(crate) fn place_of(key: &IssueKey) -> IssueRef {
    (key.repository_id, key.number)
}

/// A hash of an issue's facts, to detect whether it has changed.
pub(crate) fn fingerprint(facts: &IssueFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    let IssueFacts { key, title, body, url, labels, state, due_at, updated_at, comments } = facts;
    (key.issue_id, title, body, url, state, due_at, updated_at, comments).hash(&mut hasher);
    for label in labels {
        (label.id, &label.name, label.is_exclusive).hash(&mut hasher);
    }
    hasher.finish()
}

/// The in-memory state of alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// The missions that may post an alert in their next turn.
    pub(super) permits: BTreeMap<IssueRef, AlertPermit>,
    /// The pending task of the fleet alert.
    pub(super) task: Option<Task>,
    /// How many alerts the hourly limit delayed at the last scan.
    pub(super) waiting: usize,
}

/// A task of the fleet alert.
#[derive(Debug)]
pub(super) enum Task {
    /// Find out whether a comment was posted.
    Settle(FleetAlertRecord),
    /// Post or record an alert.
    Do(Change),
}

impl Alerts {
    /// Whether a mission may post an alert in its current turn.
    pub(super) fn permit(&self, place: IssueRef) -> AlertPermit {
        self.permits.get(&place).copied().unwrap_or(AlertPermit::Denied)
    }

    /// Ends the permit of a mission after its turn.
    pub(super) fn end(&mut self, place: IssueRef) {
        self.permits.remove(&place);
    }
}
