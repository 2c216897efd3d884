//! An alarm before and after it is put into words: of one mission on its own issue, and of many on the fleet's.

use crate::mission::alert::config::{AlertCause, Login};
use crate::mission::alert::state::{AlertIntent, AlertMarker, FleetAlertIntent, Notification};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::{HostName, MissionId, RootId, WizardName};
use crate::mission::status::templates::fill;
use crate::mission::time::Timestamp;
use serde::Serialize;

/// The most missions that one comment for many names.
pub const LISTED_MAX: usize = 20;

/// What an alarm of one mission says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertMessage {
    /// What it says, when, and since when that is so.
    #[serde(flatten)]
    pub intent: AlertIntent,
    /// The mission.
    pub mission: MissionId,
    /// This root.
    pub root: Option<RootId>,
    /// The mission's title.
    pub name: String,
    /// The cell's path.
    pub cell: String,
    /// This host.
    pub host: HostName,
    /// Whether its issue was closed.
    pub is_closed: bool,
    /// The verdict as it is published; `unknown` where the issue was closed.
    pub health: Health,
    /// Its reason's word.
    pub reason: &'static str,
    /// The path that the reason speaks of, below the cell.
    pub place: Option<&'static str>,
    /// What is wrong there.
    pub flaw: Option<String>,
    /// The last heartbeat, while the wizard is silent.
    pub heartbeat_at: Option<Timestamp>,
    /// What the wizard says of itself.
    pub agent_state: Option<WizardState>,
    /// Its message, where it waits for people or has failed.
    pub message: Option<String>,
    /// Its name.
    pub wizard: Option<WizardName>,
    /// The heartbeat's limit.
    pub stale_after_seconds: u64,
    /// The command that beats for this very cell.
    pub beat_command: String,
    /// The command that looks at every cell of this root.
    pub scan_command: String,
    /// How many other alarms wait, since an hour has room for so many.
    pub others: usize,
    /// So many.
    pub per_hour: usize,
    /// Who is called.
    pub mention: Vec<Login>,
}

impl AlertMessage {
    /// By which it is found again.
    #[must_use]
    pub fn marker(&self) -> AlertMarker {
        let AlertIntent { kind, at, alert: _ } = self.intent;
        AlertMarker { kind, mission: Some(self.mission), root: self.root, at }
    }

    /// The whole comment.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("alert.md", self))
    }

    /// In a few words, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let cause = match self.intent.alert.cause {
            AlertCause::Wizard(state) => format!("the wizard says `{state}`"),
            AlertCause::Health(_) => self.verdict(),
        };
        match self.intent.kind {
            Notification::Firing => format!("post an alarm: {cause}"),
            Notification::Reminder => format!("post the alarm again: still {cause}"),
            Notification::Resolved if self.is_closed => "post the end of the alert: closed".to_owned(),
            Notification::Resolved => format!("post the end of the alarm: {}", self.verdict()),
        }
    }

    fn verdict(&self) -> String {
        let place = self.place.map(|place| format!(" {place}")).unwrap_or_default();
        format!("{} ({}{place})", self.health, self.reason)
    }
}

/// What one comment says for many missions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetAlertMessage {
    /// What it says, when, and for whom.
    #[serde(flatten)]
    pub intent: FleetAlertIntent,
    /// This root.
    pub root: Option<RootId>,
    /// Its path.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// Some of those that are bad: first those that are new, and of those the ones that became so first.
    pub listed: Vec<ListedAlert>,
    /// How many of them the comment before did not speak for.
    pub new: usize,
    /// How many of them there are.
    pub failing: usize,
    /// Of how many.
    pub all: usize,
    /// When the alarm was raised.
    pub firing_since: Timestamp,
    /// The command that looks at every cell of this root.
    pub scan_command: String,
    /// Who is called.
    pub mention: Vec<Login>,
}

/// One of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedAlert {
    /// Its issue.
    pub issue: String,
    /// What is the matter.
    pub cause: AlertCause,
    /// Since when.
    pub since: Timestamp,
    /// What its wizard wants people to read.
    pub message: Option<String>,
}

impl FleetAlertMessage {
    /// By which it is found again.
    #[must_use]
    pub fn marker(&self) -> AlertMarker {
        let FleetAlertIntent { kind, at, members: _ } = self.intent;
        AlertMarker { kind, mission: None, root: self.root, at }
    }

    /// The whole comment.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("fleet_alert.md", self))
    }

    /// In a few words, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { failing: bad, all, .. } = self;
        match self.intent.kind {
            Notification::Firing => format!("post one alarm for {bad} of {all} missions"),
            Notification::Reminder => format!("post the alarm for many again: still {bad} of {all} missions"),
            Notification::Resolved => "post the end of the alarm for many".to_owned(),
        }
    }
}
