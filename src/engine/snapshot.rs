//! What the daemon shows of itself and its missions: one value that never changes, replaced when there is news.

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
    /// Every cell, every proposal that has none, and every ended mission whose archive is there, by mission id.
    pub missions: Vec<Arc<MissionView>>,
    /// How the passes went.
    pub passes: Passes,
    /// The gateways, as configured.
    pub gateways: Vec<GatewayView>,
    /// Requests sent to the forge so far.
    pub traffic: Traffic,
    /// By how many seconds this host's clock is ahead of the forge's, by its last answer.
    pub clock_offset: Option<i64>,
}

/// How the passes went so far. A pass is everything that one tick leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// When the daemon started; what it has not done since then counts from here.
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
    /// What went wrong in the last one, if anything did: one message each.
    pub errors: Vec<String>,
    /// Why the forge as a whole, or not one listed repository, could be read when it was asked last, if it could not.
    pub forge_error: Option<String>,
    /// What else keeps the service from its work: its root, or a defect.
    pub service_error: Option<String>,
    /// What fails now.
    pub failures: FailureCounts,
    /// The commands that install a form, one for each repository in which there is neither one nor any mission.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_forms: Vec<String>,
}

/// What fails now: what the last pass met, and what failed before and has not been tried again since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailureCounts {
    /// Failures of the service itself.
    pub service: usize,
    /// Repositories that something fails for.
    pub repository: usize,
    /// Missions that something fails for.
    pub mission: usize,
    /// The first of them, those of the service before those of repositories and missions.
    pub first: Vec<FailureView>,
}

impl FailureCounts {
    /// How many there are of one scope.
    #[must_use]
    pub fn count(&self, scope: FailureScope) -> usize {
        match scope {
            FailureScope::Service => self.service,
            FailureScope::Repository => self.repository,
            FailureScope::Mission => self.mission,
        }
    }
}

/// One thing that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// Whose trouble it is.
    pub scope: FailureScope,
    /// A repository, an issue as `owner/name#N`, or a path.
    pub about: String,
    /// The fixed word.
    pub kind: &'static str,
    /// Whether no other try can help before a person does something.
    #[serde(rename = "permanent")]
    pub is_permanent: bool,
    /// What was tried, what happened, what to do.
    pub message: String,
}

impl FailureView {
    /// The message, with what it is about where it does not say so itself.
    #[must_use]
    pub fn message_with_subject(&self) -> String {
        with_subject(&self.about, &self.message)
    }
}

/// A message, with what it is about where it does not say so itself.
pub(crate) fn with_subject(about: &str, message: &str) -> String {
    if message.contains(about) { message.to_owned() } else { format!("{about}: {message}") }
}

/// One mission, or one cell that belongs to no issue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that a page asks for")]
pub struct MissionView {
    /// Its id; without a cell the one that the cell would have.
    pub mission_id: MissionId,
    /// Whether there is, or should be, a cell.
    pub has_cell: bool,
    /// Whether the cell of a mission that has ended lies in the archive.
    pub is_archived: bool,
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
    pub last_heartbeat_at: Option<Timestamp>,
    /// Whether there ever was one, also where none can be read now.
    pub ever_heartbeat: bool,
    /// Whether an edit of it waits for approval.
    pub needs_a_person: bool,
    /// What the wizard says of itself, once it has beaten.
    pub agent_state: Option<WizardState>,
    /// Since when it says so.
    pub agent_state_since: Option<Timestamp>,
    /// The wizard's last message for people.
    pub message: Option<String>,
    /// What is remarkable about the last heartbeat, one thing a line.
    pub notes: Vec<String>,
    /// Who works in it.
    pub wizard: Option<WizardName>,
    /// The mission's title, as accepted, or as it was read last.
    pub name: Option<String>,
    /// The repository that was asked for, as `owner/name`.
    pub repository: Option<String>,
    /// The issue.
    pub issue: Option<IssueView>,
    /// Why our comment on it does not say what is so, where the forge refuses that it is written.
    pub comment_refusal: Option<String>,
    /// Whether health is as it is published there.
    pub is_published: bool,
    /// The last changes, oldest first.
    pub changes: Arc<[Event]>,
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

impl Snapshot {
    /// Whether the daemon does its work; if not, why: its root, the forge as a whole, the token, the loop itself. What one
    /// repository or one mission comes to is none of these.
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
