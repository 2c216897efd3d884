//! Decides about the alarms of one mission: from what is published of it, what was posted, the time, and what the operator
//! wants to hear.

use crate::mission::alert::condition::mood;
use crate::mission::alert::config::{Cause, Mood, Notify};
use crate::mission::alert::message::Notice;
use crate::mission::alert::state::{Alarm, AlarmMarker, Intended, Kind, Raised};
use crate::mission::cell::health::{Health, Place, Reason, Verdict};
use crate::mission::observation::{Allowance, Comments, Here, Observation};
use crate::mission::paths::{beat_command, cell_path, scan_command};
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueState, Record};
use crate::mission::status::compose::flaw;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// A mission as far as alarms go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How it is published to be.
    pub mood: Mood,
    /// Since when it has been bad without a break.
    pub bad_since: Option<Timestamp>,
    /// The alarm that stands.
    pub raised: Option<Raised>,
    /// Whether anybody wants to hear of it: it is active here, and nobody has paused it.
    pub is_watched: bool,
    /// Whether its issue was closed, which ends an alert that stands.
    pub is_closed: bool,
}

impl Standing {
    /// Where a mission stands by what is remembered of it.
    #[must_use]
    pub fn of(record: &Record, notify: &Notify) -> Self {
        let is_here = record.state == IssueState::Open && record.elsewhere.is_none() && record.archive.is_none();
        let is_active =
            record.said.as_ref().is_some_and(|said| said.phase == Phase::Active) && record.suspension.is_none();
        Self {
            mood: mood(record.said.as_ref(), notify),
            bad_since: record.bad_since,
            raised: record.alarm.raised,
            is_watched: is_here && is_active && record.binding.is_some(),
            is_closed: record.state == IssueState::Closed && record.elsewhere.is_none(),
        }
    }

    /// What is to be said of it now, if anything is.
    #[must_use]
    pub fn due(&self, notify: &Notify, now: Timestamp) -> Option<Kind> {
        if self.is_closed {
            return self.raised.filter(|raised| notify.on.contains(&raised.cause)).map(|_| Kind::Over);
        }
        if !self.is_watched {
            return None;
        }
        match (self.mood, self.raised) {
            (Mood::Bad(_), None) => {
                let is_long = self.bad_since.is_some_and(|since| has_passed(since, notify.after, now));
                is_long.then_some(Kind::Raised)
            }
            (Mood::Bad(_), Some(raised)) => {
                let is_long = notify.repeat.is_some_and(|repeat| has_passed(raised.at, repeat, now));
                is_long.then_some(Kind::Repeated)
            }
            (Mood::Well, Some(raised)) => notify.on.contains(&raised.cause).then_some(Kind::Over),
            (Mood::Well, None) | (Mood::Unclear, _) => None,
        }
    }

    /// Whether it is as bad as it was when somebody was told, as far as anybody knows.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.is_watched && self.bad_since.is_some() && self.mood != Mood::Well
    }

    /// Whether an alarm stands that nobody waits to hear the end of: the mission was paused or has ended, or such alarms are
    /// not wanted any more.
    fn is_void(&self, notify: &Notify) -> bool {
        let is_unwanted = |raised: Raised| self.mood == Mood::Well && !notify.on.contains(&raised.cause);
        let is_left = !self.is_watched && !self.is_closed;
        self.raised.is_some_and(|raised| is_left || is_unwanted(raised))
    }
}

/// A time that lies ahead by more than the span was noted by a clock that was wrong.
#[must_use]
pub fn has_passed(since: Timestamp, span: TimeDelta, now: Timestamp) -> bool {
    let passed = now.after(since);
    passed >= span || passed < -span
}

/// What the mission's alarms need, once `record` is what is remembered of it.
#[must_use]
pub fn plan_alarm(observation: &Observation, record: &Record) -> Option<Change> {
    let here = &observation.here;
    let known = observation.record.as_ref().map(|record| record.alarm.clone()).unwrap_or_default();
    let standing = |alarm: &Alarm| Standing { raised: alarm.raised, ..Standing::of(record, &here.notify) };
    let mut memory = match (known.intended, &observation.comments) {
        (None, _) => known.clone(),
        (Some(_), _) if !standing(&known).is_watched => known.let_go(),
        // Before they are read, nobody knows.
        (Some(_), Comments::Unread) => return None,
        (Some(intended), Comments::Read(_)) if is_said(observation, intended) => known.said(intended),
        (Some(_), Comments::Read(_)) => Alarm { intended: None, ..known.clone() },
    };
    if standing(&memory).is_void(&here.notify) {
        memory.raised = None;
    }
    let issue = observation.issue.key.clone();
    if let Allowance::Granted { others } = observation.allowance
        && let Some(kind) = standing(&memory).due(&here.notify, here.now)
        && let Some(notice) = notice(observation, record, &memory, kind)
    {
        let notice = Box::new(Notice { others, ..notice });
        return Some(Change::PostAlarm { issue, notice, memory: Box::new(memory) });
    }
    (memory != known).then(|| Change::RememberAlarm { issue, memory: Box::new(memory) })
}

fn is_said(observation: &Observation, intended: Intended) -> bool {
    let Comments::Read(comments) = &observation.comments else { return false };
    let (mission, root) = (Some(observation.mission_id), observation.here.root);
    let wanted = AlarmMarker { kind: intended.kind, mission, root, at: intended.at };
    let is_it = |marker| wanted.is_written_as(&marker);
    comments.iter().any(|comment| observation.here.is_ours(comment.poster) && comment.alarm.is_some_and(is_it))
}

fn notice(observation: &Observation, record: &Record, memory: &Alarm, kind: Kind) -> Option<Notice> {
    let here: &Here = &observation.here;
    let (binding, said) = (record.binding.as_ref()?, record.said.as_ref()?);
    let is_closed = record.state == IssueState::Closed;
    // Of a closed mission nothing is published but that.
    let unknown = Verdict { health: Health::Unknown, reason: Reason::Io };
    let verdict = said.verdict.or(is_closed.then_some(unknown))?;
    let cause = match (mood(record.said.as_ref(), &here.notify), memory.raised) {
        (Mood::Bad(cause), _) => cause,
        (Mood::Well | Mood::Unclear, Some(raised)) => raised.cause,
        (Mood::Well | Mood::Unclear, None) => Cause::Health(verdict.health),
    };
    let since = record.bad_since.or(memory.raised.map(|raised| raised.since)).unwrap_or(here.now);
    let alarm = match (kind, memory.raised) {
        (Kind::Over, Some(raised)) => raised,
        (Kind::Raised | Kind::Repeated | Kind::Over, _) => Raised { at: here.now, since, cause },
    };
    Some(Notice {
        intended: Intended { kind, at: here.now, alarm },
        mission: binding.mission_id,
        root: here.root,
        name: binding.name.clone(),
        cell: cell_path(&here.missions_root, binding.mission_id),
        host: here.host.clone(),
        is_closed,
        health: verdict.health,
        reason: verdict.reason.word(),
        place: verdict.reason.place().map(Place::path),
        flaw: flaw(verdict),
        heartbeat_at: said.heartbeat_at,
        says: said.says,
        message: said.message.clone(),
        wizard: binding.spec.wizard.clone(),
        stale_after_seconds: binding.spec.stale_after_seconds,
        beat_command: beat_command(&here.missions_root, binding.mission_id),
        scan_command: scan_command(&here.missions_root),
        others: 0,
        per_hour: here.notify.per_hour,
        mention: here.notify.mention.clone(),
    })
}
