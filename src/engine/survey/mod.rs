//! Surveys: observe everything in a pass's scope, before anything is written.

mod alerts;
mod comments;
mod ended;
mod issues;
mod people;
mod repositories;

pub(crate) use alerts::{settle, warn_of_waiting};
pub(crate) use comments::CommentScope;

use crate::config::Settings;
use crate::engine::failure::{Failure, FatalError};
use crate::engine::fleet::Fleet;
use crate::mission::approval::policy::ApprovalPolicy;
use crate::mission::cell::starts::Starts;
use crate::mission::fleet::admission::shortage;
use crate::mission::identity::{HostName, MissionId, RepositoryId, RepositoryName, RootId};
use crate::mission::observation::{Observation, PassContext};
use crate::mission::plan::change::Change;
use crate::mission::plan::step::Candidate;
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef, RootFile};
use crate::mission::text::shell_word;
use crate::mission::time::Timestamp;
use crate::world::blocking_pool::blocking;
use crate::world::clock;
use crate::world::forge::Gitea;
use crate::world::lock_unpoisoned::locked;
use crate::world::observer::Observer;
use crate::world::store::root::{Records, Root, RootError};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The issues that a pass covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All open issues of all repositories.
    Everything,
    /// One issue.
    Issue {
        /// Its repository; none if only one is configured.
        repository: Option<RepositoryName>,
        /// Its number.
        number: i64,
    },
}

/// A repository with its labels.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The repository.
    pub known: RepositoryRef,
    /// Its labels.
    pub labels: Vec<RepositoryLabel>,
}

/// The results of a survey.
#[derive(Debug)]
pub struct Survey {
    /// The context of the pass.
    pub context: Arc<PassContext>,
    /// The client, which counts its requests.
    pub gitea: Gitea,
    /// The repositories that can be served.
    pub repositories: Vec<Surveyed>,
    /// The changes of root and labels, which come before all issues.
    pub setup: Vec<Change>,
    /// The fleet alert, which comes after all issues.
    pub fleet: Option<Change>,
    /// All current and former proposals, by repository and number, with the facts that their turns begin with.
    pub candidates: Vec<Candidate>,
    /// The failures of the survey.
    pub failures: Vec<Failure>,
    /// Why the forge or all listed repositories could not be read, if so.
    pub out_of_reach: Option<String>,
    /// When each repository's issues were listed, by the forge's clock; later changes are not included.
    pub begun_at: BTreeMap<RepositoryId, Timestamp>,
    /// When each repository's comments were listed, by the forge's clock.
    pub comments: BTreeMap<RepositoryId, Timestamp>,
    /// The commands that install the form, one for each repository without a form and missions.
    pub missing_forms: Vec<String>,
}

/// A survey in progress.
struct Surveyor<'a> {
    settings: &'a Settings,
    root: &'a Arc<Root>,
    fleet: &'a Mutex<Fleet>,
    /// As [`SurveyRequest::is_only_pass`].
    is_only_pass: bool,
    comments: &'a CommentScope,
    file: Option<RootFile>,
    records: Records,
    /// All cells in the root, with or without an issue.
    existing: BTreeSet<MissionId>,
    observer: Observer,
    context: Arc<PassContext>,
    /// The ids of the accounts that the configuration names by login.
    people: BTreeMap<String, i64>,
    failures: Vec<Failure>,
    /// As [`Survey::out_of_reach`].
    out_of_reach: Option<String>,
    begun_at: BTreeMap<RepositoryId, Timestamp>,
    comments_begun_at: BTreeMap<RepositoryId, Timestamp>,
    /// Whether an issue was skipped because it or its comments are too large.
    has_skipped: bool,
}

/// The parameters of a survey.
#[derive(Clone, Copy)]
pub(crate) struct SurveyRequest<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The issues to survey.
    pub scope: &'a Scope,
    /// The time of the pass.
    pub now: Timestamp,
    /// The daemon's starts; empty in a single pass.
    pub starts: &'a Arc<Starts>,
    /// The in-memory state of all missions, which is updated.
    pub fleet: &'a Mutex<Fleet>,
    /// Whether no other pass follows, so that it decides alone about alerts, a clock before the newest record, and
    /// archived repositories.
    pub is_only_pass: bool,
    /// The comments to read.
    pub comments: &'a CommentScope,
}

