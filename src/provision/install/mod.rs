//! Makes repositories ready for missions: looks, says what it will do, does only what differs, and can be run again.

pub mod plan;
pub mod report;

use crate::config::{Secret, Settings, SettingsError};
use crate::mission::identity::RepositoryName;
use crate::mission::repository::{RepositoryFacts, RepositoryProblem, assess_issues};
use crate::provision::install::plan::{
    EVENTS, File, InstallPart, InstallSelection, InstallStep, InstallTarget, Plan, WORKFLOW_PATHS, plan,
};
use crate::provision::install::report::{InstallReport, StepReport};
use crate::world::forge::issue_forms::{FoundForm, file, find_form, has_chooser, there};
use crate::world::forge::{FileCommit, ForgeError, Gitea, NewHook, NewLabel};

/// What the commit is called, and the pull request.
const TITLE: &str = "Take Mission proposals";

/// What the pull request says.
const BODY: &str = "Adds what `lazarus-reconcile` needs in this repository. Once it is merged, missions can be filed.";

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The repository could not be looked at.
    #[error("`{repository}`: {cause}")]
    Forge {
        /// Which.
        repository: RepositoryName,
        /// Why not.
        cause: ForgeError,
    },
    /// It is not there.
    #[error("there is no repository `{0}`, or the token may not see it; check the name, and whose token it is")]
    Missing(RepositoryName),
    /// It takes no missions, whatever is put into it.
    #[error(transparent)]
    Repository(#[from] RepositoryProblem),
    /// Nothing may be written in it.
    #[error("`{0}` is archived; un-archive it first")]
    Archived(RepositoryName),
}

/// What there is to do in one repository.
#[derive(Debug)]
pub struct Prepared {
    repository: RepositoryName,
    default_branch: String,
    plan: Plan,
}

/// Looks at all repositories of the settings, and decides what each needs. Writes nothing.
pub async fn prepare(
    settings: &Settings,
    gitea: &Gitea,
    chosen: (&[InstallPart], bool),
) -> Result<Vec<Prepared>, InstallError> {
    let mut prepared = Vec::new();
    for repository in settings.repositories()? {
        prepared.push(prepare_one(settings, gitea, repository, chosen).await?);
    }
    Ok(prepared)
}

async fn prepare_one(
    settings: &Settings,
    gitea: &Gitea,
    repository: &RepositoryName,
    (parts, reset_secret): (&[InstallPart], bool),
) -> Result<Prepared, InstallError> {
    let parts = if parts.is_empty() { InstallPart::USUAL.to_vec() } else { parts.to_vec() };
    let wanted = InstallSelection {
        parts,
        hook_url: settings.daemon.webhook_url(),
        has_secret: settings.daemon.webhook_secret()?.is_some(),
        reset_secret,
        host: settings.has_host_label.then(|| settings.host.clone()),
    };
    let failed = |cause| InstallError::Forge { repository: repository.clone(), cause };
    let about = match gitea.repository(repository).get().send().await {
        Ok(about) if about.archived => return Err(InstallError::Archived(repository.clone())),
        Ok(about) => about,
        Err(ForgeError::NotFound { .. }) => return Err(InstallError::Missing(repository.clone())),
        Err(error) => return Err(failed(error)),
    };
    assess_issues(repository, &RepositoryFacts::from(&about))?;
    let found = look(gitea, repository, about.default_branch, &wanted).await.map_err(failed)?;
    Ok(Prepared {
        repository: repository.clone(),
        default_branch: found.default_branch.clone(),
        plan: plan(&found, &wanted),
    })
}

