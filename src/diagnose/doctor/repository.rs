//! Checks each repository: its identity, its issues, write access, approvals, form, labels and webhook.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::diagnose::doctor::labels;
use crate::mission::approval::policy::ApprovalMode;
use crate::mission::identity::RepositoryName;
use crate::mission::repository::FoundRepository;
use crate::mission::root_metadata::{RepositoryRef, RootMetadata};
use crate::mission::text::{code_span, shown};
use crate::provision::install::plan::webhook_problem;
use crate::world::forge::issue_forms::{FormFault, FoundForm, find_form};
use crate::world::forge::repository::{RepositoryError, find_repository};
use crate::world::forge::{ForgeError, Gitea, Repository};

/// Checks each configured repository.
pub(super) async fn check(
    settings: &Settings,
    gitea: &Gitea,
    manifest: Option<&RootMetadata>,
    checks: &mut Vec<Check>,
) {
    let names = match settings.repositories() {
        Ok(names) => names,
        Err(error) => {
            let next = "set at least one, and run `doctor` again";
            checks.push(Check::failure("repository", "repositories-not-set", error.to_string(), next));
            return;
        }
    };
    for name in names {
        let recorded = manifest.and_then(|manifest| manifest.remembered(name));
        match find_repository(gitea, name, recorded).await {
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
        None => Check::pass("repository", format!("`{name}` exists (id {id})")),
        Some(old) => {
            let found = format!("`{old}` is named `{name}` now (id {id})");
            Check::warning("repository", "repository-moved", found, "set the new name in `repositories`")
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
        checks.push(filing(settings, &repository));
    }
    checks.push(form(settings, gitea, name).await);
    checks.extend(labels::check(settings, gitea, known).await);
    checks.extend(hook(settings, gitea, name).await);
}

/// Checks the webhook itself, if the token belongs to an administrator of the repository: Gitea lists it to no one
/// else.
async fn hook(settings: &Settings, gitea: &Gitea, name: &RepositoryName) -> Option<Check> {
    let url = settings.daemon.webhook_url()?;
    let hooks = gitea.repository(name).hooks().send().await.ok()?;
    let hook = hooks.iter().find(|hook| hook.config.get("url") == Some(&url))?;
    let Some(problem) = webhook_problem(hook, false) else {
        return Some(Check::pass("webhook", format!("`{name}` sends all needed events to `{url}`")));
    };
    let found = format!("the webhook {} of `{name}`: {problem}", hook.id);
    let install = settings.given.command(&format!("install --repo {name} --only webhook"));
    Some(Check::warning("webhook", "webhook-events-missing", found, install))
}

async fn rights(gitea: &Gitea, name: &RepositoryName) -> Check {
    let next = format!("give the bot write access: `{name}`, Settings, Collaborators");
    match gitea.repository(name).probe_writing().send().await {
        // The probe names a missing issue: 404 means that access was granted.
        Ok(_) | Err(ForgeError::NotFound { .. }) => {
            Check::pass("rights", format!("the bot may edit issues of `{name}`"))
        }
        Err(error @ ForgeError::Forbidden { .. }) => {
            let found = format!("the bot may only read `{name}`: {}", error.found());
            Check::failure("rights", "repository-read-only", found, next)
        }
        Err(error) => Check::of_forge("rights", &error),
    }
}

fn filing(settings: &Settings, repository: &Repository) -> Check {
    let name = &repository.full_name;
    if settings.approval.mode == ApprovalMode::Label {
        return Check::pass("filing", format!("each proposal in `{name}` needs an approval"));
    }
    if repository.private && !repository.internal {
        return Check::pass("filing", format!("`{name}` is private: only its members can file proposals"));
    }
    let found = format!("`{name}` is public, and `approval.mode` is `open`: anyone who has an account can get cells");
    let next = "set `approval.mode` to `label`, or make the repository private";
    Check::warning("filing", "strangers-may-file", found, next)
}

/// Checks the ids and labels of the form's fields. Texts, and fields that a team adds, do not count.
async fn form(settings: &Settings, gitea: &Gitea, name: &RepositoryName) -> Check {
    let install = settings.given.command(&format!("install --repo {name} --only form"));
    let (path, fault) = match find_form(gitea, name).await {
        Ok(FoundForm::Good { path }) => return Check::pass("form", format!("`{name}` has the form: {}", shown(&path))),
        Ok(FoundForm::Missing) => {
            let found = format!("`{name}` has no Mission proposal form");
            return Check::failure("form", "form-missing", found, install);
        }
        Ok(FoundForm::Faulty { path, id: _, fault }) => (code_span(&path), fault),
        Err(error) => return Check::of_forge("form", &error),
    };
    let (code, found) = match fault {
        FormFault::Unreadable => ("form-invalid", format!("{path} of `{name}` is not readable as a form by Gitea")),
        FormFault::NoMarker => ("form-invalid", format!("{path} of `{name}` has lost its first field, the marker")),
        FormFault::Differs(differences) => ("form-differs", format!("{path} of `{name}`: {}", differences.join("; "))),
    };
    Check::failure("form", code, found, install)
}
