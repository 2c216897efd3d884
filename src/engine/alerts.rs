//! Decides about alerts after each sweep: who may send one now, and what one comment says for many.

use crate::engine::Engine;
use crate::engine::failure::Failure;
use crate::engine::fleet::{Fleet, IssueRef, Task};
use crate::engine::forge::{Forge, span};
use crate::engine::queue::{Key, Queue};
use crate::engine::survey::{settle, warn_of_waiting};
use crate::engine::tracked::{HoldState, Tracked};
use crate::mission::alert::fleet::{AlertSchedule, FleetAlerts, Member};
use crate::mission::alert::state::FleetAlertRecord;
use crate::mission::observation::{AlertPermit, PassContext};
use crate::mission::plan::change::Change;
use crate::world::applier::Applier;
use crate::world::blocking_pool::blocking;
use crate::world::lock_unpoisoned::locked;
use crate::world::store::alerts;
use chrono::TimeDelta;
use std::collections::HashMap;
use std::sync::Arc;

impl Fleet {
    /// Decides by what is published of all missions who may send an alert; the keys to look at.
    fn decide_alerts(
        &mut self,
        queue: &Queue,
        ledger: &FleetAlertRecord,
        (here, interval): (&PassContext, TimeDelta),
    ) -> Vec<Key> {
        let key = |place: IssueRef| Key::Issue { repository: place.0, number: place.1 };
        // Whatever the queue has forgotten is looked at no more.
        self.alerts.permits.retain(|place, _| queue.is_held(key(*place)));
        let missions = self.known.iter().map(|(place, known)| {
            // Of one that is about to be looked at, what is published may be old.
            (&*known.record, known.hold == HoldState::None && !queue.is_held(key(*place)))
        });
        let muster = FleetAlerts::gather(missions, self.alerts.permits.len(), here).looking_again_after(interval);
        let AlertSchedule { permits: allowed, change, waiting } = muster.schedule(ledger, here);
        if waiting != self.alerts.waiting {
            warn_of_waiting(waiting, here);
        }
        self.alerts.waiting = waiting;
        let places: HashMap<Member, IssueRef> = if allowed.is_empty() { HashMap::new() } else { self.members() };
        let allowed = allowed.into_iter().filter_map(|(member, allowance)| Some((*places.get(&member)?, allowance)));
        let allowed: Vec<(IssueRef, AlertPermit)> = allowed.collect();
        let mut keys: Vec<Key> = allowed.iter().map(|(place, _)| key(*place)).collect();
        self.alerts.permits.extend(allowed);
        keys.extend(change.is_some().then_some(Key::Alerts));
        self.alerts.task = change.map(Task::Do);
        keys
    }

    fn members(&self) -> HashMap<Member, IssueRef> {
        let member =
            |(place, known): (&IssueRef, &Tracked)| ((known.issue().repository_id, known.issue().issue_id), *place);
        self.known.iter().map(member).collect()
    }
}

impl Engine {
    /// Puts in line who may send an alert, after a sweep has told how everything is.
    pub(super) async fn decide_alerts(self: &Arc<Self>) {
        let here = self.forge.as_ref().and_then(|forge| forge.here(self.now()));
        let Some(here) = here.filter(|here| here.notify.is_on() && !self.queue.is_asked(Key::Alerts)) else { return };
        let engine = Arc::clone(self);
        let decided = blocking(move || {
            let ledger = alerts::read(&engine.root)?;
            let mut fleet = locked(&engine.fleet);
            if ledger.intent.is_some() {
                fleet.alerts.task = Some(Task::Settle(ledger));
                return Ok(vec![Key::Alerts]);
            }
            let interval = span(engine.settings.daemon.interval);
            Ok(fleet.decide_alerts(&engine.queue, &ledger, (&here, interval)))
        });
        match decided.await {
            Ok(keys) => keys.into_iter().for_each(|key| self.queue.add(key)),
            Err(message) => {
                let about = self.settings.missions_root.display().to_string();
                self.note(&[Failure::service(about, "alarms", message)]);
            }
        }
    }

    /// Does what is to be done for many.
    pub(super) async fn post_fleet_alert(&self, forge: &Forge) -> Vec<Failure> {
        let task = locked(&self.fleet).alerts.task.take();
        let (Some(task), Some(applier)) = (task, forge.applier()) else { return Vec::new() };
        let applier = applier.at(self.now());
        let change = match task {
            Task::Do(change) => change,
            Task::Settle(ledger) => match settle(&forge.observer, &applier.here(), &ledger).await {
                Ok(settled) => Change::RecordFleetAlert { memory: Box::new(settled) },
                Err(error) => {
                    let issue = self.settings.notify.issue.as_ref().map(ToString::to_string);
                    return vec![Failure::of_alerts(issue.unwrap_or_default(), &error)];
                }
            },
        };
        match speak_for_many(&applier, &change).await {
            Ok(()) => {
                self.log_changes(vec![change]);
                Vec::new()
            }
            Err(trouble) => vec![trouble],
        }
    }
}

/// What is said for many, or remembered of it.
async fn speak_for_many(applier: &Applier, change: &Change) -> Result<(), Failure> {
    let Err(error) = applier.apply(change).await else { return Ok(()) };
    let about = applier.here().notify.issue.as_ref().map(ToString::to_string).unwrap_or_default();
    Err(Failure::unmade(about, change, &error))
}
