//! The memory of all missions: thrown away with the process, since the records on the disk are the truth.

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

/// Everything that is kept in mind.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(super) known: BTreeMap<IssueRef, Tracked>,
    pub(super) places: HashMap<MissionId, IssueRef>,
    pub(super) views: BTreeMap<MissionId, Arc<MissionView>>,
    pub(crate) existing: BTreeSet<MissionId>,
    /// What listings have just told, so that a thousand changes cost no thousand requests.
    news: HashMap<IssueRef, News>,
    /// What the root's file system was short of when it was asked last.
    pub(crate) shortage: Option<CapacityLimit>,
    /// Whether this host's clock has jumped since the pass before.
    pub(super) is_clock_unsure: bool,
    /// New cells since the last tick.
    pub(super) new_cells: usize,
    /// Capacity that was promised to those that are being looked at.
    promised: BTreeMap<IssueRef, Occupant>,
    /// Those of them whose checkout goes on since an earlier pass, which has counted them.
    carried: BTreeSet<IssueRef>,
    /// Missions with cells that were found closed since the last tick.
    closed: BTreeSet<IssueRef>,
    /// Those that were found closed between the tick before that and the last one.
    closed_before: BTreeSet<IssueRef>,
    /// Cells that those take over that are being looked at.
    claims: Claims,
    /// Who may raise an alarm.
    pub(super) alerts: Alerts,
}

/// An issue as a listing told it.
#[derive(Debug)]
struct News {
    told: ListedFacts,
    asked_at: Instant,
}

/// How much is known of it.
#[derive(Debug)]
pub(super) enum ListedFacts {
    /// The issue alone.
    Facts(Box<IssueFacts>),
    /// All that a turn needs; it has begun.
    Ready(Box<Candidate>),
}

/// What all cells have in common in the light of what is known.
pub(super) struct ViewContext<'a> {
    pub(super) missions_root: &'a str,
    pub(super) forge: Option<&'a ForgeUrl>,
    pub(super) stale_after: Duration,
    pub(super) now: Timestamp,
    pub(super) starts: &'a Starts,
    pub(super) close_grace: TimeDelta,
}

impl ViewContext<'_> {
    /// The time, and when it began for this daemon.
    pub(super) fn time(&self) -> (Timestamp, &Starts) {
        (self.now, self.starts)
    }
}

impl Fleet {
    /// Takes note of a record as an audit has read it, unless its issue was looked at since.
    pub(crate) fn load(&mut self, record: &Record, read_at: Instant) {
        let before = self.known.get(&place_of(&record.issue));
        if before.and_then(|before| before.looked_at).is_some_and(|looked_at| looked_at >= read_at) {
            return;
        }
        // It is in the record only once the issue is looked at.
        let hold = before.map(|before| before.hold).filter(|hold| *hold != HoldState::None);
        let closing = before.map(|before| before.closing).filter(|closing| *closing != HoldState::None);
        let known = self.track(record);
        known.hold = hold.unwrap_or(known.hold);
        known.closing = closing.unwrap_or(known.closing);
    }

    /// Begins a pass; the missions that the last one found closed together with too many others, which are looked at again.
    pub(super) fn begin_pass(&mut self) -> Vec<Key> {
        self.new_cells = 0;
        self.closed_before = std::mem::take(&mut self.closed);
        self.carried = self.promised.keys().copied().collect();
        let held = self.known.iter_mut().filter(|(_, known)| known.closing == HoldState::Held);
        let confirmed = held.map(|((repository, number), known)| {
            known.closing = HoldState::Confirmed;
            Key::Issue { repository: *repository, number: *number }
        });
        confirmed.collect()
    }

    /// Takes note of an issue that a look found closed. What no listing of this pass told waits for the next pass, however
    /// few they are: a series of webhooks is no better news than a listing.
    pub(super) fn find_one_closed(&mut self, facts: &IssueFacts) {
        let place = place_of(&facts.key);
        let is_told = self.closed.contains(&place);
        self.find_closed([facts]);
        if !is_told
            && self.closed.contains(&place)
            && let Some(known) = self.known.get_mut(&place)
        {
            known.closing = HoldState::Held;
        }
    }

