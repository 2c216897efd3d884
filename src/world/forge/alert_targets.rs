//! Checks that alerts reach their targets: the issue that they are posted on, and the accounts that they mention.

use crate::mission::alert::config::{IssueName, Login, Notify};
use crate::mission::identity::RepositoryName;
use crate::world::forge::accounts::{AccountError, find_account};
use crate::world::forge::{ForgeError, Gitea};
use std::fmt;

/// Why an alert does not reach its target; passes and `doctor` report the same diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertTargetError {
    /// `notify.issue` does not exist. Gitea answers 500 to a comment on it, whatever the reason (go-gitea/gitea
    /// `routers/api/v1/repo/issue_comment.go`), so the issue itself is requested.
    IssueMissing {
        /// The configured issue.
        issue: IssueName,
    },
    /// The repository of `notify.issue` is archived, so comments are rejected.
    IssueArchived {
        /// The configured issue.
        issue: IssueName,
    },
    /// `notify.issue` could not be read.
    Issue {
        /// The configured issue.
        issue: IssueName,
        /// The cause.
        error: ForgeError,
    },
    /// An account of `notify.mention` was not found.
    Mention {
        /// The configured login.
        login: Login,
        /// The cause.
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
    /// The target: the issue, or the account.
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

    /// The code in `doctor`'s report.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Issue { error, .. } | Self::Mention { error: AccountError::Forge(error), .. } => error.fault(),
            Self::IssueMissing { .. } | Self::IssueArchived { .. } | Self::Mention { .. } => self.kind(),
        }
    }

    /// The stable name in reports of passes.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::IssueMissing { .. } => "notify-issue-missing",
            Self::IssueArchived { .. } => "notify-issue-archived",
            Self::Issue { error, .. } | Self::Mention { error: AccountError::Forge(error), .. } => error.kind(),
            Self::Mention { .. } => "notify-mention-unknown",
        }
    }

    /// Whether the cause is a failed request, which the next pass may answer.
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

    /// Whether grouped alerts have no target, so that each mission alerts on its own issue.
    #[must_use]
    pub fn is_about_the_issue(&self) -> bool {
        match self {
            Self::IssueMissing { .. } | Self::IssueArchived { .. } | Self::Issue { .. } => true,
            Self::Mention { .. } => false,
        }
    }
}

/// Returns every obstacle between alerts and their targets; empty if alerts are not configured. Read-only.
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

/// Checks, by reading only, whether `notify.issue` accepts comments.
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
