//! Decides about the alarms of all missions together: who may speak within the hour, and when one comment speaks for many.

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

/// For so long a comment for many takes late ones without another comment.
pub const TAKES_LATE: TimeDelta = TimeDelta::minutes(10);

/// And no more of them than so many times those that it has named.
pub const LATE_PER_NAMED: usize = 2;

/// A repository's id and an issue's id.
pub type Member = (i64, i64);

/// A mission that has to do with alarms.
#[derive(Clone, Debug)]
pub struct AlertCandidate {
    /// Its issue.
    pub issue: IssueKey,
    /// Where it stands.
    pub state: AlertState,
    /// Whether somebody has looked at it just now, so that what is published of it is true.
    pub is_seen: bool,
    /// What its wizard wants people to read.
    pub message: Option<String>,
}

impl AlertCandidate {
    fn member(&self) -> Member {
        (self.issue.repository_id, self.issue.issue_id)
    }

    /// Whether an alert of its own may be sent for it, or has to be as soon as it has been bad for long enough.
    fn needs_alert(&self) -> bool {
        self.is_seen && self.state.is_failing() && self.state.firing.is_none()
    }

    /// Whether a person is asked something, which no comment for others answers.
    fn asks(&self) -> bool {
        matches!(self.state.condition, AlertCondition::Failing(AlertCause::Wizard(state)) if state.needs_a_person())
    }
}

/// All missions, as far as alarms go.
#[derive(Clone, Debug, Default)]
pub struct FleetAlerts {
    /// Those that are bad, or were when somebody was told.
    pub candidates: Vec<AlertCandidate>,
    /// How many there are in all that anybody wants to hear of.
    pub watched: usize,
    /// How many alarms they had within the last hour, and how many are on their way.
    pub recent: usize,
    /// How soon all are looked at again, where that is certain; then a first one waits for company until then.
    pub looks_again_after: TimeDelta,
}

/// What comes of it.
#[derive(Clone, Debug, Default)]
pub struct AlertSchedule {
    /// Who may say something. Nobody else may.
    pub permits: BTreeMap<Member, AlertPermit>,
    /// What is to be said for many, or remembered of it.
    pub change: Option<Change>,
    /// How many alarms wait for another hour.
    pub waiting: usize,
}

/// The alert for many as it stands.
struct Group<'a> {
    ledger: &'a FleetAlertRecord,
    /// Those that it speaks for and that are still bad.
    members: BTreeSet<Member>,
}

/// What becomes of it.
struct Grown {
    members: BTreeSet<Member>,
    /// Whether those that came to it do so without a comment.
    is_silent: bool,
}

impl Group<'_> {
    fn stands(&self) -> bool {
        self.ledger.firing_since.is_some() && !self.members.is_empty()
    }

    /// Whether its last comment still takes late ones, together with these.
    fn takes(&self, together: &BTreeSet<Member>, now: Timestamp) -> bool {
        let named = self.ledger.named();
        let late = together.difference(named).count();
        let is_recent = self.ledger.published_at.is_some_and(|said_at| !has_passed(said_at, TAKES_LATE, now));
        is_recent && late < LATE_PER_NAMED * named.len()
    }
}

impl FleetAlerts {
    /// Gathers all missions by what is remembered of each, with whether that is what is published of it now; so many alarms
    /// are on their way besides.
    #[must_use]
    pub fn gather<'a>(
        missions: impl IntoIterator<Item = (&'a Record, bool)>,
        under_way: usize,
        here: &PassContext,
    ) -> Self {
        let mut muster = Self { recent: under_way, ..Self::default() };
        for (record, is_seen) in missions {
            muster.take(record, is_seen, here);
        }
        muster
    }

    /// The same, where all are looked at again after so long.
    #[must_use]
    pub fn looking_again_after(self, interval: TimeDelta) -> Self {
        Self { looks_again_after: interval, ..self }
    }

    /// Takes note of a mission by what is remembered of it.
    fn take(&mut self, record: &Record, is_seen: bool, here: &PassContext) {
        let standing = AlertState::of(record, &here.notify);
        let on_its_way = usize::from(record.alert.intent.is_some());
        let count = recent(&record.alert.posted, here.now) + on_its_way;
        if let Some(seat) = self.add_candidate(&record.issue, standing, count, is_seen) {
            seat.message = record.published.as_ref().and_then(|said| said.message.clone());
        }
    }

