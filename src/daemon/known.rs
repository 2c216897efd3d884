//! What the daemon keeps in mind of one mission: the record's essence, small enough for ten thousand of them.

use crate::mission::admission::Occupant;
use crate::mission::alarm::Alarm;
use crate::mission::alarm_plan::Standing;
use crate::mission::archive::ArchiveName;
use crate::mission::brake::turns;
use crate::mission::cell::{CellFacts, Part, Sighting};
use crate::mission::ending::may_be_moved;
use crate::mission::fields::Notes;
use crate::mission::flapping::{Cost, Flapping};
use crate::mission::health::{Facts, Reason, Verdict, assess};
use crate::mission::heartbeat::WizardState;
use crate::mission::identity::{MissionId, WizardName};
use crate::mission::mood::mood;
use crate::mission::notify::Notify;
use crate::mission::phase::Phase;
use crate::mission::record::{Happened, IssueKey, IssueState, Record, Said, Suspension};
use crate::mission::time::Timestamp;
use crate::mission::worktree::Worktree;
use chrono::TimeDelta;
use std::time::{Duration, Instant};

/// One issue that we ever spoke on.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) issue: IssueKey,
    pub(super) bound: Option<Bound>,
    pub(super) said: Option<Said>,
    pub(super) flapping: Flapping,
    pub(super) changes: Vec<Happened>,
    /// Since when an alarm is wanted.
    bad_since: Option<Timestamp>,
    /// What was posted of that.
    pub(super) alarm: Alarm,
    /// In the listing of open issues, and not served by another root.
    pub(super) is_ours: bool,
    /// Whether the issue is open, as far as we know.
    pub(super) is_open: bool,
    /// Since when its cell is not wanted here, where that is so and it was not moved away yet.
    ended_at: Option<Timestamp>,
    /// That a person has paused it.
    suspension: Option<Suspension>,
    /// What lies in its worktree; none where nothing is to.
    worktree: Option<Worktree>,
    /// Where its cell was moved to, as long as it lies there.
    archive: Option<ArchiveName>,
    /// Whether a sweep held it back.
    pub(super) brake: Brake,
    /// Whether it waits for room.
    pub(super) wants_room: bool,
    /// The issue as it was when nothing was left to do, by its print.
    pub(super) settled: Option<u64>,
    /// When it was last looked at; what a listing told before is old.
    pub(super) looked_at: Option<Instant>,
}

/// Whether too many turned together with it ([`crate::mission::brake`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brake {
    /// They did not.
    Off,
    /// They did in the last sweep: until the next one nobody is told anything.
    On,
    /// They did in the one before: what is seen now is believed.
    Released,
}

/// The cell that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) mission_id: MissionId,
    pub(super) name: String,
    pub(super) repository: Option<String>,
    pub(super) wizard: Option<WizardName>,
    pub(super) stale_after: Duration,
    pub(super) ever_beat: bool,
    pub(super) seen_whole: bool,
}

impl Known {
    /// What matters of a record.
    pub(super) fn of(record: &Record) -> Self {
        let bound = record.binding.as_ref().map(|binding| Bound {
            mission_id: binding.mission_id,
            name: binding.name.clone(),
            repository: binding.spec.repository.as_ref().map(ToString::to_string),
            wizard: binding.spec.wizard.clone(),
            stale_after: binding.spec.stale_after(),
            ever_beat: binding.ever_beat,
            seen_whole: binding.seen_whole,
        });
        Self {
            issue: record.issue.clone(),
            bound,
            said: record.said,
            flapping: record.flapping.clone(),
            changes: record.changes.clone(),
            bad_since: record.bad_since,
            alarm: record.alarm.clone(),
            is_ours: record.state == IssueState::Open && record.elsewhere.is_none(),
            is_open: record.state == IssueState::Open,
            ended_at: record.ended_at.filter(|_| record.archive.is_none()),
            suspension: record.suspension.clone(),
            worktree: record
                .binding
                .as_ref()
                .and_then(|binding| binding.spec.repository.as_ref())
                .map(|_| record.worktree.clone()),
            archive: record.archive,
            brake: if record.is_unconfirmed { Brake::Released } else { Brake::Off },
            wants_room: false,
            settled: None,
            looked_at: None,
        }
    }

    /// The room that it takes.
    pub(super) fn occupant(&self) -> Option<Occupant> {
        let mission_id = self.bound.as_ref()?.mission_id;
        Some(Occupant { mission_id, author_id: self.issue.author_id, is_open: self.is_ours })
    }

