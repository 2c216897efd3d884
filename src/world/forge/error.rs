//! Errors of Gitea calls, classified by what to do next.

use crate::mission::failure::FailureScope;
use crate::world::forge::cause::UnreachableCause;
use std::fmt;
use std::time::Duration;

/// A failed call. `tried` is the method and path; no variant holds the token.
///
/// Passes, the daemon and `doctor` report the same diagnosis: [`ForgeError::found`] says what was tried and what
/// happened, [`ForgeError::next`] what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgeError {
    /// No connection, or a broken one.
    Unreachable {
        /// The method and path.
        tried: String,
        /// The classified cause.
        cause: UnreachableCause,
        /// The messages of the whole chain of causes.
        detail: String,
        /// What to do.
        next: String,
        /// Whether the request may have been processed.
        may_have_happened: bool,
    },
    /// No response in time.
    TimedOut {
        /// The method and path.
        tried: String,
        /// What to do.
        next: String,
    },
    /// Gitea cannot serve the request now: 429 and 5xx.
    Unavailable {
        /// The method and path.
        tried: String,
        /// The HTTP status.
        status: u16,
        /// The message in the response.
        message: String,
        /// The delay that `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// 401: the token is wrong, revoked or expired.
    Unauthorized {
        /// The method and path.
        tried: String,
        /// The message in the response.
        message: String,
        /// The address where tokens are created.
        page: String,
    },
    /// 403: the token lacks a scope.
    MissingScope {
        /// The method and path.
        tried: String,
        /// The missing scope.
        required: String,
        /// The message in the response.
        message: String,
        /// The address where tokens are created.
        page: String,
    },
    /// 403 for every request: the account may not sign in, has to change its password, or is not activated
    /// (go-gitea/gitea `routers/api/v1/api.go`).
    Barred {
        /// The method and path.
        tried: String,
        /// The message in the response.
        message: String,
    },
    /// 403 for another reason, often without a message (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    Forbidden {
        /// The method and path.
        tried: String,
        /// The message in the response.
        message: String,
    },
    /// 404: missing, or not visible to the token.
    NotFound {
        /// The method and path.
        tried: String,
        /// The message in the response.
        message: String,
    },
    /// A redirect, which is never followed.
    Moved {
        /// The method and path.
        tried: String,
        /// The HTTP status.
        status: u16,
        /// The `Location` of the redirect.
        location: String,
    },
    /// Any other rejection: 400, 409, 412, 422, 423 …
    Refused {
        /// The method and path.
        tried: String,
        /// The HTTP status.
        status: u16,
        /// The message in the response.
        message: String,
    },
    /// A response that Gitea would not send.
    Protocol {
        /// The method and path.
        tried: String,
        /// What is wrong with the response.
        problem: String,
        /// What to do.
        next: String,
    },
    /// A body that exceeds the limit.
    TooLarge {
        /// The method and path.
        tried: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not sent, because the last calls all failed.
    GivenUp {
        /// The method and path.
        tried: String,
        /// The number of consecutive failures.
        failures: u32,
    },
}

impl std::error::Error for ForgeError {}

/// What was tried, what happened, what to do.
impl fmt::Display for ForgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found(), self.next())
    }
}

/// What to do about a rejected token.
fn another_token(page: &str) -> String {
    format!("use a token of the bot with the scopes `write:issue,read:repository,read:user`, created at {page}")
}

impl ForgeError {
    /// A JSON response with content that Gitea would not send.
    pub(in crate::world) fn protocol(tried: String, problem: String) -> Self {
        let next = "check `forge.url`, and that no proxy changes responses".to_owned();
        Self::Protocol { tried, problem, next }
    }

