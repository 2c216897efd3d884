//! What has to be right before any issue is touched: the root's own file, and each repository's labels.

use crate::mission::change::Change;
use crate::mission::identity::{ForgeUrl, HostName, RepositoryId, RepositoryName, RootId};
use crate::mission::label::Label;
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A repository as a root remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRepository {
    /// Its id, which survives a rename.
    pub id: RepositoryId,
    /// Its name when last seen.
    pub name: RepositoryName,
}

/// What a root says of itself, but for its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootPapers {
    /// The host that it is on.
    pub host: HostName,
    /// The forge that its missions come from; none before the first pass.
    #[serde(default)]
    pub forge: Option<ForgeUrl>,
    /// The repositories that its missions come from.
    #[serde(default)]
    pub repositories: Vec<KnownRepository>,
    /// The roots whose missions it has taken over.
    #[serde(default)]
    pub replaced: Vec<RootId>,
}

/// `.lazarus/root.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFile {
    /// Made once.
    pub root_id: RootId,
    /// When.
    pub created_at: Timestamp,
    /// The rest.
    #[serde(flatten)]
    pub papers: RootPapers,
}

/// What this pass found, to be held against what the root remembers.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The root's path, as people type it.
    pub path: String,
    /// This host.
    pub host: HostName,
    /// The forge.
    pub forge: ForgeUrl,
    /// The repositories as the forge tells them now.
    pub repositories: Vec<KnownRepository>,
}

/// What the root's own file needs.
#[must_use]
pub fn plan_root(file: Option<&RootFile>, found: &Surroundings) -> Option<Change> {
    let Some(file) = file else {
        let root = Box::new(RootPapers {
            host: found.host.clone(),
            forge: Some(found.forge.clone()),
            repositories: found.repositories.clone(),
            replaced: Vec::new(),
        });
        return Some(Change::InitialiseRoot { path: found.path.clone(), root });
    };
    let mut root = file.papers.clone();
    let mut what = Vec::new();
    if root.host != found.host {
        what.push(format!("host `{}`", found.host));
        root.host = found.host.clone();
    }
    if root.forge.as_ref() != Some(&found.forge) {
        what.push(format!("forge `{}`", found.forge));
        root.forge = Some(found.forge.clone());
    }
    for repository in &found.repositories {
        if root.repositories.contains(repository) {
            continue;
        }
        what.push(format!("repository `{}` is {}", repository.name, repository.id));
        root.repositories.retain(|known| known.id != repository.id);
        root.repositories.push(repository.clone());
    }
    (!what.is_empty()).then(|| Change::UpdateRoot { root: Box::new(root), what: what.join(", ") })
}

/// A label as a repository has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryLabel {
    /// The forge's id.
    pub id: i64,
    /// Its name; another label may have the same.
    pub name: String,
    /// Whether an issue carries at most one of its scope.
    pub is_exclusive: bool,
    /// Whether it is archived; an edit must repeat this or it is lost
    /// (go-gitea/gitea `routers/api/v1/repo/label.go`).
    pub is_archived: bool,
}

/// What a repository's labels need. Colours and descriptions stay as people made them.
#[must_use]
pub fn plan_labels(repository: &KnownRepository, found: &[RepositoryLabel]) -> Vec<Change> {
    let missing = Label::ALL.into_iter().filter(|label| label.is_used()).filter_map(|label| {
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
