//! The labels that publish a mission's state: names, colours, descriptions, exclusiveness.

use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::HostName;
use crate::mission::status::phase::Phase;
use std::borrow::Cow;

/// The scopes of the lazarus-managed labels: the part of a name before the slash.
pub const SCOPES: [&str; 6] = ["kind", "mission", "health", "approval", "wizard", "host"];

/// A lazarus-managed label, in the order of the reference's table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// `kind/mission-proposal`
    Proposal,
    /// `mission/…`
    Phase(Phase),
    /// `health/…`
    Health(Health),
    /// `approval/needed`
    ApprovalNeeded,
    /// `approval/granted`
    ApprovalGranted,
    /// `wizard/…`
    Wizard(WizardState),
    /// `host/…`, only with `host.label`
    Host(HostName),
}

/// A label as Gitea stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    /// `scope/value`.
    pub name: Cow<'static, str>,
    /// The colour as six hexadecimal digits.
    pub colour: &'static str,
    /// The label's description in Gitea.
    pub meaning: &'static str,
}

impl Label {
    /// All lazarus-managed labels except those of hosts; a pass removes the ones that do not apply to an issue.
    pub const ALL: [Self; 17] = [
        Self::Proposal,
        Self::Phase(Phase::Pending),
        Self::Phase(Phase::Invalid),
        Self::Phase(Phase::Active),
        Self::Phase(Phase::Suspended),
        Self::Phase(Phase::Closed),
        Self::Health(Health::Healthy),
        Self::Health(Health::Stale),
        Self::Health(Health::Incomplete),
        Self::Health(Health::Uninitialized),
        Self::Health(Health::Unknown),
        Self::ApprovalNeeded,
        Self::ApprovalGranted,
        Self::Wizard(WizardState::Working),
        Self::Wizard(WizardState::Waiting),
        Self::Wizard(WizardState::Done),
        Self::Wizard(WizardState::Failed),
    ];

    /// Name, colour and description.
    #[must_use]
    pub fn appearance(&self) -> Appearance {
        let (name, colour, meaning) = match self {
            Self::Host(host) => {
                let (colour, meaning) = ("5319e7", "where the cell is");
                return Appearance { name: Cow::Owned(format!("host/{host}")), colour, meaning };
            }
            Self::Proposal => ("kind/mission-proposal", "1d76db", "requests a Mission Cell"),
            Self::Phase(Phase::Pending) => {
                ("mission/pending", "fbca04", "waits for approval, for capacity, or for its host")
            }
            Self::Phase(Phase::Invalid) => {
                ("mission/invalid", "d93f0b", "answers need correcting; no cell was created")
            }
            Self::Phase(Phase::Active) => ("mission/active", "0e8a16", "the cell exists"),
            Self::Phase(Phase::Suspended) => ("mission/suspended", "c5def5", "paused by a person: no repair, no alert"),
            Self::Phase(Phase::Closed) => ("mission/closed", "6a737d", "the issue is closed"),
            Self::Health(Health::Healthy) => {
                ("health/healthy", "2cbe4e", "heartbeats arrive in time, or the agent has finished")
            }
            Self::Health(Health::Stale) => {
                ("health/stale", "d4a72c", "the last heartbeat is too old, or the agent has failed")
            }
            Self::Health(Health::Incomplete) => {
                ("health/incomplete", "e11d21", "a part of the cell is missing or unreadable")
            }
            Self::Health(Health::Uninitialized) => {
                ("health/uninitialized", "bfd4f2", "the cell has had no heartbeat yet")
            }
            Self::Health(Health::Unknown) => ("health/unknown", "8b949e", "the service cannot read the cell"),
            Self::ApprovalNeeded => ("approval/needed", "fbca04", "an approval is required"),
            Self::ApprovalGranted => ("approval/granted", "0e8a16", "an approval was given"),
            Self::Wizard(WizardState::Working) => ("wizard/working", "1d76db", "the agent reports: working"),
            Self::Wizard(WizardState::Waiting) => {
                ("wizard/waiting", "d4a72c", "the agent reports: waiting for a person")
            }
            Self::Wizard(WizardState::Done) => ("wizard/done", "2cbe4e", "the agent reports: done"),
            Self::Wizard(WizardState::Failed) => ("wizard/failed", "e11d21", "the agent reports: failed"),
        };
        Appearance { name: Cow::Borrowed(name), colour, meaning }
    }

    /// The descriptions that earlier versions wrote. `install` replaces them; a pass leaves every description as it is.
    #[must_use]
    pub fn former_meanings(&self) -> &'static [&'static str] {
        match self {
            Self::Proposal => &["asks for a Mission Cell"],
            Self::Phase(Phase::Pending) => &["waits: for approval, for room, or for its host"],
            Self::Phase(Phase::Invalid) => &["answers need correcting; no cell was made"],
            Self::Phase(Phase::Suspended) => &["paused by a person: no repair, no alarm"],
            Self::Health(Health::Healthy) => &["the wizard beats in time, or has finished"],
            Self::Health(Health::Stale) => {
                &["the last heartbeat is too old", "the last heartbeat is too old, or the wizard failed"]
            }
            Self::Health(Health::Uninitialized) => &["made, but nobody has beaten yet"],
            Self::Health(Health::Unknown) => &["our own reading failed: no verdict"],
            Self::ApprovalNeeded => &["an approval is asked for"],
            Self::ApprovalGranted => &["an approval has been given"],
            Self::Wizard(WizardState::Working) => &["the wizard says: working"],
            Self::Wizard(WizardState::Waiting) => &["the wizard says: waiting for a person"],
            Self::Wizard(WizardState::Done) => &["the wizard says: done"],
            Self::Wizard(WizardState::Failed) => &["the wizard says: failed"],
            Self::Phase(Phase::Active | Phase::Closed) | Self::Health(Health::Incomplete) | Self::Host(_) => &[],
        }
    }

    /// Whether `install` replaces a description: it is empty, or an earlier version of this program wrote it.
    #[must_use]
    pub fn is_outdated(&self, description: &str) -> bool {
        description.is_empty() || self.former_meanings().contains(&description)
    }

    /// `scope/value`.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        self.appearance().name
    }

    /// The part of the name before the slash.
    #[must_use]
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Proposal => "kind",
            Self::Phase(_) => "mission",
            Self::Health(_) => "health",
            Self::ApprovalNeeded | Self::ApprovalGranted => "approval",
            Self::Wizard(_) => "wizard",
            Self::Host(_) => "host",
        }
    }

    /// Whether an issue carries at most one label of this scope. A repository may have other `kind/` labels.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        *self != Self::Proposal
    }

    /// Whether Gitea removes another label from an issue when this one is added: both are exclusive, in one scope
    /// (go-gitea/gitea `models/issues/issue_label.go`).
    #[must_use]
    pub fn displaces(&self, name: &str, is_exclusive: bool) -> bool {
        is_exclusive && self.is_exclusive() && self.name() != name && scope_of(name) == Some(self.scope())
    }

    /// The lazarus-managed label of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.name() == name)
    }
}

/// The scope that Gitea finds in a label's name: everything before the last slash; none if either side is empty
/// (go-gitea/gitea `models/issues/label.go`).
fn scope_of(name: &str) -> Option<&str> {
    let (scope, value) = name.rsplit_once('/')?;
    (!scope.is_empty() && !value.is_empty()).then_some(scope)
}
