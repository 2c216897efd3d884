//! Checks that a repository has all labels, and that they are exclusive where they must be.

use crate::config::Settings;
use crate::diagnose::doctor::check::Check;
use crate::mission::plan::change::Change;
use crate::mission::plan::root::{displaced_labels, plan_labels};
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef};
use crate::mission::text::code_span;
use crate::world::forge::Gitea;

/// Checks the labels with the plan of a pass.
pub(super) async fn check(settings: &Settings, gitea: &Gitea, known: &RepositoryRef) -> Vec<Check> {
    let found = match gitea.repository(&known.name).labels().await {
        Ok(labels) => labels.into_iter().map(RepositoryLabel::from).collect::<Vec<_>>(),
        Err(error) => return vec![Check::of_forge("labels", &error)],
    };
    let host = settings.has_host_label.then_some(&settings.host);
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for change in plan_labels(known, &found, host) {
        if let Change::CreateLabel { label, .. } = &change {
            missing.push(format!("`{}`", label.name()));
        } else if let Change::CorrectLabel { label, .. } = &change {
            wrong.push(format!("`{}`", label.name()));
        }
    }
    let (name, mut checks) = (&known.name, Vec::new());
    let install = settings.given.command(&format!("install --repo {name} --only labels"));
    let next = format!("{install}, or wait for the next pass, which fixes them");
    if !missing.is_empty() {
        let found = format!("`{name}` lacks {}", missing.join(", "));
        checks.push(Check::warning("labels", "label-missing", found, &next));
    }
    if !wrong.is_empty() {
        let found = format!("in `{name}`, the exclusivity of {} is wrong", wrong.join(", "));
        checks.push(Check::warning("labels", "label-not-exclusive", found, &next));
    }
    let displaced: Vec<String> = displaced_labels(&found, host).keys().map(|name| code_span(name)).collect();
    if !displaced.is_empty() {
        let found = format!(
            "in `{name}`, Gitea removes {} from issues that get a label of this service: both are exclusive in the same scope",
            displaced.join(", ")
        );
        let next = format!("rename them, or make them non-exclusive: `{name}`, Issues, Labels");
        checks.push(Check::warning("labels", "label-scope-shared", found, next));
    }
    if checks.is_empty() {
        checks.push(Check::pass("labels", format!("`{name}` has all labels")));
    }
    checks
}
