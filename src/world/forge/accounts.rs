//! Finds an account by its login, including accounts whose profile is hidden from the bot.

use crate::mission::identity::RepositoryName;
use crate::mission::text::shown;
use crate::world::forge::{ForgeError, Gitea};
use std::fmt;

/// Why a login has no id; passes and `doctor` report the same diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountError {
    /// Gitea could not be asked.
    Forge(ForgeError),
    /// The bot sees no account with this login.
    Unknown {
        /// The configured login.
        login: String,
    },
    /// The account has another login now; another account may take the old one.
    Renamed {
        /// The configured login.
        login: String,
        /// The current login.
        now: String,
    },
}

impl std::error::Error for AccountError {}

/// What was found, and what to do.
impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

impl AccountError {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Forge(error) => error.found(),
            Self::Unknown { login } => format!(
                "Gitea shows no account `{}`: it does not exist, or its profile is private and it works in none of the \
                 repositories",
                shown(login)
            ),
            Self::Renamed { login, now } => format!("the account `{}` was renamed to `{}`", shown(login), shown(now)),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Forge(error) => error.next(),
            Self::Unknown { .. } => "set another login, or the account's id".to_owned(),
            Self::Renamed { .. } => "set its new login, or its id".to_owned(),
        }
    }

    /// The code in `doctor`'s report.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Forge(error) => error.fault(),
            Self::Unknown { .. } | Self::Renamed { .. } => "account-unknown",
        }
    }
}

/// The id of the account with this login.
///
/// For a private profile Gitea answers 404 (go-gitea/gitea `routers/api/v1/user/user.go`). The collaborators of a
/// repository are visible to its readers, so accounts that approve or file in one of `repositories` are found.
pub async fn find_account(gitea: &Gitea, login: &str, repositories: &[RepositoryName]) -> Result<i64, AccountError> {
    match gitea.user_named(login).send().await {
        Ok(user) => return Ok(user.id),
        Err(ForgeError::NotFound { .. }) => {}
        Err(ForgeError::Moved { location, .. }) => {
            let now = location.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(AccountError::Renamed { login: login.to_owned(), now });
        }
        Err(error) => return Err(AccountError::Forge(error)),
    }
    for name in repositories {
        match gitea.repository(name).worker(login).await {
            Ok(Some(found)) => return Ok(found.id),
            Err(error) if error.is_passing() => return Err(AccountError::Forge(error)),
            // An unreadable repository is reported elsewhere.
            Ok(None) | Err(_) => {}
        }
    }
    Err(AccountError::Unknown { login: login.to_owned() })
}
