//! The alarms of all missions together: one hour's limit, and one comment that speaks for many.

use crate::alerts::on;
use crate::support::cells::{at, seconds};
use crate::support::missions::proposal;
use lazarus::mission::alert::config::{AlertCause, AlertCondition, IssueName, Notify};
use lazarus::mission::alert::fleet::{AlertSchedule, FleetAlerts, Member};
use lazarus::mission::alert::plan::AlertState;
use lazarus::mission::alert::state::{
    AlertIntent, AlertRecord, FiringAlert, FleetAlertIntent, FleetAlertRecord, Notification, PER_HOUR_MAX, recent,
};
use lazarus::mission::observation::{AlertPermit, PassContext};
use lazarus::mission::plan::change::Change;
use lazarus::mission::record::IssueKey;
use lazarus::mission::time::Timestamp;

fn cause() -> AlertCause {
    AlertCause::parse("stale").unwrap()
}

fn key(number: i64) -> IssueKey {
    IssueKey { number, issue_id: number, ..proposal(&[]).issue.key }
}

const WELL: AlertState =
    AlertState { condition: AlertCondition::Ok, failing_since: None, firing: None, is_watched: true, is_closed: false };

/// Bad for long enough.
fn bad() -> AlertState {
    AlertState { condition: AlertCondition::Failing(cause()), failing_since: Some(at(0)), ..WELL }
}

/// Somebody was told that it is bad.
fn raised(standing: AlertState) -> AlertState {
    AlertState { firing: Some(FiringAlert { at: at(400), since: at(0), cause: cause() }), ..standing }
}

/// So many that are due.
pub(crate) fn due(count: usize) -> Vec<AlertState> {
    vec![bad(); count]
}

fn settings(with: impl FnOnce(&mut Notify)) -> PassContext {
    let mut here = (*proposal(&[]).here).clone();
    here.now = at(1_000);
    here.notify = Notify { issue: Some(IssueName::parse("owner/ops#1").unwrap()), ..on(&["stale"]) };
    with(&mut here.notify);
    here
}

fn fleet_alerts(standings: &[AlertState], all: usize, here: PassContext) -> (FleetAlerts, PassContext) {
    let mut fleet_alerts = FleetAlerts::default();
    let well = vec![WELL; all.saturating_sub(standings.len())];
    for (number, standing) in (1..).zip(standings.iter().chain(&well)) {
        fleet_alerts.add_candidate(&key(number), *standing, 0, true);
    }
    (fleet_alerts, here)
}

/// These and as many that are well as make so many in all, where one issue is there for many.
pub(crate) fn musters(standings: &[AlertState], all: usize) -> (FleetAlerts, PassContext) {
    fleet_alerts(standings, all, settings(|_| ()))
}

fn orders(
    standings: &[AlertState],
    all: usize,
    alert_record: &FleetAlertRecord,
    with: impl FnOnce(&mut Notify),
) -> AlertSchedule {
    let (fleet_alerts, here) = fleet_alerts(standings, all, settings(with));
    fleet_alerts.schedule(alert_record, &here)
}

fn spoken(orders: &AlertSchedule) -> Option<(Notification, usize)> {
    match &orders.change {
        Some(Change::PostFleetAlert { issue: _, alert_message, memory: _ }) => {
            Some((alert_message.intent.kind, alert_message.intent.members.len()))
        }
        Some(_) | None => None,
    }
}

#[test]
fn a_mass_failure_gets_one_fleet_alert() {
    for (count, all, is_one) in
        [(3, 3, false), (4, 20, false), (4, 19, true), (9, 45, false), (10, 45, true), (50, 50, true)]
    {
        let orders = orders(&due(count), all, &FleetAlertRecord::default(), |notify| notify.per_hour = 100);
        let (alone, together) = if is_one { (0, Some((Notification::Firing, count))) } else { (count, None) };
        assert_eq!((orders.permits.len(), spoken(&orders)), (alone, together), "{count} of {all}");
    }
    let few = orders(&due(2), 4, &FleetAlertRecord::default(), |notify| notify.many = 1);
    assert_eq!(spoken(&few), Some((Notification::Firing, 2)));
}

