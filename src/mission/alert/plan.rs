//! Decides about the alarms of one mission: from what is published of it, what was posted, the time, and what the operator
//! wants to hear.

use crate::mission::alert::condition::condition;
use crate::mission::alert::config::{AlertCause, AlertCondition, Notify};
use crate::mission::alert::message::AlertMessage;
use crate::mission::alert::state::{AlertIntent, AlertMarker, AlertRecord, FiringAlert, Notification};
use crate::mission::cell::health::{CellPath, Health, Reason, Verdict};
use crate::mission::observation::{AlertPermit, Comments, Observation, PassContext};
use crate::mission::paths::{cell_path, heartbeat_command, scan_command};
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueState, Record};
use crate::mission::status::compose::flaw;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use chrono::TimeDelta;

/// A mission as far as alarms go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertState {
    /// How it is published to be.
    pub condition: AlertCondition,
    /// Since when it has been bad without a break.
    pub failing_since: Option<Timestamp>,
    /// The alarm that stands.
    pub firing: Option<FiringAlert>,
    /// Whether anybody wants to hear of it: it is active here, and nobody has paused it.
    pub is_watched: bool,
    /// Whether its issue was closed, which ends an alert that stands.
    pub is_closed: bool,
}

impl AlertState {
    /// Where a mission stands by what is remembered of it.
    #[must_use]
    pub fn of(record: &Record, notify: &Notify) -> Self {
        let is_here = record.state == IssueState::Open && record.other_owner.is_none() && record.archive.is_none();
        let is_active =
            record.published.as_ref().is_some_and(|said| said.phase == Phase::Active) && record.suspension.is_none();
        Self {
            condition: condition(record.published.as_ref(), notify),
            failing_since: record.failing_since,
            firing: record.alert.firing,
            is_watched: is_here && is_active && record.binding.is_some(),
            is_closed: record.state == IssueState::Closed && record.other_owner.is_none(),
        }
    }

    /// What is to be said of it now, if anything is.
    #[must_use]
    pub fn next_notification(&self, notify: &Notify, now: Timestamp) -> Option<Notification> {
        if self.is_closed {
            return self.firing.filter(|raised| notify.on.contains(&raised.cause)).map(|_| Notification::Resolved);
        }
        if !self.is_watched {
            return None;
        }
        match (self.condition, self.firing) {
            (AlertCondition::Failing(_), None) => {
                let is_long = self.failing_since.is_some_and(|since| has_passed(since, notify.after, now));
                is_long.then_some(Notification::Firing)
            }
            (AlertCondition::Failing(_), Some(raised)) => {
                let is_long = notify.repeat.is_some_and(|repeat| has_passed(raised.at, repeat, now));
                is_long.then_some(Notification::Reminder)
            }
            (AlertCondition::Ok, Some(raised)) => notify.on.contains(&raised.cause).then_some(Notification::Resolved),
            (AlertCondition::Ok, None) | (AlertCondition::Unknown, _) => None,
        }
    }

    /// Whether it is as bad as it was when somebody was told, as far as anybody knows.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_watched && self.failing_since.is_some() && self.condition != AlertCondition::Ok
    }

    /// Whether an alarm stands that nobody waits to hear the end of: the mission was paused or has ended, or such alarms are
    /// not wanted any more.
    fn is_void(&self, notify: &Notify) -> bool {
        let is_unwanted =
            |raised: FiringAlert| self.condition == AlertCondition::Ok && !notify.on.contains(&raised.cause);
        let is_left = !self.is_watched && !self.is_closed;
        self.firing.is_some_and(|raised| is_left || is_unwanted(raised))
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
pub fn plan_alert(observation: &Observation, record: &Record) -> Option<Change> {
    let here = &observation.here;
    let known = observation.record.as_ref().map(|record| record.alert.clone()).unwrap_or_default();
    let standing = |alarm: &AlertRecord| AlertState { firing: alarm.firing, ..AlertState::of(record, &here.notify) };
    let mut memory = match (known.intent, &observation.comments) {
        (None, _) => known.clone(),
        (Some(_), _) if !standing(&known).is_watched => known.let_go(),
        // Before they are read, nobody knows.
        (Some(_), Comments::Unread) => return None,
        (Some(intended), Comments::Read(_)) if is_posted(observation, intended) => known.posted_now(intended),
        (Some(_), Comments::Read(_)) => AlertRecord { intent: None, ..known.clone() },
    };
    if standing(&memory).is_void(&here.notify) {
        memory.firing = None;
    }
    let issue = observation.issue.key.clone();
    if let AlertPermit::Granted { others } = observation.alert_permit
        && let Some(kind) = standing(&memory).next_notification(&here.notify, here.now)
        && let Some(notice) = message(observation, record, &memory, kind)
    {
        let notice = Box::new(AlertMessage { others, ..notice });
        return Some(Change::PostAlert { issue, notice, memory: Box::new(memory) });
    }
    (memory != known).then(|| Change::RecordAlert { issue, memory: Box::new(memory) })
}

fn is_posted(observation: &Observation, intended: AlertIntent) -> bool {
    let Comments::Read(comments) = &observation.comments else { return false };
    let (mission, root) = (Some(observation.mission_id), observation.here.root);
    let wanted = AlertMarker { kind: intended.kind, mission, root, at: intended.at };
    let is_it = |marker| wanted.is_written_as(&marker);
    comments.iter().any(|comment| observation.here.is_ours(comment.poster) && comment.alert.is_some_and(is_it))
}

fn message(
    observation: &Observation,
    record: &Record,
    memory: &AlertRecord,
    kind: Notification,
) -> Option<AlertMessage> {
    let here: &PassContext = &observation.here;
    let (binding, said) = (record.binding.as_ref()?, record.published.as_ref()?);
    let is_closed = record.state == IssueState::Closed;
    // Of a closed mission nothing is published but that.
    let unknown = Verdict { health: Health::Unknown, reason: Reason::Io };
    let verdict = said.verdict.or(is_closed.then_some(unknown))?;
    let cause = match (condition(record.published.as_ref(), &here.notify), memory.firing) {
        (AlertCondition::Failing(cause), _) => cause,
        (AlertCondition::Ok | AlertCondition::Unknown, Some(raised)) => raised.cause,
        (AlertCondition::Ok | AlertCondition::Unknown, None) => AlertCause::Health(verdict.health),
    };
    let since = record.failing_since.or(memory.firing.map(|raised| raised.since)).unwrap_or(here.now);
    let alarm = match (kind, memory.firing) {
        (Notification::Resolved, Some(raised)) => raised,
        (Notification::Firing | Notification::Reminder | Notification::Resolved, _) => {
            FiringAlert { at: here.now, since, cause }
        }
    };
    Some(AlertMessage {
        intent: AlertIntent { kind, at: here.now, alert: alarm },
        mission: binding.mission_id,
        root: here.root,
        name: binding.name.clone(),
        cell: cell_path(&here.missions_root, binding.mission_id),
        host: here.host.clone(),
        is_closed,
        health: verdict.health,
        reason: verdict.reason.word(),
        place: verdict.reason.place().map(CellPath::path),
        flaw: flaw(verdict),
        heartbeat_at: said.heartbeat_at,
        agent_state: said.agent_state,
        message: said.message.clone(),
        wizard: binding.spec.wizard.clone(),
        stale_after_seconds: binding.spec.stale_after_seconds,
        beat_command: heartbeat_command(&here.missions_root, binding.mission_id),
        scan_command: scan_command(&here.missions_root),
        others: 0,
        per_hour: here.notify.per_hour,
        mention: here.notify.mention.clone(),
    })
}
