//! The daemon's metrics, as OpenMetrics. Every label has a closed set of values, none of them text of users, and every
//! series exists from the start.

use crate::engine::queue::Queue;
use crate::engine::snapshot::{GatewayState, Snapshot};
use crate::mission::cell::health::Health;
use crate::mission::failure::FailureScope;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use chrono::{DateTime, Utc};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use strum::VariantNames;

/// The buckets of pass durations, in seconds: from an idle pass to one that exceeds the default interval.
const DURATION_BUCKETS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The kinds of errors; any other is counted as [`OTHER_ERROR`].
pub const ERROR_KINDS: [&str; 54] = [
    "account-barred",
    "alarms",
    "cell-in-the-way",
    "comment-gone",
    "comment-of-another",
    "defect",
    "forbidden",
    "given-up",
    "labels-ignored",
    "listing-incomplete",
    "many-gone",
    "missing-scope",
    "moved",
    "no-git",
    "no-label",
    "no-root",
    "not-found",
    "notify-issue-archived",
    "notify-issue-missing",
    "notify-mention-unknown",
    "protocol",
    "record",
    "refused",
    "repository-archived",
    "repository-external-tracker",
    "repository-missing",
    "repository-moved",
    "repository-no-issues",
    "repository-taken-over",
    "root-damaged",
    "root-expected",
    "root-foreign",
    "root-locked",
    "root-missing",
    "root-not-initialised",
    "root-occupied",
    "root-owner",
    "root-unusable",
    "root-unwritable",
    "timeout",
    "too-large",
    "unauthorized",
    "unavailable",
    "unreachable",
    "worktree",
    "worktree-in-use",
    "worktree-not-found",
    "worktree-too-large",
    "worktree-too-many-entries",
    "worktree-too-slow",
    "worktree-under-way",
    "worktree-unfit",
    "worktree-unreachable",
    "write",
];

/// The kind under which errors of unknown kinds are counted.
pub const OTHER_ERROR: &str = "other";

/// The result of a heartbeat request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum HeartbeatResult {
    /// It was written.
    Accepted,
    /// Unknown cell, or wrong token.
    Unknown,
    /// Rate limit exceeded.
    TooOften,
    /// Too large.
    TooLarge,
    /// It was malformed.
    Malformed,
    /// Out of order: neither its time nor its number is newer, or its session was replaced.
    NotRising,
    /// Its body did not arrive in time, or ended early.
    Unfinished,
    /// It could not be written.
    Failed,
}

impl HeartbeatResult {
    fn word(self) -> &'static str {
        self.into()
    }
}

/// The result of a webhook delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum WebhookResult {
    /// It put an issue into the queue.
    Accepted,
    /// It is not about an issue.
    Ignored,
    /// Without a signature, or with a wrong one.
    Unsigned,
    /// Signed, but not JSON.
    Malformed,
    /// Another content type than JSON.
    Unsupported,
    /// Too large.
    TooLarge,
    /// Its body did not arrive in time, or ended early.
    Unfinished,
}

impl WebhookResult {
    fn word(self) -> &'static str {
        self.into()
    }
}

/// A label with one of its fixed values.
type Label = [(&'static str, &'static str); 1];

type Counters = Family<Label, Counter>;

/// A gauge of fractional seconds.
type Seconds = Gauge<f64, AtomicU64>;

/// The counters since the daemon's start. Values of the snapshot are read from there when rendering.
#[derive(Debug)]
pub struct Metrics {
    passes: Counters,
    pass_duration: Histogram,
    errors: Counters,
    heartbeats: Counters,
    webhooks: Counters,
    /// Deliveries with a valid signature about comments.
    comment_webhooks: Counter,
    /// When the last delivery with a valid signature arrived, in seconds since 1970; 0 before the first.
    last_webhook: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let errors = ERROR_KINDS.into_iter().chain([OTHER_ERROR]);
        Self {
            passes: counters("result", [true, false].map(pass_word)),
            pass_duration: Histogram::new(DURATION_BUCKETS),
            errors: counters("kind", errors),
            heartbeats: counters("result", HeartbeatResult::VARIANTS.iter().copied()),
            webhooks: counters("result", WebhookResult::VARIANTS.iter().copied()),
            comment_webhooks: Counter::default(),
            last_webhook: Gauge::default(),
        }
    }
}

/// Counters for all of these values, at zero.
fn counters(label: &'static str, words: impl IntoIterator<Item = &'static str>) -> Counters {
    let counters = Counters::default();
    for word in words {
        counters.get_or_create_owned(&[(label, word)]);
    }
    counters
}

fn pass_word(is_complete: bool) -> &'static str {
    if is_complete { "complete" } else { "incomplete" }
}

impl Metrics {
    /// Counts a pass.
    pub fn pass_ended(&self, is_complete: bool, duration: Duration) {
        self.passes.get_or_create(&[("result", pass_word(is_complete))]).inc();
        self.pass_duration.observe(duration.as_secs_f64());
    }

    /// Counts an error by its kind.
    pub fn error(&self, kind: &'static str) {
        let kind = if ERROR_KINDS.contains(&kind) { kind } else { OTHER_ERROR };
        self.errors.get_or_create(&[("kind", kind)]).inc();
    }