/// Surveys everything in the request's scope. An unreachable forge is a failure; errors that only a person can fix are
/// fatal.
pub(crate) async fn survey(request: SurveyRequest<'_>, gitea: Gitea, root: &Arc<Root>) -> Result<Survey, FatalError> {
    let SurveyRequest { settings, scope, now, starts, fleet, is_only_pass, comments } = request;
    let configured = configured(settings, scope)?;
    check_root(settings, root, scope)?;
    let observer = Observer::new(gitea.clone(), Arc::clone(root));
    let file = root.file().cloned();
    let (records, existing) = recall(root, fleet, settings).await?;
    let mut context = PassContext { starts: Arc::clone(starts), ..pass_context(settings, root, file.as_ref(), now)? };
    let mut survey = Survey {
        context: Arc::new(context.clone()),
        gitea,
        repositories: Vec::new(),
        setup: Vec::new(),
        fleet: None,
        candidates: Vec::new(),
        failures: Vec::new(),
        out_of_reach: None,
        begun_at: BTreeMap::new(),
        missing_forms: Vec::new(),
        comments: BTreeMap::new(),
    };
    context.me = match observer.me().await {
        Ok(me) => me,
        Err(error) if error.is_about_the_token() => return Err(FatalError::Token(error)),
        Err(error) => {
            survey.out_of_reach = Some(error.to_string());
            survey.failures.push(Failure::forge(settings.forge_url()?.to_string(), &error));
            return Ok(survey);
        }
    };
    let known = file.as_ref().map(|file| file.manifest.people.clone()).unwrap_or_default();
    let people = match people::look_up(&observer, settings, known).await? {
        Ok(people) => people,
        Err(error) => {
            survey.out_of_reach = Some(error.to_string());
            survey.failures.push(Failure::forge(settings.forge_url()?.to_string(), &error));
            return Ok(survey);
        }
    };
    context.approval.authors = people::ids(&settings.approval.authors, &people);
    context.approval.approvers = people::ids(&settings.approval.approvers, &people);
    survey.failures.extend(alerts::check_targets(&observer, settings, &mut context.notify).await);
    let context = Arc::new(context);
    survey.context = Arc::clone(&context);
    let (failures, out_of_reach, begun_at, has_skipped) = (Vec::new(), None, BTreeMap::new(), false);
    let comments_begun_at = BTreeMap::new();
    let mut surveyor = Surveyor {
        settings,
        root,
        fleet,
        is_only_pass,
        comments,
        file,
        records,
        existing,
        observer,
        context,
        people,
        failures,
        out_of_reach,
        begun_at,
        comments_begun_at,
        has_skipped,
    };
    if surveyor.check_forge(&configured).await? {
        surveyor.survey_repositories(&configured, &mut survey).await?;
        surveyor.survey_issues(scope, &mut survey).await?;
        surveyor.check_expected_root(&mut survey)?;
        if *scope == Scope::Everything {
            survey.missing_forms = surveyor.find_missing_forms(&survey).await;
        }
        if is_only_pass {
            survey.fleet = surveyor.decide_alerts(&mut survey.candidates).await;
        }
    }
    survey.out_of_reach = surveyor.out_of_reach.take().or_else(|| surveyor.nothing_read(&survey));
    survey.failures.append(&mut surveyor.failures);
    survey.begun_at = surveyor.begun_at;
    survey.comments = surveyor.comments_begun_at;
    Ok(survey)
}

/// Reads the records and the cells in the root, and loads both into the fleet. Reading blocks.
async fn recall(
    root: &Arc<Root>,
    fleet: &Mutex<Fleet>,
    settings: &Settings,
) -> Result<(Records, BTreeSet<MissionId>), RootError> {
    let read_at = clock::instant();
    let (held, limits) = (Arc::clone(root), settings.limits);
    let read = blocking(move || {
        let cells: BTreeSet<MissionId> = held.cells()?.into_iter().collect();
        Ok((held.records()?, cells, held.space().and_then(|space| shortage(space, limits))))
    });
    let (records, existing, shortage) = read.await?;
    let mut fleet = locked(fleet);
    for record in records.by_issue.values() {
        fleet.load(record, read_at);
    }
    fleet.existing.clone_from(&existing);
    fleet.shortage = shortage;
    Ok((records, existing))
}

fn pass_context(
    settings: &Settings,
    root: &Root,
    file: Option<&RootFile>,
    now: Timestamp,
) -> Result<PassContext, FatalError> {
    let manifest = file.map(|file| &file.manifest);
    let forge = manifest.and_then(|manifest| manifest.forge.as_ref()).unwrap_or(settings.forge_url()?);
    Ok(PassContext {
        now,
        root: file.map(|file| file.root_id),
        replaced: file.map(|file| file.manifest.replaced.clone()).unwrap_or_default(),
        missions_root: root.path().display().to_string(),
        host: settings.host.clone(),
        forge: forge.clone(),
        web_url: manifest.and_then(|manifest| manifest.web_url.as_ref()).unwrap_or(forge).clone(),
        me: 0,
        trusted_posters: settings.trusted_posters.clone(),
        worktrees: settings.worktrees.clone(),
        take: settings.take,
        has_label: settings.has_host_label,
        approval: ApprovalPolicy { mode: settings.approval.mode, ..ApprovalPolicy::default() },
        close_grace: TimeDelta::from_std(settings.close_grace).unwrap_or(TimeDelta::MAX),
        notify: settings.notify.clone(),
        starts: Arc::default(),
        effort: Arc::default(),
    })
}

