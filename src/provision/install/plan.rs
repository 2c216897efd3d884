//! Plans the installation: compares the state of a repository with the selected parts, and makes no changes.

use crate::mission::identity::HostName;
use crate::mission::plan::root::displaced_labels;
use crate::mission::proposal::digest;
use crate::mission::proposal::form::{FORM, FORM_PATH};
use crate::mission::root_metadata::RepositoryLabel;
use crate::mission::status::label::Label;
use crate::mission::text::code_span;
use crate::world::forge;
use crate::world::forge::issue_forms::{FormFault, FoundFile, FoundForm};
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;

/// The template chooser, which keeps other issues possible beside the form.
const CONFIG: &str = include_str!("../../../.gitea/ISSUE_TEMPLATE/config.yaml");

/// The path of the template chooser.
const CONFIG_PATH: &str = ".gitea/ISSUE_TEMPLATE/config.yaml";

/// The workflow that runs passes in a job.
pub const WORKFLOW: &str = include_str!("../../../.gitea/workflows/lazarus-reconcile.yaml");

/// The paths of the workflow: the second only if the first would hide a team's own workflows
/// (go-gitea/gitea `modules/actions/workflows.go`).
pub const WORKFLOW_PATHS: [&str; 2] =
    [".gitea/workflows/lazarus-reconcile.yaml", ".github/workflows/lazarus-reconcile.yaml"];

/// The events of the webhook: issues, labels, and comments, whose deletion is reported nowhere else
/// (go-gitea/gitea `routers/api/v1/utils/hook.go`).
pub const EVENTS: [&str; 3] = ["issues_only", "issue_label", "issue_comment"];

/// The names of these events in the list of webhooks.
const LISTED_EVENTS: [&str; 3] = ["issues", "issue_label", "issue_comment"];

/// A part that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InstallPart {
    /// The labels, with their descriptions
    Labels,
    /// The form for proposals
    Form,
    /// The workflow for a job of Gitea Actions
    Workflow,
    /// The webhook that reports changes to the daemon
    Webhook,
}

impl InstallPart {
    /// The default parts. The workflow is not among them: without a runner, all of its runs would wait forever.
    pub const USUAL: [Self; 3] = [Self::Labels, Self::Form, Self::Webhook];
}

/// The current state of a repository.
#[derive(Clone, Debug)]
pub struct InstallTarget {
    /// The default branch.
    pub default_branch: String,
    /// Whether commits to it require a pull request.
    pub is_protected: bool,
    /// All labels of the repository.
    pub labels: Vec<forge::ForgeLabel>,
    /// The form that was found.
    pub form: FoundForm,
    /// Whether there is a template chooser, which a new file could hide.
    pub has_chooser: bool,
    /// The workflow that was found.
    pub workflow: FoundFile,
    /// Whether there are workflows in `.github/workflows` and none in `.gitea/workflows`.
    pub is_githubs: bool,
    /// The webhooks, or the error that prevented listing them.
    pub hooks: Result<Vec<forge::Hook>, String>,
}

/// The selected parts, and the facts that they depend on.
#[derive(Clone, Debug)]
pub struct InstallSelection {
    /// The selected parts.
    pub parts: Vec<InstallPart>,
    /// The address of the webhook; none without `daemon.public_url`.
    pub hook_url: Option<String>,
    /// Whether there is a secret for signatures.
    pub has_secret: bool,
    /// Whether to set the secret again: secrets cannot be read back.
    pub reset_secret: bool,
    /// The name of this host, if issues carry its label.
    pub host: Option<HostName>,
}

/// A file that a commit writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path in the repository.
    pub path: String,
    /// The new content.
    pub contents: &'static str,
    /// The blob id of the file that it replaces.
    pub replaced: Option<String>,
}

/// One change to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// A label is missing.
    CreateLabel(Label),
    /// A label has a wrong exclusivity or an outdated description.
    CorrectLabel {
        /// The desired label.
        label: Label,
        /// The current label.
        found: forge::ForgeLabel,
    },
    /// Files are missing or unusable.
    Commit {
        /// The files to add or replace.
        files: Vec<File>,
        /// The branch of a pull request, if the default branch is protected.
        branch: Option<String>,
    },
    /// The webhook is missing.
    CreateHook {
        /// The address of the webhook.
        url: String,
    },
    /// The webhook is disabled, lacks events, or gets a new secret.
    CorrectHook {
        /// The id of the webhook.
        id: i64,
        /// The address of the webhook.
        url: String,
        /// The reason.
        why: &'static str,
    },
}

