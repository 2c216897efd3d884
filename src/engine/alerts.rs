//! Musters all missions after each sweep: who may raise an alarm now, and what one comment says for many.

use crate::engine::Daemon;
use crate::engine::allowances::Task;
use crate::engine::fleet::{Fleet, Place};
use crate::engine::forge::Forge;
use crate::engine::tracked::Brake;
use crate::mission::alarm::{Ledger, recent};
use crate::mission::change::Change;
use crate::mission::muster::{Member, Muster, Orders};
use crate::mission::observation::{Allowance, Here};
use crate::pass::speak_for_many;
use crate::queue::{Key, Queue};
use crate::survey::settle;
use crate::trouble::Trouble;
use crate::world::ledger;
use crate::world::mutex::locked;
use std::collections::HashMap;
use std::sync::Arc;

impl Fleet {
    /// Asks whoever sees all missions who may speak; the keys to look at.
    fn muster(&mut self, queue: &Queue, ledger: &Ledger, here: &Here) -> Vec<Key> {
        let key = |place: Place| Key::Issue { repository: place.0, number: place.1 };
        // Whatever the queue has forgotten is looked at no more.
        self.alarms.allowed.retain(|place, _| queue.is_held(key(*place)));
        let mut muster = Muster { recent: self.alarms.allowed.len(), ..Muster::default() };
        let mut places: HashMap<Member, Place> = HashMap::new();
        for (place, known) in self.all_known() {
            let standing = known.standing(&here.notify);
            // Of one that is about to be looked at, what is published may be old.
            let is_seen = known.brake == Brake::Off && !queue.is_held(key(*place));
            muster.seat(&known.issue, standing, recent(&known.alarm.posted, here.now), is_seen);
            if standing.bad_since.is_some() || standing.raised.is_some() {
                places.insert((known.issue.repository_id, known.issue.issue_id), *place);
            }
        }
        let Orders { allowed, change, waiting } = muster.orders(ledger, here);
        if waiting > 0 && waiting != self.alarms.waiting {
            tracing::warn!("{waiting} alarms wait: `notify.per_hour` lets an hour have {}", here.notify.per_hour);
        }
        self.alarms.waiting = waiting;
        let allowed = allowed.into_iter().filter_map(|(member, allowance)| Some((*places.get(&member)?, allowance)));
        let allowed: Vec<(Place, Allowance)> = allowed.collect();
        let mut keys: Vec<Key> = allowed.iter().map(|(place, _)| key(*place)).collect();
        self.alarms.allowed.extend(allowed);
        keys.extend(change.is_some().then_some(Key::Alarms));
        self.alarms.task = change.map(Task::Do);
        keys
    }
}

impl Daemon {
    /// Puts in line who may raise an alarm, after a sweep has told how everything is.
    pub(super) async fn muster(self: &Arc<Self>) {
        let here = self.forge.as_ref().and_then(|forge| forge.here(self.now()));
        let Some(here) = here.filter(|here| here.notify.is_on() && !self.queue.is_asked(Key::Alarms)) else { return };
        let daemon = Arc::clone(self);
        let mustered = tokio::task::spawn_blocking(move || {
            let ledger = ledger::read(&daemon.root)?;
            let mut fleet = locked(&daemon.fleet);
            if ledger.intended.is_some() {
                fleet.alarms.task = Some(Task::Settle(ledger));
                return Ok(vec![Key::Alarms]);
            }
            Ok(fleet.muster(&daemon.queue, &ledger, &here))
        });
        match mustered.await.expect("mustering never panics") {
            Ok(keys) => keys.into_iter().for_each(|key| self.queue.add(key)),
            Err(message) => {
                let about = self.settings.missions_root.display().to_string();
                self.note(&[Trouble { about, issue: None, kind: "alarms", message, needs_a_token: false }]);
            }
        }
    }

    /// Does what is to be done for many.
    pub(super) async fn speak_for_many(&self, forge: &Forge) -> Vec<Trouble> {
        let task = locked(&self.fleet).alarms.task.take();
        let (Some(task), Some(applier)) = (task, forge.applier()) else { return Vec::new() };
        let applier = applier.at(self.now());
        let change = match task {
            Task::Do(change) => change,
            Task::Settle(ledger) => match settle(&forge.observer, &applier.here(), &ledger).await {
                Ok(settled) => Change::RememberFleet { memory: Box::new(settled) },
                Err(error) => {
                    let issue = self.settings.notify.issue.as_ref().map(ToString::to_string);
                    return vec![Trouble::forge(issue.unwrap_or_default(), &error)];
                }
            },
        };
        match speak_for_many(&applier, &change).await {
            Ok(()) => {
                tracing::info!(kind = change.kind(), "{change}");
                Vec::new()
            }
            Err(trouble) => vec![trouble],
        }
    }
}
