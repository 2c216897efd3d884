//! Who may raise an alarm in this pass, and what is to be said for many.

use crate::config::Settings;
use crate::engine::failure::Failure;
use crate::engine::survey::Surveyor;
use crate::mission::alert::config::Notify;
use crate::mission::alert::fleet::{AlertSchedule, FleetAlerts};
use crate::mission::alert::state::FleetAlertRecord;
use crate::mission::observation::{AlertPermit, PassContext};
use crate::mission::plan::change::Change;
use crate::mission::plan::step::{Candidate, simulate};
use crate::mission::status::lifecycle::Lifecycle;
use crate::world::forge::ForgeError;
use crate::world::observer::Observer;
use crate::world::store::alerts;
use std::collections::BTreeSet;

impl Surveyor<'_> {
    /// Decides by how all missions will be published in this pass who may send an alert. What is to be said for many comes
    /// back.
    pub(super) async fn decide_alerts(&mut self, candidates: &mut [Candidate]) -> Option<Change> {
        if !self.here.notify.is_on() {
            return None;
        }
        let ledger = match alerts::read(self.root) {
            Ok(ledger) => ledger,
            Err(message) => {
                self.failures.push(Failure::service(self.here.missions_root.clone(), "alarms", message));
                return None;
            }
        };
        let settled = match settle(&self.observer, &self.here, &ledger).await {
            Ok(settled) => settled,
            Err(error) => {
                let issue = self.here.notify.issue.as_ref().map(ToString::to_string);
                self.failures.push(Failure::of_alerts(issue.unwrap_or_default(), &error));
                return None;
            }
        };
        let AlertSchedule { permits: allowed, change, waiting } =
            self.gather(candidates).schedule(&settled, &self.here);
        warn_of_waiting(waiting, &self.here);
        for candidate in candidates {
            let key = &candidate.seen.issue.key;
            let allowance = allowed.get(&(key.repository_id, key.issue_id)).copied();
            candidate.seen.alert_permit = allowance.unwrap_or(AlertPermit::Denied);
        }
        change.or_else(|| (settled != ledger).then(|| Change::RecordFleetAlert { memory: Box::new(settled) }))
    }

    /// Of those that are looked at, what will be published counts.
    fn gather(&self, candidates: &mut [Candidate]) -> FleetAlerts {
        let mut seen = BTreeSet::new();
        let mut published = Vec::new();
        for candidate in candidates {
            seen.insert((candidate.seen.issue.key.repository_id, candidate.seen.issue.key.issue_id));
            // Of one that is not found nobody knows yet.
            let is_seen = !matches!(candidate.situation(), Lifecycle::Missing);
            published.extend(simulate(&candidate.seen).after.record.map(|record| (record, is_seen)));
        }
        let others = self.records.by_issue.iter().filter(|(key, _)| !seen.contains(*key));
        let others = others.map(|(_, record)| (record, false));
        FleetAlerts::gather(published.iter().map(|(record, is_seen)| (record, *is_seen)).chain(others), 0, &self.here)
    }
}

/// What keeps alerts from whom they should reach. Where the issue for many takes none, each mission speaks for itself.
pub(super) async fn check_targets(observer: &Observer, settings: &Settings, notify: &mut Notify) -> Vec<Failure> {
    let errors = observer.check_alert_targets(&settings.notify, &settings.repositories).await;
    let lasting: Vec<_> = errors.iter().filter(|error| !error.is_passing()).collect();
    if lasting.iter().any(|error| error.is_about_the_issue()) {
        notify.issue = None;
    }
    lasting.into_iter().map(Failure::of_alert_target).collect()
}

/// Says how many alarms wait for another hour.
pub(crate) fn warn_of_waiting(waiting: usize, here: &PassContext) {
    if waiting > 0 {
        tracing::warn!("{waiting} alarms wait: `notify.per_hour` lets an hour have {}", here.notify.per_hour);
    }
}

/// What is true of a comment for many whose fate is unknown.
pub(crate) async fn settle(
    observer: &Observer,
    here: &PassContext,
    ledger: &FleetAlertRecord,
) -> Result<FleetAlertRecord, ForgeError> {
    let (Some(wanted), Some(issue)) = (ledger.intended_marker(here.root), &here.notify.issue) else {
        return Ok(ledger.settled(false));
    };
    let is_said = match observer.has_alarm(here, issue, &wanted).await {
        Ok(is_said) => is_said,
        Err(_) if observer.takes_no_alert(issue).await => return Ok(ledger.refused(here.now)),
        Err(error) => return Err(error),
    };
    Ok(ledger.settled(is_said))
}