    /// Takes note of a mission that had so many alarms within the last hour; its seat, if it has to do with alarms.
    pub fn add_candidate(
        &mut self,
        issue: &IssueKey,
        standing: AlertState,
        recent: usize,
        is_seen: bool,
    ) -> Option<&mut AlertCandidate> {
        self.recent += recent;
        self.watched += usize::from(standing.is_watched);
        if standing.failing_since.is_none() && standing.firing.is_none() {
            return None;
        }
        self.candidates.push(AlertCandidate { issue: issue.clone(), state: standing, is_seen, message: None });
        self.candidates.last_mut()
    }

    /// Decides. Where the issue for many takes no comment, it is as if there were none, so that nobody is silent.
    #[must_use]
    pub fn schedule(self, ledger: &FleetAlertRecord, here: &PassContext) -> AlertSchedule {
        if ledger.is_refused(here.now) {
            let alone = Notify { issue: None, ..here.notify.clone() };
            return self.decide(ledger, &PassContext { notify: alone, ..here.clone() });
        }
        self.decide(ledger, here)
    }

    fn decide(mut self, ledger: &FleetAlertRecord, here: &PassContext) -> AlertSchedule {
        let (notify, now) = (&here.notify, here.now);
        self.candidates.sort_by_key(|seat| (seat.state.failing_since, seat.member()));
        let group = Group { ledger, members: self.still_failing(ledger, notify) };
        let mut room = notify.per_hour.saturating_sub(self.recent + recent(&ledger.posted, now));
        let due = |kind: Notification| -> Vec<&AlertCandidate> {
            let is_due =
                |seat: &&AlertCandidate| seat.is_seen && seat.state.next_notification(notify, now) == Some(kind);
            let alone = |seat: &&AlertCandidate| !group.members.contains(&seat.member());
            self.candidates.iter().filter(is_due).filter(alone).collect()
        };
        let mut raised = due(Notification::Firing);
        let grown = self.grow(&group, &mut raised, room, here);
        let kind = fleet_kind(&group, &grown, notify, now).filter(|_| room > 0);
        let change = match (&notify.issue, kind) {
            (Some(issue), Some(kind)) => {
                room -= 1;
                Some(self.publish((issue, kind), grown.members, ledger, here))
            }
            (Some(_), None) if grown.members.is_empty() && ledger.firing_since.is_some() => None,
            (Some(_) | None, _) => remember(ledger, grown.members),
        };
        let last = raised.len().min(room);
        let waiting = raised.len() - last;
        let others = |at: usize| if at + 1 == room { waiting } else { 0 };
        let speakers = raised
            .into_iter()
            .chain(due(Notification::Resolved))
            .chain(due(Notification::Reminder))
            .map(AlertCandidate::member);
        let allowed = speakers.take(room).enumerate();
        let allowed = allowed.map(|(at, member)| (member, AlertPermit::Granted { others: others(at) })).collect();
        AlertSchedule { permits: allowed, change, waiting }
    }

    /// Of those that the fleet's alarm speaks for.
    fn still_failing(&self, ledger: &FleetAlertRecord, notify: &Notify) -> BTreeSet<Member> {
        let bad = self.candidates.iter().filter(|seat| seat.state.is_failing()).map(AlertCandidate::member);
        bad.filter(|member| notify.issue.is_some() && ledger.members.contains(member)).collect()
    }

