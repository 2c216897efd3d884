//! The alarms of all missions together: one hour's limit, and one comment that speaks for many.

use crate::alarms::on;
use crate::support::cells::{at, seconds};
use crate::support::missions::proposal;
use lazarus::mission::alert::config::{Cause, IssueName, Mood, Notify};
use lazarus::mission::alert::fleet::{Member, Muster, Orders};
use lazarus::mission::alert::plan::Standing;
use lazarus::mission::alert::state::{Alarm, FleetIntended, Intended, Kind, Ledger, PER_HOUR_MAX, Raised, recent};
use lazarus::mission::observation::{Allowance, Here};
use lazarus::mission::plan::change::Change;
use lazarus::mission::record::IssueKey;
use lazarus::mission::time::Timestamp;

fn cause() -> Cause {
    Cause::parse("stale").unwrap()
}

fn key(number: i64) -> IssueKey {
    IssueKey { number, issue_id: number, ..proposal(&[]).issue.key }
}

const WELL: Standing = Standing { mood: Mood::Well, bad_since: None, raised: None, is_watched: true, is_closed: false };

/// Bad for long enough.
fn bad() -> Standing {
    Standing { mood: Mood::Bad(cause()), bad_since: Some(at(0)), ..WELL }
}

/// Somebody was told that it is bad.
fn raised(standing: Standing) -> Standing {
    Standing { raised: Some(Raised { at: at(400), since: at(0), cause: cause() }), ..standing }
}

/// So many that are due.
pub(crate) fn due(count: usize) -> Vec<Standing> {
    vec![bad(); count]
}

fn settings(with: impl FnOnce(&mut Notify)) -> Here {
    let mut here = (*proposal(&[]).here).clone();
    here.now = at(1_000);
    here.notify = Notify { issue: Some(IssueName::parse("owner/ops#1").unwrap()), ..on(&["stale"]) };
    with(&mut here.notify);
    here
}

fn muster(standings: &[Standing], all: usize, here: Here) -> (Muster, Here) {
    let mut muster = Muster::default();
    let well = vec![WELL; all.saturating_sub(standings.len())];
    for (number, standing) in (1..).zip(standings.iter().chain(&well)) {
        muster.seat(&key(number), *standing, 0, true);
    }
    (muster, here)
}

/// These and as many that are well as make so many in all, where one issue is there for many.
pub(crate) fn musters(standings: &[Standing], all: usize) -> (Muster, Here) {
    muster(standings, all, settings(|_| ()))
}

fn orders(standings: &[Standing], all: usize, ledger: &Ledger, with: impl FnOnce(&mut Notify)) -> Orders {
    let (muster, here) = muster(standings, all, settings(with));
    muster.orders(ledger, &here)
}

fn spoken(orders: &Orders) -> Option<(Kind, usize)> {
    match &orders.change {
        Some(Change::PostFleetAlarm { issue: _, notice, memory: _ }) => {
            Some((notice.intended.kind, notice.intended.members.len()))
        }
        Some(_) | None => None,
    }
}

#[test]
fn more_than_three_and_a_fifth_at_once_are_spoken_for_by_one_comment() {
    for (count, all, is_one) in
        [(3, 3, false), (4, 20, false), (4, 19, true), (9, 45, false), (10, 45, true), (50, 50, true)]
    {
        let orders = orders(&due(count), all, &Ledger::default(), |notify| notify.per_hour = 100);
        let (alone, together) = if is_one { (0, Some((Kind::Raised, count))) } else { (count, None) };
        assert_eq!((orders.allowed.len(), spoken(&orders)), (alone, together), "{count} of {all}");
    }
    let few = orders(&due(2), 4, &Ledger::default(), |notify| notify.many = 1);
    assert_eq!(spoken(&few), Some((Kind::Raised, 2)));
}

#[test]
fn without_an_issue_for_many_each_speaks_for_itself_and_the_last_says_how_many_wait() {
    let orders = orders(&due(7), 7, &Ledger::default(), |notify| (notify.issue, notify.per_hour) = (None, 3));
    let others: Vec<Allowance> = orders.allowed.values().copied().collect();
    let granted = |others| Allowance::Granted { others };
    assert_eq!((others, orders.waiting), (vec![granted(0), granted(0), granted(4)], 4));
    assert!(orders.change.is_none());
}

