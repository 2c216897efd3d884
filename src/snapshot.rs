//! What the daemon shows of itself and its missions: one value that never changes, replaced when there is news.

use crate::mission::health::Health;
use crate::mission::heartbeat::WizardState;
use crate::mission::identity::{ForgeUrl, GatewayName, HostName, MissionId, WizardName};
use crate::mission::phase::Phase;
use crate::mission::record::Happened;
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::gitea::Traffic;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A reading of the clock, and how long it was ago: the only time that the daemon knows comes with its ticks.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    at: Timestamp,
    heard: Instant,
}

impl Tick {
    /// A tick that was heard just now.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { at, heard: clock::instant() }
    }

    /// When it was.
    #[must_use]
    pub fn at(self) -> Timestamp {
        self.at
    }

    /// What time it is now, in whole seconds.
    #[must_use]
    pub fn now(self) -> Timestamp {
        let elapsed = i64::try_from((clock::instant() - self.heard).as_secs()).unwrap_or(i64::MAX / 1_000);
        self.at.plus(chrono::TimeDelta::seconds(elapsed))
    }
}

/// Everything that the web may know.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last tick.
    pub tick: Tick,
    /// How often there is one.
    pub interval: Duration,
    /// Where the cells are.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// The forge; none where the pit runs alone.
    pub forge: Option<ForgeUrl>,
    /// Where heartbeats are taken from elsewhere.
    pub public_url: Option<Url>,
    /// Every cell, and every proposal that has none, by mission id.
    pub missions: Vec<Arc<MissionView>>,
    /// How the passes went.
    pub passes: Passes,
    /// The gateways, as configured.
    pub gateways: Vec<GatewayView>,
    /// Requests sent to the forge so far.
    pub traffic: Traffic,
}

/// How the passes went so far. A pass is everything that one tick leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// When the daemon started; what it has not done since then counts from here.
    pub started_at: Option<Timestamp>,
    /// When the last one ended.
    pub finished_at: Option<Timestamp>,
    /// When the last one ended in which nothing failed.
    pub complete_at: Option<Timestamp>,
    /// How many there were, with and without failures.
    pub complete: u64,
    /// How many ended incomplete.
    pub incomplete: u64,
    /// What went wrong in the last one, if anything did: one message each.
    pub errors: Vec<String>,
    /// Why the forge's last answer was none, if it was.
    pub forge_error: Option<String>,
}

/// One mission, or one cell that belongs to no issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissionView {
    /// Its id; without a cell the one that the cell would have.
    pub mission_id: MissionId,
    /// Whether there is, or should be, a cell.
    pub has_cell: bool,
    /// Where the cell is, or would be.
    pub path: String,
    /// The phase; none for a cell without an issue.
    pub phase: Option<Phase>,
    /// The verdict; none without a cell.
    pub health: Option<Health>,
    /// Its reason, with the path that it speaks of.
    pub reason: Option<String>,
    /// What is wrong with that path, where the reason does not tell.
    pub problem: Option<String>,
    /// Since when health is what it is.
    pub since: Option<Timestamp>,
    /// The last heartbeat, by its stamp or by its file, whichever is older.
    pub beaten_at: Option<Timestamp>,
    /// What the wizard says of itself, once it has beaten.
    pub says: Option<WizardState>,
    /// Since when it says so.
    pub says_since: Option<Timestamp>,
    /// The wizard's last message for people.
    pub message: Option<String>,
    /// What is remarkable about the last heartbeat, one thing a line.
    pub notes: Vec<String>,
    /// Who works in it.
    pub wizard: Option<WizardName>,
    /// The mission's title.
    pub name: Option<String>,
    /// The repository that was asked for, as `owner/name`.
    pub repository: Option<String>,
    /// The issue.
    pub issue: Option<IssueView>,
    /// The last changes, oldest first.
    pub changes: Vec<Happened>,
}

/// Where an issue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueView {
    /// `owner/name#12`
    pub name: String,
    /// Its page.
    pub url: String,
}

/// A gateway, as it answered last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayView {
    /// Its name.
    pub name: GatewayName,
    /// How it is.
    pub state: GatewayState,
    /// When it was asked last.
    pub asked_at: Option<Timestamp>,
    /// What it answered, in a few words of ours.
    pub answer: String,
}

/// How a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, Serialize)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum GatewayState {
    /// Not asked yet.
    Unknown,
    /// It answered 2xx.
    Up,
    /// It answered something else, or nothing in time.
    Down,
}

impl GatewayState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Up, Self::Down];

    /// The fixed word for JSON and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// So many intervals may go by without the end of any pass.
const FINISHED_INTERVALS_MAX: i32 = 3;

/// So many intervals may go by without a complete one.
const COMPLETE_INTERVALS_MAX: i32 = 10;

impl Snapshot {
    /// Whether the daemon does its work; if not, why.
    pub fn readiness(&self) -> Result<(), String> {
        let now = self.tick.now();
        let interval =
            chrono::TimeDelta::from_std(self.interval).unwrap_or(chrono::TimeDelta::MAX / COMPLETE_INTERVALS_MAX);
        let is_recent =
            |at: Option<Timestamp>, most: i32| at.is_some_and(|at| at <= now && now.after(at) <= interval * most);
        if let (true, Some(error)) = (self.forge.is_some(), &self.passes.forge_error) {
            return Err(error.clone());
        }
        let none_since = |at: Option<Timestamp>| at.map_or("none yet".to_owned(), |at| format!("the last one at {at}"));
        if !is_recent(self.passes.finished_at, FINISHED_INTERVALS_MAX) {
            return Err(format!(
                "no pass has ended for {FINISHED_INTERVALS_MAX} intervals: {}",
                none_since(self.passes.finished_at)
            ));
        }
        if !is_recent(self.passes.complete_at, COMPLETE_INTERVALS_MAX) {
            let last = none_since(self.passes.complete_at);
            return Err(format!("no pass has been complete for {COMPLETE_INTERVALS_MAX} intervals: {last}"));
        }
        Ok(())
    }
}
