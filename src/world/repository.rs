//! Finds a repository by its name or its id, and tells why one cannot be served.

use crate::mission::ground::KnownRepository;
use crate::mission::identity::RepositoryName;
use crate::mission::text::shown;
use crate::world::gitea::{ForgeError, Gitea, Repository};
use std::fmt;

/// A repository as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRepository {
    /// Its id and its name now.
    pub known: KnownRepository,
    /// The name that it was asked for by, where it has another one now.
    pub asked_for: Option<RepositoryName>,
}

/// Why a repository cannot be served; as with a [`ForgeError`], what it says is one diagnosis for all who tell it.
#[derive(Debug)]
pub enum RepositoryError {
    /// The forge did not tell.
    Forge(ForgeError),
    /// It is not there, or the token may not see it.
    Missing {
        /// As configured.
        name: RepositoryName,
    },
    /// It has another name now, and we do not know its id.
    Moved {
        /// As configured.
        name: RepositoryName,
        /// Where to.
        location: String,
    },
    /// The name belongs to another repository now.
    TakenOver {
        /// As configured.
        name: RepositoryName,
        /// The id of ours.
        remembered: i64,
        /// The id of what is there.
        found: i64,
    },
    /// Nothing may be written in it.
    Archived {
        /// As configured.
        name: RepositoryName,
    },
    /// It has no issues.
    NoIssues {
        /// As configured.
        name: RepositoryName,
    },
    /// Its issues are in a tracker elsewhere; the forge says that it has some, and then 404 to whoever asks for them
    /// (go-gitea/gitea `services/convert/repository.go`).
    ExternalTracker {
        /// As configured.
        name: RepositoryName,
        /// Where they are.
        address: String,
    },
}

impl std::error::Error for RepositoryError {}

impl From<ForgeError> for RepositoryError {
    fn from(error: ForgeError) -> Self {
        Self::Forge(error)
    }
}

/// What was found, and what to do.
impl fmt::Display for RepositoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

impl RepositoryError {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Forge(error) => error.found(),
            Self::Missing { name } => {
                format!("the repository `{name}` is not there, or the token may not see it")
            }
            Self::Moved { name, location } => {
                format!("the repository `{name}` has moved to `{location}`, and was never seen here before")
            }
            Self::TakenOver { name, remembered, found } => format!(
                "`{name}` is another repository now (id {found}, ours was {remembered}); nothing is read from it or \
                 written to it"
            ),
            Self::Archived { name } => {
                format!("the repository `{name}` is archived; nothing is written to it and its cells stay")
            }
            Self::NoIssues { name } => format!("issues are turned off in the repository `{name}`"),
            Self::ExternalTracker { name, address } => {
                format!("the repository `{name}` has its issues in an external tracker, `{}`", shown(address))
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        let next = match self {
            Self::Forge(error) => return error.next(),
            Self::Missing { .. } => "check `repositories` and that the bot is a collaborator",
            Self::Moved { .. } => "set its new name in `repositories`",
            Self::TakenOver { .. } => "set `repositories` to where ours is",
            Self::Archived { .. } => "take it out of `repositories`, or un-archive it",
            Self::NoIssues { .. } => "turn them on, or take it out of `repositories`",
            Self::ExternalTracker { .. } => {
                "have it use the built-in issue tracker in its settings, or take it out of `repositories`"
            }
        };
        next.to_owned()
    }

    /// The fixed word by which `doctor` tells it.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.fault(),
            Self::Missing { .. }
            | Self::Moved { .. }
            | Self::TakenOver { .. }
            | Self::Archived { .. }
            | Self::NoIssues { .. }
            | Self::ExternalTracker { .. } => self.kind(),
        }
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.kind(),
            Self::Missing { .. } => "repository-missing",
            Self::Moved { .. } => "repository-moved",
            Self::TakenOver { .. } => "repository-taken-over",
            Self::Archived { .. } => "repository-archived",
            Self::NoIssues { .. } => "repository-no-issues",
            Self::ExternalTracker { .. } => "repository-external-tracker",
        }
    }

    /// Whether it stays so until a person gives another token.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Forge(error) if error.is_about_the_token())
    }

    /// Whether it stays so until a person does something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Forge(error) => error.is_about_the_token(),
            Self::Missing { .. }
            | Self::Moved { .. }
            | Self::TakenOver { .. }
            | Self::Archived { .. }
            | Self::NoIssues { .. }
            | Self::ExternalTracker { .. } => true,
        }
    }
}

/// Finds a repository by its name, or, where it was renamed, by the id that we remember.
pub async fn find_repository(
    gitea: &Gitea,
    name: &RepositoryName,
    remembered: Option<i64>,
) -> Result<FoundRepository, RepositoryError> {
    let answer = gitea.repository(name).get().send().await;
    let found = match (answer, remembered) {
        (Ok(found), _) => found,
        (Err(ForgeError::Moved { .. }), Some(id)) => by_id(gitea, name, id).await?,
        (Err(ForgeError::Moved { location, .. }), None) => {
            return Err(RepositoryError::Moved { name: name.clone(), location });
        }
        (Err(ForgeError::NotFound { .. }), _) => return Err(RepositoryError::Missing { name: name.clone() }),
        (Err(error), _) => return Err(error.into()),
    };
    let name = name.clone();
    if let Some(remembered) = remembered.filter(|id| *id != found.id) {
        return Err(RepositoryError::TakenOver { name, remembered, found: found.id });
    }
    if found.archived {
        return Err(RepositoryError::Archived { name });
    }
    check_issues(&name, &found)?;
    let now = RepositoryName::parse(&found.full_name)
        .map_err(|error| ForgeError::protocol(format!("repositories/{}", found.id), error.to_string()))?;
    let asked_for = (!now.is_same(&name)).then_some(name);
    Ok(FoundRepository { known: KnownRepository { id: found.id, name: now }, asked_for })
}

/// Whether the forge has the issues of a repository.
pub fn check_issues(name: &RepositoryName, found: &Repository) -> Result<(), RepositoryError> {
    let name = name.clone();
    match &found.external_tracker {
        _ if !found.has_issues => Err(RepositoryError::NoIssues { name }),
        Some(tracker) => Err(RepositoryError::ExternalTracker { name, address: tracker.url.clone() }),
        None => Ok(()),
    }
}

async fn by_id(gitea: &Gitea, name: &RepositoryName, id: i64) -> Result<Repository, RepositoryError> {
    match gitea.repository_by_id(id).send().await {
        Err(ForgeError::NotFound { .. }) => Err(RepositoryError::Missing { name: name.clone() }),
        answer => Ok(answer?),
    }
}
