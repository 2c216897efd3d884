//! Finds an account by its login, also one whose profile the forge does not show to the bot.

use crate::mission::identity::RepositoryName;
use crate::mission::text::shown;
use crate::world::forge::{ForgeError, Gitea};
use std::fmt;

/// Why there is no id for a login; one diagnosis for all who tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountError {
    /// The forge did not tell.
    Forge(ForgeError),
    /// Nobody has this login, as far as the bot may see.
    Unknown {
        /// As it was named.
        login: String,
    },
    /// Whoever had this login has another one now; another account may take it any day.
    Renamed {
        /// As it was named.
        login: String,
        /// The new one.
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

    /// The fixed word by which `doctor` tells it.
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
/// Of a private profile the forge says that there is none (go-gitea/gitea `routers/api/v1/user/user.go`); but who works in a
/// repository it tells everybody who may read there, so whoever approves or files in one of `repositories` is found.
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
            // A repository that cannot be read tells of nobody; what is wrong with it others say.
            Ok(None) | Err(_) => {}
        }
    }
    Err(AccountError::Unknown { login: login.to_owned() })
}
