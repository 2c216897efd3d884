//! Interprets the forge's answers about a repository: whether it can be served, and under which name.

use crate::mission::identity::{ForgeUrl, NotA, RepositoryId, RepositoryName};
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::text::shown;
use std::fmt;

/// The forge's answer to a request for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryAnswer {
    /// It exists.
    Described(RepositoryFacts),
    /// It was renamed.
    Moved {
        /// The new location.
        location: String,
    },
    /// It does not exist, or the token may not see it; the forge does not distinguish these.
    NotFound,
}

/// A repository as the forge describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Its id, which never changes.
    pub id: RepositoryId,
    /// `owner/name` as it is now.
    pub full_name: String,
    /// Its page on the forge.
    pub html_url: String,
    /// Whether it is archived, and so read-only.
    pub is_archived: bool,
    /// Whether it has issues, including those in an external tracker.
    pub has_issues: bool,
    /// The address of its external issue tracker, if it uses one.
    pub external_tracker: Option<String>,
}

/// A repository that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRepository {
    /// Its id and current name.
    pub known: RepositoryRef,
    /// The configured name, if it was renamed since.
    pub asked_for: Option<RepositoryName>,
    /// The forge's address for browsers, as it reports it.
    pub web_url: Option<ForgeUrl>,
}

/// The result of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It can be served.
    Found(FoundRepository),
    /// It was renamed; look it up by its recorded id.
    AskById(RepositoryId),
    /// The forge reports an invalid name for it.
    Misnamed(RepositoryId, NotA),
}

/// Why a repository cannot be served before a person acts; all commands report it with the same text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryProblem {
    /// It does not exist, or the token may not see it.
    Missing {
        /// The configured name.
        name: RepositoryName,
    },
    /// It was renamed, and its id is not recorded.
    Moved {
        /// The configured name.
        name: RepositoryName,
        /// The new location.
        location: String,
    },
    /// The name belongs to another repository now.
    TakenOver {
        /// The configured name.
        name: RepositoryName,
        /// The recorded id.
        remembered: RepositoryId,
        /// The id that the name has now.
        found: RepositoryId,
    },
    /// It is archived, and so read-only.
    Archived {
        /// The configured name.
        name: RepositoryName,
    },
    /// Its issues are disabled.
    NoIssues {
        /// The configured name.
        name: RepositoryName,
    },
    /// Its issues are in an external tracker. The forge reports that it has issues, and then answers 404 to requests
    /// for them (go-gitea/gitea `services/convert/repository.go`).
    ExternalTracker {
        /// The configured name.
        name: RepositoryName,
        /// The tracker's address.
        address: String,
    },
}

/// The finding, and what to do.
impl fmt::Display for RepositoryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

impl RepositoryProblem {
    /// The finding.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Missing { name } => {
                format!("the repository `{name}` does not exist, or the token may not see it")
            }
            Self::Moved { name, location } => {
                format!("the repository `{name}` has moved to `{location}`, and its id is not recorded yet")
            }
            Self::TakenOver { name, remembered, found } => format!(
                "`{name}` is another repository now (id {found}, the recorded one is {remembered}); nothing is read from \
                 it or written to it"
            ),
            Self::Archived { name } => {
                format!("the repository `{name}` is archived; nothing is written to it, and its cells stay")
            }
            Self::NoIssues { name } => format!("issues are disabled in the repository `{name}`"),
            Self::ExternalTracker { name, address } => {
                format!("the repository `{name}` has its issues in an external tracker, `{}`", shown(address))
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "check `repositories` and that the bot is a collaborator",
            Self::Moved { .. } => "set its new name in `repositories`",
            Self::TakenOver { .. } => "set the current name of the recorded repository in `repositories`",
            Self::Archived { .. } => "remove it from `repositories`, or unarchive it",
            Self::NoIssues { .. } => "enable them, or remove it from `repositories`",
            Self::ExternalTracker { .. } => {
                "select the built-in issue tracker in its settings, or remove it from `repositories`"
            }
        }
    }

    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "repository-missing",
            Self::Moved { .. } => "repository-moved",
            Self::TakenOver { .. } => "repository-taken-over",
            Self::Archived { .. } => "repository-archived",
            Self::NoIssues { .. } => "repository-no-issues",
            Self::ExternalTracker { .. } => "repository-external-tracker",
        }
    }

    /// Whether the recorded repository still exists.
    #[must_use]
    pub fn is_still_ours(&self) -> bool {
        matches!(self, Self::Archived { .. } | Self::NoIssues { .. } | Self::ExternalTracker { .. })
    }
}

/// Interprets the answer about the repository of this name; `remembered` is its recorded id, if any.
pub fn assess_answer(
    name: &RepositoryName,
    remembered: Option<RepositoryId>,
    answer: RepositoryAnswer,
) -> Result<Lookup, RepositoryProblem> {
    match (answer, remembered) {
        (RepositoryAnswer::Described(facts), _) => assess_facts(name.clone(), remembered, &facts),
        (RepositoryAnswer::Moved { .. }, Some(id)) => Ok(Lookup::AskById(id)),
        (RepositoryAnswer::Moved { location }, None) => Err(RepositoryProblem::Moved { name: name.clone(), location }),
        (RepositoryAnswer::NotFound, _) => Err(RepositoryProblem::Missing { name: name.clone() }),
    }
}

fn assess_facts(
    name: RepositoryName,
    remembered: Option<RepositoryId>,
    facts: &RepositoryFacts,
) -> Result<Lookup, RepositoryProblem> {
    let RepositoryFacts { id, full_name, html_url, is_archived, has_issues: _, external_tracker: _ } = facts;
    if let Some(remembered) = remembered.filter(|remembered| remembered != id) {
        return Err(RepositoryProblem::TakenOver { name, remembered, found: *id });
    }
    if *is_archived {
        return Err(RepositoryProblem::Archived { name });
    }
    assess_issues(&name, facts)?;
    Ok(match RepositoryName::parse(full_name) {
        Ok(now) => {
            let asked_for = (!now.is_same(&name)).then_some(name);
            let web_url = html_url.strip_suffix(&format!("/{full_name}")).and_then(|url| ForgeUrl::parse(url).ok());
            Lookup::Found(FoundRepository { known: RepositoryRef { id: *id, name: now }, asked_for, web_url })
        }
        Err(error) => Lookup::Misnamed(*id, error),
    })
}

/// Checks that the forge has the issues of a repository.
pub fn assess_issues(name: &RepositoryName, facts: &RepositoryFacts) -> Result<(), RepositoryProblem> {
    let name = name.clone();
    match &facts.external_tracker {
        _ if !facts.has_issues => Err(RepositoryProblem::NoIssues { name }),
        Some(address) => Err(RepositoryProblem::ExternalTracker { name, address: address.clone() }),
        None => Ok(()),
    }
}
