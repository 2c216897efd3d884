//! A world in memory: a forge with one issue, a disk, and what is remembered; and passes over it, as `reconcile` makes them.

use crate::support::cells::{at, seconds};
use crate::support::missions::{body, make, proposal};
use lazarus::mission::alert::state::AlertMarker;
use lazarus::mission::cell::archive::ArchiveName;
use lazarus::mission::cell::worktree::DirectoryId;
use lazarus::mission::cell::{CellObservation, ReadFailure};
use lazarus::mission::fleet::admission::Admission;
use lazarus::mission::fleet::mass_change_guard::{Closing, Guarded, has_cell, held, held_closings};
use lazarus::mission::identity::MissionId;
use lazarus::mission::observation::{
    AlertPermit, CommentFacts, Comments, IssueFacts, LabelEvent, Observation, Origin, PassContext, Timeline,
};
use lazarus::mission::person::Person;
use lazarus::mission::plan::change::Change;
use lazarus::mission::plan::missing_facts::MissingFacts;
use lazarus::mission::plan::project::project;
use lazarus::mission::plan::step::{Candidate, Step};
use lazarus::mission::record::{IssueKey, IssueState, Record};
use lazarus::mission::status::comment::{marker, render};
use lazarus::mission::status::label::Label;
use lazarus::mission::status::lifecycle::Lifecycle;
use lazarus::mission::status::view::Status;
use lazarus::mission::status::written::Written;
use lazarus::mission::text::sha256;
use lazarus::mission::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The author of the proposal.
pub(super) const AUTHOR: i64 = 4;

/// The account of a comment that only looks like ours.
pub(super) const STRANGER: i64 = 9;

/// All there is. Its parts are changed by people, by wizards and by passes.
#[derive(Clone)]
pub(super) struct World {
    pub(super) here: PassContext,
    pub(super) issue: IssueFacts,
    pub(super) comments: Vec<CommentFacts>,
    pub(super) timeline: Vec<LabelEvent>,
    pub(super) forge_now: Timestamp,
    pub(super) origin: Origin,
    pub(super) record: Option<Record>,
    pub(super) cells: BTreeMap<MissionId, CellObservation>,
    pub(super) archives: BTreeMap<ArchiveName, CellObservation>,
    /// Why nothing on the disk can be seen, if so.
    pub(super) blind: Option<ReadFailure>,
    /// Cells that belong to another issue.
    pub(super) owned: BTreeMap<MissionId, IssueKey>,
    pub(super) admission: Admission,
    /// Whether it may raise an alarm now.
    pub(super) allowance: AlertPermit,
    /// Whether many others turn together with this one.
    pub(super) is_one_of_many: bool,
    /// Whether a checkout succeeds.
    pub(super) is_git_well: bool,
    /// What each comment of ours asks to be approved.
    pub(super) asks: BTreeMap<i64, Option<String>>,
    /// The text of each comment of ours as we left it.
    pub(super) left: BTreeMap<i64, String>,
    /// Title and body when a pass read them first.
    pub(super) first_text: Option<(String, String)>,
    /// What somebody who may has approved with the question before their eyes.
    pub(super) approved: BTreeSet<String>,
    /// How many passes in a row were told that there is no such issue.
    pub(super) told_gone: u32,
    pub(super) next_id: i64,
    /// The directory in staging that holds a checkout. It outlives the pass, as in a daemon.
    pub(super) staged: Option<DirectoryId>,
    /// What happens when the next pass asks for facts again after it has begun.
    pub(super) meanwhile: Option<Meanwhile>,
}

/// What happens while a pass asks for facts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Another root has taken the mission.
    AnotherTakesIt,
    /// The forge does not answer.
    NoAnswer,
}

/// One step of a turn: what it saw, what it planned, and what of that it did; the last one plans nothing.
pub(super) struct Half {
    /// What was asked for since the step before.
    pub(super) asked: Vec<MissingFacts>,
    pub(super) seen: Observation,
    pub(super) planned: Vec<Change>,
    pub(super) made: Vec<Change>,
    /// Whether a comment that was to be edited was found deleted.
    pub(super) has_lost: bool,
}

impl World {
    /// An issue that was filed just now.
    pub(super) fn new() -> Self {
        let filed = proposal(&[]);
        Self {
            here: (*filed.here).clone(),
            issue: IssueFacts { body: body(&[]), ..filed.issue },
            comments: Vec::new(),
            timeline: Vec::new(),
            forge_now: at(0),
            origin: Origin::NotFound,
            record: None,
            cells: BTreeMap::new(),
            archives: BTreeMap::new(),
            blind: None,
            owned: BTreeMap::new(),
            admission: Admission::Admitted,
            allowance: AlertPermit::Granted { others: 0 },
            is_one_of_many: false,
            is_git_well: true,
            asks: BTreeMap::new(),
            left: BTreeMap::new(),
            first_text: None,
            approved: BTreeSet::new(),
            told_gone: 0,
            next_id: 50,
            staged: None,
            meanwhile: None,
        }
    }

