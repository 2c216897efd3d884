//! Schedules alerts across the fleet: hourly limit, grouping, reminders.

use crate::mission::alert::config::{AlertCause, AlertCondition, IssueName, Notify};
use crate::mission::alert::message::{FleetAlertMessage, LISTED_MAX, ListedAlert};
use crate::mission::alert::plan::{AlertState, has_passed};
use crate::mission::alert::state::{FleetAlertIntent, FleetAlertRecord, Notification, recent};
use crate::mission::fleet::mass_change_guard::is_share_of_all;
use crate::mission::observation::{AlertPermit, PassContext};
use crate::mission::paths::scan_command;
use crate::mission::plan::change::Change;
use crate::mission::record::{IssueKey, Record};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// For this long after a fleet alert, further failing missions join it without another comment.
pub const TAKES_LATE: TimeDelta = TimeDelta::minutes(10);

/// The most missions that join without a comment, as a multiple of those that the comment covered.
pub const LATE_PER_NAMED: usize = 2;

/// A repository's id and an issue's id.
pub type Member = (i64, i64);

/// A mission that is failing or has a firing alert.
#[derive(Clone, Debug)]
pub struct AlertCandidate {
    /// Its issue.
    pub issue: IssueKey,
    /// Its alert state.
    pub state: AlertState,
    /// Whether it was checked just now, so that its published status is current.
    pub is_seen: bool,
    /// The agent's message to people.
    pub message: Option<String>,
}

impl AlertCandidate {
    fn member(&self) -> Member {
        (self.issue.repository_id, self.issue.issue_id)
    }

    /// Whether it needs an alert of its own now, or will once it has failed for long enough.
    fn needs_alert(&self) -> bool {
        self.is_seen && self.state.is_failing() && self.state.firing.is_none()
    }

    /// Whether its agent waits for a person, which a fleet alert cannot replace.
    fn waits_for_person(&self) -> bool {
        matches!(self.state.condition, AlertCondition::Failing(AlertCause::Wizard(state)) if state.needs_a_person())
    }
}

/// The alert states of all missions.
#[derive(Clone, Debug, Default)]
pub struct FleetAlerts {
    /// The missions that are failing or have a firing alert.
    pub candidates: Vec<AlertCandidate>,
    /// How many missions are watched.
    pub watched: usize,
    /// How many alerts were posted within the last hour, plus those in flight.
    pub recent: usize,
    /// The interval until all missions are checked again; a first alert waits that long for others, to be grouped with
    /// them.
    pub looks_again_after: TimeDelta,
}

/// The alerts to send, and who may send them.
#[derive(Clone, Debug, Default)]
pub struct AlertSchedule {
    /// The missions that may post an alert; all others may not.
    pub permits: BTreeMap<Member, AlertPermit>,
    /// The fleet alert to post, or its record to write.
    pub change: Option<Change>,
    /// How many alerts are pending because of the hourly limit.
    pub waiting: usize,
}

/// The current fleet alert.
struct Group<'a> {
    record: &'a FleetAlertRecord,
    /// The missions that it covers and that are still failing.
    members: BTreeSet<Member>,
}

/// The fleet alert after new missions were added.
struct Grown {
    members: BTreeSet<Member>,
    /// Whether they are added without a comment.
    is_silent: bool,
}

impl Group<'_> {
    fn is_firing(&self) -> bool {
        self.record.firing_since.is_some() && !self.members.is_empty()
    }

    /// Whether its last comment still covers late missions, together with these.
    fn absorbs(&self, together: &BTreeSet<Member>, now: Timestamp) -> bool {
        let named = self.record.named();
        let late = together.difference(named).count();
        let is_recent = self.record.published_at.is_some_and(|published_at| !has_passed(published_at, TAKES_LATE, now));
        is_recent && late < LATE_PER_NAMED * named.len()
    }
}

impl FleetAlerts {
    /// Collects all missions from their records, each with whether its published status is current; `under_way` counts
    /// the alerts in flight.
    #[must_use]
    pub fn gather<'a>(
        missions: impl IntoIterator<Item = (&'a Record, bool)>,
        under_way: usize,
        context: &PassContext,
    ) -> Self {
        let mut alerts = Self { recent: under_way, ..Self::default() };
        for (record, is_seen) in missions {
            alerts.add(record, is_seen, context);
        }
        alerts
    }

    /// Sets the interval until all missions are checked again.
    #[must_use]
    pub fn rechecked_after(self, interval: TimeDelta) -> Self {
        Self { looks_again_after: interval, ..self }
    }

