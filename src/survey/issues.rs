//! The issues: listed, missed, and read where the plan depends on what is said on them.

use crate::facts::Question;
use crate::mission::admission::{Admission, Occupant, admit, shortage};
use crate::mission::ground::KnownRepository;
use crate::mission::identity::MissionId;
use crate::mission::mass_change_guard::brake;
use crate::mission::observation::{IssueFacts, Observation};
use crate::mission::record::IssueKey;
use crate::mission::situation::{Situation, is_proposal, situation, wants_room};
use crate::survey::{Scope, Survey, Surveyed, Surveyor};
use crate::trouble::{Refusal, Trouble};
use crate::world::gitea::ForgeError;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::task::JoinSet;

impl Surveyor<'_> {
    pub(super) async fn survey_issues(&mut self, scope: &Scope, survey: &mut Survey) -> Result<(), Refusal> {
        let mut issues = Vec::new();
        let mut gone = Vec::new();
        for Surveyed { known, labels: _ } in &survey.repositories {
            match scope {
                Scope::Everything => issues.extend(self.open_issues(known, &mut gone).await),
                Scope::Issue { repository: _, number } => issues.extend(self.one_issue(known, *number).await?),
            }
        }
        if *scope == Scope::Everything {
            issues.extend(self.ended_issues(&survey.repositories).await);
        }
        // As long as anything at all could not be read, nothing is called gone.
        if self.troubles.is_empty() && !self.has_skipped {
            issues.extend(gone);
        }
        survey.observations = self.observe(issues).await;
        if *scope == Scope::Everything {
            brake(&mut survey.observations);
            self.brake_gone(&mut survey.observations);
        }
        self.ask(&mut survey.observations).await;
        Ok(())
    }

    /// The open issues, and those that we know as open but that a complete listing lacks.
    async fn open_issues(&mut self, repository: &KnownRepository, gone: &mut Vec<IssueFacts>) -> Vec<IssueFacts> {
        let listed = match self.observer.open_issues(repository).await {
            Ok(listed) => listed,
            Err(error) => {
                self.troubles.push(Trouble::forge(repository.name.to_string(), &error));
                return Vec::new();
            }
        };
        self.begun_at.extend(listed.begun_at.map(|begun_at| (repository.id, begun_at)));
        self.has_skipped |= !listed.skipped.is_empty();
        for skipped in &listed.skipped {
            tracing::warn!("{}: {skipped}; it is left alone", repository.name);
        }
        let mut issues = listed.issues;
        if !listed.is_complete {
            let about = repository.name.to_string();
            let message =
                format!("`{about}`: the list of issues kept changing while it was read; the next pass reads it again");
            let kind = "listing-incomplete";
            self.troubles.push(Trouble { about, issue: None, kind, message, needs_a_token: false });
        } else if listed.skipped.is_empty() {
            let seen: BTreeSet<i64> = issues.iter().map(|issue| issue.key.issue_id).collect();
            let missing = self.missing_issues(repository, &seen).await;
            issues.extend(missing.found);
            gone.extend(missing.gone);
        }
        issues
    }

    async fn one_issue(&mut self, repository: &KnownRepository, number: i64) -> Result<Option<IssueFacts>, Refusal> {
        match self.observer.issue(repository, number).await {
            Ok(Some(issue)) => Ok(Some(issue)),
            Ok(None) => {
                Err(Refusal::Issue(format!("`{}` has no issue {number} (pull requests are none)", repository.name)))
            }
            Err(error) => {
                self.troubles.push(Trouble::forge(format!("{}#{number}", repository.name), &error));
                Ok(None)
            }
        }
    }

    /// What is known of each proposal without asking the forge again.
    async fn observe(&mut self, issues: Vec<IssueFacts>) -> Vec<Observation> {
        let mut observations = Vec::new();
        for issue in issues {
            let key = (issue.key.repository_id, issue.key.issue_id);
            if let Some(message) = self.records.damaged.get(&key) {
                let issue = &issue.key;
                self.troubles.push(Trouble {
                    about: issue.to_string(),
                    issue: Some((issue.repository.clone(), issue.number)),
                    kind: "record",
                    message: message.clone(),
                    needs_a_token: false,
                });
                continue;
            }
            let record = self.records.by_issue.get(&key).cloned();
            if record.is_none() && (!is_proposal(&issue) || !issue.is_open()) {
                continue;
            }
            observations.push(Observation::new(Arc::clone(&self.here), issue, record));
        }
        observations.sort_by_key(|observation| (observation.issue.key.repository_id, observation.issue.key.number));
        observations.dedup_by_key(|observation| observation.issue.key.issue_id);
        self.observer.see(&mut observations).await;
        observations
    }

    /// Finds owners and room, and asks the forge where the plan depends on it, until nothing is left to ask: what turns out
    /// to be elsewhere makes room for another.
    async fn ask(&mut self, observations: &mut Vec<Observation>) {
        loop {
            self.find_owners(observations);
            self.find_room(observations);
            let asking: Vec<usize> =
                (0..observations.len()).filter(|&at| !Question::about(&observations[at]).is_none()).collect();
            if asking.is_empty() {
                return;
            }
            let mut under_way = JoinSet::new();
            for at in asking {
                let (observer, question) = (self.observer.clone(), Question::about(&observations[at]));
                under_way.spawn(async move { (at, question.ask(&observer).await) });
            }
            let mut failed = BTreeSet::new();
            while let Some(answer) = under_way.join_next().await {
                let (at, answer) = answer.expect("asking never panics");
                if let Some(trouble) = answer.fill(&mut observations[at]) {
                    failed.insert(at);
                    self.take(&trouble, &observations[at]);
                }
            }
            for at in failed.into_iter().rev() {
                observations.remove(at);
            }
        }
    }

    fn take(&mut self, error: &ForgeError, observation: &Observation) {
        let key = &observation.issue.key;
        if let ForgeError::TooLarge { .. } = error {
            self.has_skipped = true;
            tracing::warn!("{key}: its comments are too large to be read; it is left alone");
            return;
        }
        let issue = Some((key.repository.clone(), key.number));
        self.troubles.push(Trouble { issue, ..Trouble::forge(key.to_string(), error) });
    }

    /// Each cell belongs to one issue: the one that is bound to it, else the first that takes it over.
    fn find_owners(&self, observations: &mut [Observation]) {
        let bound = self.records.by_issue.values();
        let bound = bound.filter_map(|record| Some((record.binding.as_ref()?.mission_id, record.issue.clone())));
        let mut owners: HashMap<MissionId, IssueKey> = bound.collect();
        for observation in observations {
            let owner = owners.get(&observation.mission_id);
            let is_another = |owner: &&IssueKey| owner.issue_id != observation.issue.key.issue_id;
            observation.owner = owner.filter(is_another).cloned();
            if matches!(situation(observation), Situation::Active(_)) {
                owners.entry(observation.mission_id).or_insert_with(|| observation.issue.key.clone());
            }
        }
    }

    fn find_room(&self, observations: &mut [Observation]) {
        let wanting = observations.iter().filter(|observation| wants_room(observation));
        let candidates = wanting.map(|observation| &observation.issue.key);
        let admissions: HashMap<_, _> = admit(
            candidates,
            self.records.by_issue.values().filter_map(Occupant::of),
            &self.existing,
            self.settings.limits,
            self.root.space().and_then(|space| shortage(space, self.settings.limits)),
        );
        for observation in observations {
            let key = (observation.issue.key.repository_id, observation.issue.key.issue_id);
            observation.admission = admissions.get(&key).copied().unwrap_or(Admission::Admitted);
        }
    }
}