#[test]
fn without_a_fleet_issue_each_mission_alerts_and_the_last_counts_the_rest() {
    let orders = orders(&due(7), 7, &FleetAlertRecord::default(), |notify| (notify.issue, notify.per_hour) = (None, 3));
    let others: Vec<AlertPermit> = orders.permits.values().copied().collect();
    let granted = |others| AlertPermit::Granted { others };
    assert_eq!((others, orders.waiting), (vec![granted(0), granted(0), granted(4)], 4));
    assert!(orders.change.is_none());
}

#[test]
fn alerts_over_the_hourly_limit_are_grouped_on_the_fleet_issue() {
    let posted = |count| FleetAlertRecord { posted: vec![at(500); count], ..FleetAlertRecord::default() };
    for (before, count, alone, together) in [
        (0, 3, 3, None),
        (7, 2, 2, None),
        (7, 3, 2, Some((Notification::Firing, 1))),
        (9, 1, 0, Some((Notification::Firing, 1))),
        (10, 2, 0, None),
    ] {
        let orders = orders(&due(count), 100, &posted(before), |_| ());
        assert_eq!((orders.permits.len(), spoken(&orders)), (alone, together), "{count} after {before}");
    }
}

#[test]
fn the_hourly_alert_limit_is_never_exceeded() {
    for per_hour in 1..12 {
        for before in 0..=per_hour {
            for count in [0, 1, 3, 5, 40] {
                let mixed: Vec<AlertState> =
                    [bad(), raised(WELL), raised(bad())].into_iter().cycle().take(count).collect();
                for issue in [true, false] {
                    let alert_record =
                        FleetAlertRecord { posted: vec![at(990); before], ..FleetAlertRecord::default() };
                    let orders = orders(&mixed, 50, &alert_record, |notify| {
                        (notify.per_hour, notify.repeat) = (per_hour, Some(seconds(60)));
                        notify.issue.take_if(|_| !issue);
                    });
                    let said = orders.permits.len() + usize::from(spoken(&orders).is_some());
                    assert!(said + before <= per_hour, "{said} after {before} of {per_hour}");
                    let is_due = count > 0 && before < per_hour;
                    assert!(said > 0 || !is_due, "{count} due, {before} of {per_hour} said");
                }
            }
        }
    }
}

#[test]
fn the_hourly_alert_limit_is_free_again_an_hour_later() {
    let full = FleetAlertRecord { posted: vec![at(-2_599); 10], ..FleetAlertRecord::default() };
    assert_eq!(orders(&due(1), 1, &full, |_| ()).permits.len(), 0);
    let over = FleetAlertRecord { posted: vec![at(-2_600); 10], ..FleetAlertRecord::default() };
    assert_eq!(orders(&due(1), 1, &over, |_| ()).permits.len(), 1);
}

/// What is remembered of posts is what counts within the hour before the last one, and no more than ever counts.
#[test]
fn posts_are_recorded_for_an_hour() {
    let alarm = FiringAlert { at: at(3_600), since: at(0), cause: cause() };
    let intended = AlertIntent { kind: Notification::Firing, at: at(3_600), alert: alarm };
    let remembered =
        |posted: Vec<Timestamp>| AlertRecord { posted, ..AlertRecord::default() }.posted_now(intended).posted;
    assert_eq!(remembered(vec![at(0), at(1)]), [at(1), at(3_600)]);
    assert_eq!(remembered(vec![at(7_199), at(7_200)]), [at(7_199), at(3_600)], "a clock that was ahead");
    assert_eq!(remembered(vec![at(3_599); 200]).len(), PER_HOUR_MAX);
    assert_eq!(
        [at(0), at(1), at(3_600), at(7_199), at(7_200)].map(|posted| recent(&[posted], at(3_600))),
        [0, 1, 1, 1, 0]
    );
}

fn speaking_for(members: &[i64]) -> FleetAlertRecord {
    let members = members.iter().map(|number| (7, *number)).collect::<std::collections::BTreeSet<Member>>();
    FleetAlertRecord {
        members,
        firing_since: Some(at(500)),
        published_at: Some(at(500)),
        ..FleetAlertRecord::default()
    }
}