    /// What disk and memory tell.
    pub(super) fn glanced(&self) -> Observation {
        self.glanced_from(PassContext { effort: Arc::default(), ..self.here.clone() })
    }

    fn glanced_from(&self, here: PassContext) -> Observation {
        let issue = match (&self.record, self.issue.state) {
            (Some(record), IssueState::Deleted) => IssueFacts::deleted(record, self.here.now),
            _ => IssueFacts { comments: i64::try_from(self.comments.len()).unwrap(), ..self.issue.clone() },
        };
        let mut seen = Observation::new(Arc::new(here), issue, self.record.clone());
        seen.sighting = self.look(seen.mission_id);
        let record = self.record.as_ref();
        let has_moved = record.is_some_and(|record| record.archive.is_some() || record.other_owner.is_some());
        if seen.binding().is_some() && (has_moved || !seen.issue.is_open()) {
            let kept = record.and_then(|record| record.archive);
            seen.archive.kept = kept.and_then(|name| self.archives.get(&name)).cloned();
            while self.archives.contains_key(&seen.archive.free) {
                seen.archive.free = seen.archive.free.next();
            }
        }
        seen.owner = self.owned.get(&seen.mission_id).cloned();
        seen.admission = self.admission;
        seen.alert_permit = self.allowance;
        seen
    }

    fn look(&self, mission_id: MissionId) -> CellObservation {
        let there = || self.cells.get(&mission_id).cloned().unwrap_or(CellObservation::Absent);
        self.blind.map_or_else(there, CellObservation::Failed)
    }

    /// The same, with what the forge answers where the plan depends on it.
    pub(super) fn observed(&self) -> Observation {
        let here = PassContext { effort: Arc::default(), ..self.here.clone() };
        self.candidate(here).0.seen
    }

    /// A mission whose turn is about to begin, with all facts that it asks for, and how often it was told some.
    fn candidate(&self, here: PassContext) -> (Candidate, u64) {
        let mut candidate = Candidate::new(self.glanced_from(here));
        if self.is_one_of_many {
            candidate.seen.is_held = is_degrading(&mut candidate);
        }
        let mut facts = 0;
        loop {
            let was_unread = candidate.seen.comments == Comments::Unread;
            let missing = candidate.missing();
            // An issue without comments need not be asked for them.
            facts += u64::from(was_unread && candidate.seen.comments != Comments::Unread);
            if missing.is_empty() {
                return (candidate, facts);
            }
            self.answer(&missing, &mut candidate.seen);
            candidate.turn.answered();
            facts += 1;
        }
    }

    /// What forge and memory tell when they are asked.
    pub(super) fn answer(&self, missing: &MissingFacts, seen: &mut Observation) {
        let MissingFacts { comments, comment: _, timeline, origin, record } = missing;
        if *comments {
            seen.comments = Comments::Read(self.comments.clone());
            seen.issue.comments = i64::try_from(self.comments.len()).unwrap();
        }
        if *timeline {
            seen.timeline = Timeline::Read(self.timeline.clone());
        }
        if origin.is_some() {
            seen.origin = self.origin;
        }
        if *record {
            seen.record.clone_from(&self.record);
        }
    }

    /// One pass to which nothing happens.
    pub(super) fn pass(&mut self) -> Vec<Half> {
        self.disturbed_pass(|_| {}, |_| false)
    }

    /// One pass whose changes run in this order, and of which some fail.
    pub(super) fn disturbed_pass(
        &mut self,
        order: impl FnMut(&mut Vec<Change>),
        fails: impl Fn(&Change) -> bool,
    ) -> Vec<Half> {
        self.turn(order, fails).0
    }

    /// One pass to which nothing happens, and how often facts were fetched or seen again in it.
    pub(super) fn counted_pass(&mut self) -> (Vec<Half>, u64) {
        self.turn(|_| {}, |_| false)
    }

