//! The metadata of a missions root, and the repositories and labels that it refers to.

use crate::mission::identity::{ForgeUrl, HostName, RepositoryId, RepositoryName, RootId};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A repository as recorded in a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRef {
    /// Its id, which survives a rename.
    pub id: RepositoryId,
    /// Its name when it was last seen.
    pub name: RepositoryName,
}

/// The metadata of a root, except for its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootMetadata {
    /// The host of the root.
    pub host: HostName,
    /// The forge that its missions come from, by the address that was first used, or that `init` has set since; none
    /// before the first pass.
    #[serde(default)]
    pub forge: Option<ForgeUrl>,
    /// The forge's address for browsers; none before it was reported.
    #[serde(default)]
    pub web_url: Option<ForgeUrl>,
    /// The repositories that its missions come from.
    #[serde(default)]
    pub repositories: Vec<RepositoryRef>,
    /// Their former names, so that another repository with such a name is never mistaken for one of them.
    #[serde(default)]
    pub former_names: Vec<RepositoryRef>,
    /// The accounts that the configuration names by login, with their ids when they were first looked up.
    #[serde(default)]
    pub people: BTreeMap<String, i64>,
    /// The roots whose missions it has adopted.
    #[serde(default)]
    pub replaced: Vec<RootId>,
}

impl RootMetadata {
    /// The repository that has this name by the record, or had it before.
    #[must_use]
    pub fn remembered(&self, name: &RepositoryName) -> Option<RepositoryId> {
        let mut repositories = self.repositories.iter().chain(&self.former_names);
        repositories.find(|repository| repository.name.is_same(name)).map(|repository| repository.id)
    }
}

/// `.lazarus/root.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFile {
    /// The root's id, generated once.
    pub root_id: RootId,
    /// When the root was created.
    pub created_at: Timestamp,
    /// The other metadata.
    #[serde(flatten)]
    pub manifest: RootMetadata,
}

/// A label of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryLabel {
    /// Its id on the forge.
    pub id: i64,
    /// Its name, which is not unique.
    pub name: String,
    /// Whether an issue can have at most one label of its scope.
    pub is_exclusive: bool,
    /// Its description.
    pub description: String,
    /// Whether it is archived; an edit must repeat this, or it is lost
    /// (go-gitea/gitea `routers/api/v1/repo/label.go`).
    pub is_archived: bool,
}
