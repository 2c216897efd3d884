//! Whether each repository can be served: it is ours, it has issues, we may write, and it has the form and the labels.

use crate::doctor::check::Check;
use crate::doctor::labels;
use crate::install::plan::FORM_PATH;
use crate::mission::approval::ApprovalMode;
use crate::mission::form::Form;
use crate::mission::ground::{KnownRepository, RootPapers};
use crate::mission::identity::RepositoryName;
use crate::settings::Settings;
use crate::world::gitea::{ForgeError, Gitea, Repository, Template};
use crate::world::repository::{FoundRepository, RepositoryError, find_repository};
use serde_json::Value;

/// Looks at each repository of the settings.
pub(super) async fn look(settings: &Settings, gitea: &Gitea, papers: Option<&RootPapers>, checks: &mut Vec<Check>) {
    let names = match settings.repositories() {
        Ok(names) => names,
        Err(error) => {
            let next = "name at least one, and ask again";
            checks.push(Check::failure("repository", "repositories-not-set", error.to_string(), next));
            return;
        }
    };
    for name in names {
        let remembered = papers.and_then(|papers| papers.remembered(name));
        match find_repository(gitea, name, remembered).await {
            Ok(FoundRepository { known, asked_for }) => {
                checks.push(found(&known, asked_for.as_ref()));
                inside(settings, gitea, &known, checks).await;
            }
            Err(error) => checks.push(not_found(&error)),
        }
    }
}

fn found(known: &KnownRepository, asked_for: Option<&RepositoryName>) -> Check {
    let KnownRepository { id, name } = known;
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

async fn inside(settings: &Settings, gitea: &Gitea, known: &KnownRepository, checks: &mut Vec<Check>) {
    let name = &known.name;
    checks.push(rights(gitea, name).await);
    if let Ok(repository) = gitea.repository(name).get().send().await {
        checks.push(strangers(settings, &repository));
    }
    checks.push(form(settings, gitea, name).await);
    checks.extend(labels::look(settings, gitea, known).await);
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

async fn form(settings: &Settings, gitea: &Gitea, name: &RepositoryName) -> Check {
    let install = settings.given.command(&format!("install --repo {name} --only form"));
    let templates = match gitea.repository(name).templates().send_page().await {
        Ok(page) => page.items,
        Err(error) => return Check::of_forge("form", &error),
    };
    let ours = Form::embedded();
    let Some(template) = templates.iter().find(|template| marker_of(template).contains(&ours.marker)) else {
        // What the forge cannot read is missing from its list.
        return match gitea.repository(name).file(FORM_PATH).send().await {
            Ok(_) => {
                let found = format!("`{FORM_PATH}` of `{name}` is no form that Gitea can read, or has lost its marker");
                Check::failure("form", "form-invalid", found, install)
            }
            Err(ForgeError::NotFound { .. }) => {
                Check::failure("form", "form-missing", format!("`{name}` has no Mission proposal form"), install)
            }
            Err(error) => Check::of_forge("form", &error),
        };
    };
    let differences = differences(template, ours);
    if differences.is_empty() {
        return Check::pass("form", format!("`{name}` has it: {}", template.file_name));
    }
    Check::failure(
        "form",
        "form-differs",
        format!("`{}` of `{name}`: {}", template.file_name, differences.join("; ")),
        install,
    )
}

/// The hidden texts of a form's issues.
fn marker_of(template: &Template) -> String {
    let hidden = template.body.iter().filter(|field| field.kind == "markdown");
    hidden.filter_map(|field| field.attributes.get("value")?.as_str()).collect()
}

/// Ids and labels count; texts are the team's own, and so are fields that they add.
fn differences(template: &Template, ours: &Form) -> Vec<String> {
    let label = |id: &str| {
        let field = template.body.iter().find(|field| field.id == id)?;
        field.attributes.get("label").and_then(Value::as_str).or(Some(""))
    };
    let difference = |field: &crate::mission::form::Field| match label(&field.id) {
        None => Some(format!("it does not ask for `{}`", field.id)),
        Some(found) if found != field.label => Some(format!(
            "`{}` is called `{}` instead of `{}`",
            field.id,
            crate::mission::text::shown(found),
            field.label
        )),
        Some(_) => None,
    };
    ours.fields.iter().filter_map(difference).collect()
}