#[test]
fn missions_in_a_fleet_alert_stay_silent_and_resolve_together() {
    let both = orders(&due(2), 9, &speaking_for(&[1, 2]), |_| ());
    assert!(both.permits.is_empty() && both.change.is_none());
    let one = orders(&[WELL, bad()], 9, &speaking_for(&[1, 2]), |_| ());
    let Some(Change::RecordFleetAlert { memory }) = &one.change else { panic!("{:?}", one.change) };
    assert!(one.permits.is_empty() && memory.members.len() == 1, "{memory:?}");
    let none = orders(&[WELL, WELL], 9, &speaking_for(&[2]), |_| ());
    assert_eq!((none.permits.len(), spoken(&none)), (0, Some((Notification::Resolved, 0))));
    let paused = AlertState { is_watched: false, ..bad() };
    assert_eq!(spoken(&orders(&[WELL, paused], 9, &speaking_for(&[2]), |_| ())), Some((Notification::Resolved, 0)));
}

#[test]
fn a_fleet_resolution_waits_for_capacity_and_reminders_are_optional() {
    let full = FleetAlertRecord { posted: vec![at(990); 10], ..speaking_for(&[1]) };
    let waits = orders(&[WELL], 9, &full, |_| ());
    assert!(waits.change.is_none(), "{:?}", waits.change);
    let again = orders(&due(2), 9, &speaking_for(&[1, 2]), |notify| notify.repeat = Some(seconds(500)));
    assert_eq!(spoken(&again), Some((Notification::Reminder, 2)));
}

/// The time is so many seconds after the comment that named these two missions, and so many are bad.
fn late(after: i64, bad: usize) -> (usize, Option<(Notification, usize)>, Option<usize>) {
    let (fleet_alerts, mut here) = fleet_alerts(&due(bad), 40, settings(|notify| notify.per_hour = 100));
    here.now = at(500 + after);
    let orders = fleet_alerts.schedule(&speaking_for(&[1, 2]), &here);
    let remembered = match &orders.change {
        Some(Change::RecordFleetAlert { memory }) => Some(memory.members.len()),
        Some(_) | None => None,
    };
    (orders.permits.len(), spoken(&orders), remembered)
}

#[test]
fn late_failures_join_silently_for_ten_minutes_or_until_doubled() {
    assert_eq!(late(400, 3), (0, None, Some(3)));
    assert_eq!(late(400, 5), (0, None, Some(5)), "three to two");
    assert_eq!(late(400, 6), (0, Some((Notification::Firing, 6)), None), "four to two");
    assert_eq!(late(599, 3), (0, None, Some(3)));
    assert_eq!(late(600, 3), (0, Some((Notification::Firing, 3)), None));
    assert_eq!(late(600, 2), (0, None, None), "nobody is late");
}

#[test]
fn late_failures_are_counted_from_the_last_fleet_comment() {
    let alert_record = FleetAlertRecord { named: [(7, 1), (7, 2)].into(), ..speaking_for(&[1, 2, 3, 4]) };
    let five = orders(&due(5), 40, &alert_record, |_| ());
    assert!(five.permits.is_empty() && matches!(five.change, Some(Change::RecordFleetAlert { .. })), "{five:?}");
    let six = orders(&due(6), 40, &alert_record, |_| ());
    let Some(Change::PostFleetAlert { alert_message, .. }) = &six.change else { panic!("{:?}", six.change) };
    assert_eq!(
        (alert_message.failing, alert_message.new, alert_message.listed[0].issue.as_str()),
        (6, 4, "owner/missions#3"),
        "the new ones first"
    );
    let said = alert_record.posted_now(alert_message.intent.clone());
    assert_eq!((said.named.len(), said.firing_since, said.published_at), (6, Some(at(500)), Some(at(1_000))));
}

#[test]
fn late_failures_that_need_a_comment_wait_for_the_hourly_limit() {
    let full = FleetAlertRecord { posted: vec![at(990); 10], ..speaking_for(&[1, 2]) };
    let waiting = orders(&due(6), 40, &full, |_| ());
    assert_eq!((waiting.permits.len(), waiting.waiting, waiting.change.is_none()), (0, 4, true), "{waiting:?}");
    let silent = orders(&due(3), 40, &full, |_| ());
    assert!(matches!(silent.change, Some(Change::RecordFleetAlert { .. })) && silent.waiting == 0, "{silent:?}");
}

