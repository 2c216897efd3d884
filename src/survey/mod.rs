//! Looks at everything that a pass is about, before anything is written.

use crate::mission::admission::{Admission, admit};
use crate::mission::cell::Sighting;
use crate::mission::change::Change;
use crate::mission::ground::{KnownRepository, RepositoryLabel, RootFile};
use crate::mission::identity::{RepositoryId, RepositoryName};
use crate::mission::observation::{Comments, Here, IssueFacts, Observation};
use crate::mission::plan::{forgotten, needs_comments};
use crate::mission::record::{IssueState, Record};
use crate::mission::setup::{Surroundings, plan_labels, plan_root};
use crate::mission::situation::{is_proposal, wants_room};
use crate::mission::time::Timestamp;
use crate::settings::Settings;
use crate::trouble::{Refusal, Trouble};
use crate::world::gitea::Gitea;
use crate::world::observer::{FoundRepository, Observer, RepositoryError};
use crate::world::root::{Records, Root, RootError};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Which issues a pass is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All open issues of all repositories.
    Everything,
    /// One issue.
    Issue {
        /// Its repository; none where there is only one.
        repository: Option<RepositoryName>,
        /// Its number.
        number: i64,
    },
}

/// A repository with its labels.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// Which.
    pub known: KnownRepository,
    /// Its labels.
    pub labels: Vec<RepositoryLabel>,
}

/// All that was seen.
#[derive(Debug)]
pub struct Survey {
    /// What is the same for all missions.
    pub here: Arc<Here>,
    /// The client, which counts its requests.
    pub gitea: Gitea,
    /// The eyes that saw all this.
    pub observer: Observer,
    /// The repositories that can be served.
    pub repositories: Vec<Surveyed>,
    /// What has to be right before any issue is touched.
    pub setup: Vec<Change>,
    /// Every proposal, and every issue that was one, by repository and number.
    pub observations: Vec<Observation>,
    /// Records of issues that are no longer there.
    pub gone: Vec<Change>,
    /// What could not be seen.
    pub troubles: Vec<Trouble>,
}

/// A survey that is being taken.
struct Surveyor<'a> {
    settings: &'a Settings,
    root: &'a Arc<Root>,
    file: Option<RootFile>,
    records: Records,
    observer: Observer,
    here: Arc<Here>,
    troubles: Vec<Trouble>,
}

/// Looks at everything in `scope`. A forge that is out of reach is a trouble; what only a person can mend is a refusal.
pub async fn survey(settings: &Settings, root: &Arc<Root>, scope: &Scope, now: Timestamp) -> Result<Survey, Refusal> {
    let gitea = settings.gitea()?;
    let configured = configured(settings, scope)?;
    check_ground(settings, root, scope)?;
    let observer = Observer::new(gitea.clone(), Arc::clone(root));
    let file = Root::open(root.path())?.file().cloned();
    let records = root.records()?;
    let mut here = here(settings, root, file.as_ref(), now)?;
    let mut survey = Survey {
        here: Arc::new(here.clone()),
        gitea,
        observer: observer.clone(),
        repositories: Vec::new(),
        setup: Vec::new(),
        observations: Vec::new(),
        gone: Vec::new(),
        troubles: Vec::new(),
    };
    here.me = match observer.me().await {
        Ok(me) => me,
        Err(error) if error.is_about_the_token() => return Err(Refusal::Token(error)),
        Err(error) => {
            survey.troubles.push(Trouble::forge(settings.forge_url()?.to_string(), &error));
            return Ok(survey);
        }
    };
    let here = Arc::new(here);
    survey.here = Arc::clone(&here);
    let mut surveyor = Surveyor { settings, root, file, records, observer, here, troubles: Vec::new() };
    surveyor.survey_repositories(&configured, &mut survey).await?;
    surveyor.survey_issues(scope, &mut survey).await?;
    surveyor.check_expected_root(&survey.observations)?;
    survey.troubles.append(&mut surveyor.troubles);
    Ok(survey)
}

fn here(settings: &Settings, root: &Root, file: Option<&RootFile>, now: Timestamp) -> Result<Here, Refusal> {
    Ok(Here {
        now,
        root: file.map(|file| file.root_id),
        replaced: file.map(|file| file.papers.replaced.clone()).unwrap_or_default(),
        missions_root: root.path().display().to_string(),
        host: settings.host.clone(),
        forge: settings.forge_url()?.clone(),
        me: 0,
        trusted_posters: settings.trusted_posters.clone(),
        worktrees: settings.worktrees.clone(),
    })
}

fn configured(settings: &Settings, scope: &Scope) -> Result<Vec<RepositoryName>, Refusal> {
    let Scope::Issue { repository, number: _ } = scope else {
        return Ok(settings.repositories()?.to_vec());
    };
    match repository {
        Some(name) if settings.repositories.is_empty() => Ok(vec![name.clone()]),
        Some(name) if settings.repositories.iter().any(|known| known.is_same(name)) => Ok(vec![name.clone()]),
        Some(name) => Err(Refusal::Issue(format!("`{name}` is not one of the `repositories`"))),
        None => match settings.repositories()? {
            [only] => Ok(vec![only.clone()]),
            several => {
                let example = &several[0];
                Err(Refusal::Issue(format!("there are {} repositories; say which, as `{example}#1`", several.len())))
            }
        },
    }
}

