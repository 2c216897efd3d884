//! Decides about the alarms of all missions together: who may speak within the hour, and when one comment speaks for many.

use crate::mission::alarm::{FleetIntended, Kind, Ledger, recent};
use crate::mission::alarm_plan::{Standing, has_passed};
use crate::mission::change::Change;
use crate::mission::mass_change_guard::is_share_of_all;
use crate::mission::notice::{FleetNotice, LISTED_MAX, Listed};
use crate::mission::notify::{IssueName, Mood, Notify};
use crate::mission::observation::{Allowance, Here};
use crate::mission::paths::scan_command;
use crate::mission::record::{IssueKey, Record};
use crate::mission::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A repository's id and an issue's id.
pub type Member = (i64, i64);

/// A mission that has to do with alarms.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its issue.
    pub issue: IssueKey,
    /// Where it stands.
    pub standing: Standing,
    /// Whether somebody has looked at it just now, so that what is published of it is true.
    pub is_seen: bool,
}

impl Seat {
    fn member(&self) -> Member {
        (self.issue.repository_id, self.issue.issue_id)
    }
}

/// All missions, as far as alarms go.
#[derive(Clone, Debug, Default)]
pub struct Muster {
    /// Those that are bad, or were when somebody was told.
    pub seats: Vec<Seat>,
    /// How many there are in all that anybody wants to hear of.
    pub watched: usize,
    /// How many alarms they had within the last hour, and how many are on their way.
    pub recent: usize,
}

/// What comes of it.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Who may say something. Nobody else may.
    pub allowed: BTreeMap<Member, Allowance>,
    /// What is to be said for many, or remembered of it.
    pub change: Option<Change>,
    /// How many alarms wait for another hour.
    pub waiting: usize,
}

