//! The alert messages: one for a mission on its own issue, and one for many missions on the fleet's issue.

use crate::mission::alert::config::{AlertCause, Login};
use crate::mission::alert::state::{AlertIntent, AlertMarker, FleetAlertIntent, Notification};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::{HostName, MissionId, RootId, WizardName};
use crate::mission::status::templates::fill;
use crate::mission::time::Timestamp;
use serde::Serialize;

/// The most missions that a fleet alert lists.
pub const LISTED_MAX: usize = 20;

/// The contents of an alert about one mission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertMessage {
    /// Its kind, the time, and the alert that it belongs to.
    #[serde(flatten)]
    pub intent: AlertIntent,
    /// The mission.
    pub mission: MissionId,
    /// The id of this root.
    pub root: Option<RootId>,
    /// The mission's title.
    pub name: String,
    /// The cell's path.
    pub cell: String,
    /// This host.
    pub host: HostName,
    /// Whether its issue is closed.
    pub is_closed: bool,
    /// The published health; `unknown` once the issue is closed.
    pub health: Health,
    /// The reason's fixed word.
    pub reason: &'static str,
    /// The path below the cell that the reason is about.
    pub place: Option<&'static str>,
    /// The problem with that path.
    pub flaw: Option<String>,
    /// The last heartbeat, while it is overdue.
    pub heartbeat_at: Option<Timestamp>,
    /// The state that the agent reports.
    pub agent_state: Option<WizardState>,
    /// The agent's message, while it waits for people or has failed.
    pub message: Option<String>,
    /// The agent's name.
    pub wizard: Option<WizardName>,
    /// A heartbeat that is older than this is stale.
    pub stale_after_seconds: u64,
    /// The command that sends a heartbeat for this cell.
    pub beat_command: String,
    /// The command that scans every cell of this root.
    pub scan_command: String,
    /// How many other alerts are pending because of the hourly limit.
    pub others: usize,
    /// `notify.per_hour`
    pub per_hour: usize,
    /// The accounts to mention.
    pub mention: Vec<Login>,
}

impl AlertMessage {
    /// The marker that identifies the comment.
    #[must_use]
    pub fn marker(&self) -> AlertMarker {
        let AlertIntent { kind, at, alert: _ } = self.intent;
        AlertMarker { kind, mission: Some(self.mission), root: self.root, at }
    }

    /// The whole comment, in Markdown.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("alert.md", self))
    }

    /// A short description, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let cause = match self.intent.alert.cause {
            AlertCause::Wizard(state) => format!("the agent reports `{state}`"),
            AlertCause::Health(_) => self.health_and_reason(),
        };
        match self.intent.kind {
            Notification::Firing => format!("post an alert: {cause}"),
            Notification::Reminder => format!("post a reminder: still {cause}"),
            Notification::Resolved if self.is_closed => "resolve the alert: closed".to_owned(),
            Notification::Resolved => format!("resolve the alert: {}", self.health_and_reason()),
        }
    }

    fn health_and_reason(&self) -> String {
        let place = self.place.map(|place| format!(" {place}")).unwrap_or_default();
        format!("{} ({}{place})", self.health, self.reason)
    }
}

/// The contents of one alert that covers many missions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetAlertMessage {
    /// Its kind, the time, and the missions that it covers.
    #[serde(flatten)]
    pub intent: FleetAlertIntent,
    /// The id of this root.
    pub root: Option<RootId>,
    /// The root's path.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// Failing missions, at most [`LISTED_MAX`]: new ones first, then by the time since when they fail.
    pub listed: Vec<ListedAlert>,
    /// How many failing missions the last comment did not cover.
    pub new: usize,
    /// How many missions are failing.
    pub failing: usize,
    /// How many missions are watched.
    pub all: usize,
    /// When the alert fired.
    pub firing_since: Timestamp,
    /// The command that scans every cell of this root.
    pub scan_command: String,
    /// The accounts to mention.
    pub mention: Vec<Login>,
}

/// One mission in the list of a fleet alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedAlert {
    /// Its issue.
    pub issue: String,
    /// Why the mission fails.
    pub cause: AlertCause,
    /// Since when it fails.
    pub since: Timestamp,
    /// The agent's message to people.
    pub message: Option<String>,
}

impl FleetAlertMessage {
    /// The marker that identifies the comment.
    #[must_use]
    pub fn marker(&self) -> AlertMarker {
        let FleetAlertIntent { kind, at, members: _ } = self.intent;
        AlertMarker { kind, mission: None, root: self.root, at }
    }

    /// The whole comment, in Markdown.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("fleet_alert.md", self))
    }

    /// A short description, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { failing, all, .. } = self;
        match self.intent.kind {
            Notification::Firing => format!("post one alert for {failing} of {all} missions"),
            Notification::Reminder => format!("post a reminder: {failing} of {all} missions are still failing"),
            Notification::Resolved => "resolve the fleet alert".to_owned(),
        }
    }
}