    /// What was tried, and what happened.
    #[must_use]
    pub fn found(&self) -> String {
        match self {
            Self::Unreachable { tried, detail, .. } => format!("`{tried}`: Gitea is unreachable: {detail}"),
            Self::TimedOut { tried, .. } => format!("`{tried}`: Gitea did not answer in time"),
            Self::Unavailable { tried, status, message, .. } => {
                format!("`{tried}`: Gitea answered {status}{}", after_colon(message))
            }
            Self::Unauthorized { tried, message, .. } => {
                format!("`{tried}`: Gitea rejects the token (401{})", after_colon(message))
            }
            Self::MissingScope { tried, required, message, .. } => {
                format!("`{tried}`: the token lacks the scope `{required}` (403{})", after_colon(message))
            }
            Self::Barred { tried, message } => {
                format!("`{tried}`: Gitea denies access to the token's account (403{})", after_colon(message))
            }
            Self::Forbidden { tried, message } => {
                format!("`{tried}`: Gitea denies the request (403{})", after_colon(message))
            }
            Self::NotFound { tried, message } => format!("`{tried}`: not found (404{})", after_colon(message)),
            Self::Moved { tried, status, location } => format!("`{tried}`: moved to `{location}` ({status})"),
            Self::Refused { tried, status, message } => {
                format!("`{tried}`: Gitea rejected the request ({status}{})", after_colon(message))
            }
            Self::Protocol { tried, problem, .. } => format!("`{tried}`: the response is not from Gitea: {problem}"),
            Self::TooLarge { tried, limit } => format!("`{tried}`: the response is larger than {limit} bytes"),
            Self::GivenUp { tried, failures } => {
                format!("`{tried}`: not sent, because the last {failures} calls failed")
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Unreachable { next, .. } | Self::TimedOut { next, .. } | Self::Protocol { next, .. } => next.clone(),
            Self::Unavailable { .. } => "the next pass retries; if the failure persists, check Gitea's log".to_owned(),
            Self::Unauthorized { page, .. } => format!("it is wrong, expired or revoked: {}", another_token(page)),
            Self::MissingScope { page, .. } => another_token(page),
            Self::Barred { .. } => {
                "follow the message; a Gitea administrator finds the account's sign-in under User Accounts, and \
                 `gitea admin user must-change-password --unset` clears a pending password change"
                    .to_owned()
            }
            Self::Forbidden { message, .. } | Self::Refused { message, .. } if message.is_empty() => {
                "Gitea gives no reason: check whether the bot may write there, and check Gitea's log".to_owned()
            }
            Self::Forbidden { .. } | Self::Refused { .. } => "resolve the reason in Gitea".to_owned(),
            Self::NotFound { .. } => "it does not exist, or the token may not read it".to_owned(),
            Self::Moved { .. } => "use its new name".to_owned(),
            Self::TooLarge { .. } => "larger responses are not read".to_owned(),
            Self::GivenUp { .. } => "the next pass retries".to_owned(),
        }
    }

    /// The code in `doctor`'s report.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Unreachable { cause, .. } => cause.fault(),
            Self::TimedOut { .. } => UnreachableCause::Silent.fault(),
            Self::Unavailable { .. } | Self::GivenUp { .. } => "forge-unavailable",
            Self::Unauthorized { .. } => "token-refused",
            Self::MissingScope { .. } => "token-scope-missing",
            Self::Barred { .. } => "account-barred",
            Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. } => "request-refused",
            Self::Protocol { .. } => "forge-not-gitea",
        }
    }

    /// The stable name for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::MissingScope { .. } => "missing-scope",
            Self::Barred { .. } => "account-barred",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not-found",
            Self::Moved { .. } => "moved",
            Self::Refused { .. } => "refused",
            Self::Protocol { .. } => "protocol",
            Self::TooLarge { .. } => "too-large",
            Self::GivenUp { .. } => "given-up",
        }
    }

    /// Whether only another token helps.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::MissingScope { .. })
    }

    /// Whether manual action is required: retrying gives the same answer.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unavailable { .. }
            | Self::Protocol { .. }
            | Self::GivenUp { .. } => false,
            // A conflict with a concurrent change.
            Self::Refused { status, .. } => !matches!(status, 409 | 412),
            Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Barred { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::TooLarge { .. } => true,
        }
    }

    /// Whom the failure affects when it occurs in the work on one mission.
    #[must_use]
    pub fn scope(&self) -> FailureScope {
        match self {
            Self::Unauthorized { .. } | Self::MissingScope { .. } | Self::Barred { .. } => FailureScope::Service,
            // The repository is archived (go-gitea/gitea `routers/api/v1/api.go`).
            Self::Refused { status: 423, .. } => FailureScope::Repository,
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unavailable { .. }
            | Self::Protocol { .. }
            | Self::GivenUp { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::TooLarge { .. } => FailureScope::Mission,
        }
    }

    /// Whether a retry may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unavailable { .. } => true,
            Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Barred { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::TooLarge { .. }
            | Self::GivenUp { .. } => false,
        }
    }

    /// Whether the request may have been processed, so that a create must be looked up before it is repeated.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable { may_have_happened, .. } => *may_have_happened,
            Self::TimedOut { .. } | Self::Protocol { .. } | Self::TooLarge { .. } => true,
            Self::Unavailable { status, .. } => !matches!(status, 429 | 503),
            Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Barred { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Refused { .. }
            | Self::GivenUp { .. } => false,
        }
    }

    /// The delay that the server asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Barred { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::TooLarge { .. }
            | Self::GivenUp { .. } => None,
        }
    }
}

/// The message in the response, if any, after a colon.
fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