/// What there is.
async fn look(
    gitea: &Gitea,
    name: &RepositoryName,
    default_branch: String,
    wanted: &InstallSelection,
) -> Result<InstallTarget, ForgeError> {
    let call = gitea.repository(name);
    let mut found = InstallTarget {
        default_branch,
        is_protected: false,
        labels: Vec::new(),
        form: FoundForm::default(),
        has_chooser: false,
        workflow: None,
        is_githubs: false,
        hooks: Ok(Vec::new()),
    };
    let is_wanted = |part| wanted.parts.contains(&part);
    if is_wanted(InstallPart::Labels) {
        found.labels = call.labels().await?;
    }
    if is_wanted(InstallPart::Form) || is_wanted(InstallPart::Workflow) {
        let branch = there(call.branch(&found.default_branch).send().await)?;
        found.is_protected = branch.is_some_and(|branch| branch.protected && !branch.user_can_push);
    }
    if is_wanted(InstallPart::Form) {
        found.form = find_form(gitea, name).await?;
        found.has_chooser = has_chooser(gitea, name).await?;
    }
    if is_wanted(InstallPart::Workflow) {
        let contents = async |path: &str| there(gitea.repository(name).contents(path).send().await);
        let is_used = async |path: &str| contents(path).await.map(|found| found.is_some());
        found.is_githubs = !is_used(".gitea/workflows").await? && is_used(".github/workflows").await?;
        found.workflow = file(gitea, name, WORKFLOW_PATHS[usize::from(found.is_githubs)]).await?;
    }
    if is_wanted(InstallPart::Webhook) && wanted.hook_url.is_some() {
        found.hooks = match call.hooks().send().await {
            Ok(hooks) => Ok(hooks),
            Err(
                error @ (ForgeError::Forbidden { .. } | ForgeError::MissingScope { .. } | ForgeError::NotFound { .. }),
            ) => Err(error.found()),
            Err(error) => return Err(error),
        };
    }
    Ok(found)
}

impl Prepared {
    /// What would be done.
    #[must_use]
    pub fn preview(&self) -> InstallReport {
        self.report(true, self.plan.steps.iter().map(|step| StepReport::of(step, Ok(None))).collect())
    }

    /// Does it, step by step; one that fails does not keep the others from being done.
    pub async fn apply(&self, gitea: &Gitea, secret: Option<&Secret>) -> InstallReport {
        let mut done = Vec::new();
        for step in &self.plan.steps {
            done.push(StepReport::of(step, self.step(gitea, step, secret).await));
        }
        self.report(false, done)
    }

    fn report(&self, is_preview: bool, steps: Vec<StepReport>) -> InstallReport {
        InstallReport { is_preview, repository: self.repository.to_string(), steps, notes: self.plan.notes.clone() }
    }

    async fn step(
        &self,
        gitea: &Gitea,
        step: &InstallStep,
        secret: Option<&Secret>,
    ) -> Result<Option<String>, ForgeError> {
        let call = gitea.repository(&self.repository);
        let secret = secret.map(|secret| String::from_utf8_lossy(secret.bytes()).into_owned()).unwrap_or_default();
        let hook = |url| NewHook { url, secret: &secret, events: &EVENTS };
        match step {
            InstallStep::CreateLabel(label) => {
                let appearance = label.appearance();
                let new = NewLabel {
                    name: &appearance.name,
                    color: appearance.colour,
                    description: appearance.meaning,
                    exclusive: label.is_exclusive(),
                };
                call.create_label(&new).send().await.map(|_| None)
            }
            InstallStep::CorrectLabel { label, found } => {
                let meaning = label.appearance().meaning;
                let description = if label.is_outdated(&found.description) { meaning } else { &found.description };
                call.correct_label(found, label.is_exclusive(), description).send().await.map(|_| None)
            }
            InstallStep::Commit { files, branch: None } => {
                commit(gitea, &self.repository, files, None).await.map(|()| None)
            }
            InstallStep::Commit { files, branch: Some(branch) } => {
                self.pull_request(gitea, files, branch).await.map(Some)
            }
            InstallStep::CreateHook { url } => call.create_hook(&hook(url)).send().await.map(|_| None),
            InstallStep::CorrectHook { id, url, why: _ } => call.edit_hook(*id, &hook(url)).send().await.map(|_| None),
        }
    }

    /// The page of the pull request: the one that waits already, or a new one.
    async fn pull_request(&self, gitea: &Gitea, files: &[File], branch: &str) -> Result<String, ForgeError> {
        let call = gitea.repository(&self.repository);
        if let Some(waiting) = there(call.pull(&self.default_branch, branch).send().await)? {
            return Ok(waiting.html_url);
        }
        if there(call.branch(branch).send().await)?.is_none() {
            commit(gitea, &self.repository, files, Some(branch)).await?;
        }
        let made = call.create_pull(branch, &self.default_branch, TITLE, BODY).send().await?;
        Ok(made.html_url)
    }
}

async fn commit(
    gitea: &Gitea,
    repository: &RepositoryName,
    files: &[File],
    new_branch: Option<&str>,
) -> Result<(), ForgeError> {
    let files =
        files.iter().map(|File { path, contents, replaced }| (path.as_str(), *contents, replaced.clone())).collect();
    gitea.repository(repository).commit(&FileCommit { message: TITLE, new_branch, files }).send().await.map(|_| ())
}