/// The changes to make, and notes about parts that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, in order.
    pub steps: Vec<InstallStep>,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

/// Plans the changes that the selected parts need.
#[must_use]
pub fn plan(found: &InstallTarget, selection: &InstallSelection) -> Plan {
    let mut plan = Plan::default();
    let is_selected = |part| selection.parts.contains(&part);
    if is_selected(InstallPart::Labels) {
        plan.steps.extend(labels(found, selection));
        plan.notes.extend(displaced(found, selection));
    }
    let mut files = Vec::new();
    if is_selected(InstallPart::Form) {
        files.extend(form(found, &mut plan.notes));
    }
    if is_selected(InstallPart::Workflow) {
        files.extend(workflow(found, &mut plan.notes));
    } else if selection.parts == InstallPart::USUAL {
        plan.notes.push(
            "no workflow: `--only workflow` adds one that runs passes in a job of Gitea Actions instead of a daemon"
                .to_owned(),
        );
    }
    if !files.is_empty() {
        let branch = found.is_protected.then(|| branch_for(&files));
        plan.steps.push(InstallStep::Commit { files, branch });
    }
    if is_selected(InstallPart::Webhook) {
        plan.steps.extend(hook(found, selection, &mut plan.notes));
    }
    plan
}

/// The changes of labels. A team's own colours and descriptions stay.
fn labels(found: &InstallTarget, selection: &InstallSelection) -> Vec<InstallStep> {
    let all = Label::ALL.into_iter().chain(selection.host.clone().map(Label::Host));
    let steps = all.flat_map(|label| {
        let name = label.name().into_owned();
        let known: Vec<_> = found.labels.iter().filter(|known| known.name == name).cloned().collect();
        if known.is_empty() {
            return vec![InstallStep::CreateLabel(label)];
        }
        let is_wrong = |known: &forge::ForgeLabel| {
            known.exclusive != label.is_exclusive() || label.is_outdated(&known.description)
        };
        let wrong = known.into_iter().filter(is_wrong);
        wrong.map(|found| InstallStep::CorrectLabel { label: label.clone(), found }).collect()
    });
    steps.collect()
}

/// A note for each exclusive label of the team that the forge will remove from mission issues.
fn displaced(found: &InstallTarget, selection: &InstallSelection) -> Vec<String> {
    let labels: Vec<RepositoryLabel> = found.labels.iter().cloned().map(RepositoryLabel::from).collect();
    let note = |(name, scope): (String, &str)| {
        format!(
            "Gitea removes your label {} from an issue that gets a label of this service in the scope `{scope}`, since both \
             are exclusive; rename it, or make it non-exclusive",
            code_span(&name)
        )
    };
    displaced_labels(&labels, selection.host.as_ref()).into_iter().map(note).collect()
}

/// The changes of the form. A form with all required fields stays, whatever a team has added and wherever it is. A
/// faulty one is replaced in place, so that the chooser does not offer two.
fn form(found: &InstallTarget, notes: &mut Vec<String>) -> Vec<File> {
    let mut files = Vec::new();
    match &found.form {
        FoundForm::Good { path: _ } => {}
        FoundForm::Missing => files.push(File { path: FORM_PATH.to_owned(), contents: FORM, replaced: None }),
        FoundForm::Faulty { path, id, fault } => {
            let why = match fault {
                FormFault::Unreadable => "is not readable by Gitea".to_owned(),
                FormFault::NoMarker => "has lost its first field, the marker".to_owned(),
                FormFault::Differs(differences) => format!("lacks required fields ({})", differences.join("; ")),
            };
            notes.push(format!("{} {why}, and is replaced; its history stays in git", code_span(path)));
            files.push(File { path: path.clone(), contents: FORM, replaced: Some(id.clone()) });
        }
    }
    if !found.has_chooser {
        files.push(File { path: CONFIG_PATH.to_owned(), contents: CONFIG, replaced: None });
    }
    files
}

fn workflow(found: &InstallTarget, notes: &mut Vec<String>) -> Option<File> {
    let path = WORKFLOW_PATHS[usize::from(found.is_githubs)];
    match &found.workflow {
        None => Some(File { path: path.to_owned(), contents: WORKFLOW, replaced: None }),
        Some((_, text)) if text == WORKFLOW => None,
        Some(_) => {
            notes.push(format!(
                "`{path}` differs from the shipped workflow, so it is kept; delete it to install the shipped one"
            ));
            None
        }
    }
}