    fn turn(&mut self, mut order: impl FnMut(&mut Vec<Change>), fails: impl Fn(&Change) -> bool) -> (Vec<Half>, u64) {
        if self.record.is_none() && self.issue.state == IssueState::Deleted {
            return (Vec::new(), 0);
        }
        self.told_gone = if self.issue.state == IssueState::Deleted { self.told_gone + 1 } else { 0 };
        let (mut candidate, mut facts) = self.candidate(self.here.clone());
        let (mut halves, mut asked) = (Vec::new(), Vec::new());
        loop {
            match candidate.next_step() {
                Step::Ask(missing) => {
                    self.tell_again(&missing, &mut candidate);
                    asked.push(missing);
                    facts += 1;
                }
                Step::Apply(mut planned) => {
                    order(&mut planned);
                    let seen = candidate.seen.clone();
                    let (made, has_lost) = self.carry_out(&planned, &fails, &mut candidate.turn);
                    halves.push(Half { asked: std::mem::take(&mut asked), seen, planned, made, has_lost });
                }
                Step::Look => {
                    candidate.seen.sighting = self.look(candidate.seen.mission_id);
                    candidate.seen.record = self.record.clone().or(candidate.seen.record);
                    facts += 1;
                }
                Step::Done => break,
            }
        }
        if self.record.is_some() {
            self.first_text.get_or_insert((self.issue.title.clone(), self.issue.body.clone()));
        }
        halves.push(Half { asked, seen: candidate.seen, planned: Vec::new(), made: Vec::new(), has_lost: false });
        self.is_one_of_many = false;
        (halves, facts)
    }

    /// Makes one change, as forge and disk would; whether it succeeded.
    pub(super) fn make(&mut self, change: &Change) -> bool {
        let before = self.glanced();
        match change {
            Change::CheckOut { issue: _, mission_id: _, source } => {
                return self.check_out(&before, source);
            }
            Change::CreateCell { .. }
            | Change::BindCell { .. }
            | Change::ArchiveCell { .. }
            | Change::RestoreCell { .. }
            | Change::RestorePart { .. }
            | Change::UpdateFile { .. } => self.change_disk(&before, change),
            Change::PostComment { issue: _, status, is_repost } => self.post(status, *is_repost),
            Change::EditComment { issue: _, id, status, is_claim, requested_at } => {
                self.edit(*id, status, (!is_claim, *requested_at));
            }
            Change::RemoveComment { issue: _, id } => self.comments.retain(|comment| comment.id != *id),
            Change::AddLabels { .. }
            | Change::RemoveLabel { .. }
            | Change::ReplaceLabels { .. }
            | Change::RecordComment { .. }
            | Change::RecordAlert { .. }
            | Change::RecordFailure { .. }
            | Change::WriteRecord { .. } => self.write_down(before, change),
            Change::PostAlert { issue: _, alert_message, memory: _ } => {
                self.sound(alert_message.marker());
                self.write_down(before, change);
            }
            Change::InitialiseRoot { .. }
            | Change::UpdateRoot { .. }
            | Change::CreateLabel { .. }
            | Change::CorrectLabel { .. }
            | Change::PostFleetAlert { .. }
            | Change::RecordFleetAlert { .. } => panic!("no plan for a mission holds this: {change}"),
        }
        true
    }

    fn write_down(&mut self, mut before: Observation, change: &Change) {
        make(&mut before, change);
        self.record = before.record;
        let me = self.here.me;
        let old: BTreeSet<String> = self.issue.labels.iter().map(|label| label.name.clone()).collect();
        let new: BTreeSet<String> = before.issue.labels.iter().map(|label| label.name.clone()).collect();
        if change.is_about_labels() {
            self.issue.labels = before.issue.labels;
            self.issue.updated_at = self.forge_now;
        }
        for name in old.symmetric_difference(&new).filter(|_| change.is_about_labels()) {
            self.tell(me, name, new.contains(name));
        }
    }

    /// A line of the timeline.
    pub(super) fn tell(&mut self, who: i64, name: &str, is_added: bool) {
        let Some(label) = Label::named(name) else { return };
        let who = Person { id: who, login: format!("person{who}") };
        self.timeline.push(LabelEvent { id: self.next_id, at: self.forge_now, who, label, is_added });
        self.next_id += 1;
    }

    /// An alarm is one new comment.
    pub(super) fn sound(&mut self, marker: AlertMarker) {
        let (poster, now, alarm) = (self.here.me, self.forge_now, Some(marker));
        let id = self.next_id;
        let body_sha256 = sha256(&format!("{id}, an alarm"));
        self.comments.push(CommentFacts {
            id,
            poster,
            marker: None,
            alert: alarm,
            body_sha256,
            created_at: now,
            updated_at: now,
        });
        self.next_id += 1;
        self.issue.updated_at = now;
    }

    fn post(&mut self, status: &Status, is_repost: bool) {
        let id = self.next_id;
        let comment = self.say(id, status).posted(status, is_repost.then_some(self.here.now));
        self.next_id += 1;
        self.issue.updated_at = self.forge_now;
        self.own_record().comment = Some(comment);
    }