#[test]
fn what_the_hour_has_no_room_for_is_said_on_the_issue_for_many() {
    let posted = |count| Ledger { posted: vec![at(500); count], ..Ledger::default() };
    for (before, count, alone, together) in [
        (0, 3, 3, None),
        (7, 2, 2, None),
        (7, 3, 2, Some((Kind::Raised, 1))),
        (9, 1, 0, Some((Kind::Raised, 1))),
        (10, 2, 0, None),
    ] {
        let orders = orders(&due(count), 100, &posted(before), |_| ());
        assert_eq!((orders.allowed.len(), spoken(&orders)), (alone, together), "{count} after {before}");
    }
}

#[test]
fn an_hour_has_no_more_than_so_many_whatever_is_due() {
    for per_hour in 1..12 {
        for before in 0..=per_hour {
            for count in [0, 1, 3, 5, 40] {
                let mixed: Vec<Standing> =
                    [bad(), raised(WELL), raised(bad())].into_iter().cycle().take(count).collect();
                for issue in [true, false] {
                    let ledger = Ledger { posted: vec![at(990); before], ..Ledger::default() };
                    let orders = orders(&mixed, 50, &ledger, |notify| {
                        (notify.per_hour, notify.repeat) = (per_hour, Some(seconds(60)));
                        notify.issue.take_if(|_| !issue);
                    });
                    let said = orders.allowed.len() + usize::from(spoken(&orders).is_some());
                    assert!(said + before <= per_hour, "{said} after {before} of {per_hour}");
                    let is_due = count > 0 && before < per_hour;
                    assert!(said > 0 || !is_due, "{count} due, {before} of {per_hour} said");
                }
            }
        }
    }
}

#[test]
fn an_hour_later_there_is_room_again() {
    let full = Ledger { posted: vec![at(-2_599); 10], ..Ledger::default() };
    assert_eq!(orders(&due(1), 1, &full, |_| ()).allowed.len(), 0);
    let over = Ledger { posted: vec![at(-2_600); 10], ..Ledger::default() };
    assert_eq!(orders(&due(1), 1, &over, |_| ()).allowed.len(), 1);
}

/// What is remembered of posts is what counts within the hour before the last one, and no more than ever counts.
#[test]
fn posts_are_remembered_for_an_hour() {
    let alarm = Raised { at: at(3_600), since: at(0), cause: cause() };
    let intended = Intended { kind: Kind::Raised, at: at(3_600), alarm };
    let remembered = |posted: Vec<Timestamp>| Alarm { posted, ..Alarm::default() }.said(intended).posted;
    assert_eq!(remembered(vec![at(0), at(1)]), [at(1), at(3_600)]);
    assert_eq!(remembered(vec![at(7_199), at(7_200)]), [at(7_199), at(3_600)], "a clock that was ahead");
    assert_eq!(remembered(vec![at(3_599); 200]).len(), PER_HOUR_MAX);
    assert_eq!(
        [at(0), at(1), at(3_600), at(7_199), at(7_200)].map(|posted| recent(&[posted], at(3_600))),
        [0, 1, 1, 1, 0]
    );
}

fn speaking_for(members: &[i64]) -> Ledger {
    let members = members.iter().map(|number| (7, *number)).collect::<std::collections::BTreeSet<Member>>();
    Ledger { members, raised_at: Some(at(500)), said_at: Some(at(500)), ..Ledger::default() }
}

