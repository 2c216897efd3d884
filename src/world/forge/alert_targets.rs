//! Whether alerts reach anybody: the issue that they go to, and the accounts that they mention.

use crate::mission::alert::config::{IssueName, Login, Notify};
use crate::mission::identity::RepositoryName;
use crate::world::forge::accounts::{AccountError, find_account};
use crate::world::forge::{ForgeError, Gitea};
use std::fmt;

/// Why an alert does not reach whom it should; one diagnosis for all who tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertTargetError {
    /// `notify.issue` is not there. A comment on it is answered by 500, whatever the reason
    /// (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`), so the issue itself is asked for.
    IssueMissing {
        /// As configured.
        issue: IssueName,
    },
    /// Nobody may comment in the repository of `notify.issue`.
    IssueArchived {
        /// As configured.
        issue: IssueName,
    },
    /// The forge did not tell of `notify.issue`.
    Issue {
        /// As configured.
        issue: IssueName,
        /// Why not.
        error: ForgeError,
    },
    /// An account of `notify.mention` is not found.
    Mention {
        /// As configured.
        login: Login,
        /// Why not.
        error: AccountError,
    },
}

impl std::error::Error for AlertTargetError {}

/// What was found, and what to do.
impl fmt::Display for AlertTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

impl AlertTargetError {
    /// What it is about: the issue, or the account.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::IssueMissing { issue } | Self::IssueArchived { issue } | Self::Issue { issue, .. } => {
                issue.to_string()
            }
            Self::Mention { login, .. } => format!("@{login}"),
        }
    }

    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::IssueMissing { issue } => {
                format!("`notify.issue`: `{issue}` does not exist, or the token may not read it")
            }
            Self::IssueArchived { issue } => {
                format!("`notify.issue`: `{}` is archived and accepts no comments", issue.repository)
            }
            Self::Issue { issue, error } => format!("`notify.issue`: `{issue}`: {}", error.found()),
            Self::Mention { login: _, error } => format!("`notify.mention`: {}", error.found()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::IssueMissing { .. } => {
                "open an issue for alerts and set its name, for example `owner/name#12`".to_owned()
            }
            Self::IssueArchived { .. } => "unarchive it, or name an issue in another repository".to_owned(),
            Self::Issue { error, .. } => error.next(),
            Self::Mention { error, .. } => error.next(),
        }
    }

    /// The fixed word by which `doctor` tells it.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Issue { error, .. } | Self::Mention { error: AccountError::Forge(error), .. } => error.fault(),
            Self::IssueMissing { .. } | Self::IssueArchived { .. } | Self::Mention { .. } => self.kind(),
        }
    }

    /// The fixed word by which passes tell it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::IssueMissing { .. } => "notify-issue-missing",
            Self::IssueArchived { .. } => "notify-issue-archived",
            Self::Issue { error, .. } | Self::Mention { error: AccountError::Forge(error), .. } => error.kind(),
            Self::Mention { .. } => "notify-mention-unknown",
        }
    }

    /// Whether only the forge's answer is missing, which the next one may give.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Issue { error, .. } | Self::Mention { error: AccountError::Forge(error), .. } => {
                error.is_about_the_token() || !error.needs_a_person()
            }
            Self::IssueMissing { .. }
            | Self::IssueArchived { .. }
            | Self::Mention { error: AccountError::Unknown { .. } | AccountError::Renamed { .. }, .. } => false,
        }
    }

    /// Whether alerts for many find no place, so that each mission has to speak on its own issue meanwhile.
    #[must_use]
    pub fn is_about_the_issue(&self) -> bool {
        match self {
            Self::IssueMissing { .. } | Self::IssueArchived { .. } | Self::Issue { .. } => true,
            Self::Mention { .. } => false,
        }
    }
}

/// Everything that keeps alerts from whom they should reach; nothing where none are wanted. Writes nothing.
pub async fn check_alert_targets(
    gitea: &Gitea,
    notify: &Notify,
    repositories: &[RepositoryName],
) -> Vec<AlertTargetError> {
    let mut errors = Vec::new();
    if !notify.is_on() {
        return errors;
    }
    if let Some(issue) = &notify.issue {
        errors.extend(check_alert_issue(gitea, issue).await);
    }
    for login in &notify.mention {
        if let Err(error) = find_account(gitea, &login.to_string(), repositories).await {
            errors.push(AlertTargetError::Mention { login: login.clone(), error });
        }
    }
    errors
}

/// What keeps comments from `notify.issue`, as far as reading tells.
pub async fn check_alert_issue(gitea: &Gitea, issue: &IssueName) -> Option<AlertTargetError> {
    let found = gitea.issues(&issue.repository).get(issue.number).send().await;
    let repository = match found {
        Ok(_) => gitea.repository(&issue.repository).get().send().await,
        Err(error) => Err(error),
    };
    let issue = issue.clone();
    match repository {
        Ok(repository) if repository.archived => Some(AlertTargetError::IssueArchived { issue }),
        Ok(_) => None,
        Err(ForgeError::NotFound { .. }) => Some(AlertTargetError::IssueMissing { issue }),
        Err(error) => Some(AlertTargetError::Issue { issue, error }),
    }
}
