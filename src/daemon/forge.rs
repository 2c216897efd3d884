//! The daemon's dealings with the forge: it lists what is new, and looks at one issue.

use crate::daemon::Daemon;
use crate::daemon::fleet::{Place, print};
use crate::daemon::known::Brake;
use crate::mission::change::Change;
use crate::mission::ground::KnownRepository;
use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::observation::{Here, IssueFacts, Observation};
use crate::mission::record::{IssueState, Record};
use crate::mission::situation::{is_proposal, wants_room};
use crate::mission::time::Timestamp;
use crate::question::Question;
use crate::queue::Key;
use crate::reconcile::{Outcome, reconcile};
use crate::report::troubles;
use crate::settings::{Settings, SettingsError};
use crate::trouble::{Refusal, Trouble};
use crate::world::WorldError;
use crate::world::applier::Applier;
use crate::world::checkout::Checkouts;
use crate::world::clock;
use crate::world::entry::Entry;
use crate::world::gitea::{ForgeError, Gitea, Traffic};
use crate::world::lock::Access;
use crate::world::mutex::locked;
use crate::world::observer::Observer;
use crate::world::root::Root;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How far back a listing reaches before the one that came before it: what was committed late bears an older time.
pub(super) const OVERLAP: TimeDelta = TimeDelta::seconds(120);

/// The forge, and what is known of it.
#[derive(Debug)]
pub(super) struct Forge {
    pub(super) gitea: Gitea,
    pub(super) observer: Observer,
    access: Access,
    checkouts: Checkouts,
    pub(super) hold: Mutex<Hold>,
}

#[derive(Debug)]
pub(super) struct Hold {
    /// Until the first audit.
    entry: Option<Entry>,
    /// From then on.
    applier: Option<Arc<Applier>>,
    pub(super) repositories: Vec<KnownRepository>,
    /// From when on each repository's issues are asked for.
    pub(super) since: BTreeMap<RepositoryId, Timestamp>,
    /// When everything is looked at anew.
    pub(super) audit_due: Option<Timestamp>,
    /// What the last audit could not do, and no listing tries.
    pub(super) standing: Vec<Trouble>,
    /// How many audits in a row could not do all they should.
    pub(super) audit_failures: u32,
}

impl Forge {
    pub(super) fn new(
        settings: &Settings,
        root: Arc<Root>,
        entry: Entry,
        access: Access,
    ) -> Result<Self, SettingsError> {
        settings.repositories()?;
        let gitea = settings.gitea()?;
        let observer = Observer::new(gitea.clone(), root);
        let hold = Hold {
            entry: Some(entry),
            applier: None,
            repositories: Vec::new(),
            since: BTreeMap::new(),
            audit_due: None,
            standing: Vec::new(),
            audit_failures: 0,
        };
        let checkouts = settings.checkouts();
        Ok(Self { gitea, observer, access, checkouts, hold: Mutex::new(hold) })
    }

