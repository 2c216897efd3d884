//! Who may raise an alarm in this pass, and what is to be said for many.

use crate::mission::alarm::{AlarmMarker, Ledger};
use crate::mission::change::Change;
use crate::mission::expected::expected;
use crate::mission::muster::{Muster, Orders};
use crate::mission::observation::{Allowance, Here, Observation};
use crate::mission::plan::preview;
use crate::mission::situation::{Situation, situation};
use crate::survey::Surveyor;
use crate::trouble::Trouble;
use crate::world::gitea::ForgeError;
use crate::world::ledger;
use crate::world::observer::Observer;
use std::collections::BTreeSet;

impl Surveyor<'_> {
    /// Musters all missions as they will be published in this pass, and tells each whether it may speak. What is to be said
    /// for many comes back.
    pub(super) async fn muster(&mut self, observations: &mut [Observation]) -> Option<Change> {
        if !self.here.notify.is_on() {
            return None;
        }
        let ledger = match ledger::read(self.root) {
            Ok(ledger) => ledger,
            Err(message) => {
                let about = self.here.missions_root.clone();
                self.troubles.push(Trouble { about, issue: None, kind: "alarms", message, needs_a_token: false });
                return None;
            }
        };
        let settled = match settle(&self.observer, &self.here, &ledger).await {
            Ok(settled) => settled,
            Err(error) => {
                let issue = self.here.notify.issue.as_ref().map(ToString::to_string);
                self.troubles.push(Trouble::forge(issue.unwrap_or_default(), &error));
                return None;
            }
        };
        let Orders { allowed, change, waiting } = self.gather(observations).orders(&settled, &self.here);
        if waiting > 0 {
            tracing::warn!("{waiting} alarms wait: `notify.per_hour` lets an hour have {}", self.here.notify.per_hour);
        }
        for observation in observations {
            let member = (observation.issue.key.repository_id, observation.issue.key.issue_id);
            observation.allowance = allowed.get(&member).copied().unwrap_or(Allowance::Held);
        }
        change.or_else(|| (settled != ledger).then(|| Change::RememberFleet { memory: Box::new(settled) }))
    }

    fn gather(&self, observations: &[Observation]) -> Muster {
        let mut muster = Muster::default();
        let mut seen = BTreeSet::new();
        for observation in observations {
            let key = (observation.issue.key.repository_id, observation.issue.key.issue_id);
            let after = expected(observation, &preview(observation));
            // Of one that is not found nobody knows yet.
            let is_seen = !matches!(situation(observation), Situation::Missing);
            if let Some(record) = after.record {
                muster.take(&record, is_seen, &self.here);
            }
            seen.insert(key);
        }
        for (_, record) in self.records.by_issue.iter().filter(|(key, _)| !seen.contains(*key)) {
            muster.take(record, false, &self.here);
        }
        muster
    }
}

/// What is true of a comment for many whose fate is unknown.
pub(crate) async fn settle(observer: &Observer, here: &Here, ledger: &Ledger) -> Result<Ledger, ForgeError> {
    let (Some(wanted), Some(issue)) = (ledger.intended_marker(here.root), &here.notify.issue) else {
        return Ok(ledger.settled(false));
    };
    let said = observer.alarms(issue).await?;
    let is_it = |(poster, marker): &(i64, AlarmMarker)| here.is_ours(*poster) && wanted.is_written_as(marker);
    Ok(ledger.settled(said.iter().any(is_it)))
}
