//! What can go wrong between us and the forge, told apart by what to do next.

use std::time::Duration;

/// What to do about a token that is refused.
const TOKEN_HINT: &str = "give a token of the bot with the scopes `write:issue,read:repository,read:user`";

/// A call that did not succeed. `tried` is the method and path; no variant ever holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// No connection, or one that broke.
    #[error("`{tried}`: the forge cannot be reached: {cause}; check that it runs, and `forge.url`")]
    Unreachable {
        /// What was asked.
        tried: String,
        /// The whole chain of causes.
        cause: String,
        /// Whether the request may have arrived, so that its work may be done.
        may_have_happened: bool,
    },
    /// No answer in time.
    #[error("`{tried}`: the forge did not answer in time; the next pass asks again")]
    TimedOut {
        /// What was asked.
        tried: String,
    },
    /// The forge is there, but cannot serve us now: 429 and 5xx.
    #[error("`{tried}`: the forge answered {status}{}; the next pass asks again", said(.message))]
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
    #[error("`{tried}`: the forge does not accept the token (401{}); {TOKEN_HINT}", said(.message))]
    Unauthorized {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
    },
    /// 403 for want of a scope.
    #[error("`{tried}`: the token lacks the scope `{required}`; {TOKEN_HINT}")]
    MissingScope {
        /// What was asked.
        tried: String,
        /// What it would need.
        required: String,
    },
    /// 403 for any other reason; often without a word (go-gitea/gitea `routers/api/v1/repo/issue_comment.go`).
    #[error("`{tried}`: the forge forbids it (403{}); the bot needs write access to the repository", said(.message))]
    Forbidden {
        /// What was asked.
        tried: String,
        /// What the forge said.
        message: String,
    },
    /// 404: not there, or not for us to see.
    #[error("`{tried}`: not found (404)")]
    NotFound {
        /// What was asked.
        tried: String,
    },
    /// A redirect, which is never followed.
    #[error("`{tried}`: moved to `{location}` ({status})")]
    Moved {
        /// What was asked.
        tried: String,
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Any other refusal: 400, 409, 412, 422, 423 …
    #[error("`{tried}`: the forge refused ({status}{})", said(.message))]
    Refused {
        /// What was asked.
        tried: String,
        /// The status.
        status: u16,
        /// What the forge said.
        message: String,
    },
    /// A success that is not what a Gitea says.
    #[error("`{tried}`: the answer is not a Gitea's: {problem}")]
    Protocol {
        /// What was asked.
        tried: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A body over the limit.
    #[error("`{tried}`: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        tried: String,
        /// The limit.
        limit: usize,
    },
    /// Not asked at all, since the last calls all failed.
    #[error("`{tried}`: not asked, since the last {failures} calls failed; the next pass asks again")]
    GivenUp {
        /// What would have been asked.
        tried: String,
        /// How many failed in a row.
        failures: u32,
    },
}

impl ForgeError {
    /// The fixed word for JSON, logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::MissingScope { .. } => "missing-scope",
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

    /// Whether asking again may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unavailable { .. } => true,
            Self::Unauthorized { .. }
            | Self::MissingScope { .. }
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
