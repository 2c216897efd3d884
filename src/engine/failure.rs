//! What went wrong: refusals, after which there is no pass, and troubles, which the next pass tries to mend.

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

/// Why no pass takes place: a person has to act, and nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// A setting.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The token.
    #[error(transparent)]
    Token(ForgeError),
    /// None of the repositories can be served.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Repositories(Vec<RepositoryError>),
    /// The one issue asked for.
    #[error("--issue: {0}")]
    Issue(String),
}

/// Something that went wrong, with what it went wrong about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A repository, or an issue as `owner/name#N`.
    pub about: String,
    /// The issue, where it is about one.
    #[serde(skip)]
    pub issue: Option<(RepositoryName, i64)>,
    /// Whose trouble it is.
    pub scope: FailureScope,
    /// The fixed word.
    pub kind: &'static str,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Whether no other pass can help before a person does something.
    #[serde(rename = "permanent")]
    pub is_permanent: bool,
    /// Whether something that the pass is about was not seen for it.
    #[serde(skip)]
    pub is_unread: bool,
    /// Whether nothing can help before a person gives another token.
    #[serde(skip)]
    pub needs_a_token: bool,
}

impl Failure {
    /// What went wrong with the service: its root, or the forge as a whole.
    pub(crate) fn service(about: String, kind: &'static str, message: String) -> Self {
        let scope = FailureScope::Service;
        Self { about, issue: None, scope, kind, message, is_permanent: false, is_unread: true, needs_a_token: false }
    }

    /// What went wrong with a repository that can be read all the same.
    pub(crate) fn of_repository(name: &RepositoryName, kind: &'static str, message: String) -> Self {
        let scope = FailureScope::Repository;
        Self { scope, is_unread: false, ..Self::service(name.to_string(), kind, message) }
    }

    /// What went wrong with one issue, or its cell, or its record.
    pub(crate) fn mission(repository: &RepositoryName, number: i64, kind: &'static str, message: String) -> Self {
        let about = format!("{repository}#{number}");
        let (issue, scope) = (Some((repository.clone(), number)), FailureScope::Mission);
        Self { issue, scope, is_unread: false, ..Self::service(about, kind, message) }
    }

    /// What failed in the turn of one issue.
    pub(crate) fn of_turn(repository: &RepositoryName, number: i64, error: &WorldError) -> Self {
        let (scope, is_permanent) = (error.scope(), error.needs_a_person());
        let needs_a_token = error.is_about_the_token();
        let of_issue = Self::mission(repository, number, error.kind(), error.to_string());
        Self { scope, is_permanent, needs_a_token, ..of_issue }
    }

    /// What could not be changed about a repository.
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

    /// The message, with what it is about where it does not say so itself.
    #[must_use]
    pub fn message_with_subject(&self) -> String {
        with_subject(&self.about, &self.message)
    }

    /// Whether it is over as soon as the forge is well again, or has another token.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.needs_a_token || matches!(self.kind, "unreachable" | "timeout" | "unavailable" | "protocol" | "given-up")
    }

    /// Whether a listed repository could not be read for it.
    #[must_use]
    pub fn hides_a_repository(&self) -> bool {
        self.scope == FailureScope::Repository && self.is_unread
    }

    /// Whether it is a repository's that was read all the same, and only refuses something.
    #[must_use]
    pub fn hides_nothing(&self) -> bool {
        self.scope == FailureScope::Repository && !self.is_unread
    }

    /// Whether the pass is not complete for it: the service fails, or a listed repository cannot be read, which its owner
    /// or the operator causes and nobody else. What a mission or a repository that refuses writes comes to is told, and
    /// keeps nobody's monitoring from working.
    #[must_use]
    pub fn is_of_the_pass(&self) -> bool {
        self.scope == FailureScope::Service || self.hides_a_repository()
    }

    /// We ourselves broke down over an issue.
    pub(crate) fn defect(repository: &RepositoryName, number: i64) -> Self {
        Self::mission(repository, number, "defect", DEFECT.to_owned())
    }

    /// We ourselves broke down over something.
    pub(crate) fn breakdown(about: String) -> Self {
        Self::service(about, "defect", DEFECT.to_owned())
    }

    /// A repository cannot be served. One that is archived can be read, but not written.
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

    /// The forge as a whole did not answer as it should.
    pub(crate) fn forge(about: String, error: &ForgeError) -> Self {
        let (is_permanent, needs_a_token) = (error.needs_a_person(), error.is_about_the_token());
        Self { is_permanent, needs_a_token, ..Self::service(about, error.kind(), error.to_string()) }
    }

    /// It did not take what is said for many missions on `notify.issue`.
    pub(crate) fn of_alerts(issue: String, error: &ForgeError) -> Self {
        let scope = error.scope().min(FailureScope::Repository);
        Self { scope, is_unread: false, ..Self::forge(issue, error) }
    }

    /// Alerts do not reach whom they should before a person does something.
    pub(crate) fn of_alert_target(error: &AlertTargetError) -> Self {
        let meanwhile =
            if error.is_about_the_issue() { "; until then each mission's alert is on its own issue" } else { "" };
        let message = format!("{error}{meanwhile}");
        let told = Self::service(error.target(), error.kind(), message);
        Self { is_permanent: true, is_unread: false, scope: FailureScope::Repository, ..told }
    }

    /// It did not answer as it should when it was asked for the issues of a repository.
    pub(crate) fn of_listing(name: &RepositoryName, error: &ForgeError) -> Self {
        let scope = error.scope().min(FailureScope::Repository);
        Self { scope, ..Self::forge(name.to_string(), error) }
    }
}

impl From<&Failure> for FailureView {
    fn from(trouble: &Failure) -> Self {
        let Failure { about, scope, kind, message, is_permanent, .. } = trouble;
        let (about, message) = (about.clone(), message.clone());
        Self { scope: *scope, about, kind, is_permanent: *is_permanent, message }
    }
}

/// What is said of a defect.
const DEFECT: &str = "a defect of this program, which other missions did not feel; please report it";