    /// Takes out those for which one comment is to speak, or has spoken: the late ones of a group that stands; else all that
    /// are bad, where they are many; and those that the hour has no room for. Before that a first one waits for company.
    fn grow<'a>(
        &'a self,
        group: &Group<'_>,
        raised: &mut Vec<&'a AlertCandidate>,
        room: usize,
        here: &PassContext,
    ) -> Grown {
        let (notify, mut members) = (&here.notify, group.members.clone());
        if notify.issue.is_none() {
            return Grown { members, is_silent: false };
        }
        let mut is_silent = false;
        if group.stands() {
            let late = raised.iter().filter(|seat| !seat.asks()).map(|seat| seat.member());
            let together: BTreeSet<Member> = late.chain(members.iter().copied()).collect();
            is_silent = group.takes(&together, here.now);
            if is_silent || room > 0 {
                raised.retain(|seat| seat.asks());
                members = together;
            }
        } else {
            raised.retain(|seat| !self.waits(seat, here));
            if room > 0 && !raised.is_empty() && self.is_many(notify) {
                raised.clear();
                members.extend(self.candidates.iter().filter(|seat| seat.needs_alert()).map(AlertCandidate::member));
            }
        }
        // The last of an hour's comments is kept for those that it has no room for.
        let fits = if notify.per_hour > 1 || raised.len() > room { room.saturating_sub(1) } else { room };
        if room > 0 && raised.len() > fits {
            members.extend(raised.split_off(fits).into_iter().map(AlertCandidate::member));
            is_silent = false;
        }
        Grown { members, is_silent }
    }

    /// Whether those that need an alert, now or soon, are many.
    fn is_many(&self, notify: &Notify) -> bool {
        let count = self.candidates.iter().filter(|seat| seat.needs_alert()).count();
        count > notify.many && is_share_of_all(count, self.watched)
    }

    /// Whether a mission waits for company: until all were looked at once more after the last one went bad, and for no more
    /// than two intervals where some has come. Half an interval more or less is none, since no pass takes no time.
    fn waits(&self, seat: &AlertCandidate, here: &PassContext) -> bool {
        let spans = |halves: i32| self.looks_again_after * halves / 2;
        let newest = self.candidates.iter().filter_map(|seat| seat.state.failing_since).max();
        let may_be_joined = newest.is_some_and(|newest| !has_passed(newest, spans(3), here.now));
        let due_at = seat.state.failing_since.map(|since| since.plus(here.notify.after));
        may_be_joined && due_at.is_some_and(|due_at| !has_passed(due_at, spans(5), here.now))
    }

    fn publish(
        &self,
        (issue, kind): (&IssueName, Notification),
        members: BTreeSet<Member>,
        ledger: &FleetAlertRecord,
        here: &PassContext,
    ) -> Change {
        let is_new = |seat: &AlertCandidate| ledger.firing_since.is_some() && !ledger.named().contains(&seat.member());
        let mut spoken_for: Vec<&AlertCandidate> =
            self.candidates.iter().filter(|seat| members.contains(&seat.member())).collect();
        spoken_for.sort_by_key(|seat| !is_new(seat));
        let listed = spoken_for.iter().filter_map(|seat| {
            let AlertCondition::Failing(cause) = seat.state.condition else { return None };
            let (since, message) = (seat.state.failing_since?, seat.message.clone());
            Some(ListedAlert { issue: seat.issue.to_string(), cause, since, message })
        });
        let notice = FleetAlertMessage {
            listed: listed.take(LISTED_MAX).collect(),
            new: spoken_for.iter().filter(|seat| is_new(seat)).count(),
            failing: members.len(),
            all: self.watched,
            intent: FleetAlertIntent { kind, at: here.now, members },
            root: here.root,
            missions_root: here.missions_root.clone(),
            host: here.host.clone(),
            firing_since: ledger.firing_since.unwrap_or(here.now),
            scan_command: scan_command(&here.missions_root),
            mention: here.notify.mention.clone(),
        };
        Change::PostFleetAlert { issue: issue.clone(), notice: Box::new(notice), memory: Box::new(ledger.clone()) }
    }
}

/// What is to be said for many, if anything is.
fn fleet_kind(group: &Group<'_>, grown: &Grown, notify: &Notify, now: Timestamp) -> Option<Notification> {
    if grown.members.len() > group.members.len() && !grown.is_silent {
        return Some(Notification::Firing);
    }
    let said_at = group.ledger.published_at.filter(|_| group.ledger.firing_since.is_some())?;
    if grown.members.is_empty() {
        return Some(Notification::Resolved);
    }
    let is_long = notify.repeat.is_some_and(|repeat| has_passed(said_at, repeat, now));
    is_long.then_some(Notification::Reminder)
}

/// Those that are well again are not spoken for any more; without an issue to speak on, nobody is.
fn remember(ledger: &FleetAlertRecord, members: BTreeSet<Member>) -> Option<Change> {
    let is_over = members.is_empty();
    let memory = FleetAlertRecord {
        firing_since: ledger.firing_since.filter(|_| !is_over),
        published_at: ledger.published_at.filter(|_| !is_over),
        named: if is_over { BTreeSet::new() } else { ledger.named.clone() },
        members,
        ..ledger.clone()
    };
    (memory != *ledger).then(|| Change::RecordFleetAlert { memory: Box::new(memory) })
}
