//! Whether each repository can be served: it is ours, it has issues, we may write, and it has the form and the labels.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::diagnose::doctor::labels;
use crate::mission::approval::policy::ApprovalMode;
use crate::mission::identity::RepositoryName;
use crate::mission::repository::FoundRepository;
use crate::mission::root_metadata::{RepositoryRef, RootMetadata};
use crate::mission::text::{code_span, shown};
use crate::provision::install::plan::fault_of;
use crate::world::forge::issue_forms::{FormFault, FoundForm, find_form};
use crate::world::forge::repository::{RepositoryError, find_repository};
use crate::world::forge::{ForgeError, Gitea, Repository};

/// Looks at each repository of the settings.
pub(super) async fn look(settings: &Settings, gitea: &Gitea, manifest: Option<&RootMetadata>, checks: &mut Vec<Check>) {
    let names = match settings.repositories() {
        Ok(names) => names,
        Err(error) => {
            let next = "name at least one, and ask again";
            checks.push(Check::failure("repository", "repositories-not-set", error.to_string(), next));
            return;
        }
    };
    for name in names {
        let remembered = manifest.and_then(|manifest| manifest.remembered(name));
        match find_repository(gitea, name, remembered).await {
            Ok(FoundRepository { known, asked_for, web_url: _ }) => {
                checks.push(found(&known, asked_for.as_ref()));
                inside(settings, gitea, &known, checks).await;
            }
            Err(error) => checks.push(not_found(&error)),
        }
    }
}

fn found(known: &RepositoryRef, asked_for: Option<&RepositoryName>) -> Check {
    let RepositoryRef { id, name } = known;
    match asked_for {
        None => Check::pass("repository", format!("`{name}` is there (id {id})")),
        Some(old) => {
            let found = format!("`{old}` is called `{name}` now (id {id})");
            Check::warning("repository", "repository-moved", found, "set its new name in `repositories`")
        }
    }
}

fn not_found(error: &RepositoryError) -> Check {
    Check::failure("repository", error.fault(), error.found(), error.next())
}

async fn inside(settings: &Settings, gitea: &Gitea, known: &RepositoryRef, checks: &mut Vec<Check>) {
    let name = &known.name;
    checks.push(rights(gitea, name).await);
    if let Ok(repository) = gitea.repository(name).get().send().await {
        checks.push(strangers(settings, &repository));
    }
    checks.push(form(settings, gitea, name).await);
    checks.extend(labels::look(settings, gitea, known).await);
    checks.extend(hook(settings, gitea, name).await);
}

/// Only an administrator of the repository is shown its webhooks; with a token of such a one, ours is looked at.
async fn hook(settings: &Settings, gitea: &Gitea, name: &RepositoryName) -> Option<Check> {
    let url = settings.daemon.webhook_url()?;
    let hooks = gitea.repository(name).hooks().send().await.ok()?;
    let ours = hooks.iter().find(|hook| hook.config.get("url") == Some(&url))?;
    let Some(fault) = fault_of(ours, false) else {
        return Some(Check::pass("webhook", format!("`{name}` sends what is needed to `{url}`")));
    };
    let found = format!("the webhook {} of `{name}`: {fault}", ours.id);
    let install = settings.given.command(&format!("install --repo {name} --only webhook"));
    Some(Check::warning("webhook", "webhook-events-missing", found, install))
}

async fn rights(gitea: &Gitea, name: &RepositoryName) -> Check {
    let next = format!("give the bot write access: `{name}`, Settings, Collaborators");
    match gitea.repository(name).probe_writing().send().await {
        // It was not found, so it was looked for.
        Ok(_) | Err(ForgeError::NotFound { .. }) => {
            Check::pass("rights", format!("the bot may write issues of `{name}`"))
        }
        Err(error @ ForgeError::Forbidden { .. }) => {
            let found = format!("the bot may only read `{name}`: {}", error.found());
            Check::failure("rights", "repository-read-only", found, next)
        }
        Err(error) => Check::of_forge("rights", &error),
    }
}

fn strangers(settings: &Settings, repository: &Repository) -> Check {
    let name = &repository.full_name;
    if settings.approval.mode == ApprovalMode::Label {
        return Check::pass("filing", format!("each proposal in `{name}` is approved by somebody first"));
    }
    if repository.private && !repository.internal {
        return Check::pass("filing", format!("`{name}` is private: only its members can file"));
    }
    let found =
        format!("`{name}` is public, and `approval.mode` is `open`: whoever has an account can have cells made");
    let next = "set `approval.mode` to `label`, or make the repository private";
    Check::warning("filing", "strangers-may-file", found, next)
}

/// Ids and labels count; texts are the team's own, and so are fields that they add.
async fn form(settings: &Settings, gitea: &Gitea, name: &RepositoryName) -> Check {
    let install = settings.given.command(&format!("install --repo {name} --only form"));
    let (path, fault) = match find_form(gitea, name).await {
        Ok(FoundForm::Good { path }) => return Check::pass("form", format!("`{name}` has it: {}", shown(&path))),
        Ok(FoundForm::Missing) => {
            let found = format!("`{name}` has no Mission proposal form");
            return Check::failure("form", "form-missing", found, install);
        }
        Ok(FoundForm::Faulty { path, id: _, fault }) => (code_span(&path), fault),
        Err(error) => return Check::of_forge("form", &error),
    };
    let (word, found) = match fault {
        FormFault::Unreadable => ("form-invalid", format!("{path} of `{name}` is no form that Gitea can read")),
        FormFault::NoMarker => ("form-invalid", format!("{path} of `{name}` has lost its first field, the marker")),
        FormFault::Differs(differences) => ("form-differs", format!("{path} of `{name}`: {}", differences.join("; "))),
    };
    Check::failure("form", word, found, install)
}