fn configured(settings: &Settings, scope: &Scope) -> Result<Vec<RepositoryName>, FatalError> {
    let Scope::Issue { repository, number: _ } = scope else {
        return Ok(settings.repositories()?.to_vec());
    };
    match repository {
        Some(name) if settings.repositories.is_empty() => Ok(vec![name.clone()]),
        Some(name) if settings.repositories.iter().any(|known| known.is_same(name)) => Ok(vec![name.clone()]),
        Some(name) => Err(FatalError::Issue(format!("`{name}` is not one of the `repositories`"))),
        None => match settings.repositories()? {
            [only] => Ok(vec![only.clone()]),
            several => {
                let example = &several[0];
                Err(FatalError::Issue(format!(
                    "there are {} repositories; name one, as in `{example}#1`",
                    several.len()
                )))
            }
        },
    }
}

/// Rejects an uninitialized root: a job does not initialize it, since it may not persist, and a pass over one issue
/// does not, since it cannot tell whether another root is expected here.
fn check_root(settings: &Settings, root: &Root, scope: &Scope) -> Result<(), RootError> {
    if root.file().is_some() {
        return Ok(());
    }
    root.check_can_be_initialised()?;
    let (path, flags) = (root.path().display().to_string(), settings.given.beside("--root"));
    if settings.is_job {
        return Err(RootError::NotInitialised { path, why: "a job does not do that", flags });
    }
    match scope {
        Scope::Everything => Ok(()),
        Scope::Issue { .. } => {
            Err(RootError::NotInitialised { path, why: "a look at one issue does not do that", flags })
        }
    }
}

impl Surveyor<'_> {
    /// Detects a disk that is not mounted: a root without missions, on a host whose missions are on another root. Only
    /// a pass that has read everything can tell, and so only such a pass initializes a root.
    fn check_expected_root(&mut self, survey: &mut Survey) -> Result<(), FatalError> {
        let path = self.root.path().display().to_string();
        let seen = survey.candidates.iter().map(|candidate| &candidate.seen);
        let expected = seen.into_iter().find_map(|seen| Some((seen, self.other_root_of_this_host(seen)?)));
        if let Some((observation, root)) = expected {
            let (issue, host) = (observation.issue.key.to_string(), self.context.host.to_string());
            let flags = self.settings.given.beside("--root");
            let error = RootError::AnotherRootExpected { path, issue, host, root, flags };
            if self.records.by_issue.values().all(|record| record.binding.is_none()) {
                return Err(FatalError::Root(error));
            }
            tracing::warn!("{error}");
            return Ok(());
        }
        // A repository that only rejects writes hides nothing.
        let is_all_seen = self.failures.iter().all(Failure::hides_nothing);
        if self.file.is_some() || (is_all_seen && !self.has_skipped) {
            return Ok(());
        }
        survey.setup.clear();
        survey.candidates.clear();
        let message = format!(
            "the missions root `{path}` is new, and only a pass that has read everything initializes it: the missions of this \
             host may be on a disk that is not mounted; the next pass retries, or run {}",
            self.settings.given.command(&format!("init --root {}", shell_word(&path)))
        );
        self.failures.push(Failure::service(path, "root-not-initialised", message));
        Ok(())
    }

    /// Why none of the listed repositories could be read, if so.
    fn nothing_read(&self, survey: &Survey) -> Option<String> {
        let unread = || self.failures.iter().filter(|failure| failure.hides_a_repository());
        let is_read = |name: String| unread().all(|failure| failure.about != name);
        let is_archived = self.failures.iter().any(Failure::hides_nothing);
        let is_any_read = survey.repositories.iter().any(|surveyed| is_read(surveyed.known.name.to_string()));
        if is_any_read || is_archived { None } else { unread().next().map(|failure| failure.message.clone()) }
    }

    /// Another root on this host, according to our comments or the record.
    fn other_root_of_this_host(&self, observation: &Observation) -> Option<RootId> {
        let is_here = |host: Option<&HostName>| host.is_some_and(|host| host.is_same(&self.context.host));
        let remembered = observation.record.as_ref().and_then(|record| record.other_owner.as_ref());
        let remembered = remembered.filter(|owner| is_here(owner.host.as_ref())).map(|owner| owner.root);
        let markers = observation.our_comments().into_iter().filter_map(|comment| comment.marker.as_ref());
        let on_this_host = markers.filter(|marker| is_here(marker.host.as_ref()));
        let mut roots = on_this_host.filter_map(|marker| marker.root).chain(remembered);
        roots.find(|root| !self.context.is_this_root(*root))
    }
}