#[test]
fn those_that_are_spoken_for_say_nothing_and_one_comment_says_when_all_are_well() {
    let both = orders(&due(2), 9, &speaking_for(&[1, 2]), |_| ());
    assert!(both.allowed.is_empty() && both.change.is_none());
    let one = orders(&[WELL, bad()], 9, &speaking_for(&[1, 2]), |_| ());
    let Some(Change::RememberFleet { memory }) = &one.change else { panic!("{:?}", one.change) };
    assert!(one.allowed.is_empty() && memory.members.len() == 1, "{memory:?}");
    let none = orders(&[WELL, WELL], 9, &speaking_for(&[2]), |_| ());
    assert_eq!((none.allowed.len(), spoken(&none)), (0, Some((Kind::Over, 0))));
    let paused = Standing { is_watched: false, ..bad() };
    assert_eq!(spoken(&orders(&[WELL, paused], 9, &speaking_for(&[2]), |_| ())), Some((Kind::Over, 0)));
}

#[test]
fn the_end_waits_for_room_and_is_said_again_where_that_is_asked_for() {
    let full = Ledger { posted: vec![at(990); 10], ..speaking_for(&[1]) };
    let waits = orders(&[WELL], 9, &full, |_| ());
    assert!(waits.change.is_none(), "{:?}", waits.change);
    let again = orders(&due(2), 9, &speaking_for(&[1, 2]), |notify| notify.repeat = Some(seconds(500)));
    assert_eq!(spoken(&again), Some((Kind::Repeated, 2)));
}

/// The time is so many seconds after the comment that named these two missions, and so many are bad.
fn late(after: i64, bad: usize) -> (usize, Option<(Kind, usize)>, Option<usize>) {
    let (muster, mut here) = muster(&due(bad), 40, settings(|notify| notify.per_hour = 100));
    here.now = at(500 + after);
    let orders = muster.orders(&speaking_for(&[1, 2]), &here);
    let remembered = match &orders.change {
        Some(Change::RememberFleet { memory }) => Some(memory.members.len()),
        Some(_) | None => None,
    };
    (orders.allowed.len(), spoken(&orders), remembered)
}

#[test]
fn late_ones_are_taken_silently_for_ten_minutes_or_until_they_are_twice_as_many() {
    assert_eq!(late(400, 3), (0, None, Some(3)));
    assert_eq!(late(400, 5), (0, None, Some(5)), "three to two");
    assert_eq!(late(400, 6), (0, Some((Kind::Raised, 6)), None), "four to two");
    assert_eq!(late(599, 3), (0, None, Some(3)));
    assert_eq!(late(600, 3), (0, Some((Kind::Raised, 3)), None));
    assert_eq!(late(600, 2), (0, None, None), "nobody is late");
}

#[test]
fn late_ones_are_counted_from_those_that_the_last_comment_named() {
    let ledger = Ledger { named: [(7, 1), (7, 2)].into(), ..speaking_for(&[1, 2, 3, 4]) };
    let five = orders(&due(5), 40, &ledger, |_| ());
    assert!(five.allowed.is_empty() && matches!(five.change, Some(Change::RememberFleet { .. })), "{five:?}");
    let six = orders(&due(6), 40, &ledger, |_| ());
    let Some(Change::PostFleetAlarm { notice, .. }) = &six.change else { panic!("{:?}", six.change) };
    assert_eq!(
        (notice.bad, notice.new, notice.listed[0].issue.as_str()),
        (6, 4, "owner/missions#3"),
        "the new ones first"
    );
    let said = ledger.said(notice.intended.clone());
    assert_eq!((said.named.len(), said.raised_at, said.said_at), (6, Some(at(500)), Some(at(1_000))));
}

#[test]
fn late_ones_wait_for_the_next_hour_where_they_need_a_comment_and_this_one_is_full() {
    let full = Ledger { posted: vec![at(990); 10], ..speaking_for(&[1, 2]) };
    let waiting = orders(&due(6), 40, &full, |_| ());
    assert_eq!((waiting.allowed.len(), waiting.waiting, waiting.change.is_none()), (0, 4, true), "{waiting:?}");
    let silent = orders(&due(3), 40, &full, |_| ());
    assert!(matches!(silent.change, Some(Change::RememberFleet { .. })) && silent.waiting == 0, "{silent:?}");
}

