//! Prepares repositories for missions: reads their state, prints the plan, and changes only what differs.

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

/// The title of the commit and of the pull request.
const TITLE: &str = "Accept Mission proposals";

/// The text of the pull request.
const BODY: &str =
    "Adds the files that `lazarus-reconcile` needs in this repository. Once it is merged, proposals can be filed.";

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The configuration is unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A request about the repository failed.
    #[error("`{repository}`: {cause}")]
    Forge {
        /// The repository.
        repository: RepositoryName,
        /// The reason.
        cause: ForgeError,
    },
    /// It does not exist, or is not visible.
    #[error("there is no repository `{0}`, or the token may not see it; check the name, and whose token it is")]
    Missing(RepositoryName),
    /// It cannot accept missions, whatever files it has.
    #[error(transparent)]
    Repository(#[from] RepositoryProblem),
    /// It is read-only.
    #[error("`{0}` is archived; un-archive it first")]
    Archived(RepositoryName),
}

/// The plan for one repository.
#[derive(Debug)]
pub struct Prepared {
    repository: RepositoryName,
    default_branch: String,
    plan: Plan,
}

/// Reads the state of all configured repositories, and plans the changes. Writes nothing.
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
    let selection = InstallSelection {
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
    let found = observe(gitea, repository, about.default_branch, &selection).await.map_err(failed)?;
    Ok(Prepared {
        repository: repository.clone(),
        default_branch: found.default_branch.clone(),
        plan: plan(&found, &selection),
    })
}

/// The current state of a repository, as far as the selection needs it.
async fn observe(
    gitea: &Gitea,
    name: &RepositoryName,
    default_branch: String,
    selection: &InstallSelection,
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
    let is_selected = |part| selection.parts.contains(&part);
    if is_selected(InstallPart::Labels) {
        found.labels = call.labels().await?;
    }
    if is_selected(InstallPart::Form) || is_selected(InstallPart::Workflow) {
        let branch = there(call.branch(&found.default_branch).send().await)?;
        found.is_protected = branch.is_some_and(|branch| branch.protected && !branch.user_can_push);
    }
    if is_selected(InstallPart::Form) {
        found.form = find_form(gitea, name).await?;
        found.has_chooser = has_chooser(gitea, name).await?;
    }
    if is_selected(InstallPart::Workflow) {
        let contents = async |path: &str| there(gitea.repository(name).contents(path).send().await);
        let is_used = async |path: &str| contents(path).await.map(|found| found.is_some());
        found.is_githubs = !is_used(".gitea/workflows").await? && is_used(".github/workflows").await?;
        found.workflow = file(gitea, name, WORKFLOW_PATHS[usize::from(found.is_githubs)]).await?;
    }
    if is_selected(InstallPart::Webhook) && selection.hook_url.is_some() {
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
    /// The report of the plan, without changes.
    #[must_use]
    pub fn preview(&self) -> InstallReport {
        self.report(true, self.plan.steps.iter().map(|step| StepReport::of(step, Ok(None))).collect())
    }

    /// Makes the changes step by step. A failed step does not stop the others.
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

    /// The address of the pull request: an open one for the same files, otherwise a new one.
    async fn pull_request(&self, gitea: &Gitea, files: &[File], branch: &str) -> Result<String, ForgeError> {
        let call = gitea.repository(&self.repository);
        if let Some(open) = there(call.pull(&self.default_branch, branch).send().await)? {
            return Ok(open.html_url);
        }
        if there(call.branch(branch).send().await)?.is_none() {
            commit(gitea, &self.repository, files, Some(branch)).await?;
        }
        let created = call.create_pull(branch, &self.default_branch, TITLE, BODY).send().await?;
        Ok(created.html_url)
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
