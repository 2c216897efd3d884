//! Errors: fatal ones, which prevent a pass, and failures, which the next pass retries.

use crate::config::SettingsError;
use crate::engine::snapshot::{FailureView, with_subject};
use crate::mission::failure::FailureScope;
use crate::mission::identity::RepositoryName;
use crate::mission::plan::change::Change;
use crate::world::WorldError;
use crate::world::forge::ForgeError;
use crate::world::forge::alert_targets::AlertTargetError;
use crate::world::forge::repository::RepositoryError;
use crate::world::store::root::RootError;
use serde::Serialize;

/// Why no pass takes place: manual action is required, and nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// The configuration is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The missions root is unusable.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The token is rejected.
    #[error(transparent)]
    Token(ForgeError),
    /// None of the listed repositories can be served.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Repositories(Vec<RepositoryError>),
    /// The issue given by `--issue` is unusable.
    #[error("--issue: {0}")]
    Issue(String),
}

/// A failure and its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The subject: a path, a repository, or an issue as `owner/name#N`.
    pub about: String,
    /// The issue, if it is about one.
    #[serde(skip)]
    pub issue: Option<(RepositoryName, i64)>,
    /// What the failure affects.
    pub scope: FailureScope,
    /// The fixed word for JSON and metrics.
    pub kind: &'static str,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Whether a retry cannot help before a person acts.
    #[serde(rename = "permanent")]
    pub is_permanent: bool,
    /// Whether the pass could not read something because of it.
    #[serde(skip)]
    pub is_unread: bool,
    /// Whether it needs another token.
    #[serde(skip)]
    pub needs_a_token: bool,
}

impl Failure {
    /// A failure of the service: its root, or the forge as a whole.
    pub(crate) fn service(about: String, kind: &'static str, message: String) -> Self {
        let scope = FailureScope::Service;
        Self { about, issue: None, scope, kind, message, is_permanent: false, is_unread: true, needs_a_token: false }
    }

    /// A failure of a repository that can still be read.
    pub(crate) fn of_repository(name: &RepositoryName, kind: &'static str, message: String) -> Self {
        let scope = FailureScope::Repository;
        Self { scope, is_unread: false, ..Self::service(name.to_string(), kind, message) }
    }

    /// A failure of one issue, its cell or its record.
    pub(crate) fn mission(repository: &RepositoryName, number: i64, kind: &'static str, message: String) -> Self {
        let about = format!("{repository}#{number}");
        let (issue, scope) = (Some((repository.clone(), number)), FailureScope::Mission);
        Self { issue, scope, is_unread: false, ..Self::service(about, kind, message) }
    }

    /// A failure in the turn of one issue.
    pub(crate) fn of_turn(repository: &RepositoryName, number: i64, error: &WorldError) -> Self {
        let (scope, is_permanent) = (error.scope(), error.needs_a_person());
        let needs_a_token = error.is_about_the_token();
        let of_issue = Self::mission(repository, number, error.kind(), error.to_string());
        Self { scope, is_permanent, needs_a_token, ..of_issue }
    }

    /// A failed change of a repository.
    pub(crate) fn unmade(about: String, change: &Change, error: &WorldError) -> Self {
        let message = format!("cannot {change}: {error}");
        let scope = if error.scope() == FailureScope::Mission { FailureScope::Repository } else { error.scope() };
        Self {
            scope,
            is_permanent: error.needs_a_person(),
            is_unread: false,
            needs_a_token: error.is_about_the_token(),
            ..Self::service(about, error.kind(), message)
        }
    }

    /// The message, prefixed with its subject unless it names that itself.
    #[must_use]
    pub fn message_with_subject(&self) -> String {
        with_subject(&self.about, &self.message)
    }

    /// Whether it ends as soon as the forge is available again, or another token is used.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.needs_a_token || matches!(self.kind, "unreachable" | "timeout" | "unavailable" | "protocol" | "given-up")
    }

    /// Whether a listed repository could not be read because of it.
    #[must_use]
    pub fn hides_a_repository(&self) -> bool {
        self.scope == FailureScope::Repository && self.is_unread
    }

    /// Whether it is about a repository that was read, and only rejects something.
    #[must_use]
    pub fn hides_nothing(&self) -> bool {
        self.scope == FailureScope::Repository && !self.is_unread
    }

    /// Whether it makes the pass incomplete: the service fails, or a listed repository cannot be read, which only its
    /// owner or the operator can cause. Other failures are reported, but cannot disturb the monitoring of other
    /// missions.
    #[must_use]
    pub fn is_of_the_pass(&self) -> bool {
        self.scope == FailureScope::Service || self.hides_a_repository()
    }

    /// An internal error in the turn of one issue.
    pub(crate) fn defect(repository: &RepositoryName, number: i64) -> Self {
        Self::mission(repository, number, "defect", DEFECT.to_owned())
    }

    /// An internal error about something else.
    pub(crate) fn breakdown(about: String) -> Self {
        Self::service(about, "defect", DEFECT.to_owned())
    }

    /// A repository that cannot be served. An archived one can still be read.
    pub(crate) fn repository(name: &RepositoryName, error: &RepositoryError) -> Self {
        let is_token = error.is_about_the_token();
        Self {
            scope: if is_token { FailureScope::Service } else { FailureScope::Repository },
            is_permanent: error.needs_a_person(),
            is_unread: !error.is_archived(),
            needs_a_token: is_token,
            ..Self::service(name.to_string(), error.kind(), error.to_string())
        }
    }

    /// A failure of the forge as a whole.
    pub(crate) fn forge(about: String, error: &ForgeError) -> Self {
        let (is_permanent, needs_a_token) = (error.needs_a_person(), error.is_about_the_token());
        Self { is_permanent, needs_a_token, ..Self::service(about, error.kind(), error.to_string()) }
    }

    /// The forge rejected a fleet alert on `notify.issue`.
    pub(crate) fn of_alerts(issue: String, error: &ForgeError) -> Self {
        let scope = error.scope().min(FailureScope::Repository);
        Self { scope, is_unread: false, ..Self::forge(issue, error) }
    }

    /// A permanent failure of an alert target.
    pub(crate) fn of_alert_target(error: &AlertTargetError) -> Self {
        let meanwhile =
            if error.is_about_the_issue() { "; until then each mission's alert is on its own issue" } else { "" };
        let message = format!("{error}{meanwhile}");
        let failure = Self::service(error.target(), error.kind(), message);
        Self { is_permanent: true, is_unread: false, scope: FailureScope::Repository, ..failure }
    }

    /// The forge failed to list the issues of a repository.
    pub(crate) fn of_listing(name: &RepositoryName, error: &ForgeError) -> Self {
        let scope = error.scope().min(FailureScope::Repository);
        Self { scope, ..Self::forge(name.to_string(), error) }
    }
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        let Failure { about, scope, kind, message, is_permanent, .. } = failure;
        let (about, message) = (about.clone(), message.clone());
        Self { scope: *scope, about, kind, is_permanent: *is_permanent, message }
    }
}

/// The message of an internal error.
const DEFECT: &str = "an internal error, which did not affect other missions; please report it";