    /// Adds a mission from its record.
    fn add(&mut self, record: &Record, is_seen: bool, context: &PassContext) {
        let state = AlertState::of(record, &context.notify);
        let in_flight = usize::from(record.alert.intent.is_some());
        let count = recent(&record.alert.posted, context.now) + in_flight;
        if let Some(candidate) = self.add_candidate(&record.issue, state, count, is_seen) {
            candidate.message = record.published.as_ref().and_then(|published| published.message.clone());
        }
    }

    /// Adds a mission that posted `recent` alerts within the last hour; returns it if it is failing or has a firing
    /// alert.
    pub fn add_candidate(
        &mut self,
        issue: &IssueKey,
        state: AlertState,
        recent: usize,
        is_seen: bool,
    ) -> Option<&mut AlertCandidate> {
        self.recent += recent;
        self.watched += usize::from(state.is_watched);
        if state.failing_since.is_none() && state.firing.is_none() {
            return None;
        }
        self.candidates.push(AlertCandidate { issue: issue.clone(), state, is_seen, message: None });
        self.candidates.last_mut()
    }

    /// Schedules the alerts. While the fleet's issue rejects comments, each mission alerts on its own issue.
    #[must_use]
    pub fn schedule(self, record: &FleetAlertRecord, context: &PassContext) -> AlertSchedule {
        if record.is_refused(context.now) {
            let own_issue_only = Notify { issue: None, ..context.notify.clone() };
            return self.decide(record, &PassContext { notify: own_issue_only, ..context.clone() });
        }
        self.decide(record, context)
    }

    fn decide(mut self, record: &FleetAlertRecord, context: &PassContext) -> AlertSchedule {
        let (notify, now) = (&context.notify, context.now);
        self.candidates.sort_by_key(|candidate| (candidate.state.failing_since, candidate.member()));
        let group = Group { record, members: self.still_failing(record, notify) };
        let mut capacity = notify.per_hour.saturating_sub(self.recent + recent(&record.posted, now));
        let due = |kind: Notification| -> Vec<&AlertCandidate> {
            let is_due = |candidate: &&AlertCandidate| {
                candidate.is_seen && candidate.state.next_notification(notify, now) == Some(kind)
            };
            let is_alone = |candidate: &&AlertCandidate| !group.members.contains(&candidate.member());
            self.candidates.iter().filter(is_due).filter(is_alone).collect()
        };
        let mut raised = due(Notification::Firing);
        let grown = self.grow(&group, &mut raised, capacity, context);
        let kind = fleet_kind(&group, &grown, notify, now).filter(|_| capacity > 0);
        let change = match (&notify.issue, kind) {
            (Some(issue), Some(kind)) => {
                capacity -= 1;
                Some(self.publish((issue, kind), grown.members, record, context))
            }
            (Some(_), None) if grown.members.is_empty() && record.firing_since.is_some() => None,
            (Some(_) | None, _) => record_members(record, grown.members),
        };
        let last = raised.len().min(capacity);
        let waiting = raised.len() - last;
        let others = |at: usize| if at + 1 == capacity { waiting } else { 0 };
        let candidates = raised
            .into_iter()
            .chain(due(Notification::Resolved))
            .chain(due(Notification::Reminder))
            .map(AlertCandidate::member);
        let allowed = candidates.take(capacity).enumerate();
        let allowed = allowed.map(|(at, member)| (member, AlertPermit::Granted { others: others(at) })).collect();
        AlertSchedule { permits: allowed, change, waiting }
    }

    /// The missions that the fleet alert covers and that are still failing.
    fn still_failing(&self, record: &FleetAlertRecord, notify: &Notify) -> BTreeSet<Member> {
        let failing =
            self.candidates.iter().filter(|candidate| candidate.state.is_failing()).map(AlertCandidate::member);
        failing.filter(|member| notify.issue.is_some() && record.members.contains(member)).collect()
    }