    /// Where it stands as far as alarms go.
    pub(super) fn standing(&self, notify: &Notify) -> Standing {
        let is_active = self.said.is_some_and(|said| said.phase == Phase::Active) && self.suspension.is_none();
        Standing {
            mood: mood(self.said, notify),
            bad_since: self.bad_since,
            raised: self.alarm.raised,
            is_watched: self.is_ours && self.archive.is_none() && is_active && self.bound.is_some(),
        }
    }

    /// The verdict on its cell.
    pub(super) fn verdict(&self, sighting: &Sighting, now: Timestamp) -> Option<Verdict> {
        let bound = self.bound.as_ref()?;
        let has_beaten = facts(sighting).is_some_and(|cell| stamp(cell).is_some());
        let (ever_beat, stale_after) = (bound.ever_beat || has_beaten, bound.stale_after);
        Some(assess(&Facts { sighting, bound: true, ever_beat, stale_after, now }))
    }

    /// Whether its cell vanishes or its wizard falls silent now.
    pub(super) fn is_turning(&self, verdict: Verdict, sighting: &Sighting) -> bool {
        let had_a_cell = self.is_ours && self.bound.as_ref().is_some_and(|bound| bound.seen_whole);
        let is_watched = self.archive.is_none() && self.suspension.is_none();
        had_a_cell && is_watched && self.brake == Brake::Off && turns(self.said, verdict, sighting)
    }

    /// Whether what is there differs from what was said, such that a look at the issue may change that.
    pub(super) fn needs_a_look(
        &self,
        verdict: Verdict,
        sighting: &Sighting,
        now: Timestamp,
        close_grace: TimeDelta,
    ) -> bool {
        if let Some(ended_at) = self.ended_at.filter(|_| self.bound.is_some()) {
            return may_be_moved(verdict.reason, ended_at.plus(close_grace), now) && facts(sighting).is_some();
        }
        let Some(said) = self.said.filter(|_| self.is_ours && self.bound.is_some()) else { return false };
        let lacks = |cell: &CellFacts| Part::ALL.into_iter().any(|part| self.can_be_made_again(cell, part));
        let is_broken = *sighting == Sighting::Absent || facts(sighting).is_some_and(lacks);
        let is_due = match &self.suspension {
            Some(suspension) => suspension.until.is_some_and(|until| until <= now),
            None => is_broken || self.is_checkout_due(now),
        };
        if is_due || self.brake == Brake::Released {
            return true;
        }
        if self.flapping.is_waiting(verdict.health, now) {
            return true;
        }
        let says = facts(sighting).and_then(says).or(said.says);
        let to_tell = self.flapping.held.map_or(verdict, |health| Verdict { health, reason: Reason::Flapping });
        let is_news = said.verdict != Some(to_tell) || says != said.says || notes(sighting) != said.notes;
        is_news && self.flapping.allows(Cost { label_writes: 1, comment_edits: 1 }, now)
    }

    fn is_checkout_due(&self, now: Timestamp) -> bool {
        let retry_at = self.worktree.as_ref().and_then(|worktree| worktree.retry_at(now));
        retry_at.is_some_and(|retry_at| retry_at <= now)
    }

    fn can_be_made_again(&self, cell: &CellFacts, part: Part) -> bool {
        let is_a_beat = part == Part::Heartbeat && self.bound.as_ref().is_some_and(|bound| bound.ever_beat);
        let was_filled = self.worktree.as_ref().is_some_and(|worktree| worktree.checked_out.is_some());
        cell.can_be_made_again(part) && !is_a_beat && !(part == Part::Worktree && was_filled)
    }
}

/// A cell's parts, where there is one.
pub(super) fn facts(sighting: &Sighting) -> Option<&CellFacts> {
    match sighting {
        Sighting::Cell(cell) => Some(cell),
        Sighting::Absent | Sighting::NotADirectory(_) | Sighting::Failed(_) => None,
    }
}

/// What the wizard says, once it has beaten.
pub(super) fn says(cell: &CellFacts) -> Option<WizardState> {
    stamp(cell).and(cell.heartbeat.as_ref()).map(|beat| beat.heartbeat.says())
}

/// The mistakes in how the heartbeat is written.
fn notes(sighting: &Sighting) -> Notes {
    let beat = facts(sighting).and_then(|cell| cell.heartbeat.as_ref());
    beat.map_or(Notes::default(), |beat| beat.notes.of_mistakes())
}

/// When the wizard beat, by the stamp or the file, whichever is older.
pub(super) fn stamp(cell: &CellFacts) -> Option<Timestamp> {
    let beat = cell.heartbeat.as_ref()?;
    Some(beat.heartbeat.timestamp?.min(beat.written_at))
}