/// A root is never initialised on the side: not in a job, where it may be gone tomorrow, and not by a pass that has
/// not seen every issue and so cannot know whether another root is expected here.
fn check_ground(settings: &Settings, root: &Root, scope: &Scope) -> Result<(), RootError> {
    if root.file().is_some() {
        return Ok(());
    }
    root.check_can_be_initialised()?;
    let path = root.path().display().to_string();
    if settings.is_job {
        return Err(RootError::NotInitialised { path, why: "a job does not do that" });
    }
    match scope {
        Scope::Everything => Ok(()),
        Scope::Issue { .. } => Err(RootError::NotInitialised { path, why: "a look at one issue does not do that" }),
    }
}

impl Surveyor<'_> {
    async fn survey_repositories(&mut self, configured: &[RepositoryName], survey: &mut Survey) -> Result<(), Refusal> {
        self.check_forge().await?;
        let mut errors = Vec::new();
        for name in configured {
            match self.survey_repository(name).await {
                Ok(surveyed) => survey.repositories.push(surveyed),
                Err(error) => errors.push((name, error)),
            }
        }
        if survey.repositories.is_empty() && errors.iter().all(|(_, error)| error.needs_a_person()) {
            return Err(Refusal::Repositories(errors.into_iter().map(|(_, error)| error).collect()));
        }
        for (name, error) in errors {
            let (about, kind, message) = (name.to_string(), error.kind(), error.to_string());
            self.troubles.push(Trouble {
                about,
                issue: None,
                kind,
                message,
                needs_a_token: error.is_about_the_token(),
            });
        }
        let found = Surroundings {
            path: self.here.missions_root.clone(),
            host: self.here.host.clone(),
            forge: self.here.forge.clone(),
            repositories: survey.repositories.iter().map(|surveyed| surveyed.known.clone()).collect(),
        };
        survey.setup.extend(plan_root(self.file.as_ref(), &found));
        for Surveyed { known, labels } in &survey.repositories {
            survey.setup.extend(plan_labels(known, labels));
        }
        Ok(())
    }

    async fn survey_repository(&self, name: &RepositoryName) -> Result<Surveyed, RepositoryError> {
        let remembered = self.remembered(name);
        let FoundRepository { known, asked_for } = self.observer.repository(name, remembered).await?;
        if let Some(old) = asked_for {
            tracing::warn!("the repository `{old}` is called `{}` now; set its new name in `repositories`", known.name);
        }
        let labels = self.observer.labels(&known.name).await?;
        Ok(Surveyed { known, labels })
    }

    fn remembered(&self, name: &RepositoryName) -> Option<RepositoryId> {
        let known = self.file.as_ref()?.papers.repositories.iter().find(|known| known.name.is_same(name))?;
        Some(known.id)
    }

    /// A root may follow its forge to another address, but never change to another forge.
    async fn check_forge(&self) -> Result<(), Refusal> {
        let Some(papers) = self.file.as_ref().map(|file| &file.papers) else { return Ok(()) };
        let Some(remembered) = papers.forge.as_ref().filter(|forge| **forge != self.here.forge) else {
            return Ok(());
        };
        for repository in &papers.repositories {
            let found = self.observer.repository(&repository.name, Some(repository.id)).await;
            if matches!(found, Err(RepositoryError::Missing { .. } | RepositoryError::TakenOver { .. })) {
                return Err(Refusal::Root(RootError::Foreign {
                    path: self.here.missions_root.clone(),
                    remembered: remembered.to_string(),
                    found: self.here.forge.to_string(),
                }));
            }
        }
        tracing::warn!("the forge was `{remembered}` and is `{}` now; its repositories are the same", self.here.forge);
        Ok(())
    }

    async fn survey_issues(&mut self, scope: &Scope, survey: &mut Survey) -> Result<(), Refusal> {
        let mut issues = Vec::new();
        for Surveyed { known, labels: _ } in &survey.repositories {
            match scope {
                Scope::Everything => issues.extend(self.open_issues(known, &mut survey.gone).await),
                Scope::Issue { repository: _, number } => issues.extend(self.one_issue(known, *number).await?),
            }
        }
        survey.observations = self.observe(issues).await;
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
        let admissions: HashMap<_, _> = admit(candidates, self.records.by_issue.values(), self.settings.limits);
        for observation in observations {
            let key = (observation.issue.key.repository_id, observation.issue.key.issue_id);
            observation.admission = admissions.get(&key).copied().unwrap_or(Admission::Admitted);
        }
    }

    /// A root that is new, on a host whose missions are on another one, is a disk that is not mounted.
    fn check_expected_root(&self, observations: &[Observation]) -> Result<(), Refusal> {
        if self.file.is_some() {
            return Ok(());
        }
        for observation in observations {
            for (_, marker) in observation.our_comments() {
                let Some(root) = marker.root.filter(|_| marker.host.as_ref() == Some(&self.here.host)) else {
                    continue;
                };
                let key = &observation.issue.key;
                return Err(Refusal::Root(RootError::AnotherRootExpected {
                    path: self.root.path().display().to_string(),
                    issue: key.to_string(),
                    host: self.here.host.to_string(),
                    root,
                }));
            }
        }
        Ok(())
    }
}
