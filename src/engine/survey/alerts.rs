//! Schedules the alerts of a single pass, and checks the alert targets.

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
    /// Schedules alerts from the status that this pass will publish of all missions. Returns the fleet alert.
    pub(super) async fn decide_alerts(&mut self, candidates: &mut [Candidate]) -> Option<Change> {
        if !self.context.notify.is_on() {
            return None;
        }
        let record = match alerts::read(self.root) {
            Ok(record) => record,
            Err(message) => {
                self.failures.push(Failure::service(self.context.missions_root.clone(), "alarms", message));
                return None;
            }
        };
        let settled = match settle(&self.observer, &self.context, &record).await {
            Ok(settled) => settled,
            Err(error) => {
                let issue = self.context.notify.issue.as_ref().map(ToString::to_string);
                self.failures.push(Failure::of_alerts(issue.unwrap_or_default(), &error));
                return None;
            }
        };
        let AlertSchedule { permits, change, waiting } = self.gather(candidates).schedule(&settled, &self.context);
        warn_of_waiting(waiting, &self.context);
        for candidate in candidates {
            let key = &candidate.seen.issue.key;
            let permit = permits.get(&(key.repository_id, key.issue_id)).copied();
            candidate.seen.alert_permit = permit.unwrap_or(AlertPermit::Denied);
        }
        change.or_else(|| (settled != record).then(|| Change::RecordFleetAlert { memory: Box::new(settled) }))
    }

    /// Collects the alert states; for missions of this pass, those after their turns.
    fn gather(&self, candidates: &mut [Candidate]) -> FleetAlerts {
        let mut seen = BTreeSet::new();
        let mut published = Vec::new();
        for candidate in candidates {
            seen.insert((candidate.seen.issue.key.repository_id, candidate.seen.issue.key.issue_id));
            // The state of an issue that was not found is unknown.
            let is_seen = !matches!(candidate.lifecycle(), Lifecycle::Missing);
            published.extend(simulate(&candidate.seen).after.record.map(|record| (record, is_seen)));
        }
        let others = self.records.by_issue.iter().filter(|(key, _)| !seen.contains(*key));
        let others = others.map(|(_, record)| (record, false));
        FleetAlerts::gather(
            published.iter().map(|(record, is_seen)| (record, *is_seen)).chain(others),
            0,
            &self.context,
        )
    }
}

/// Checks the alert targets. If the fleet's issue rejects comments, each mission alerts on its own issue.
pub(super) async fn check_targets(observer: &Observer, settings: &Settings, notify: &mut Notify) -> Vec<Failure> {
    let errors = observer.check_alert_targets(&settings.notify, &settings.repositories).await;
    let permanent: Vec<_> = errors.iter().filter(|error| !error.is_passing()).collect();
    if permanent.iter().any(|error| error.is_about_the_issue()) {
        notify.issue = None;
    }
    permanent.into_iter().map(Failure::of_alert_target).collect()
}

/// Logs how many alerts the hourly limit delays.
pub(crate) fn warn_of_waiting(waiting: usize, context: &PassContext) {
    if waiting > 0 {
        tracing::warn!("{waiting} alerts are pending: `notify.per_hour` allows {} per hour", context.notify.per_hour);
    }
}

/// Resolves whether a fleet alert in flight was posted.
pub(crate) async fn settle(
    observer: &Observer,
    context: &PassContext,
    record: &FleetAlertRecord,
) -> Result<FleetAlertRecord, ForgeError> {
    let (Some(wanted), Some(issue)) = (record.intended_marker(context.root), &context.notify.issue) else {
        return Ok(record.settled(false));
    };
    let is_posted = match observer.has_alert(context, issue, &wanted).await {
        Ok(is_posted) => is_posted,
        Err(_) if observer.takes_no_alert(issue).await => return Ok(record.refused(context.now)),
        Err(error) => return Err(error),
    };
    Ok(record.settled(is_posted))
}
