//! Schedules alerts after each scan of the cells: which missions may send one, and the fleet alert.

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
    /// Schedules alerts from the published status of all missions; returns the keys to reconcile.
    fn decide_alerts(
        &mut self,
        queue: &Queue,
        record: &FleetAlertRecord,
        (context, interval): (&PassContext, TimeDelta),
    ) -> Vec<Key> {
        let key = |place: IssueRef| Key::Issue { repository: place.0, number: place.1 };
        // Permits of keys that have left the queue are not used any more.
        self.alerts.permits.retain(|place, _| queue.is_held(key(*place)));
        let missions = self.known.iter().map(|(place, known)| {
            // The published status of a mission in the queue may be outdated.
            (&*known.record, known.hold == HoldState::None && !queue.is_held(key(*place)))
        });
        let fleet_alerts = FleetAlerts::gather(missions, self.alerts.permits.len(), context).rechecked_after(interval);
        let AlertSchedule { permits, change, waiting } = fleet_alerts.schedule(record, context);
        if waiting != self.alerts.waiting {
            warn_of_waiting(waiting, context);
        }
        self.alerts.waiting = waiting;
        let places: HashMap<Member, IssueRef> = if permits.is_empty() { HashMap::new() } else { self.members() };
        let permits = permits.into_iter().filter_map(|(member, permit)| Some((*places.get(&member)?, permit)));
        let permits: Vec<(IssueRef, AlertPermit)> = permits.collect();
        let mut keys: Vec<Key> = permits.iter().map(|(place, _)| key(*place)).collect();
        self.alerts.permits.extend(permits);
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
    /// Enqueues the missions that may send an alert, after a scan of all cells.
    pub(super) async fn decide_alerts(self: &Arc<Self>) {
        let context = self.forge.as_ref().and_then(|forge| forge.context(self.now()));
        let Some(context) = context.filter(|context| context.notify.is_on() && !self.queue.is_asked(Key::Alerts))
        else {
            return;
        };
        let engine = Arc::clone(self);
        let decided = blocking(move || {
            let record = alerts::read(&engine.root)?;
            let mut fleet = locked(&engine.fleet);
            if record.intent.is_some() {
                fleet.alerts.task = Some(Task::Settle(record));
                return Ok(vec![Key::Alerts]);
            }
            let interval = span(engine.settings.daemon.interval);
            Ok(fleet.decide_alerts(&engine.queue, &record, (&context, interval)))
        });
        match decided.await {
            Ok(keys) => keys.into_iter().for_each(|key| self.queue.add(key)),
            Err(message) => {
                let about = self.settings.missions_root.display().to_string();
                self.note(&[Failure::service(about, "alarms", message)]);
            }
        }
    }

    /// Carries out the pending task of the fleet alert.
    pub(super) async fn post_fleet_alert(&self, forge: &Forge) -> Vec<Failure> {
        let task = locked(&self.fleet).alerts.task.take();
        let (Some(task), Some(applier)) = (task, forge.applier()) else { return Vec::new() };
        let applier = applier.at(self.now());
        let change = match task {
            Task::Do(change) => change,
            Task::Settle(record) => match settle(&forge.observer, &applier.here(), &record).await {
                Ok(settled) => Change::RecordFleetAlert { memory: Box::new(settled) },
                Err(error) => {
                    let issue = self.settings.notify.issue.as_ref().map(ToString::to_string);
                    return vec![Failure::of_alerts(issue.unwrap_or_default(), &error)];
                }
            },
        };
        match apply_fleet_alert(&applier, &change).await {
            Ok(()) => {
                self.log_changes(vec![change]);
                Vec::new()
            }
            Err(failure) => vec![failure],
        }
    }
}

/// Posts or records a fleet alert.
async fn apply_fleet_alert(applier: &Applier, change: &Change) -> Result<(), Failure> {
    let Err(error) = applier.apply(change).await else { return Ok(()) };
    let about = applier.here().notify.issue.as_ref().map(ToString::to_string).unwrap_or_default();
    Err(Failure::unmade(about, change, &error))
}
