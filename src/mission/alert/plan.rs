//! Plans the alerts of one mission from its published status, its alert record, the time and the `notify`
//! configuration.

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

/// The state of one mission that alerts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertState {
    /// The condition that its published status meets.
    pub condition: AlertCondition,
    /// Since when it has failed without a break.
    pub failing_since: Option<Timestamp>,
    /// The firing alert.
    pub firing: Option<FiringAlert>,
    /// Whether it is active here and not suspended.
    pub is_watched: bool,
    /// Whether its issue is closed, which resolves a firing alert.
    pub is_closed: bool,
}

impl AlertState {
    /// The alert state that follows from a record.
    #[must_use]
    pub fn of(record: &Record, notify: &Notify) -> Self {
        let is_here = record.state == IssueState::Open && record.other_owner.is_none() && record.archive.is_none();
        let is_active = record.published.as_ref().is_some_and(|published| published.phase == Phase::Active)
            && record.suspension.is_none();
        Self {
            condition: condition(record.published.as_ref(), notify),
            failing_since: record.failing_since,
            firing: record.alert.firing,
            is_watched: is_here && is_active && record.binding.is_some(),
            is_closed: record.state == IssueState::Closed && record.other_owner.is_none(),
        }
    }

    /// The notification to post now, if any.
    #[must_use]
    pub fn next_notification(&self, notify: &Notify, now: Timestamp) -> Option<Notification> {
        if self.is_closed {
            return self.firing.filter(|firing| notify.on.contains(&firing.cause)).map(|_| Notification::Resolved);
        }
        if !self.is_watched {
            return None;
        }
        match (self.condition, self.firing) {
            (AlertCondition::Failing(_), None) => {
                let is_long = self.failing_since.is_some_and(|since| has_passed(since, notify.after, now));
                is_long.then_some(Notification::Firing)
            }
            (AlertCondition::Failing(_), Some(firing)) => {
                let is_long = notify.repeat.is_some_and(|repeat| has_passed(firing.at, repeat, now));
                is_long.then_some(Notification::Reminder)
            }
            (AlertCondition::Ok, Some(firing)) => notify.on.contains(&firing.cause).then_some(Notification::Resolved),
            (AlertCondition::Ok, None) | (AlertCondition::Unknown, _) => None,
        }
    }

    /// Whether it fails, or failed before its health became unknown.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_watched && self.failing_since.is_some() && self.condition != AlertCondition::Ok
    }

    /// Whether the firing alert is dropped without a notification: the mission is suspended or served elsewhere, or its
    /// cause is not configured any more.
    fn is_void(&self, notify: &Notify) -> bool {
        let is_unwanted =
            |firing: FiringAlert| self.condition == AlertCondition::Ok && !notify.on.contains(&firing.cause);
        let is_unwatched = !self.is_watched && !self.is_closed;
        self.firing.is_some_and(|firing| is_unwatched || is_unwanted(firing))
    }
}

/// Whether a span has passed. A time further ahead than the span was written by a wrong clock, and counts as passed.
#[must_use]
pub fn has_passed(since: Timestamp, span: TimeDelta, now: Timestamp) -> bool {
    let passed = now.after(since);
    passed >= span || passed < -span
}

/// The alert change that a mission needs, once `record` is its record.
#[must_use]
pub fn plan_alert(observation: &Observation, record: &Record) -> Option<Change> {
    let context = &observation.here;
    let known = observation.record.as_ref().map(|record| record.alert.clone()).unwrap_or_default();
    let state_with =
        |alert: &AlertRecord| AlertState { firing: alert.firing, ..AlertState::of(record, &context.notify) };
    let mut memory = match (known.intent, &observation.comments) {
        (None, _) => known.clone(),
        (Some(_), _) if !state_with(&known).is_watched => known.let_go(),
        // Whether it was posted is unknown until the comments are read.
        (Some(_), Comments::Unread) => return None,
        (Some(intent), Comments::Read(_)) if is_posted(observation, intent) => known.posted_now(intent),
        (Some(_), Comments::Read(_)) => AlertRecord { intent: None, ..known.clone() },
    };
    if state_with(&memory).is_void(&context.notify) {
        memory.firing = None;
    }
    let issue = observation.issue.key.clone();
    if let AlertPermit::Granted { others } = observation.alert_permit
        && let Some(kind) = state_with(&memory).next_notification(&context.notify, context.now)
        && let Some(alert_message) = message(observation, record, &memory, kind)
    {
        let alert_message = Box::new(AlertMessage { others, ..alert_message });
        return Some(Change::PostAlert { issue, alert_message, memory: Box::new(memory) });
    }
    (memory != known).then(|| Change::RecordAlert { issue, memory: Box::new(memory) })
}

fn is_posted(observation: &Observation, intent: AlertIntent) -> bool {
    let Comments::Read(comments) = &observation.comments else { return false };
    let (mission, root) = (Some(observation.mission_id), observation.here.root);
    let wanted = AlertMarker { kind: intent.kind, mission, root, at: intent.at };
    let is_it = |marker| wanted.is_written_as(&marker);
    comments.iter().any(|comment| observation.here.is_ours(comment.poster) && comment.alert.is_some_and(is_it))
}

fn message(
    observation: &Observation,
    record: &Record,
    memory: &AlertRecord,
    kind: Notification,
) -> Option<AlertMessage> {
    let context: &PassContext = &observation.here;
    let (binding, published) = (record.binding.as_ref()?, record.published.as_ref()?);
    let is_closed = record.state == IssueState::Closed;
    // A closed mission publishes no health.
    let unknown = Verdict { health: Health::Unknown, reason: Reason::Io };
    let verdict = published.verdict.or(is_closed.then_some(unknown))?;
    let cause = match (condition(record.published.as_ref(), &context.notify), memory.firing) {
        (AlertCondition::Failing(cause), _) => cause,
        (AlertCondition::Ok | AlertCondition::Unknown, Some(firing)) => firing.cause,
        (AlertCondition::Ok | AlertCondition::Unknown, None) => AlertCause::Health(verdict.health),
    };
    let since = record.failing_since.or(memory.firing.map(|firing| firing.since)).unwrap_or(context.now);
    let alert = match (kind, memory.firing) {
        (Notification::Resolved, Some(firing)) => firing,
        (Notification::Firing | Notification::Reminder | Notification::Resolved, _) => {
            FiringAlert { at: context.now, since, cause }
        }
    };
    Some(AlertMessage {
        intent: AlertIntent { kind, at: context.now, alert },
        mission: binding.mission_id,
        root: context.root,
        name: binding.name.clone(),
        cell: cell_path(&context.missions_root, binding.mission_id),
        host: context.host.clone(),
        is_closed,
        health: verdict.health,
        reason: verdict.reason.word(),
        place: verdict.reason.place().map(CellPath::path),
        flaw: flaw(verdict),
        heartbeat_at: published.heartbeat_at,
        agent_state: published.agent_state,
        message: published.message.clone(),
        wizard: binding.spec.wizard.clone(),
        stale_after_seconds: binding.spec.stale_after_seconds,
        beat_command: heartbeat_command(&context.missions_root, binding.mission_id),
        scan_command: scan_command(&context.missions_root),
        others: 0,
        per_hour: context.notify.per_hour,
        mention: context.notify.mention.clone(),
    })
}