    /// Takes note of issues that a pass found closed. If they are too many in this pass and the one before, they are held
    /// until the next one.
    pub(crate) fn find_closed<'a>(&mut self, found: impl IntoIterator<Item = &'a IssueFacts>) {
        for facts in found.into_iter().filter(|facts| facts.state == IssueState::Closed) {
            let place = place_of(&facts.key);
            let is_news = |known: &Tracked| known.closing != HoldState::Confirmed && has_cell(&known.record);
            if self.known.get(&place).is_some_and(is_news) {
                self.closed.insert(place);
            }
        }
        // Each look comes by here, and hardly any finds something closed.
        if self.closed.is_empty() {
            return;
        }
        let closings = self.known.iter().map(|(place, known)| {
            // One that was let through in this pass counts on.
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
                "{} missions with cells are closed at once; no more is archived before the next pass finds them closed too",
                held.len()
            );
        }
    }

    /// Whether a mission degraded or was closed together with too many others and waits for the next pass, or its cell is
    /// about to be moved away by a clock that has jumped.
    pub(crate) fn is_held(&self, place: IssueRef) -> bool {
        let is_held = |known: &Tracked| known.hold == HoldState::Held || known.closing == HoldState::Held;
        let is_moved_away = |known: &Tracked| self.is_clock_unsure && known.record.ended_at.is_some();
        self.known.get(&place).is_some_and(|known| is_held(known) || is_moved_away(known))
    }

    /// Takes note of a record as it is now.
    pub(super) fn track(&mut self, record: &Record) -> &mut Tracked {
        let place = place_of(&record.issue);
        let mut known = Tracked::new(record);
        if let Some(before) = self.known.get(&place) {
            // Only the next sweep lets go of it.
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
        self.known.get_mut(&place).expect("it was put there a line ago, always")
    }

    /// Takes note of our comment as a record has it now.
    pub(super) fn note_comment(&mut self, record: &Record) {
        if let Some(known) = self.known.get_mut(&place_of(&record.issue)) {
            known.record.comment.clone_from(&record.comment);
        }
    }

    /// The cells that should be there.
    pub(super) fn expected(&self) -> Vec<MissionId> {
        let ours = self.known.values().filter(|known| known.record.is_served_here());
        let whole = ours.filter_map(|known| known.record.binding.as_ref().filter(|binding| binding.was_complete));
        whole.map(|binding| binding.mission_id).collect()
    }

    /// The ids of the issues of a repository that are known.
    pub(super) fn issues_of(&self, repository: RepositoryId) -> BTreeSet<i64> {
        let known = self.known.range((repository, i64::MIN)..=(repository, i64::MAX));
        known.map(|(_, known)| known.record.issue.issue_id).collect()
    }

    /// Takes what a listing told of an issue; whether it is news.
    pub(super) fn enqueue_if_changed(&mut self, facts: IssueFacts, asked_at: Instant) -> bool {
        let place = place_of(&facts.key);
        let is_news = self.is_event(&facts, asked_at);
        if is_news {
            self.news.insert(place, News { told: ListedFacts::Facts(Box::new(facts)), asked_at });
        }
        is_news
    }

    /// Takes a mission whose turn has begun, unless its issue was looked at since; whether it did. A cell that it is about to
    /// have is its own from then on.
    pub(super) fn enqueue_candidate(&mut self, mut candidate: Candidate, asked_at: Instant) -> bool {
        let place = place_of(&candidate.seen.issue.key);
        let is_news = self.is_event(&candidate.seen.issue, asked_at);
        if is_news {
            self.confirms(&mut candidate);
            self.news.insert(place, News { told: ListedFacts::Ready(Box::new(candidate)), asked_at });
        }
        is_news
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

    /// What a listing told of an issue, unless it was looked at since; each is taken once.
    pub(super) fn take_news(&mut self, place: IssueRef) -> Option<(ListedFacts, Instant)> {
        let News { told, asked_at } = self.news.remove(&place)?;
        let looked_at = self.known.get(&place).and_then(|known| known.looked_at);
        looked_at.is_none_or(|looked_at| looked_at < asked_at).then_some((told, asked_at))
    }

    /// Whether a turn that was planned a while ago may still be taken: its cell has the same owner as then.
    pub(super) fn confirms(&mut self, candidate: &mut Candidate) -> bool {
        let Candidate { seen, turn, .. } = candidate;
        let bound = self.places.get(&seen.mission_id).and_then(|place| self.known.get(place));
        self.claims.owner(seen, turn.situation(seen), bound.map(Tracked::issue)) == seen.owner
    }

    /// Reserves capacity, until [`Fleet::release`].
    pub(super) fn reserve(&mut self, key: &IssueKey, mission_id: MissionId) {
        let occupant = Occupant { mission_id, author_id: key.author_id, is_open: true };
        self.promised.insert(place_of(key), occupant);
    }

    /// What was reserved was taken, by a new cell, or is not needed any more.
    pub(super) fn release(&mut self, place: IssueRef, new_cell: Option<MissionId>) {
        self.promised.remove(&place);
        self.claims.release(place);
        let is_carried = self.carried.remove(&place);
        self.new_cells += usize::from(new_cell.is_some() && !is_carried);
        self.existing.extend(new_cell);
    }

    /// The issue that a cell is bound to.
    pub(crate) fn bound_to(&self, id: MissionId) -> Option<&IssueKey> {
        self.known.get(self.places.get(&id)?).map(Tracked::issue)
    }

    /// Finds the owner of the cell, and whether there is capacity for one that wants it, beside all others that wait; if so,
    /// it is reserved.
    pub(super) fn place(&mut self, candidate: &mut Candidate, limits: CapacityLimits) {
        let alone = candidate.turn.situation(&candidate.seen);
        let bound = self.places.get(&candidate.seen.mission_id).and_then(|place| self.known.get(place));
        candidate.seen.owner = self.claims.owner(&candidate.seen, alone, bound.map(Tracked::issue));
        if !alone.wants_capacity(&candidate.seen) {
            return;
        }
        let (key, place) = (&candidate.seen.issue.key, place_of(&candidate.seen.issue.key));
        if self.promised.contains_key(&place) {
            candidate.seen.admission = Admission::Admitted;
            return;
        }
        let others = self.waiting().filter(|(other, _)| **other != place && !self.promised.contains_key(other));
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

    /// Those that waited for capacity and have it now.
    pub(super) fn admitted(&self, limits: CapacityLimits) -> Vec<Key> {
        let admissions = self.admit(self.waiting().map(|(_, known)| known.issue()), limits);
        let has_room = |known: &Tracked| {
            let key = known.issue();
            admissions.get(&(key.repository_id, key.issue_id)) == Some(&Admission::Admitted)
        };
        // One that was promised capacity is looked at, or is once its checkout has ended.
        let admitted = self.waiting().filter(|(place, known)| has_room(known) && !self.promised.contains_key(place));
        admitted.map(|((repository, number), _)| Key::Issue { repository: *repository, number: *number }).collect()
    }

    /// Decides among candidates, beside all that have a cell or were promised one, who keep what they were promised; by
    /// repository id and issue id.
    pub(crate) fn admit<'a>(
        &self,
        candidates: impl Iterator<Item = &'a IssueKey>,
        limits: CapacityLimits,
    ) -> HashMap<(RepositoryId, i64), Admission> {
        let new_cells = self.new_cells + self.promised.len() - self.carried.len();
        let (promised, candidates): (Vec<_>, Vec<_>) =
            candidates.partition(|key| self.promised.contains_key(&place_of(key)));
        let occupants =
            self.known.values().filter_map(|known| Occupant::of(&known.record)).chain(self.promised.values().copied());
        let capacity = Capacity { existing: &self.existing, limits, shortage: self.shortage, new_cells };
        let mut admissions = admit(candidates, occupants, capacity);
        admissions.extend(promised.into_iter().map(|key| ((key.repository_id, key.issue_id), Admission::Admitted)));
        admissions
    }

    /// Judges every cell after a sweep; the missions that have to be looked at.
    pub(super) fn judge(&mut self, watch: &CellCache, ground: &ViewContext<'_>) -> Vec<Key> {
        self.existing =
            watch.all().filter(|(_, seen)| seen.sighting != CellObservation::Absent).map(|(id, _)| id).collect();
        self.views.retain(|id, view| watch.seen(*id).is_some() || !view.has_cell);
        self.show_all_archived(ground);
        let verdicts: Vec<(MissionId, Verdict)> =
            watch.all().map(|(id, seen)| (id, self.verdict(id, seen, ground))).collect();
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
            self.show(id, &seen.sighting, verdict, ground);
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
            if !is_unsure && known.needs_turn(verdict, &seen.sighting, (ground.now, ground.close_grace)) {
                keys.push(Key::Issue { repository: place.0, number: place.1 });
            }
        }
        keys
    }

    /// Whether a verdict is published only once another pass has seen the same by this host's clock.
    fn waits_for_clock(&self, id: MissionId, verdict: Verdict) -> bool {
        let record = self.of_mission(id).map(|known| &known.record);
        record.is_some_and(|record| record.is_served_here() && waits(record, verdict))
    }

    pub(super) fn of_mission(&self, id: MissionId) -> Option<&Tracked> {
        self.known.get(self.places.get(&id)?)
    }

    fn verdict(&self, id: MissionId, seen: &Seen, ground: &ViewContext<'_>) -> Verdict {
        let sighting = &seen.sighting;
        if let Some(verdict) = self.of_mission(id).and_then(|known| known.verdict(sighting, ground.time())) {
            return verdict;
        }
        let stale_after = seen.own_limit.map_or(ground.stale_after, Duration::from_secs);
        assess(&Facts { sighting, bound: false, ever_heartbeat: false, stale_after, now: ground.now })
    }

    /// Takes note of how one cell looks; its issue, if that has to be looked at.
    pub(super) fn observe(
        &mut self,
        id: MissionId,
        sighting: &CellObservation,
        ground: &ViewContext<'_>,
    ) -> Option<Key> {
        let place = *self.places.get(&id)?;
        let verdict = self.known.get(&place)?.verdict(sighting, ground.time())?;
        self.show(id, sighting, verdict, ground);
        let known = self.known.get(&place)?;
        let needs_turn = known.needs_turn(verdict, sighting, (ground.now, ground.close_grace));
        needs_turn.then_some(Key::Issue { repository: place.0, number: place.1 })
    }
}

