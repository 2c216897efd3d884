//! The published state of the daemon and its missions: immutable values, replaced after changes.

use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::failure::FailureScope;
use crate::mission::identity::{ForgeUrl, GatewayName, HostName, MissionId, WizardName};
use crate::mission::record::Event;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use crate::world::clock;
use crate::world::forge::Traffic;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A reading of the clock, and its age: the daemon's time comes with its ticks.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    at: Timestamp,
    received: Instant,
}

impl Tick {
    /// A tick that arrived now.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { at, received: clock::instant() }
    }

    /// The time of the tick.
    #[must_use]
    pub fn at(self) -> Timestamp {
        self.at
    }

    /// The current time, in whole seconds.
    #[must_use]
    pub fn now(self) -> Timestamp {
        let elapsed = i64::try_from((clock::instant() - self.received).as_secs()).unwrap_or(i64::MAX / 1_000);
        self.at.plus(chrono::TimeDelta::seconds(elapsed))
    }
}

/// The state that the dashboard and its endpoints show.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last tick.
    pub tick: Tick,
    /// The interval of ticks.
    pub interval: Duration,
    /// The path of the missions root.
    pub missions_root: String,
    /// This host.
    pub host: HostName,
    /// The forge; none if the daemon only receives heartbeats.
    pub forge: Option<ForgeUrl>,
    /// The public address for heartbeats of other hosts.
    pub public_url: Option<Url>,
    /// All cells, proposals without a cell, and ended missions with an archive, by mission id.
    pub missions: Vec<Arc<MissionView>>,
    /// The results of passes.
    pub passes: Passes,
    /// The configured gateways.
    pub gateways: Vec<GatewayView>,
    /// Requests sent to the forge so far.
    pub traffic: Traffic,
    /// How many seconds this host's clock is ahead of the forge's, by its last answer.
    pub clock_offset: Option<i64>,
}

/// The results of passes so far. A pass is all work that follows one tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// When the daemon started.
    pub started_at: Option<Timestamp>,
    /// When the last one ended.
    pub finished_at: Option<Timestamp>,
    /// When the last complete one ended: the service did its work, and read every listed repository.
    pub complete_at: Option<Timestamp>,
    /// Whether the last one was complete.
    pub last_complete: bool,
    /// How many were complete.
    pub complete: u64,
    /// How many ended incomplete.
    pub incomplete: u64,
    /// The error messages of the last one.
    pub errors: Vec<String>,
    /// Why the forge or all listed repositories could not be read at the last attempt, if so.
    pub forge_error: Option<String>,
    /// Any other failure of the service: its root, or an internal error.
    pub service_error: Option<String>,
    /// The current failures.
    pub failures: FailureCounts,
    /// The commands that install the form, one for each repository without a form and missions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_forms: Vec<String>,
}

/// The current failures: those of the last pass, and earlier ones that were not retried since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailureCounts {
    /// Failures of the service itself.
    pub service: usize,
    /// Repositories with a failure.
    pub repository: usize,
    /// Missions with a failure.
    pub mission: usize,
    /// The first failures: those of the service, then of repositories, then of missions.
    pub first: Vec<FailureView>,
}

impl FailureCounts {
    /// The number of failures of one scope.
    #[must_use]
    pub fn count(&self, scope: FailureScope) -> usize {
        match scope {
            FailureScope::Service => self.service,
            FailureScope::Repository => self.repository,
            FailureScope::Mission => self.mission,
        }
    }
}

/// A current failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// What the failure affects.
    pub scope: FailureScope,
    /// The subject: a repository, an issue as `owner/name#N`, or a path.
    pub about: String,
    /// The fixed kind.
    pub kind: &'static str,
    /// Whether a retry cannot help before a person acts.
    #[serde(rename = "permanent")]
    pub is_permanent: bool,
    /// What was tried, what happened, what to do.
    pub message: String,
}

impl FailureView {
    /// The message, prefixed with its subject unless it names that itself.
    #[must_use]
    pub fn message_with_subject(&self) -> String {
        with_subject(&self.about, &self.message)
    }
}

