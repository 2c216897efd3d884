//! What the operator wants to hear of: which states raise an alarm, after how long, how often, and who is called.

use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::{NotA, RepositoryName, as_text};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The longest login of a Gitea account.
const LOGIN_CHARS_MAX: usize = 40;

/// What can raise an alarm, as `notify.on` names it and as labels show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub enum AlertCause {
    /// A verdict.
    Health(Health),
    /// What the wizard says of itself.
    #[display("wizard/{_0}")]
    Wizard(WizardState),
}

impl AlertCause {
    /// Everything that is not well, in the order of the documents' table.
    pub const ALL: [Self; 6] = [
        Self::Health(Health::Stale),
        Self::Health(Health::Incomplete),
        Self::Health(Health::Unknown),
        Self::Health(Health::Uninitialized),
        Self::Wizard(WizardState::Waiting),
        Self::Wizard(WizardState::Failed),
    ];

    /// Accepts the words of [`Cause::ALL`].
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "one of `stale`, `incomplete`, `unknown`, `uninitialized`, `wizard/waiting`, `wizard/failed`";
        let found = Self::ALL.into_iter().find(|cause| cause.to_string() == text);
        found.ok_or_else(|| NotA { text: text.to_owned(), wanted })
    }
}

/// An account that an alarm calls by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct Login(String);

impl Login {
    /// Letters, digits, and single `-`, `_` and `.` between them (go-gitea/gitea `modules/validation/helpers.go`): nothing
    /// that could mean anything else in Markdown.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let is_plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
        if text.len() <= LOGIN_CHARS_MAX && text.split(['-', '_', '.']).all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotA { text: text.to_owned(), wanted: "the login of an account, such as `merlin`, without the `@`" })
    }
}

/// One issue, as people write it: `owner/name#12`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
#[display("{repository}#{number}")]
pub struct IssueName {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its number there.
    pub number: i64,
}

impl IssueName {
    /// Accepts `owner/name#12`.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let refused = || NotA { text: text.to_owned(), wanted: "an issue of the form `owner/name#12`" };
        let (repository, number) = text.split_once('#').ok_or_else(refused)?;
        let repository = RepositoryName::parse(repository).map_err(|_| refused())?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|number| is_plain && *number > 0).ok_or_else(refused)?;
        Ok(Self { repository, number })
    }
}

as_text!(AlertCause);
as_text!(Login);
as_text!(IssueName);

/// `notify.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// What raises an alarm; nothing does where it is empty.
    pub on: Vec<AlertCause>,
    /// How long it has to be so without a break.
    pub after: TimeDelta,
    /// After how long it is said again while it stays so; none for never.
    pub repeat: Option<TimeDelta>,
    /// The most comments within an hour, over all missions of this root.
    pub per_hour: usize,
    /// With more than so many at once, and a fifth of all, one comment speaks for them.
    pub many: usize,
    /// The issue on which one comment speaks for many.
    pub issue: Option<IssueName>,
    /// Who is called.
    pub mention: Vec<Login>,
}

impl Default for Notify {
    fn default() -> Self {
        let (after, issue) = (TimeDelta::minutes(5), None);
        Self { on: Vec::new(), after, repeat: None, per_hour: 10, many: 3, issue, mention: Vec::new() }
    }
}

/// How a mission is, by what the operator wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertCondition {
    /// Nothing to worry about.
    Ok,
    /// Nothing is known, which is neither well nor ill.
    Unknown,
    /// It is so that an alarm is wanted.
    Failing(AlertCause),
}

impl Notify {
    /// Whether anything at all raises an alarm.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.on.is_empty()
    }

    /// How a mission is by its published health and its wizard's words. Health comes first, unless it is the wizard's own
    /// word that it has failed: that is one thing, and not two.
    #[must_use]
    pub fn condition(&self, verdict: Verdict, says: Option<WizardState>) -> AlertCondition {
        let health = verdict.health;
        let by_health = [Some(AlertCause::Health(health)), says.map(AlertCause::Wizard)];
        let by_its_word = [Some(AlertCause::Wizard(WizardState::Failed)), Some(AlertCause::Health(health))];
        let causes = if verdict.reason == Reason::AgentFailed { by_its_word } else { by_health };
        match causes.into_iter().flatten().find(|cause| self.on.contains(cause)) {
            Some(cause) => AlertCondition::Failing(cause),
            None if health == Health::Unknown => AlertCondition::Unknown,
            None => AlertCondition::Ok,
        }
    }
}