#[test]
fn recent_failures_are_grouped_and_named_with_those_that_are_due() {
    let young = AlertState { failing_since: Some(at(990)), ..bad() };
    let mixed: Vec<AlertState> = std::iter::once(bad()).chain(vec![young; 11]).collect();
    assert_eq!(spoken(&orders(&mixed, 12, &FleetAlertRecord::default(), |_| ())), Some((Notification::Firing, 12)));
    let none_is_due = orders(&vec![young; 11], 12, &FleetAlertRecord::default(), |_| ());
    assert!(none_is_due.change.is_none() && none_is_due.permits.is_empty());
    let without_an_issue = orders(&mixed, 12, &FleetAlertRecord::default(), |notify| notify.issue = None);
    assert_eq!((without_an_issue.permits.len(), spoken(&without_an_issue)), (1, None));
}

#[test]
fn a_question_is_posted_despite_a_mass_failure() {
    let asks = AlertState { condition: AlertCondition::Failing(AlertCause::parse("wizard/waiting").unwrap()), ..bad() };
    let orders = orders(&[bad(), bad(), bad(), asks], 40, &speaking_for(&[1, 2]), |_| ());
    assert_eq!(orders.permits.keys().copied().collect::<Vec<_>>(), [(7, 4)]);
    let Some(Change::RecordFleetAlert { memory }) = &orders.change else { panic!("{:?}", orders.change) };
    assert_eq!(memory.members.len(), 3);
}

/// Who may speak where everything is bad without delay, so many seconds after each went bad, and looked at every ten seconds.
fn after_a_look(now: i64, since: &[i64], after: i64) -> (usize, Option<(Notification, usize)>) {
    let standings: Vec<AlertState> =
        since.iter().map(|since| AlertState { failing_since: Some(at(*since)), ..bad() }).collect();
    let (fleet_alerts, mut here) = fleet_alerts(&standings, 12, settings(|notify| notify.after = seconds(after)));
    here.now = at(now);
    let orders = fleet_alerts.rechecked_after(seconds(10)).schedule(&FleetAlertRecord::default(), &here);
    (orders.permits.len(), spoken(&orders))
}

#[test]
fn a_first_failure_waits_one_interval_to_be_grouped() {
    assert_eq!(after_a_look(10, &[0], 0), (0, None));
    assert_eq!(after_a_look(20, &[0], 0), (1, None));
    assert_eq!(after_a_look(20, &[0, 10], 0), (0, None), "two wait for a third");
    assert_eq!(after_a_look(30, &[0, 10], 0), (2, None));
    assert_eq!(after_a_look(30, &[0, 10, 20], 0), (1, None), "and none for ever");
    assert_eq!(after_a_look(20, &[0, 10, 10, 10], 0), (0, None), "more may come");
    assert_eq!(after_a_look(30, &[0, 10, 10, 10, 20], 0), (0, Some((Notification::Firing, 5))));
    assert_eq!(after_a_look(300, &[0], 300), (1, None), "where all are known by then, there is nothing to wait for");
    assert_eq!(after_a_look(300, &[0, 4, 8, 40], 300), (0, Some((Notification::Firing, 4))));
}

#[test]
fn without_its_issue_the_fleet_alert_is_dropped() {
    let orders = orders(&due(2), 9, &speaking_for(&[1, 2]), |notify| notify.issue = None);
    let Some(Change::RecordFleetAlert { memory }) = &orders.change else { panic!("{:?}", orders.change) };
    assert_eq!((memory.members.len(), memory.firing_since, orders.permits.len()), (0, None, 2));
}

#[test]
fn after_a_refused_fleet_comment_each_mission_alerts_for_an_hour() {
    for (at_second, alone) in [(999, 5), (-2_599, 5), (-2_600, 0)] {
        let orders = orders(&due(5), 5, &speaking_for(&[1, 2]).refused(at(at_second)), |_| ());
        assert_eq!(orders.permits.len(), alone, "{at_second}");
    }
    let said = speaking_for(&[]).refused(at(0)).posted_now(FleetAlertIntent {
        kind: Notification::Resolved,
        at: at(9),
        members: [].into(),
    });
    assert_eq!(said.refused_at, None);
}

#[test]
fn a_mission_that_was_not_checked_fires_no_alert() {
    let here = settings(|_| ());
    let mut fleet_alerts = FleetAlerts::default();
    fleet_alerts.add_candidate(&key(1), bad(), 0, false);
    assert!(fleet_alerts.schedule(&FleetAlertRecord::default(), &here).permits.is_empty());
}
