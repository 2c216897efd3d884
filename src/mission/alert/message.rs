//! An alarm before and after it is put into words: of one mission on its own issue, and of many on the fleet's.

use crate::mission::alert::config::{Cause, Login};
use crate::mission::alert::state::{AlarmMarker, FleetIntended, Intended, Kind};
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
pub struct Notice {
    /// What it says, when, and since when that is so.
    #[serde(flatten)]
    pub intended: Intended,
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
    pub says: Option<WizardState>,
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

impl Notice {
    /// By which it is found again.
    #[must_use]
    pub fn marker(&self) -> AlarmMarker {
        let Intended { kind, at, alarm: _ } = self.intended;
        AlarmMarker { kind, mission: Some(self.mission), root: self.root, at }
    }

    /// The whole comment.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("alarm.md", self))
    }

    /// In a few words, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let cause = match self.intended.alarm.cause {
            Cause::Wizard(state) => format!("the wizard says `{state}`"),
            Cause::Health(_) => self.verdict(),
        };
        match self.intended.kind {
            Kind::Raised => format!("post an alarm: {cause}"),
            Kind::Repeated => format!("post the alarm again: still {cause}"),
            Kind::Over if self.is_closed => "post the end of the alert: closed".to_owned(),
            Kind::Over => format!("post the end of the alarm: {}", self.verdict()),
        }
    }

    fn verdict(&self) -> String {
        let place = self.place.map(|place| format!(" {place}")).unwrap_or_default();
        format!("{} ({}{place})", self.health, self.reason)
    }
}

/// What one comment says for many missions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetNotice {
    /// What it says, when, and for whom.
    #[serde(flatten)]
    pub intended: FleetIntended,
    /// This root.
    pub root: Option<RootId>,
    /// Its path.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// Some of those that are bad: first those that are new, and of those the ones that became so first.
    pub listed: Vec<Listed>,
    /// How many of them the comment before did not speak for.
    pub new: usize,
    /// How many of them there are.
    pub bad: usize,
    /// Of how many.
    pub all: usize,
    /// When the alarm was raised.
    pub raised_at: Timestamp,
    /// The command that looks at every cell of this root.
    pub scan_command: String,
    /// Who is called.
    pub mention: Vec<Login>,
}

/// One of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its issue.
    pub issue: String,
    /// What is the matter.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// What its wizard wants people to read.
    pub message: Option<String>,
}

impl FleetNotice {
    /// By which it is found again.
    #[must_use]
    pub fn marker(&self) -> AlarmMarker {
        let FleetIntended { kind, at, members: _ } = self.intended;
        AlarmMarker { kind, mission: None, root: self.root, at }
    }

    /// The whole comment.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}\n{}\n", self.marker(), fill("fleet_alarm.md", self))
    }

    /// In a few words, for plans and logs.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { bad, all, .. } = self;
        match self.intended.kind {
            Kind::Raised => format!("post one alarm for {bad} of {all} missions"),
            Kind::Repeated => format!("post the alarm for many again: still {bad} of {all} missions"),
            Kind::Over => "post the end of the alarm for many".to_owned(),
        }
    }
}
