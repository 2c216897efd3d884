//! What a repository lacks to be one that missions are asked for in: decided from what was found, done elsewhere.

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

/// Whether other issues stay possible beside the form.
const CONFIG: &str = include_str!("../../../.gitea/ISSUE_TEMPLATE/config.yaml");

/// Where that is put.
const CONFIG_PATH: &str = ".gitea/ISSUE_TEMPLATE/config.yaml";

/// The workflow that reconciles in a job.
pub const WORKFLOW: &str = include_str!("../../../.gitea/workflows/lazarus-reconcile.yaml");

/// Where the workflow may be: the second only where the first would hide a team's own workflows
/// (go-gitea/gitea `modules/actions/workflows.go`).
pub const WORKFLOW_PATHS: [&str; 2] =
    [".gitea/workflows/lazarus-reconcile.yaml", ".github/workflows/lazarus-reconcile.yaml"];

/// What the webhook is sent for: issues themselves, the buttons that are labels, and comments, whose deletion shows nowhere
/// else
/// (go-gitea/gitea `routers/api/v1/utils/hook.go`).
pub const EVENTS: [&str; 3] = ["issues_only", "issue_label", "issue_comment"];

/// What those events are called where hooks are listed.
const LISTED_EVENTS: [&str; 3] = ["issues", "issue_label", "issue_comment"];

/// What can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InstallPart {
    /// The labels, with their meanings
    Labels,
    /// The form for proposals
    Form,
    /// The workflow for a job of Gitea Actions
    Workflow,
    /// The webhook that tells the daemon of news
    Webhook,
}

impl InstallPart {
    /// What is installed unless somebody names parts. Without a runner, a forge would keep each of the workflow's runs
    /// waiting, so that is only for those who ask for it.
    pub const USUAL: [Self; 3] = [Self::Labels, Self::Form, Self::Webhook];
}