/// The branch name, derived from the files, so that a second run finds the pull request of the first.
fn branch_for(files: &[File]) -> String {
    let written: Vec<_> = files.iter().map(|file| (&file.path, file.contents)).collect();
    format!("lazarus-install-{}", &digest(&written)[..8])
}

fn hook(found: &InstallTarget, selection: &InstallSelection, notes: &mut Vec<String>) -> Option<InstallStep> {
    let Some(url) = selection.hook_url.clone() else {
        notes.push(
            "no webhook: set `daemon.public_url` to the address at which Gitea reaches the daemon, and run this again"
                .to_owned(),
        );
        return None;
    };
    if !selection.has_secret {
        notes.push("no webhook: set `daemon.webhook_secret_file`; `openssl rand -hex 32` creates a secret".to_owned());
        return None;
    }
    let hooks = match &found.hooks {
        Ok(hooks) => hooks,
        Err(error) => {
            let who = "only an administrator of the repository can list and create webhooks, with the scope `write:repository`";
            notes.push(format!("no webhook: {who}; {error}"));
            return None;
        }
    };
    let step = match hooks.iter().find(|hook| hook.config.get("url") == Some(&url)) {
        None => InstallStep::CreateHook { url },
        Some(hook) => {
            InstallStep::CorrectHook { id: hook.id, url, why: webhook_problem(hook, selection.reset_secret)? }
        }
    };
    let allowed =
        "Gitea delivers to private addresses only if `[webhook] ALLOWED_HOST_LIST` in its app.ini allows them";
    notes.push(allowed.to_owned());
    Some(step)
}

/// The problem of the service's webhook, if it has one.
pub(crate) fn webhook_problem(hook: &forge::Hook, reset_secret: bool) -> Option<&'static str> {
    let is_sent = |event: &&str| hook.events.iter().any(|sent| sent == event);
    if !hook.active {
        Some("it is disabled")
    } else if !LISTED_EVENTS.iter().all(is_sent) {
        Some("it lacks needed events")
    } else if hook.config.get("content_type").is_none_or(|kind| kind != "json") {
        Some("its content type is not JSON")
    } else {
        reset_secret.then_some("its secret is set again")
    }
}

impl InstallStep {
    /// The fixed word for this kind of change.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateLabel(_) => "create-label",
            Self::CorrectLabel { .. } => "correct-label",
            Self::Commit { .. } => "commit",
            Self::CreateHook { .. } => "create-webhook",
            Self::CorrectHook { .. } => "correct-webhook",
        }
    }

    /// The scope and the access that this change needs.
    #[must_use]
    pub fn needs(&self) -> &'static str {
        match self {
            Self::CreateLabel(_) | Self::CorrectLabel { .. } => {
                "the scope `write:issue`, of an account with write access to the repository"
            }
            Self::Commit { branch: None, .. } => {
                "the scope `write:repository`, of an account that may push to the default branch"
            }
            Self::Commit { branch: Some(_), .. } => {
                "the scope `write:repository`, of an account that may push branches"
            }
            Self::CreateHook { .. } | Self::CorrectHook { .. } => {
                "the scope `write:repository`, of an administrator of the repository"
            }
        }
    }
}

impl fmt::Display for InstallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateLabel(label) => write!(f, "create the label `{}`", label.name()),
            Self::CorrectLabel { label, found } => {
                let is_wrong = found.exclusive != label.is_exclusive();
                let what = if is_wrong { "its exclusivity" } else { "its description" };
                write!(f, "correct the label `{}`: {what}", label.name())
            }
            Self::Commit { files, branch } => {
                let file = |file: &File| {
                    let verb = if file.replaced.is_some() { "replace" } else { "add" };
                    format!("{verb} `{}`", file.path)
                };
                let files: Vec<String> = files.iter().map(file).collect();
                match branch {
                    None => write!(f, "commit: {}", files.join(", ")),
                    Some(branch) => write!(f, "open a pull request from `{branch}`: {}", files.join(", ")),
                }
            }
            Self::CreateHook { url } => write!(f, "create a webhook to `{url}`"),
            Self::CorrectHook { id, url, why } => write!(f, "correct the webhook {id} to `{url}`: {why}"),
        }
    }
}