pub(crate) fn place_of(key: &IssueKey) -> IssueRef {
    (key.repository_id, key.number)
}

/// By which an issue is recognised that nothing has happened to.
pub(crate) fn fingerprint(facts: &IssueFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    let IssueFacts { key, title, body, url, labels, state, due_at, updated_at, comments } = facts;
    (key.issue_id, title, body, url, state, due_at, updated_at, comments).hash(&mut hasher);
    for label in labels {
        (label.id, &label.name, label.is_exclusive).hash(&mut hasher);
    }
    hasher.finish()
}

/// What is kept in mind of alarms.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// Who may speak, by repository and number, until somebody has looked at it.
    pub(super) permits: BTreeMap<IssueRef, AlertPermit>,
    /// What is to be done for many.
    pub(super) task: Option<Task>,
    /// How many waited for another hour at the last sweep.
    pub(super) waiting: usize,
}

/// What is to be done for many.
#[derive(Debug)]
pub(super) enum Task {
    /// Find out whether a comment was posted.
    Settle(FleetAlertRecord),
    /// Say it, or remember it.
    Do(Change),
}

impl Alerts {
    /// Whether a mission may speak in the look that is under way.
    pub(super) fn allowance(&self, place: IssueRef) -> AlertPermit {
        self.permits.get(&place).copied().unwrap_or(AlertPermit::Denied)
    }

    /// The look at it has ended, whatever came of it.
    pub(super) fn end(&mut self, place: IssueRef) {
        self.permits.remove(&place);
    }
}
