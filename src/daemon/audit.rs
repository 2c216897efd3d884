//! Looks at everything now and then, as a single pass does, and puts in line what is not as it should be.

use crate::daemon::Daemon;
use crate::daemon::fleet::print;
use crate::daemon::forge::{Forge, OVERLAP, span};
use crate::mission::admission::Admission;
use crate::mission::ground::KnownRepository;
use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::plan::preview;
use crate::mission::situation::{Situation, situation, wants_room};
use crate::mission::time::Timestamp;
use crate::pass::set_up;
use crate::queue::Key;
use crate::survey::{Scope, Survey, survey};
use crate::trouble::{Refusal, Trouble};
use crate::world::mutex::locked;
use crate::world::root::Records;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after an audit that could not do everything the next one comes, at first.
const AUDIT_RETRY: Duration = Duration::from_secs(30);

/// An issue as an audit sees it.
struct Judged {
    facts: IssueFacts,
    mission_id: MissionId,
    is_quiet: bool,
    print: u64,
    wants_room: bool,
    is_admitted: bool,
}

impl Judged {
    fn new(observation: Observation) -> Self {
        let is_blocked = matches!(situation(&observation), Situation::Blocked(_));
        Self {
            mission_id: observation.mission_id,
            is_quiet: !is_blocked && preview(&observation).is_empty(),
            print: print(&observation.issue),
            wants_room: wants_room(&observation),
            is_admitted: observation.admission == Admission::Admitted,
            facts: observation.issue,
        }
    }
}

/// What is wrong with the forge or a repository for as long as it is away. One issue that cannot be read comes again by
/// itself.
fn outages(troubles: &[Trouble]) -> impl Iterator<Item = &Trouble> {
    troubles.iter().filter(|trouble| trouble.issue.is_none() && trouble.is_outage())
}

impl Forge {
    /// Takes note of an audit. What it could not do is tried again with the next tick while the forge is to blame, and
    /// later and later where a person has to act.
    fn audited(
        &self,
        served: Vec<KnownRepository>,
        since: BTreeMap<RepositoryId, Timestamp>,
        troubles: &[Trouble],
        now: Timestamp,
        interval: Duration,
    ) {
        let mut hold = locked(&self.hold);
        let is_outage = outages(troubles).next().is_some();
        let is_new = |known: &KnownRepository| served.iter().all(|other| other.id != known.id);
        let is_out = |known: &KnownRepository| outages(troubles).any(|trouble| trouble.about == known.name.to_string());
        // One that did not answer this time is asked on.
        let kept: Vec<KnownRepository> =
            hold.repositories.iter().filter(|known| is_new(known) && is_out(known)).cloned().collect();
        hold.repositories = served.into_iter().chain(kept).collect();
        hold.since.extend(since);
        hold.standing = troubles.iter().filter(|trouble| trouble.issue.is_none()).cloned().collect();
        hold.audit_failures = if troubles.is_empty() { 0 } else { hold.audit_failures.saturating_add(1) };
        let pause = match hold.audit_failures {
            0 => interval,
            failures => AUDIT_RETRY.saturating_mul(1 << failures.min(16)).min(interval),
        };
        hold.audit_due = (!is_outage).then(|| now.plus(span(pause)));
    }
}

impl Daemon {
    /// Looks at everything, as a single pass does, and puts in line what is not as it should be.
    pub(super) async fn audit(&self, forge: &Forge) -> Vec<Trouble> {
        let asked_at = Instant::now();
        let survey = match self.survey(forge).await {
            Ok(survey) => survey,
            Err(refusal) => return self.refused(&refusal),
        };
        let Survey { here, repositories, setup, observations, mut troubles, records, begun_at, .. } = survey;
        self.hear_of_forge(outages(&troubles).next().map(|trouble| trouble.message.clone()));
        if here.me == 0 {
            return troubles;
        }
        let Some(applier) = forge.hands(&here) else { return troubles };
        for surveyed in &repositories {
            applier.know_labels(&surveyed.known, &surveyed.labels);
        }
        let mut changes = Vec::new();
        let failed = match set_up(&applier, setup, &mut changes).await {
            Ok(failed) => failed,
            Err(refusal) => return troubles.into_iter().chain(self.refused(&refusal)).collect(),
        };
        for change in changes {
            tracing::info!(kind = change.kind(), "{change}");
        }
        let is_served = |id: RepositoryId| !failed.contains_key(&id);
        let served = repositories.into_iter().map(|surveyed| surveyed.known).filter(|known| is_served(known.id));
        let since = begun_at.into_iter().map(|(id, begun_at)| (id, begun_at.plus(-OVERLAP))).collect();
        troubles.extend(failed.values().cloned());
        let is_missing = |seen: &Observation| matches!(situation(seen), Situation::Missing);
        // What was not found has to be asked for once more.
        let is_soon = observations.iter().any(is_missing);
        let interval = if is_soon { AUDIT_RETRY } else { self.settings.daemon.audit_interval };
        forge.audited(served.collect(), since, &troubles, here.now, interval);
        let judged = observations.into_iter().filter(|seen| is_served(seen.issue.key.repository_id) && !seen.is_braked);
        let judged: Vec<Observation> = judged.collect();
        let judge = move || judged.into_iter().map(Judged::new).collect::<Vec<_>>();
        let judged = tokio::task::spawn_blocking(judge).await.expect("judging never panics");
        self.take_audit(&records, judged, asked_at);
        troubles
    }

    /// Takes note of what an audit has seen, and puts in line what is to be done.
    fn take_audit(&self, records: &Records, judged: Vec<Judged>, asked_at: Instant) {
        let mut fleet = locked(&self.fleet);
        for record in records.by_issue.values() {
            fleet.recall(record, asked_at);
        }
        fleet.show_all_waiting(&self.ground());
        for Judged { facts, mission_id, is_quiet, print, wants_room, is_admitted } in judged {
            let place = (facts.key.repository_id, facts.key.number);
            if let Some(known) = fleet.known_mut(place).filter(|known| known.looked_at.is_none_or(|at| at < asked_at)) {
                known.settled = is_quiet.then_some(print);
                known.wants_room = wants_room;
            }
            let key = facts.key.clone();
            if !is_quiet && fleet.offer(facts, asked_at) {
                if wants_room && is_admitted {
                    fleet.promise(&key, mission_id);
                }
                self.queue.add(Key::Issue { repository: place.0, number: place.1 });
            }
        }
    }

    async fn survey(&self, forge: &Forge) -> Result<Survey, Refusal> {
        let root = Arc::new(self.settings.open_root()?);
        survey(&self.settings, forge.gitea.clone(), &root, &Scope::Everything, self.now()).await
    }

    /// There was no audit, and a person has to act.
    fn refused(&self, refusal: &Refusal) -> Vec<Trouble> {
        let message = refusal.to_string();
        locked(&self.passes).note_forge(Some(message.clone()));
        let about = self.settings.missions_root.display().to_string();
        vec![Trouble { about, issue: None, kind: "refused", message, needs_a_token: false }]
    }
}