    fn edit(&mut self, id: i64, status: &Status, (is_confirmed, requested_at): (bool, Option<Timestamp>)) {
        let written = self.say(id, status);
        let record = self.own_record();
        record.comment = Some(written.edited(status, is_confirmed, requested_at, record.comment.as_ref()));
    }

    fn own_record(&mut self) -> &mut Record {
        let key = self.issue.key.clone();
        self.record.get_or_insert_with(|| Record::new(key))
    }

    fn say(&mut self, id: i64, status: &Status) -> Written {
        let (poster, now) = (self.here.me, self.forge_now);
        let (marker, body_sha256) = (Some(marker(&self.here, status)), sha256(&render(&self.here, status)));
        self.asks.insert(id, status.requested_digest());
        self.left.insert(id, body_sha256.clone());
        let written = Written { id, body_sha256: body_sha256.clone(), updated_at: now };
        if let Some(ours) = self.comments.iter_mut().find(|comment| comment.id == id) {
            // An edit that changes nothing is not stored.
            if ours.body_sha256 == body_sha256 {
                return Written { updated_at: ours.updated_at, ..written };
            }
            (ours.marker, ours.body_sha256, ours.updated_at) = (marker, body_sha256, now);
        } else {
            let (alarm, created_at) = (None, now);
            self.comments.push(CommentFacts {
                id,
                poster,
                marker,
                alert: alarm,
                body_sha256,
                created_at,
                updated_at: now,
            });
        }
        written
    }

    fn change_disk(&mut self, before: &Observation, change: &Change) {
        assert!(self.blind.is_none() || matches!(change, Change::BindCell { .. }), "{change}: nobody can see there");
        let mut after = project(before, std::slice::from_ref(change));
        let id = before.mission_id;
        if let Change::CreateCell { manifest, worktree, record: _ } = change {
            assert_eq!((&before.sighting, manifest.mission_id), (&CellObservation::Absent, id), "{change}");
            self.take_staged(&mut after, worktree.as_ref());
        }
        if let Change::ArchiveCell { manifest: _, name, record: _ } = change {
            self.archive(id, *name);
        }
        if let Change::RestoreCell { manifest: _, name, displaced, missing: _, record: _ } = change {
            if let Some(displaced) = displaced {
                self.archive(id, *displaced);
            }
            assert_eq!(self.cells.get(&id), None, "{change}: something is in the way");
            assert!(self.archives.remove(name).is_some(), "{change}: nothing lies there");
        }
        self.record = after.record;
        match after.sighting {
            CellObservation::Absent => drop(self.cells.remove(&id)),
            CellObservation::Failed(_) => {}
            there @ (CellObservation::NotADirectory(_) | CellObservation::Cell(_)) => {
                drop(self.cells.insert(id, there));
            }
        }
    }

    fn archive(&mut self, id: MissionId, name: ArchiveName) {
        let moved = self.cells.remove(&id).expect("there is something to be moved");
        assert!(self.archives.insert(name, moved).is_none(), "`{name}` is taken");
    }

    /// Whether a pass more has to look, before it is believed or confirmed what the last one has seen or said.
    pub(super) fn waits(halves: &[Half]) -> bool {
        let is_waiting = |half: &Half| half.seen.is_held || matches!(Lifecycle::of(&half.seen), Lifecycle::Missing);
        // What came back gets in the next pass the repository that was asked for meanwhile.
        let is_first = |change: &Change| change.is_claim() || matches!(change, Change::RestoreCell { .. });
        halves.iter().any(|half| is_waiting(half) || half.made.iter().any(is_first))
    }

    /// Passes until nothing waits any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..3 {
            if !Self::waits(&self.pass()) {
                return;
            }
        }
    }

    /// Some seconds later.
    pub(super) fn later(&mut self, shift: i64) {
        self.here.now = self.here.now.plus(seconds(shift));
        self.forge_now = self.forge_now.plus(seconds(shift));
    }
}

/// Whether it would be held back, were it one of many.
fn is_degrading(candidate: &mut Candidate) -> bool {
    let was_open = candidate.seen.record.as_ref().is_some_and(|record| record.state == IssueState::Open);
    let is_deleted = matches!(candidate.lifecycle(), Lifecycle::Deleted(_));
    let guarded = Guarded::of(&candidate.seen);
    let is_held = guarded.is_some_and(|mission| !held((0..5).map(|at| (at, mission))).is_empty());
    let is_closing = candidate.seen.record.as_ref().is_some_and(|record| {
        let is_closed = candidate.seen.issue.state == IssueState::Closed;
        let closing = Closing { has_cell: has_cell(record), is_closed, awaits_confirmation: record.is_closing };
        !held_closings((0..5).map(|at| (at, closing))).is_empty()
    });
    is_held || is_closing || (was_open && is_deleted)
}
