//! What went wrong: refusals, after which there is no pass, and troubles, which the next pass tries to mend.

use crate::mission::change::Change;
use crate::mission::identity::RepositoryName;
use crate::settings::SettingsError;
use crate::world::WorldError;
use crate::world::gitea::ForgeError;
use crate::world::repository::RepositoryError;
use crate::world::root::RootError;
use serde::Serialize;

/// Why no pass takes place: a person has to act, and nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
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
pub struct Trouble {
    /// A repository, or an issue as `owner/name#N`.
    pub about: String,
    /// The issue, where it is about one.
    #[serde(skip)]
    pub issue: Option<(RepositoryName, i64)>,
    /// The fixed word.
    pub kind: &'static str,
    /// What was tried, what happened, what to do.
    pub message: String,
    /// Whether nothing can help before a person gives another token.
    #[serde(skip)]
    pub needs_a_token: bool,
}

impl Trouble {
    /// What went wrong with something that is no issue, and that another token would not mend.
    pub(crate) fn new(about: String, kind: &'static str, message: String) -> Self {
        Self { about, issue: None, kind, message, needs_a_token: false }
    }

    /// What could not be changed.
    pub(crate) fn unmade(about: String, change: &Change, error: &WorldError) -> Self {
        let message = format!("cannot {change}: {error}");
        Self { needs_a_token: error.is_about_the_token(), ..Self::new(about, error.kind(), message) }
    }

    /// The message, with what it is about where it does not say so itself.
    #[must_use]
    pub fn message_with_subject(&self) -> String {
        if self.message.contains(&self.about) {
            self.message.clone()
        } else {
            format!("{}: {}", self.about, self.message)
        }
    }

    /// Whether it is over as soon as the forge is well again, or has another token.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.needs_a_token || matches!(self.kind, "unreachable" | "timeout" | "unavailable" | "protocol" | "given-up")
    }

    /// We ourselves broke down over an issue.
    pub(crate) fn defect(repository: RepositoryName, number: i64) -> Self {
        let about = format!("{repository}#{number}");
        Self { issue: Some((repository, number)), ..Self::breakdown(about) }
    }

    /// We ourselves broke down over something.
    pub(crate) fn breakdown(about: String) -> Self {
        let message = "a defect of this program, which other missions did not feel; please report it";
        Self::new(about, "defect", message.to_owned())
    }

    /// A repository cannot be served.
    pub(crate) fn repository(name: &RepositoryName, error: &RepositoryError) -> Self {
        let needs_a_token = error.is_about_the_token();
        Self { needs_a_token, ..Self::new(name.to_string(), error.kind(), error.to_string()) }
    }

    /// The forge did not answer as it should.
    pub(crate) fn forge(about: String, error: &ForgeError) -> Self {
        Self { needs_a_token: error.is_about_the_token(), ..Self::new(about, error.kind(), error.to_string()) }
    }
}