    /// Counts a heartbeat.
    pub fn heartbeat(&self, result: HeartbeatResult) {
        self.heartbeats.get_or_create(&[("result", result.word())]).inc();
    }

    /// Counts a delivery that arrived now.
    pub fn webhook(&self, result: WebhookResult, now: Timestamp) {
        self.webhooks.get_or_create(&[("result", result.word())]).inc();
        if matches!(result, WebhookResult::Accepted | WebhookResult::Ignored) {
            self.last_webhook.set(seconds(now));
        }
    }

    /// Counts a delivery about a comment, in addition to [`Metrics::webhook`].
    pub fn comment_webhook(&self) {
        self.comment_webhooks.inc();
    }

    /// All metrics as text, with the current values of the snapshot and the queue.
    #[must_use]
    pub fn render(&self, snapshot: &Snapshot, queue: &Queue) -> String {
        let mut registry = Registry::with_prefix("lazarus");
        self.register(&mut registry);
        register_forge(&mut registry, snapshot);
        register_missions(&mut registry, snapshot);
        register_progress(&mut registry, snapshot, queue);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a String never fails");
        text
    }

    fn register(&self, registry: &mut Registry) {
        let Self { passes, pass_duration, errors, heartbeats, webhooks, comment_webhooks, last_webhook } = self;
        registry.register("passes", "Passes, by result", passes.clone());
        let help = "Duration of passes";
        registry.register_with_unit("pass_duration", help, Unit::Seconds, pass_duration.clone());
        registry.register("errors", "Errors, by kind", errors.clone());
        registry.register("heartbeats", "Heartbeats received over HTTP, by result", heartbeats.clone());
        registry.register("webhooks", "Webhook deliveries, by result", webhooks.clone());
        let help = "Webhook deliveries about comments with a valid signature";
        registry.register("comment_webhooks", help, comment_webhooks.clone());
        let help = "Time of the last webhook delivery with a valid signature, 0 before the first";
        registry.register_with_unit("last_webhook_timestamp", help, Unit::Seconds, last_webhook.clone());
    }
}

/// Registers the requests to the forge, by method and class, and its clock offset.
fn register_forge(registry: &mut Registry, snapshot: &Snapshot) {
    let requests = Family::<[(&str, &str); 2], Counter>::default();
    for (method, class, count) in snapshot.traffic.each() {
        requests.get_or_create(&[("method", method), ("class", class)]).inc_by(count);
    }
    registry.register("requests", "Requests to Gitea, by method and class of the answer", requests);
    let writes: Counter = Counter::default();
    writes.inc_by(snapshot.traffic.writes());
    registry.register("writes", "Requests to Gitea that may have changed something", writes);
    let offset: Gauge = Gauge::default();
    offset.set(snapshot.clock_offset.unwrap_or_default());
    let help = "How far this host's clock is ahead of Gitea's, 0 before the first answer";
    registry.register_with_unit("forge_clock_offset", help, Unit::Seconds, offset);
}

fn register_missions(registry: &mut Registry, snapshot: &Snapshot) {
    let missions = || snapshot.missions.iter();
    let by_phase = Phase::ALL.map(|phase| (phase.word(), missions().filter(|view| view.phase == Some(phase)).count()));
    registry.register("missions", "Missions, by phase", gauges("phase", by_phase));
    let cells = |health| missions().filter(|view| view.has_cell && view.health == Some(health)).count();
    let by_health = Health::ALL.map(|health| (health.word(), cells(health)));
    registry.register("cells", "Mission Cells on this host, by health", gauges("health", by_health));
    let gateways = |state| snapshot.gateways.iter().filter(|view| view.state == state).count();
    let by_state = GatewayState::ALL.map(|state| (state.word(), gateways(state)));
    registry.register("gateways", "Gateways, by state", gauges("state", by_state));
}

fn register_progress(registry: &mut Registry, snapshot: &Snapshot, queue: &Queue) {
    let depth: Gauge = Gauge::default();
    depth.set(i64::try_from(queue.depth()).unwrap_or(i64::MAX));
    registry.register("queue_depth", "Keys in the queue", depth);
    let oldest = Seconds::default();
    oldest.set(queue.oldest().as_secs_f64());
    let help = "Age of the oldest key in the queue";
    registry.register_with_unit("queue_oldest", help, Unit::Seconds, oldest);
    let failing = FailureScope::ALL.map(|scope| (scope.word(), snapshot.passes.failures.count(scope)));
    registry.register("failures", "Current failures, by scope", gauges("scope", failing));
    let complete_at: Gauge = Gauge::default();
    complete_at.set(snapshot.passes.complete_at.map_or(0, seconds));
    let help = "Time of the last complete pass, 0 before the first";
    registry.register_with_unit("last_complete_pass_timestamp", help, Unit::Seconds, complete_at);
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> i64 {
    at.after(Timestamp::from(DateTime::<Utc>::UNIX_EPOCH)).num_seconds()
}

fn gauges<const N: usize>(label: &'static str, counts: [(&'static str, usize); N]) -> Family<Label, Gauge> {
    let gauges = Family::<Label, Gauge>::default();
    for (word, count) in counts {
        gauges.get_or_create(&[(label, word)]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    gauges
}
