//! What the forge's answers about a repository mean: whether it can be served, and by which name.

use crate::mission::identity::{ForgeUrl, NotA, RepositoryId, RepositoryName};
use crate::mission::root_metadata::RepositoryRef;
use crate::mission::text::shown;
use std::fmt;

/// What the forge answers when it is asked for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryAnswer {
    /// It is there, and this is how it is.
    Described(RepositoryFacts),
    /// It has another name now.
    Moved {
        /// Where to.
        location: String,
    },
    /// It is not there, or we may not see it; the forge does not tell which.
    NotFound,
}

/// A repository as the forge describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Never changes.
    pub id: RepositoryId,
    /// `owner/name` as it is now.
    pub full_name: String,
    /// Its page.
    pub html_url: String,
    /// Whether nothing may be written any more.
    pub is_archived: bool,
    /// Whether it has issues, be it in an external tracker.
    pub has_issues: bool,
    /// The address of the tracker that has its issues instead of the forge.
    pub external_tracker: Option<String>,
}

/// A repository as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRepository {
    /// Its id and its name now.
    pub known: RepositoryRef,
    /// The name that it was asked for by, where it has another one now.
    pub asked_for: Option<RepositoryName>,
    /// Where people see the forge, as it says itself.
    pub web_url: Option<ForgeUrl>,
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It can be served.
    Found(FoundRepository),
    /// It was renamed: the id that we remember leads to it.
    AskById(RepositoryId),
    /// The forge describes it by a name that no repository has.
    Misnamed(RepositoryId, NotA),
}

/// Why a repository cannot be served until a person does something; what it says is one diagnosis for all who tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryProblem {
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
        remembered: RepositoryId,
        /// The id of what is there.
        found: RepositoryId,
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

/// What was found, and what to do.
impl fmt::Display for RepositoryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

impl RepositoryProblem {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
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
    pub fn next(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "check `repositories` and that the bot is a collaborator",
            Self::Moved { .. } => "set its new name in `repositories`",
            Self::TakenOver { .. } => "set `repositories` to where ours is",
            Self::Archived { .. } => "take it out of `repositories`, or un-archive it",
            Self::NoIssues { .. } => "turn them on, or take it out of `repositories`",
            Self::ExternalTracker { .. } => {
                "have it use the built-in issue tracker in its settings, or take it out of `repositories`"
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

    /// Whether the repository that we remember is there all the same.
    #[must_use]
    pub fn is_still_ours(&self) -> bool {
        matches!(self, Self::Archived { .. } | Self::NoIssues { .. } | Self::ExternalTracker { .. })
    }
}

/// What the answer about the repository of this name means, where `remembered` is the id that it had when it was last
/// seen, if it ever was.
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

/// Whether the forge has the issues of a repository.
pub fn assess_issues(name: &RepositoryName, facts: &RepositoryFacts) -> Result<(), RepositoryProblem> {
    let name = name.clone();
    match &facts.external_tracker {
        _ if !facts.has_issues => Err(RepositoryProblem::NoIssues { name }),
        Some(address) => Err(RepositoryProblem::ExternalTracker { name, address: address.clone() }),
        None => Ok(()),
    }
}
