//! The issues: listed, missed, and read where the plan depends on what is said on them.

use crate::mission::admission::{Admission, Occupant, admit};
use crate::mission::brake::brake;
use crate::mission::cell::Sighting;
use crate::mission::change::Change;
use crate::mission::ground::KnownRepository;
use crate::mission::observation::{Comments, IssueFacts, Observation};
use crate::mission::plan::{forgotten, needs_comments};
use crate::mission::record::{IssueState, Record};
use crate::mission::situation::{is_proposal, wants_room};
use crate::survey::{Scope, Survey, Surveyed, Surveyor};
use crate::trouble::{Refusal, Trouble};
use crate::world::gitea::ForgeError;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::task::JoinSet;

impl Surveyor<'_> {
    pub(super) async fn survey_issues(&mut self, scope: &Scope, survey: &mut Survey) -> Result<(), Refusal> {
        let mut issues = Vec::new();
        for Surveyed { known, labels: _ } in &survey.repositories {
            match scope {
                Scope::Everything => issues.extend(self.open_issues(known, &mut survey.gone).await),
                Scope::Issue { repository: _, number } => issues.extend(self.one_issue(known, *number).await?),
            }
        }
        survey.observations = self.observe(issues).await;
        if *scope == Scope::Everything {
            brake(&mut survey.observations);
        }
        self.ask(&mut survey.observations).await;
        Ok(())
    }

    /// The open issues, and those that we know as open but that a complete listing lacks.
    async fn open_issues(&mut self, repository: &KnownRepository, gone: &mut Vec<Change>) -> Vec<IssueFacts> {
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
            issues.extend(self.missing_issues(repository, &seen, gone).await);
        }
        issues
    }

    /// Only an answer about the issue itself says whether it is closed or gone.
    async fn missing_issues(
        &mut self,
        repository: &KnownRepository,
        seen: &BTreeSet<i64>,
        gone: &mut Vec<Change>,
    ) -> Vec<IssueFacts> {
        let is_missing = |record: &&Record| {
            record.issue.repository_id == repository.id
                && record.state == IssueState::Open
                && !seen.contains(&record.issue.issue_id)
        };
        let missing: Vec<Record> = self.records.by_issue.values().filter(is_missing).cloned().collect();
        let mut found = Vec::new();
        for record in missing {
            match self.observer.issue(repository, record.issue.number).await {
                Ok(Some(issue)) if issue.key.issue_id == record.issue.issue_id => found.push(issue),
                Ok(_) => gone.push(forgotten(record)),
                Err(error) => self.troubles.push(Trouble::forge(repository.name.to_string(), &error)),
            }
        }
        found
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
            if record.is_none() && (!is_proposal(&issue) || !issue.is_open) {
                continue;
            }
            observations.push(Observation {
                here: Arc::clone(&self.here),
                issue,
                comments: Comments::Unread,
                record,
                sighting: Sighting::Absent,
                admission: Admission::Admitted,
                repaired: Vec::new(),
                is_braked: false,
            });
        }
        observations.sort_by_key(|observation| (observation.issue.key.repository_id, observation.issue.key.number));
        let cells = observations.iter().map(Observation::mission_id).collect();
        let sightings = self.observer.look(cells).await;
        for (observation, sighting) in observations.iter_mut().zip(sightings) {
            observation.sighting = sighting;
        }
        observations
    }

    /// Finds room, and reads comments where the plan depends on them, until nothing is left to ask: what turns out
    /// to be elsewhere makes room for another.
    async fn ask(&mut self, observations: &mut Vec<Observation>) {
        loop {
            self.find_room(observations);
            let asking: Vec<usize> = (0..observations.len()).filter(|&at| needs_comments(&observations[at])).collect();
            if asking.is_empty() {
                return;
            }
            let mut failed = BTreeSet::new();
            let mut under_way = JoinSet::new();
            for at in asking {
                let issue = &observations[at].issue;
                if issue.comments == 0 {
                    observations[at].comments = Comments::Read(Vec::new());
                    continue;
                }
                let (observer, key) = (self.observer.clone(), issue.key.clone());
                under_way.spawn(async move { (at, observer.comments(&key).await) });
            }
            while let Some(answer) = under_way.join_next().await {
                match answer.expect("reading comments never panics") {
                    (at, Ok(comments)) => observations[at].comments = Comments::Read(comments),
                    (at, Err(ForgeError::TooLarge { .. })) => {
                        failed.insert(at);
                        self.has_skipped = true;
                        let key = &observations[at].issue.key;
                        tracing::warn!("{key}: its comments are too large to be read; it is left alone");
                    }
                    (at, Err(error)) => {
                        failed.insert(at);
                        let key = &observations[at].issue.key;
                        let issue = Some((key.repository.clone(), key.number));
                        self.troubles.push(Trouble { issue, ..Trouble::forge(key.to_string(), &error) });
                    }
                }
            }
            for at in failed.into_iter().rev() {
                observations.remove(at);
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
        );
        for observation in observations {
            let key = (observation.issue.key.repository_id, observation.issue.key.issue_id);
            observation.admission = admissions.get(&key).copied().unwrap_or(Admission::Admitted);
        }
    }
}