impl Muster {
    /// Gathers all missions by what is remembered of each, with whether that is what is published of it now; so many alarms
    /// are on their way besides.
    #[must_use]
    pub fn gather<'a>(missions: impl IntoIterator<Item = (&'a Record, bool)>, under_way: usize, here: &Here) -> Self {
        let mut muster = Self { recent: under_way, ..Self::default() };
        for (record, is_seen) in missions {
            muster.take(record, is_seen, here);
        }
        muster
    }

    /// Takes note of a mission by what is remembered of it.
    fn take(&mut self, record: &Record, is_seen: bool, here: &Here) {
        let standing = Standing::of(record, &here.notify);
        let on_its_way = usize::from(record.alarm.intended.is_some());
        let count = recent(&record.alarm.posted, here.now) + on_its_way;
        self.seat(&record.issue, standing, count, is_seen);
    }

    /// Takes note of a mission that had so many alarms within the last hour.
    pub fn seat(&mut self, issue: &IssueKey, standing: Standing, recent: usize, is_seen: bool) {
        self.recent += recent;
        self.watched += usize::from(standing.is_watched);
        if standing.bad_since.is_some() || standing.raised.is_some() {
            self.seats.push(Seat { issue: issue.clone(), standing, is_seen });
        }
    }

    /// Decides.
    #[must_use]
    pub fn orders(mut self, ledger: &Ledger, here: &Here) -> Orders {
        let (notify, now) = (&here.notify, here.now);
        self.seats.sort_by_key(|seat| (seat.standing.bad_since, seat.member()));
        let members = self.still_bad(ledger, notify);
        let mut room = notify.per_hour.saturating_sub(self.recent + recent(&ledger.posted, now));
        let due = |kind: Kind| -> Vec<Member> {
            let is_due = |seat: &&Seat| seat.is_seen && seat.standing.due(notify, now) == Some(kind);
            let alone = self.seats.iter().filter(is_due).map(Seat::member);
            alone.filter(|member| !members.contains(member)).collect()
        };
        let mut raised = due(Kind::Raised);
        let folded = self.fold(&mut raised, room, notify);
        let together: BTreeSet<Member> = members.iter().copied().chain(folded).collect();
        let kind = fleet_kind(ledger, &members, &together, notify, now).filter(|_| room > 0);
        let change = match (&notify.issue, kind) {
            (Some(issue), Some(kind)) => {
                room -= 1;
                Some(self.speak(issue, kind, together, ledger, here))
            }
            (Some(_), None) if members.is_empty() && ledger.raised_at.is_some() => None,
            (Some(_) | None, _) => forget(ledger, members.clone()),
        };
        let last = raised.len().min(room);
        let speakers: Vec<Member> = raised.iter().copied().chain(due(Kind::Over)).chain(due(Kind::Repeated)).collect();
        let waiting = raised.len() - last;
        let others = |at: usize| if at + 1 == room { waiting } else { 0 };
        let allowed = speakers.iter().take(room).enumerate();
        let allowed = allowed.map(|(at, member)| (*member, Allowance::Granted { others: others(at) })).collect();
        Orders { allowed, change, waiting }
    }

    /// Of those that the fleet's alarm speaks for.
    fn still_bad(&self, ledger: &Ledger, notify: &Notify) -> BTreeSet<Member> {
        let bad = self.seats.iter().filter(|seat| seat.standing.is_bad()).map(Seat::member);
        bad.filter(|member| notify.issue.is_some() && ledger.members.contains(member)).collect()
    }

    /// Takes out those for which one comment is to speak: all where they are many, else those that the hour has no room for;
    /// the last of an hour's comments is kept for that.
    fn fold(&self, raised: &mut Vec<Member>, room: usize, notify: &Notify) -> Vec<Member> {
        if notify.issue.is_none() || room == 0 {
            return Vec::new();
        }
        let is_many = raised.len() > notify.many && is_share_of_all(raised.len(), self.watched);
        let fits = if notify.per_hour > 1 || raised.len() > room { room - 1 } else { room };
        raised.split_off(if is_many { 0 } else { fits.min(raised.len()) })
    }

    fn speak(&self, issue: &IssueName, kind: Kind, members: BTreeSet<Member>, ledger: &Ledger, here: &Here) -> Change {
        let spoken_for = self.seats.iter().filter(|seat| members.contains(&seat.member()));
        let listed = spoken_for.filter_map(|seat| {
            let Mood::Bad(cause) = seat.standing.mood else { return None };
            Some(Listed { issue: seat.issue.to_string(), cause, since: seat.standing.bad_since? })
        });
        let notice = FleetNotice {
            listed: listed.take(LISTED_MAX).collect(),
            bad: members.len(),
            all: self.watched,
            intended: FleetIntended { kind, at: here.now, members },
            root: here.root,
            missions_root: here.missions_root.clone(),
            host: here.host.clone(),
            raised_at: ledger.raised_at.unwrap_or(here.now),
            scan_command: scan_command(&here.missions_root),
            mention: here.notify.mention.clone(),
        };
        Change::PostFleetAlarm { issue: issue.clone(), notice: Box::new(notice), memory: Box::new(ledger.clone()) }
    }
}

/// What is to be said for many, if anything is.
fn fleet_kind(
    ledger: &Ledger,
    members: &BTreeSet<Member>,
    together: &BTreeSet<Member>,
    notify: &Notify,
    now: Timestamp,
) -> Option<Kind> {
    if together.len() > members.len() {
        return Some(Kind::Raised);
    }
    let said_at = ledger.said_at.filter(|_| ledger.raised_at.is_some())?;
    if members.is_empty() {
        return Some(Kind::Over);
    }
    let is_long = notify.repeat.is_some_and(|repeat| has_passed(said_at, repeat, now));
    is_long.then_some(Kind::Repeated)
}

/// Those that are well again are not spoken for any more; without an issue to speak on, nobody is.
fn forget(ledger: &Ledger, members: BTreeSet<Member>) -> Option<Change> {
    let is_over = members.is_empty();
    let raised_at = ledger.raised_at.filter(|_| !is_over);
    let memory = Ledger { members, raised_at, said_at: ledger.said_at.filter(|_| !is_over), ..ledger.clone() };
    (memory != *ledger).then(|| Change::RememberFleet { memory: Box::new(memory) })
}
