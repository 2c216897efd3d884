//! The alarms of all missions together: one hour's limit, and one comment that speaks for many.

use crate::alarms::on;
use crate::support::cells::{at, seconds};
use crate::support::missions::proposal;
use lazarus::mission::alarm::{Alarm, Intended, Kind, Ledger, PER_HOUR_MAX, Raised, recent};
use lazarus::mission::alarm_plan::Standing;
use lazarus::mission::change::Change;
use lazarus::mission::muster::{Member, Muster, Orders};
use lazarus::mission::notify::{Cause, IssueName, Mood, Notify};
use lazarus::mission::observation::{Allowance, Here};
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

#[test]
fn others_that_fail_later_are_told_again_and_all_are_spoken_for_together() {
    let one = orders(&due(3), 9, &speaking_for(&[1, 2]), |_| ());
    assert_eq!((one.allowed.len(), spoken(&one)), (1, None), "one alone speaks for itself");
    let many = orders(&due(6), 9, &speaking_for(&[1, 2]), |_| ());
    assert_eq!((many.allowed.len(), spoken(&many)), (0, Some((Kind::Raised, 6))));
}

#[test]
fn without_its_issue_the_fleets_alarm_is_let_go() {
    let orders = orders(&due(2), 9, &speaking_for(&[1, 2]), |notify| notify.issue = None);
    let Some(Change::RememberFleet { memory }) = &orders.change else { panic!("{:?}", orders.change) };
    assert_eq!((memory.members.len(), memory.raised_at, orders.allowed.len()), (0, None, 2));
}

#[test]
fn what_nobody_has_looked_at_just_now_raises_none() {
    let here = settings(|_| ());
    let mut muster = Muster::default();
    muster.seat(&key(1), bad(), 0, false);
    assert!(muster.orders(&Ledger::default(), &here).allowed.is_empty());
}