    /// Moves missions from `raised` into the fleet alert: late ones of a firing group; otherwise all failing ones, if
    /// they are many; and those beyond the hourly limit. A first alert waits for others to be grouped with.
    fn grow<'a>(
        &'a self,
        group: &Group<'_>,
        raised: &mut Vec<&'a AlertCandidate>,
        capacity: usize,
        context: &PassContext,
    ) -> Grown {
        let (notify, mut members) = (&context.notify, group.members.clone());
        if notify.issue.is_none() {
            return Grown { members, is_silent: false };
        }
        let mut is_silent = false;
        if group.is_firing() {
            let late =
                raised.iter().filter(|candidate| !candidate.waits_for_person()).map(|candidate| candidate.member());
            let together: BTreeSet<Member> = late.chain(members.iter().copied()).collect();
            is_silent = group.absorbs(&together, context.now);
            if is_silent || capacity > 0 {
                raised.retain(|candidate| candidate.waits_for_person());
                members = together;
            }
        } else {
            raised.retain(|candidate| !self.waits(candidate, context));
            if capacity > 0 && !raised.is_empty() && self.is_many(notify) {
                raised.clear();
                members.extend(
                    self.candidates.iter().filter(|candidate| candidate.needs_alert()).map(AlertCandidate::member),
                );
            }
        }
        // The last comment of an hour is reserved for the missions beyond the limit.
        let fits = if notify.per_hour > 1 || raised.len() > capacity { capacity.saturating_sub(1) } else { capacity };
        if capacity > 0 && raised.len() > fits {
            members.extend(raised.split_off(fits).into_iter().map(AlertCandidate::member));
            is_silent = false;
        }
        Grown { members, is_silent }
    }

    /// Whether those that need an alert, now or soon, are many.
    fn is_many(&self, notify: &Notify) -> bool {
        let count = self.candidates.iter().filter(|candidate| candidate.needs_alert()).count();
        count > notify.many && is_share_of_all(count, self.watched)
    }

    /// Whether an alert waits for others to be grouped with: until all missions were checked once more after the last
    /// one failed, and for at most two intervals. Half an interval of tolerance allows for the duration of passes.
    fn waits(&self, candidate: &AlertCandidate, context: &PassContext) -> bool {
        let spans = |halves: i32| self.looks_again_after * halves / 2;
        let newest = self.candidates.iter().filter_map(|candidate| candidate.state.failing_since).max();
        let may_be_joined = newest.is_some_and(|newest| !has_passed(newest, spans(3), context.now));
        let due_at = candidate.state.failing_since.map(|since| since.plus(context.notify.after));
        may_be_joined && due_at.is_some_and(|due_at| !has_passed(due_at, spans(5), context.now))
    }

    fn publish(
        &self,
        (issue, kind): (&IssueName, Notification),
        members: BTreeSet<Member>,
        record: &FleetAlertRecord,
        context: &PassContext,
    ) -> Change {
        let is_new =
            |candidate: &AlertCandidate| record.firing_since.is_some() && !record.named().contains(&candidate.member());
        let mut covered: Vec<&AlertCandidate> =
            self.candidates.iter().filter(|candidate| members.contains(&candidate.member())).collect();
        covered.sort_by_key(|candidate| !is_new(candidate));
        let listed = covered.iter().filter_map(|candidate| {
            let AlertCondition::Failing(cause) = candidate.state.condition else { return None };
            let (since, message) = (candidate.state.failing_since?, candidate.message.clone());
            Some(ListedAlert { issue: candidate.issue.to_string(), cause, since, message })
        });
        let message = FleetAlertMessage {
            listed: listed.take(LISTED_MAX).collect(),
            new: covered.iter().filter(|candidate| is_new(candidate)).count(),
            failing: members.len(),
            all: self.watched,
            intent: FleetAlertIntent { kind, at: context.now, members },
            root: context.root,
            missions_root: context.missions_root.clone(),
            host: context.host.clone(),
            firing_since: record.firing_since.unwrap_or(context.now),
            scan_command: scan_command(&context.missions_root),
            mention: context.notify.mention.clone(),
        };
        Change::PostFleetAlert {
            issue: issue.clone(),
            alert_message: Box::new(message),
            memory: Box::new(record.clone()),
        }
    }
}

/// The kind of fleet alert to post now, if any.
fn fleet_kind(group: &Group<'_>, grown: &Grown, notify: &Notify, now: Timestamp) -> Option<Notification> {
    if grown.members.len() > group.members.len() && !grown.is_silent {
        return Some(Notification::Firing);
    }
    let published_at = group.record.published_at.filter(|_| group.record.firing_since.is_some())?;
    if grown.members.is_empty() {
        return Some(Notification::Resolved);
    }
    let is_long = notify.repeat.is_some_and(|repeat| has_passed(published_at, repeat, now));
    is_long.then_some(Notification::Reminder)
}

/// Drops missions that are healthy again from the record; without a fleet issue, all of them.
fn record_members(record: &FleetAlertRecord, members: BTreeSet<Member>) -> Option<Change> {
    let is_resolved = members.is_empty();
    let memory = FleetAlertRecord {
        firing_since: record.firing_since.filter(|_| !is_resolved),
        published_at: record.published_at.filter(|_| !is_resolved),
        named: if is_resolved { BTreeSet::new() } else { record.named.clone() },
        members,
        ..record.clone()
    };
    (memory != *record).then(|| Change::RecordFleetAlert { memory: Box::new(memory) })
}
