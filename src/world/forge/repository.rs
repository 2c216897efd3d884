//! Finds a repository by its name or its id, and reports why one cannot be served.

use crate::mission::identity::{RepositoryId, RepositoryName};
use crate::mission::repository::{
    FoundRepository, Lookup, RepositoryAnswer, RepositoryFacts, RepositoryProblem, assess_answer,
};
use crate::world::forge::{ForgeError, Gitea, Repository};

/// Why a repository cannot be served; as with [`ForgeError`], passes and `doctor` report the same diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Gitea could not be asked.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The repository has a problem that requires manual action.
    #[error(transparent)]
    Problem(#[from] RepositoryProblem),
}

impl RepositoryError {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Forge(error) => error.found(),
            Self::Problem(problem) => problem.found(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Forge(error) => error.next(),
            Self::Problem(problem) => problem.next().to_owned(),
        }
    }

    /// The code in `doctor`'s report.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.fault(),
            Self::Problem(problem) => problem.kind(),
        }
    }

    /// The stable name for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.kind(),
            Self::Problem(problem) => problem.kind(),
        }
    }

    /// Whether only another token helps.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Forge(error) if error.is_about_the_token())
    }

    /// Whether it is readable, but rejects writes.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        matches!(self, Self::Problem(RepositoryProblem::Archived { .. }))
    }

    /// Whether manual action is required.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Forge(error) => error.needs_a_person(),
            Self::Problem(_) => true,
        }
    }
}

/// Finds a repository by its name, or, after a rename, by the recorded id.
pub async fn find_repository(
    gitea: &Gitea,
    name: &RepositoryName,
    remembered: Option<RepositoryId>,
) -> Result<FoundRepository, RepositoryError> {
    let mut answer = match gitea.repository(name).get().send().await {
        Err(ForgeError::Moved { location, .. }) => RepositoryAnswer::Moved { location },
        answer => described(answer)?,
    };
    loop {
        match assess_answer(name, remembered, answer)? {
            Lookup::Found(found) => return Ok(found),
            // A lookup by id never redirects, so this branch runs once.
            Lookup::AskById(id) => answer = described(gitea.repository_by_id(id).send().await)?,
            Lookup::Misnamed(id, error) => {
                return Err(ForgeError::protocol(format!("repositories/{id}"), error.to_string()).into());
            }
        }
    }
}

fn described(answer: Result<Repository, ForgeError>) -> Result<RepositoryAnswer, ForgeError> {
    match answer {
        Ok(found) => Ok(RepositoryAnswer::Described(RepositoryFacts::from(&found))),
        Err(ForgeError::NotFound { .. }) => Ok(RepositoryAnswer::NotFound),
        Err(error) => Err(error),
    }
}

impl From<&Repository> for RepositoryFacts {
    fn from(found: &Repository) -> Self {
        Self {
            id: found.id,
            full_name: found.full_name.clone(),
            html_url: found.html_url.clone(),
            is_archived: found.archived,
            has_issues: found.has_issues,
            external_tracker: found.external_tracker.as_ref().map(|tracker| tracker.url.clone()),
        }
    }
}
