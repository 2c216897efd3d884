//! Plans the changes that precede those of issues: the root's metadata file, and each repository's labels.

use crate::mission::failure::MissionFailure;
use crate::mission::identity::{ForgeUrl, HostName, RepositoryId};
use crate::mission::plan::change::Change;
use crate::mission::record::Record;
use crate::mission::repository::RepositoryProblem;
use crate::mission::root_metadata::{RepositoryLabel, RepositoryRef, RootFile, RootMetadata};
use crate::mission::status::label::Label;
use crate::mission::time::Timestamp;
use std::collections::BTreeMap;

/// The facts that a pass found, to compare with the root's metadata.
#[derive(Clone, Debug)]
pub struct RootFacts {
    /// The root's path, as people type it.
    pub path: String,
    /// This host's name.
    pub host: HostName,
    /// The Gitea address: the recorded one, if there is one.
    pub forge: ForgeUrl,
    /// The address of Gitea's pages for people; none before a repository was found.
    pub web_url: Option<ForgeUrl>,
    /// The repositories as Gitea reports them now.
    pub repositories: Vec<RepositoryRef>,
    /// The accounts that the configuration names by login, with their ids.
    pub people: BTreeMap<String, i64>,
}

/// Records that nothing can be written to the issues of an archived repository.
#[must_use]
pub fn plan_archived<'a>(
    records: impl Iterator<Item = &'a Record>,
    repository: RepositoryId,
    problem: &RepositoryProblem,
    now: Timestamp,
) -> Vec<Change> {
    let is_affected = |record: &&Record| {
        let is_known = record.failure.as_ref().is_some_and(|failure| failure.kind == problem.kind());
        record.issue.repository_id == repository && record.is_served_here() && record.binding.is_some() && !is_known
    };
    let failure = || Box::new(MissionFailure::new(problem.kind(), &problem.to_string(), true, now));
    let to_change = |record: &Record| Change::RecordFailure { issue: record.issue.clone(), failure: Some(failure()) };
    records.filter(is_affected).map(to_change).collect()
}

/// The change that the root's metadata file needs, if any.
#[must_use]
pub fn plan_root(file: Option<&RootFile>, found: &RootFacts) -> Option<Change> {
    let Some(file) = file else {
        let root = Box::new(RootMetadata {
            host: found.host.clone(),
            forge: Some(found.forge.clone()),
            web_url: found.web_url.clone(),
            repositories: found.repositories.clone(),
            former_names: Vec::new(),
            people: found.people.clone(),
            replaced: Vec::new(),
        });
        return Some(Change::InitialiseRoot { path: found.path.clone(), root });
    };
    let mut root = file.manifest.clone();
    let mut what = Vec::new();
    if root.host != found.host {
        what.push(format!("host `{}`", found.host));
        root.host = found.host.clone();
    }
    // Passes with different addresses of one Gitea would overwrite each other's; only `init` changes a recorded one.
    if root.forge.is_none() {
        what.push(format!("Gitea at `{}`", found.forge));
        root.forge = Some(found.forge.clone());
    }
    if let (None, Some(web_url)) = (&root.web_url, &found.web_url) {
        what.push(format!("pages at `{web_url}`"));
        root.web_url = Some(web_url.clone());
    }
    for repository in &found.repositories {
        if root.repositories.contains(repository) {
            continue;
        }
        what.push(format!("repository `{}` has id {}", repository.name, repository.id));
        let (before, others) = root.repositories.into_iter().partition(|known| known.id == repository.id);
        root.repositories = others;
        root.repositories.push(repository.clone());
        root.former_names.extend::<Vec<RepositoryRef>>(before);
        root.former_names.retain(|former| !former.name.is_same(&repository.name));
    }
    if root.people != found.people {
        let is_new = |(login, id): &(&String, &i64)| root.people.get(*login) != Some(id);
        let new = found.people.iter().filter(is_new).map(|(login, id)| format!("account `{login}` has id {id}"));
        what.extend(new);
        if what.is_empty() {
            what.push("fewer accounts".to_owned());
        }
        root.people.clone_from(&found.people);
    }
    (!what.is_empty()).then(|| Change::UpdateRoot { root: Box::new(root), what: what.join(", ") })
}

/// The changes that a repository's labels need. Colours and descriptions stay as they are.
#[must_use]
pub fn plan_labels(repository: &RepositoryRef, found: &[RepositoryLabel], host: Option<&HostName>) -> Vec<Change> {
    let host = host.cloned().map(Label::Host);
    let missing = Label::ALL.into_iter().chain(host).filter_map(|label| {
        let exists = found.iter().any(|known| known.name == label.name());
        (!exists).then(|| Change::CreateLabel { repository: repository.clone(), label })
    });
    let wrong = found.iter().filter_map(|known| {
        let label = Label::named(&known.name)?;
        let found = known.clone();
        (known.is_exclusive != label.is_exclusive()).then(|| Change::CorrectLabel {
            repository: repository.clone(),
            label,
            found,
        })
    });
    missing.chain(wrong).collect()
}

/// A team's own labels that Gitea drops from an issue when a lazarus-managed one is added, with their common scope.
/// Labels of other hosts, which have the same description as this host's, do not count.
#[must_use]
pub fn displaced_labels(found: &[RepositoryLabel], host: Option<&HostName>) -> BTreeMap<String, &'static str> {
    let host = host.cloned().map(Label::Host);
    let is_of_a_host = |known: &RepositoryLabel| {
        let is_same_kind =
            |host: &Label| host.displaces(&known.name, true) && known.description == host.appearance().meaning;
        host.as_ref().is_some_and(is_same_kind)
    };
    let theirs = found.iter().filter(|known| Label::named(&known.name).is_none() && !is_of_a_host(known));
    let displaced = theirs.filter_map(|known| {
        let mut ours = Label::ALL.iter().chain(&host);
        let label = ours.find(|label| label.displaces(&known.name, known.is_exclusive))?;
        Some((known.name.clone(), label.scope()))
    });
    displaced.collect()
}
