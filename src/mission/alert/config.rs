//! The `notify` configuration: which states raise an alert, after how long, how often, and who is mentioned.

use crate::mission::cell::health::{Health, Reason, Verdict};
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::{NotA, RepositoryName, as_text};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The longest login of a Gitea account.
const LOGIN_CHARS_MAX: usize = 40;

/// A state that can raise an alert, by its name in `notify.on` and on labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub enum AlertCause {
    /// A health of the cell.
    Health(Health),
    /// A state that the agent reports.
    #[display("wizard/{_0}")]
    Wizard(WizardState),
}

impl AlertCause {
    /// All causes, in the order of the table in the documents.
    pub const ALL: [Self; 6] = [
        Self::Health(Health::Stale),
        Self::Health(Health::Incomplete),
        Self::Health(Health::Unknown),
        Self::Health(Health::Uninitialized),
        Self::Wizard(WizardState::Waiting),
        Self::Wizard(WizardState::Failed),
    ];

    /// Accepts the names of [`AlertCause::ALL`].
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "one of `stale`, `incomplete`, `unknown`, `uninitialized`, `wizard/waiting`, `wizard/failed`";
        let found = Self::ALL.into_iter().find(|cause| cause.to_string() == text);
        found.ok_or_else(|| NotA { text: text.to_owned(), wanted })
    }
}

/// The login of an account that an alert mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, derive_more::Display)]
#[serde(try_from = "String", into = "String")]
pub struct Login(String);

impl Login {
    /// Letters, digits, and single `-`, `_` and `.` between them (go-gitea/gitea `modules/validation/helpers.go`):
    /// nothing that could mean anything else in Markdown.
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
        let not_an_issue = || NotA { text: text.to_owned(), wanted: "an issue of the form `owner/name#12`" };
        let (repository, number) = text.split_once('#').ok_or_else(not_an_issue)?;
        let repository = RepositoryName::parse(repository).map_err(|_| not_an_issue())?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|number| is_plain && *number > 0).ok_or_else(not_an_issue)?;
        Ok(Self { repository, number })
    }
}

as_text!(AlertCause);
as_text!(Login);
as_text!(IssueName);

/// `notify.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The causes that raise an alert; alerts are off when it is empty.
    pub on: Vec<AlertCause>,
    /// How long a mission has to fail without a break before its alert fires.
    pub after: TimeDelta,
    /// The interval of reminders while it keeps failing; none for no reminders.
    pub repeat: Option<TimeDelta>,
    /// The most alert comments within an hour, over all missions of this root.
    pub per_hour: usize,
    /// If more missions than this, and more than a fifth of all, fail together, one comment covers them.
    pub many: usize,
    /// The issue for alerts that cover many missions.
    pub issue: Option<IssueName>,
    /// The accounts to mention.
    pub mention: Vec<Login>,
}

impl Default for Notify {
    fn default() -> Self {
        let (after, issue) = (TimeDelta::minutes(5), None);
        Self { on: Vec::new(), after, repeat: None, per_hour: 10, many: 3, issue, mention: Vec::new() }
    }
}

/// Whether a mission meets one of the configured causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertCondition {
    /// No cause is met.
    Ok,
    /// The health is unknown, which neither fires nor resolves an alert.
    Unknown,
    /// This cause is met.
    Failing(AlertCause),
}

impl Notify {
    /// Whether alerts are configured.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.on.is_empty()
    }

    /// The condition by published health and reported state. Health comes first, except for a failed agent: there both
    /// have the same cause.
    #[must_use]
    pub fn condition(&self, verdict: Verdict, agent_state: Option<WizardState>) -> AlertCondition {
        let health = verdict.health;
        let by_health = [Some(AlertCause::Health(health)), agent_state.map(AlertCause::Wizard)];
        let by_agent_state = [Some(AlertCause::Wizard(WizardState::Failed)), Some(AlertCause::Health(health))];
        let causes = if verdict.reason == Reason::AgentFailed { by_agent_state } else { by_health };
        match causes.into_iter().flatten().find(|cause| self.on.contains(cause)) {
            Some(cause) => AlertCondition::Failing(cause),
            None if health == Health::Unknown => AlertCondition::Unknown,
            None => AlertCondition::Ok,
        }
    }
}