    pub(super) async fn check_token(&self) -> Result<(), Refusal> {
        match self.observer.me().await {
            Err(error) if error.is_about_the_token() => Err(Refusal::Token(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Failures are forgotten, and the token is read again.
    pub(super) fn begin_anew(&self, settings: &Settings) {
        let token = settings.read_token();
        if let Err(error) = &token {
            tracing::warn!("the token stays as it was: {error}");
        }
        self.gitea.begin_anew(token.ok());
    }

    /// Whether it is time, or would be by a clock that was set back since.
    pub(super) fn is_audit_due(&self, now: Timestamp, interval: Duration) -> bool {
        let latest = now.plus(span(interval));
        locked(&self.hold).audit_due.is_none_or(|due| due <= now || due > latest)
    }

    /// What is wrong until the next audit finds it right.
    pub(super) fn standing(&self) -> Vec<Trouble> {
        locked(&self.hold).standing.clone()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.gitea.traffic()
    }

    fn repository(&self, id: RepositoryId) -> Option<KnownRepository> {
        locked(&self.hold).repositories.iter().find(|known| known.id == id).cloned()
    }

    /// What is the same for all missions now; none before the first audit.
    pub(super) fn here(&self, now: Timestamp) -> Option<Arc<Here>> {
        Some(self.applier()?.at(now).here())
    }

    pub(super) fn applier(&self) -> Option<Arc<Applier>> {
        locked(&self.hold).applier.clone()
    }

    /// The hands that write, made when we know who we are.
    pub(super) fn hands(&self, here: &Arc<Here>) -> Option<Arc<Applier>> {
        let mut hold = locked(&self.hold);
        if let Some(applier) = &hold.applier {
            applier.know_here(Arc::clone(here));
        } else {
            let entry = hold.entry.take()?;
            let (gitea, checkouts) = (self.gitea.clone(), self.checkouts.clone());
            hold.applier = Some(Arc::new(Applier::new(gitea, Arc::clone(here), self.access, entry, checkouts)));
        }
        hold.applier.clone()
    }
}

impl Daemon {
    pub(super) fn hear_of_forge(&self, error: Option<String>) {
        let mut passes = locked(&self.passes);
        let is_back = error.is_none() && passes.is_forge_away();
        passes.note_forge(error);
        drop(passes);
        if is_back {
            tracing::info!("the forge is back");
            self.queue.release_all();
        }
    }

    /// Asks each repository what was touched since it was asked last: one request, where nothing was.
    pub(super) async fn list(&self, forge: &Forge) -> Vec<Trouble> {
        let (repositories, since) = {
            let hold = locked(&forge.hold);
            (hold.repositories.clone(), hold.since.clone())
        };
        let mut troubles = Vec::new();
        for repository in repositories {
            // Until an audit has seen all of it, there is nothing to begin from.
            let Some(since) = since.get(&repository.id) else { continue };
            let asked_at = clock::instant();
            match forge.observer.issues_since(&repository, *since).await {
                Ok(listed) => {
                    let begun_at = listed.begun_at.filter(|_| listed.is_complete);
                    if let Some(begun_at) = begun_at {
                        locked(&forge.hold).since.insert(repository.id, begun_at.plus(-OVERLAP));
                    }
                    self.offer(listed.issues, asked_at);
                }
                Err(error) => {
                    // It was renamed, or is gone: an audit finds out.
                    if matches!(error, ForgeError::Moved { .. } | ForgeError::NotFound { .. }) {
                        self.queue.add(Key::Audit);
                    }
                    troubles.push(Trouble::forge(repository.name.to_string(), &error));
                }
            }
        }
        self.hear_of_forge(troubles.first().map(|trouble| trouble.message.clone()));
        troubles
    }

    fn offer(&self, issues: Vec<IssueFacts>, asked_at: Instant) {
        let mut fleet = locked(&self.fleet);
        for facts in issues {
            let key = Key::Issue { repository: facts.key.repository_id, number: facts.key.number };
            if fleet.offer(facts, asked_at) {
                self.queue.add(key);
            }
        }
    }

    /// Looks at one issue and does what it needs. Room that was promised to it and not taken is free again afterwards.
    pub(super) async fn look_at(&self, forge: &Forge, place: Place) -> Vec<Trouble> {
        let troubles = Box::pin(self.look(forge, place, clock::instant())).await;
        let mut fleet = locked(&self.fleet);
        fleet.redeem(place, None);
        fleet.alarms.end(place);
        troubles
    }

    async fn look(&self, forge: &Forge, place: Place, begun: Instant) -> Vec<Trouble> {
        // Whoever may send webhooks may not make us look at a repository that nobody configured.
        let (Some(repository), Some(applier)) = (forge.repository(place.0), forge.applier()) else { return Vec::new() };
        let listed = locked(&self.fleet).take_news(place);
        let news = listed.filter(|_| !self.queue.is_news(Key::Issue { repository: place.0, number: place.1 }));
        let about = format!("{}#{}", repository.name, place.1);
        let facts = match news {
            Some(facts) => facts,
            None => match forge.observer.issue(&repository, place.1).await {
                Ok(Some(facts)) => facts,
                Ok(None) => match self.not_found(&applier, place).await {
                    Ok(Some(facts)) => facts,
                    Ok(None) => return Vec::new(),
                    Err(error) => return vec![trouble(&repository, place, &error)],
                },
                Err(error) => {
                    let issue = Some((repository.name, place.1));
                    return vec![Trouble { issue, ..Trouble::forge(about, &error) }];
                }
            },
        };
        let applier = applier.at(self.now());
        match self.observe(forge, &applier, facts).await {
            Ok(None) => Vec::new(),
            Ok(Some(observation)) => self.reconcile(forge, &applier, observation, begun).await,
            Err(error) => vec![trouble(&repository, place, &error)],
        }
    }

    /// Everything that is known of one issue; none where it is no business of ours.
    async fn observe(
        &self,
        forge: &Forge,
        applier: &Applier,
        facts: IssueFacts,
    ) -> Result<Option<Observation>, WorldError> {
        let record = applier.remembered(&facts.key).await?;
        if record.is_none() && (!is_proposal(&facts) || !facts.is_open()) {
            return Ok(None);
        }
        let place = (facts.key.repository_id, facts.key.number);
        let mut observation = Observation::new(applier.here(), facts, record);
        {
            let mut fleet = locked(&self.fleet);
            observation.is_braked = fleet.known_mut(place).is_some_and(|known| known.brake == Brake::On);
            observation.allowance = fleet.alarms.allowance(place);
        }
        forge.observer.see(std::slice::from_mut(&mut observation)).await;
        loop {
            self.find_owner_and_room(&mut observation);
            let question = Question::about(&observation);
            if question.is_none() {
                return Ok(Some(observation));
            }
            if let Some(error) = question.ask(&forge.observer).await.fill(&mut observation) {
                return Err(error.into());
            }
        }
    }

    fn find_owner_and_room(&self, observation: &mut Observation) {
        let mut fleet = locked(&self.fleet);
        observation.owner = fleet.owner(observation);
        if wants_room(observation) {
            let (key, id) = (&observation.issue.key, observation.mission_id);
            observation.admission = fleet.admission(key, id, self.settings.limits);
        }
    }

    async fn reconcile(
        &self,
        forge: &Forge,
        applier: &Applier,
        observation: Observation,
        begun: Instant,
    ) -> Vec<Trouble> {
        let key = observation.issue.key.clone();
        let outcome = reconcile(&forge.observer, applier, observation).await;
        for change in outcome.changes.iter().filter(|change| !change.is_memory()) {
            tracing::info!(kind = change.kind(), "{key}: {change}");
        }
        let record = applier.remembered(&key).await;
        let troubles = troubles(&applier.here(), &outcome);
        if troubles.iter().any(|trouble| matches!(trouble.kind, "no-label" | "labels-ignored")) {
            // Somebody took a label of ours away, which an audit puts right.
            self.queue.add(Key::Audit);
        }
        if let Ok(Some(record)) = record {
            self.keep_in_mind(&record, &outcome, troubles.is_empty(), begun);
        }
        if outcome.changes.iter().any(|change| !change.is_memory()) {
            // Whether it is as it should be now, another look tells.
            self.queue.add(Key::Issue { repository: key.repository_id, number: key.number });
        }
        self.publish_soon();
        troubles
    }

    fn keep_in_mind(&self, record: &Record, outcome: &Outcome, is_well: bool, begun: Instant) {
        let observation = &outcome.observation;
        let place = (record.issue.repository_id, record.issue.number);
        let ground = self.ground();
        let mut fleet = locked(&self.fleet);
        let known = fleet.know(record);
        known.looked_at = Some(begun);
        known.wants_room = wants_room(observation);
        let is_quiet = outcome.changes.is_empty() && is_well;
        known.settled = is_quiet.then(|| print(&observation.issue));
        let key = &observation.issue.key;
        let id_of_issue = MissionId::of_issue(&observation.here.forge, key.repository_id, key.issue_id);
        // A cell that it only wishes to take over is not its own to be shown by.
        let id = record.binding.as_ref().map_or(id_of_issue, |binding| binding.mission_id);
        if id != id_of_issue {
            fleet.hide(id_of_issue);
        }
        let is_new = outcome.changes.iter().any(|change| matches!(change, Change::CreateCell { .. }));
        fleet.redeem(place, is_new.then_some(id));
        let verdict = fleet.known_mut(place).and_then(|known| known.verdict(&observation.sighting, ground.now));
        if let Some(verdict) = verdict {
            fleet.show(id, &observation.sighting, verdict, &ground);
        } else {
            let is_told = observation.issue.is_open() && record.elsewhere.is_none();
            if is_told { fleet.show_waiting(id, place, &ground) } else { fleet.hide(id) }
        }
    }

    /// The forge has no such issue. Of one that was closed, that is as good as closed; whether another one is gone only
    /// those tell who have seen everything.
    async fn not_found(&self, applier: &Applier, place: Place) -> Result<Option<IssueFacts>, WorldError> {
        let key = locked(&self.fleet).known_mut(place).map(|known| known.issue.clone());
        let Some(key) = key else { return Ok(None) };
        let Some(record) = applier.remembered(&key).await? else { return Ok(None) };
        if record.state == IssueState::Open {
            self.queue.add(Key::Audit);
            return Ok(None);
        }
        Ok(Some(IssueFacts::gone(&record, self.now())))
    }
}

fn trouble(repository: &KnownRepository, place: Place, error: &WorldError) -> Trouble {
    Trouble {
        about: format!("{}#{}", repository.name, place.1),
        issue: Some((repository.name.clone(), place.1)),
        kind: error.kind(),
        message: error.to_string(),
        needs_a_token: error.is_about_the_token(),
    }
}

pub(super) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