/// A message, prefixed with its subject unless it names that itself.
pub(crate) fn with_subject(about: &str, message: &str) -> String {
    if message.contains(about) { message.to_owned() } else { format!("{about}: {message}") }
}

/// The view of a mission, or of a cell without an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that a page asks for")]
pub struct MissionView {
    /// Its id, which also names a future cell.
    pub mission_id: MissionId,
    /// Whether it has, or should have, a cell.
    pub has_cell: bool,
    /// Whether it has ended and its cell is archived.
    pub is_archived: bool,
    /// The path of the cell, also before it exists.
    pub path: String,
    /// The phase; none for a cell without an issue.
    pub phase: Option<Phase>,
    /// The health; none without a cell.
    pub health: Option<Health>,
    /// The reason of the health, with the path that it is about.
    pub reason: Option<String>,
    /// The problem with that path, if the reason alone is not enough.
    pub problem: Option<String>,
    /// Since when the health is unchanged.
    pub since: Option<Timestamp>,
    /// The last heartbeat, by its timestamp or its file's mtime, whichever is older.
    pub last_heartbeat_at: Option<Timestamp>,
    /// Whether there ever was a heartbeat, even if none can be read now.
    pub ever_heartbeat: bool,
    /// Whether an edit of it waits for approval.
    pub needs_a_person: bool,
    /// The state that the agent reports, once it has sent a heartbeat.
    pub agent_state: Option<WizardState>,
    /// Since when the agent reports this state.
    pub agent_state_since: Option<Timestamp>,
    /// The agent's last message.
    pub message: Option<String>,
    /// Notes about the last heartbeat, one a line.
    pub notes: Vec<String>,
    /// The agent's name.
    pub wizard: Option<WizardName>,
    /// The mission's title: the accepted one, otherwise the last one.
    pub name: Option<String>,
    /// The repository of the worktree, as `owner/name`.
    pub repository: Option<String>,
    /// The issue.
    pub issue: Option<IssueView>,
    /// Why our comment is outdated, if the forge rejects writing it.
    pub comment_refusal: Option<String>,
    /// Whether the published health is current.
    pub is_published: bool,
    /// The last changes, oldest first.
    pub changes: Arc<[Event]>,
}

/// The name and address of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueView {
    /// `owner/name#12`
    pub name: String,
    /// Its page.
    pub url: String,
}

/// The last result of polling a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayView {
    /// Its name.
    pub name: GatewayName,
    /// Its state.
    pub state: GatewayState,
    /// When it was last polled.
    pub asked_at: Option<Timestamp>,
    /// A short description of its answer.
    pub answer: String,
}

/// The state of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, Serialize)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum GatewayState {
    /// Not polled yet.
    Unknown,
    /// It answered 2xx.
    Up,
    /// It answered another status, or did not answer in time.
    Down,
}

impl GatewayState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Up, Self::Down];

    /// The fixed word for JSON and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The most intervals without the end of a pass before the daemon is not ready.
const FINISHED_INTERVALS_MAX: i32 = 3;

impl Snapshot {
    /// Whether the daemon works; otherwise why not: its root, the forge as a whole, the token or the loop. Failures of
    /// single repositories and missions do not count.
    pub fn readiness(&self) -> Result<(), String> {
        let now = self.tick.now();
        let interval =
            chrono::TimeDelta::from_std(self.interval).unwrap_or(chrono::TimeDelta::MAX / FINISHED_INTERVALS_MAX);
        if let (true, Some(error)) = (self.forge.is_some(), &self.passes.forge_error) {
            return Err(error.clone());
        }
        if let Some(error) = &self.passes.service_error {
            return Err(error.clone());
        }
        let finished_at = self.passes.finished_at;
        if finished_at.is_some_and(|at| at <= now && now.after(at) <= interval * FINISHED_INTERVALS_MAX) {
            return Ok(());
        }
        let last = finished_at.map_or("none yet".to_owned(), |at| format!("the last one at {at}"));
        Err(format!("no pass has ended for {FINISHED_INTERVALS_MAX} intervals: {last}"))
    }
}
