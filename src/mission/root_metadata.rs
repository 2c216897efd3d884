//! What missions stand on: the root, which says whose it is, and the repositories with their labels.

use crate::mission::identity::{ForgeUrl, HostName, RepositoryId, RepositoryName, RootId};
use crate::mission::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A repository as a root remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRef {
    /// Its id, which survives a rename.
    pub id: RepositoryId,
    /// Its name when last seen.
    pub name: RepositoryName,
}

/// What a root says of itself, but for its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootMetadata {
    /// The host that it is on.
    pub host: HostName,
    /// The forge that its missions come from, by the address that it was first asked by, or that `init` has named since; none
    /// before the first pass.
    #[serde(default)]
    pub forge: Option<ForgeUrl>,
    /// Where people see that forge; none before it has told.
    #[serde(default)]
    pub web_url: Option<ForgeUrl>,
    /// The repositories that its missions come from.
    #[serde(default)]
    pub repositories: Vec<RepositoryRef>,
    /// The names that they had before, so that another one by such a name is never taken for ours.
    #[serde(default)]
    pub former_names: Vec<RepositoryRef>,
    /// The accounts that the settings name by their logins, with the ids that those had when they were first looked up.
    #[serde(default)]
    pub people: BTreeMap<String, i64>,
    /// The roots whose missions it has taken over.
    #[serde(default)]
    pub replaced: Vec<RootId>,
}

impl RootMetadata {
    /// The repository that had this name when we last saw it, or had it before.
    #[must_use]
    pub fn remembered(&self, name: &RepositoryName) -> Option<RepositoryId> {
        let mut known = self.repositories.iter().chain(&self.former_names);
        known.find(|known| known.name.is_same(name)).map(|known| known.id)
    }
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
    pub manifest: RootMetadata,
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
    /// What it means, in the words of those who made it.
    pub description: String,
    /// Whether it is archived; an edit must repeat this or it is lost
    /// (go-gitea/gitea `routers/api/v1/repo/label.go`).
    pub is_archived: bool,
}
