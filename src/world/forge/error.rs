//! What can go wrong between us and the forge, told apart by what to do next.

use crate::mission::failure::FailureScope;
use crate::world::forge::cause::UnreachableCause;
use std::fmt;
use std::time::Duration;

/// A call that did not succeed. `tried` is the method and path; no variant ever holds the token.
///
/// What it says is one diagnosis, for a pass, for the daemon and for `doctor` alike: [`ForgeError::found`] says what was
/// tried and what happened, [`ForgeError::next`] what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgeError {
    /// No connection, or one that broke.
    Unreachable {
        /// What was asked.
        tried: String,
        /// Why, by its type.
        cause: UnreachableCause,
        /// The whole chain of causes, in their own words.
        detail: String,
        /// What to do.
        next: String,
        /// Whether the request may have arrived, so that its work may be done.
        may_have_happened: bool,
    },
    /// No answer in time.
    TimedOut {
        /// What was asked.
        tried: String,
        /// What to do.
        next: String,
    },
    /// The forge is there, but cannot serve us now: 429 and 5xx.
    Unavailable {
        /// What was asked.
        tried: String,
        /// The status.
        status: u16,
        /// What the forge said.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// 401: the token is wrong, revoked or expired.
    Unauthorized {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
        /// Where tokens are made.
        page: String,
    },
    /// 403 for want of a scope.
    MissingScope {
        /// What was asked.
        tried: String,
        /// What it would need.
        required: String,
        /// What the forge said.
        message: String,
        /// Where tokens are made.
        page: String,
    },
    /// 403 for whatever the account of the token asks, which may not use the forge now: it may not sign in, has to change
    /// its password, is not activated (go-gitea/gitea `routers/api/v1/api.go`).
    Barred {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
    },
    /// 403 for any other reason; often without a word (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    Forbidden {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
    },
    /// 404: not there, or not for us to see.
    NotFound {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
    },
    /// A redirect, which is never followed.
    Moved {
        /// What was asked.
        tried: String,
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Any other refusal: 400, 409, 412, 422, 423 …
    Refused {
        /// What was asked.
        tried: String,
        /// The status.
        status: u16,
        /// What the forge said.
        message: String,
    },
    /// An answer that is not what a Gitea says.
    Protocol {
        /// What was asked.
        tried: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        next: String,
    },
    /// A body over the limit.
    TooLarge {
        /// What was asked.
        tried: String,
        /// The limit.
        limit: usize,
    },
    /// Not asked at all, since the last calls all failed.
    GivenUp {
        /// What would have been asked.
        tried: String,
        /// How many failed in a row.
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

/// What to do about a token that is refused.
fn another_token(page: &str) -> String {
    format!("use a token of the bot with the scopes `write:issue,read:repository,read:user`, created at {page}")
}

impl ForgeError {
    /// An answer in JSON that holds something that no Gitea says.
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
                format!("`{tried}`: Gitea answered {status}{}", said(message))
            }
            Self::Unauthorized { tried, message, .. } => {
                format!("`{tried}`: Gitea rejects the token (401{})", said(message))
            }
            Self::MissingScope { tried, required, message, .. } => {
                format!("`{tried}`: the token lacks the scope `{required}` (403{})", said(message))
            }
            Self::Barred { tried, message } => {
                format!("`{tried}`: Gitea denies access to the token's account (403{})", said(message))
            }
            Self::Forbidden { tried, message } => format!("`{tried}`: Gitea denies the request (403{})", said(message)),
            Self::NotFound { tried, message } => format!("`{tried}`: not found (404{})", said(message)),
            Self::Moved { tried, status, location } => format!("`{tried}`: moved to `{location}` ({status})"),
            Self::Refused { tried, status, message } => {
                format!("`{tried}`: Gitea rejected the request ({status}{})", said(message))
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

    /// The fixed word by which `doctor` tells it.
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

    /// The fixed word for JSON, logs and metrics.
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

    /// Whether a person has to give another token before anything can help.
    #[must_use]
    pub fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::MissingScope { .. })
    }

    /// Whether it stays so until a person does something: the same will be answered to the same question.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unavailable { .. }
            | Self::Protocol { .. }
            | Self::GivenUp { .. } => false,
            // A conflict with what somebody else does at the same moment.
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

    /// Whose trouble it is where it came up in the turn of one mission.
    #[must_use]
    pub fn scope(&self) -> FailureScope {
        match self {
            Self::Unauthorized { .. } | Self::MissingScope { .. } | Self::Barred { .. } => FailureScope::Service,
            // An archived repository (go-gitea/gitea `routers/api/v1/api.go`).
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

    /// Whether asking again may help.
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

    /// Whether the work may have been done all the same, so that a create must be looked for before it is repeated.
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

    /// How long the forge asked us to wait.
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

/// What the forge said, where it said anything.
fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