#[test]
fn those_that_went_bad_just_now_are_company_and_named_with_those_that_are_due() {
    let young = Standing { bad_since: Some(at(990)), ..bad() };
    let mixed: Vec<Standing> = std::iter::once(bad()).chain(vec![young; 11]).collect();
    assert_eq!(spoken(&orders(&mixed, 12, &Ledger::default(), |_| ())), Some((Kind::Raised, 12)));
    let none_is_due = orders(&vec![young; 11], 12, &Ledger::default(), |_| ());
    assert!(none_is_due.change.is_none() && none_is_due.allowed.is_empty());
    let without_an_issue = orders(&mixed, 12, &Ledger::default(), |notify| notify.issue = None);
    assert_eq!((without_an_issue.allowed.len(), spoken(&without_an_issue)), (1, None));
}

#[test]
fn a_question_is_asked_whatever_else_has_failed() {
    let asks = Standing { mood: Mood::Bad(Cause::parse("wizard/waiting").unwrap()), ..bad() };
    let orders = orders(&[bad(), bad(), bad(), asks], 40, &speaking_for(&[1, 2]), |_| ());
    assert_eq!(orders.allowed.keys().copied().collect::<Vec<_>>(), [(7, 4)]);
    let Some(Change::RememberFleet { memory }) = &orders.change else { panic!("{:?}", orders.change) };
    assert_eq!(memory.members.len(), 3);
}

/// Who may speak where everything is bad without delay, so many seconds after each went bad, and looked at every ten seconds.
fn after_a_look(now: i64, since: &[i64], after: i64) -> (usize, Option<(Kind, usize)>) {
    let standings: Vec<Standing> =
        since.iter().map(|since| Standing { bad_since: Some(at(*since)), ..bad() }).collect();
    let (muster, mut here) = muster(&standings, 12, settings(|notify| notify.after = seconds(after)));
    here.now = at(now);
    let orders = muster.looking_again_after(seconds(10)).orders(&Ledger::default(), &here);
    (orders.allowed.len(), spoken(&orders))
}

#[test]
fn a_first_one_waits_one_interval_for_company_before_it_speaks_alone() {
    assert_eq!(after_a_look(10, &[0], 0), (0, None));
    assert_eq!(after_a_look(20, &[0], 0), (1, None));
    assert_eq!(after_a_look(20, &[0, 10], 0), (0, None), "two wait for a third");
    assert_eq!(after_a_look(30, &[0, 10], 0), (2, None));
    assert_eq!(after_a_look(30, &[0, 10, 20], 0), (1, None), "and none for ever");
    assert_eq!(after_a_look(20, &[0, 10, 10, 10], 0), (0, None), "more may come");
    assert_eq!(after_a_look(30, &[0, 10, 10, 10, 20], 0), (0, Some((Kind::Raised, 5))));
    assert_eq!(after_a_look(300, &[0], 300), (1, None), "where all are known by then, there is nothing to wait for");
    assert_eq!(after_a_look(300, &[0, 4, 8, 40], 300), (0, Some((Kind::Raised, 4))));
}

#[test]
fn without_its_issue_the_fleets_alarm_is_let_go() {
    let orders = orders(&due(2), 9, &speaking_for(&[1, 2]), |notify| notify.issue = None);
    let Some(Change::RememberFleet { memory }) = &orders.change else { panic!("{:?}", orders.change) };
    assert_eq!((memory.members.len(), memory.raised_at, orders.allowed.len()), (0, None, 2));
}

#[test]
fn for_an_hour_after_its_issue_has_refused_a_comment_each_speaks_for_itself() {
    for (at_second, alone) in [(999, 5), (-2_599, 5), (-2_600, 0)] {
        let orders = orders(&due(5), 5, &speaking_for(&[1, 2]).refused(at(at_second)), |_| ());
        assert_eq!(orders.allowed.len(), alone, "{at_second}");
    }
    let said = speaking_for(&[]).refused(at(0)).said(FleetIntended { kind: Kind::Over, at: at(9), members: [].into() });
    assert_eq!(said.refused_at, None);
}

#[test]
fn what_nobody_has_looked_at_just_now_raises_none() {
    let here = settings(|_| ());
    let mut muster = Muster::default();
    muster.seat(&key(1), bad(), 0, false);
    assert!(muster.orders(&Ledger::default(), &here).allowed.is_empty());
}
