//! The labels that carry a mission's state: names, colours, meanings, and which exclude each other.

use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::HostName;
use crate::mission::status::phase::Phase;
use std::borrow::Cow;

/// What stands before the slash in labels of ours.
pub const SCOPES: [&str; 6] = ["kind", "mission", "health", "approval", "wizard", "host"];

/// Every label of ours, in the order of the reference's table.
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

/// What the forge stores of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    /// `scope/value`.
    pub name: Cow<'static, str>,
    /// Six hexadecimal digits.
    pub colour: &'static str,
    /// The label's description on the forge.
    pub meaning: &'static str,
}

impl Label {
    /// All labels that belong to us on an issue, but for those of hosts: what must not be there is taken off.
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

    /// Name, colour and meaning.
    #[must_use]
    pub fn appearance(&self) -> Appearance {
        let (name, colour, meaning) = match self {
            Self::Host(host) => {
                let (colour, meaning) = ("5319e7", "where the cell is");
                return Appearance { name: Cow::Owned(format!("host/{host}")), colour, meaning };
            }
            Self::Proposal => ("kind/mission-proposal", "1d76db", "asks for a Mission Cell"),
            Self::Phase(Phase::Pending) => {
                ("mission/pending", "fbca04", "waits: for approval, for room, or for its host")
            }
            Self::Phase(Phase::Invalid) => ("mission/invalid", "d93f0b", "answers need correcting; no cell was made"),
            Self::Phase(Phase::Active) => ("mission/active", "0e8a16", "the cell exists"),
            Self::Phase(Phase::Suspended) => ("mission/suspended", "c5def5", "paused by a person: no repair, no alarm"),
            Self::Phase(Phase::Closed) => ("mission/closed", "6a737d", "the issue is closed"),
            Self::Health(Health::Healthy) => ("health/healthy", "2cbe4e", "the wizard beats in time, or has finished"),
            Self::Health(Health::Stale) => {
                ("health/stale", "d4a72c", "the last heartbeat is too old, or the wizard failed")
            }
            Self::Health(Health::Incomplete) => {
                ("health/incomplete", "e11d21", "a part of the cell is missing or unreadable")
            }
            Self::Health(Health::Uninitialized) => {
                ("health/uninitialized", "bfd4f2", "made, but nobody has beaten yet")
            }
            Self::Health(Health::Unknown) => ("health/unknown", "8b949e", "our own reading failed: no verdict"),
            Self::ApprovalNeeded => ("approval/needed", "fbca04", "an approval is asked for"),
            Self::ApprovalGranted => ("approval/granted", "0e8a16", "an approval has been given"),
            Self::Wizard(WizardState::Working) => ("wizard/working", "1d76db", "the wizard says: working"),
            Self::Wizard(WizardState::Waiting) => ("wizard/waiting", "d4a72c", "the wizard says: waiting for a person"),
            Self::Wizard(WizardState::Done) => ("wizard/done", "2cbe4e", "the wizard says: done"),
            Self::Wizard(WizardState::Failed) => ("wizard/failed", "e11d21", "the wizard says: failed"),
        };
        Appearance { name: Cow::Borrowed(name), colour, meaning }
    }

    /// What earlier versions wrote as its description, which `install` brings up to date. A text that a team wrote stays.
    #[must_use]
    pub fn former_meanings(&self) -> &'static [&'static str] {
        if *self == Self::Health(Health::Stale) { &["the last heartbeat is too old"] } else { &[] }
    }

    /// Whether a description says nothing, or what an earlier version of this program wrote.
    #[must_use]
    pub fn is_outdated(&self, description: &str) -> bool {
        description.is_empty() || self.former_meanings().contains(&description)
    }

    /// `scope/value`.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        self.appearance().name
    }

    /// Everything before the slash.
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

    /// Whether the forge takes another label off an issue when this one is added to it: both are exclusive, and of one scope
    /// (go-gitea/gitea `models/issues/issue_label.go`).
    #[must_use]
    pub fn displaces(&self, name: &str, is_exclusive: bool) -> bool {
        is_exclusive && self.is_exclusive() && self.name() != name && scope_of(name) == Some(self.scope())
    }

    /// Our label of this name, if it is one of ours.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.name() == name)
    }
}

/// The scope that the forge finds in a label's name: everything before the last slash; none where one side of it is empty
/// (go-gitea/gitea `models/issues/label.go`).
fn scope_of(name: &str) -> Option<&str> {
    let (scope, value) = name.rsplit_once('/')?;
    (!scope.is_empty() && !value.is_empty()).then_some(scope)
}