/// What there is already.
#[derive(Clone, Debug)]
pub struct InstallTarget {
    /// The branch that counts.
    pub default_branch: String,
    /// Whether commits to it have to come by a pull request.
    pub is_protected: bool,
    /// Every label.
    pub labels: Vec<forge::ForgeLabel>,
    /// The form.
    pub form: FoundForm,
    /// Whether there is a chooser that a file of ours could hide.
    pub has_chooser: bool,
    /// The workflow, where it is.
    pub workflow: FoundFile,
    /// Whether there are workflows in `.github/workflows` and none in `.gitea/workflows`.
    pub is_githubs: bool,
    /// The webhooks, or how the forge refused to show them.
    pub hooks: Result<Vec<forge::Hook>, String>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct InstallSelection {
    /// The parts.
    pub parts: Vec<InstallPart>,
    /// Where deliveries go; none without `daemon.public_url`.
    pub hook_url: Option<String>,
    /// Whether there is a secret to sign them with.
    pub has_secret: bool,
    /// Whether the secret is set again, which nobody can compare.
    pub reset_secret: bool,
    /// This host, where issues carry its label.
    pub host: Option<HostName>,
}

/// A file that a commit writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: String,
    /// What.
    pub contents: &'static str,
    /// The id of what it replaces.
    pub replaced: Option<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallStep {
    /// A label is missing.
    CreateLabel(Label),
    /// A label excludes others and should not, or the other way round, or does not say what it means.
    CorrectLabel {
        /// As it should be.
        label: Label,
        /// As it is.
        found: forge::ForgeLabel,
    },
    /// Files are missing, or of no use.
    Commit {
        /// Which.
        files: Vec<File>,
        /// The branch of a pull request, where the default one is protected.
        branch: Option<String>,
    },
    /// There is no such webhook.
    CreateHook {
        /// Where to.
        url: String,
    },
    /// The webhook is off, or deaf to something, or its secret is to be another.
    CorrectHook {
        /// Which.
        id: i64,
        /// Where to.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// What is to be done, and what is not and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<InstallStep>,
    /// For the person who reads.
    pub notes: Vec<String>,
}

/// Decides what to do.
#[must_use]
pub fn plan(found: &InstallTarget, wanted: &InstallSelection) -> Plan {
    let mut plan = Plan::default();
    let is_wanted = |part| wanted.parts.contains(&part);
    if is_wanted(InstallPart::Labels) {
        plan.steps.extend(labels(found, wanted));
        plan.notes.extend(displaced(found, wanted));
    }
    let mut files = Vec::new();
    if is_wanted(InstallPart::Form) {
        files.extend(form(found, &mut plan.notes));
    }
    if is_wanted(InstallPart::Workflow) {
        files.extend(workflow(found, &mut plan.notes));
    } else if wanted.parts == InstallPart::USUAL {
        plan.notes.push(
            "no workflow: `--only workflow` adds it, for passes in a job of Gitea Actions instead of a daemon"
                .to_owned(),
        );
    }
    if !files.is_empty() {
        let branch = found.is_protected.then(|| branch_for(&files));
        plan.steps.push(InstallStep::Commit { files, branch });
    }
    if is_wanted(InstallPart::Webhook) {
        plan.steps.extend(hook(found, wanted, &mut plan.notes));
    }
    plan
}

/// Colours are a team's own, and so is a description that they wrote.
fn labels(found: &InstallTarget, wanted: &InstallSelection) -> Vec<InstallStep> {
    let all = Label::ALL.into_iter().chain(wanted.host.clone().map(Label::Host));
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

/// What a team loses by our labels: a note for each of its own that the forge drops for them.
fn displaced(found: &InstallTarget, wanted: &InstallSelection) -> Vec<String> {
    let labels: Vec<RepositoryLabel> = found.labels.iter().cloned().map(RepositoryLabel::from).collect();
    let note = |(name, scope): (String, &str)| {
        format!(
            "Gitea drops your label {} from an issue that gets one of ours in the scope `{scope}`, since both are \
             exclusive; rename it, or make it not exclusive",
            code_span(&name)
        )
    };
    displaced_labels(&labels, wanted.host.as_ref()).into_iter().map(note).collect()
}

/// A form that asks what ours asks is a team's own, whatever else it asks and wherever it is; one that does not is replaced
/// where it is, so that nobody is offered two.
fn form(found: &InstallTarget, notes: &mut Vec<String>) -> Vec<File> {
    let mut files = Vec::new();
    match &found.form {
        FoundForm::Good { path: _ } => {}
        FoundForm::Missing => files.push(File { path: FORM_PATH.to_owned(), contents: FORM, replaced: None }),
        FoundForm::Faulty { path, id, fault } => {
            let why = match fault {
                FormFault::Unreadable => "cannot be read by Gitea".to_owned(),
                FormFault::NoMarker => "has lost its first field, the marker".to_owned(),
                FormFault::Differs(differences) => format!("does not ask what it must ({})", differences.join("; ")),
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
            notes.push(format!("`{path}` is not as shipped, so it is yours and stays; delete it to have ours"));
            None
        }
    }
}

/// One name for the same files, so that a second run finds the pull request of the first.
fn branch_for(files: &[File]) -> String {
    let written: Vec<_> = files.iter().map(|file| (&file.path, file.contents)).collect();
    format!("lazarus-install-{}", &digest(&written)[..8])
}

fn hook(found: &InstallTarget, wanted: &InstallSelection, notes: &mut Vec<String>) -> Option<InstallStep> {
    let Some(url) = wanted.hook_url.clone() else {
        notes.push(
            "no webhook: set `daemon.public_url` to where the forge reaches the daemon, and run this again".to_owned(),
        );
        return None;
    };
    if !wanted.has_secret {
        notes.push("no webhook: set `daemon.webhook_secret_file`; `openssl rand -hex 32` makes a secret".to_owned());
        return None;
    }
    let hooks = match &found.hooks {
        Ok(hooks) => hooks,
        Err(refusal) => {
            let who = "only an administrator of the repository sees and makes them, with the scope `write:repository`";
            notes.push(format!("no webhook: {who}; {refusal}"));
            return None;
        }
    };
    let step = match hooks.iter().find(|hook| hook.config.get("url") == Some(&url)) {
        None => InstallStep::CreateHook { url },
        Some(hook) => InstallStep::CorrectHook { id: hook.id, url, why: fault_of(hook, wanted.reset_secret)? },
    };
    let lists = "a forge refuses to deliver to private addresses unless `[webhook] ALLOWED_HOST_LIST` in its app.ini allows them";
    notes.push(lists.to_owned());
    Some(step)
}

/// What is wrong with a webhook of ours.
pub(crate) fn fault_of(hook: &forge::Hook, reset_secret: bool) -> Option<&'static str> {
    let is_heard = |event: &&str| hook.events.iter().any(|heard| heard == event);
    if !hook.active {
        Some("it is switched off")
    } else if !LISTED_EVENTS.iter().all(is_heard) {
        Some("it is not sent for all that is needed")
    } else if hook.config.get("content_type").is_none_or(|kind| kind != "json") {
        Some("it is not sent as JSON")
    } else {
        reset_secret.then_some("its secret is set again")
    }
}

impl InstallStep {
    /// A fixed word.
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

    /// What a token needs for it.
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
            Self::CreateLabel(label) => write!(f, "make the label `{}`", label.name()),
            Self::CorrectLabel { label, found } => {
                let is_wrong = found.exclusive != label.is_exclusive();
                let what = if is_wrong { "whether it excludes others" } else { "what it means" };
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
            Self::CreateHook { url } => write!(f, "make a webhook to `{url}`"),
            Self::CorrectHook { id, url, why } => write!(f, "correct the webhook {id} to `{url}`: {why}"),
        }
    }
}
