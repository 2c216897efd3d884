//! Formats what both pages show: times, issue links, users' text, errors, and the frame around each page.

use crate::engine::snapshot::{FailureCounts, FailureView, IssueView, MissionView, Passes, Snapshot};
use crate::mission::cell::clock_skew::forge_offset;
use crate::mission::failure::FailureScope;
use crate::mission::identity::ForgeUrl;
use crate::mission::text::{quoted_spans, shown, without_invisible};
use crate::mission::time::{Timestamp, format_length};
use serde::Serialize;
use std::time::Duration;
use url::Url;

/// A page reloads once an interval, within these bounds in seconds.
const REFRESH_SECONDS: std::ops::RangeInclusive<u64> = 10..=600;

/// The most errors of the last pass that are shown.
const ERRORS_MAX: usize = 5;

/// The most characters of a text on a mission page.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// A point in time, absolute and relative to now.
#[derive(Clone, Debug, Serialize)]
pub struct When {
    at: String,
    formatted: String,
    ago: String,
    age: String,
}

impl When {
    /// A time relative to `now`.
    #[must_use]
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at: at.to_string(), formatted: at.formatted(), ago: ago(at, now), age: age(at, now) }
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    match u64::try_from(now.after(at).num_seconds()) {
        Err(_) => "ahead of the clock".to_owned(),
        Ok(0) => "just now".to_owned(),
        Ok(seconds) => format!("{} ago", rough_length(seconds)),
    }
}

fn age(at: Timestamp, now: Timestamp) -> String {
    u64::try_from(now.after(at).num_seconds()).map_or("0 seconds".to_owned(), rough_length)
}

/// A duration in one unit, of which it has at least two.
fn rough_length(seconds: u64) -> String {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    format_length(Duration::from_secs(seconds / unit * unit))
}

/// An issue, with a link if its address lies below `forge.url`.
#[derive(Clone, Debug, Serialize)]
pub struct IssueLink {
    name: String,
    url: Option<String>,
}

impl IssueLink {
    /// The name, and the address only if it is safe to link to.
    #[must_use]
    pub fn new(issue: &IssueView, forge: Option<&ForgeUrl>) -> Self {
        Self { name: shown(&issue.name), url: forge.and_then(|forge| link(&issue.url, forge)) }
    }
}

/// The address, if it is a page of this forge: `http` or `https`, the same host and port, below the same path.
fn link(address: &str, forge: &ForgeUrl) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let forge = forge.as_url();
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_plain = url.username().is_empty() && url.password().is_none();
    let below = url.path().strip_prefix(forge.path().trim_end_matches('/'));
    let is_below = below.is_some_and(|rest| rest.starts_with('/'));
    (is_web && is_plain && is_below && url.origin() == forge.origin()).then(|| url.into())
}

/// A user's text with its line breaks, up to [`TEXT_CHARS_MAX`]; none if nothing of it is visible.
#[must_use]
pub fn whole(text: &str) -> Option<String> {
    let visible = without_invisible(text).0;
    let mut kept: String = visible.trim().chars().take(TEXT_CHARS_MAX).collect();
    if kept.len() < visible.trim().len() {
        kept.push('…');
    }
    (!kept.is_empty()).then_some(kept)
}

/// A message of the service with its code spans, which may quote users' text, in quotation marks.
#[must_use]
pub fn message(text: &str) -> Option<String> {
    whole(&quoted_spans(text))
}

/// The errors of the last pass without duplicates, and without the one that the banner shows.
fn errors(passes: &Passes, not_ready: Option<&str>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    let failing = passes.failures.first.iter().map(FailureView::message_with_subject);
    for error in passes.errors.iter().cloned().chain(failing) {
        // The same message occurs with and without its subject in front.
        let is_same =
            |other: &str| error == other || error.strip_suffix(other).is_some_and(|about| about.ends_with(": "));
        if !not_ready.is_some_and(is_same) && !unique.iter().any(|other| is_same(other)) {
            unique.push(error);
        }
    }
    unique.iter().filter_map(|error| message(error)).collect()
}

/// `1 repository and 3 missions`; none if no repository and no mission fails.
fn failing(failures: &FailureCounts) -> Option<String> {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let repositories = counted(failures.repository, "repository", "repositories");
    let parts: Vec<String> = repositories.into_iter().chain(counted(failures.mission, "mission", "missions")).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// Why the comment on a mission's issue is out of date: the forge refuses writes to the comment or to the whole
/// repository.
#[must_use]
pub fn outdated(snapshot: &Snapshot, mission: &MissionView) -> Option<String> {
    let repository =
        mission.issue.as_ref().and_then(|issue| issue.name.split_once('#')).map(|(repository, _)| repository);
    let is_it = |failure: &&FailureView| {
        let is_of_repository = failure.scope == FailureScope::Repository && Some(failure.about.as_str()) == repository;
        is_of_repository && failure.is_permanent && !mission.is_published
    };
    let of_repository = || snapshot.passes.failures.first.iter().find(is_it).map(|failure| failure.message.as_str());
    mission.comment_refusal.as_deref().or_else(of_repository).and_then(message)
}

/// A user's text in one short line; none if nothing of it is visible.
#[must_use]
pub fn brief(text: &str) -> Option<String> {
    let line = shown(text);
    (!line.is_empty()).then_some(line)
}

/// The frame of every page: the daemon's identity, its readiness, and the age of the data.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    host: String,
    missions_root: String,
    forge: Option<String>,
    now: When,
    refresh: u64,
    interval: String,
    /// Why the daemon is not ready.
    not_ready: Option<String>,
    errors: Vec<String>,
    more_errors: usize,
    /// The number of failing repositories and missions.
    failing: Option<String>,
    /// The difference between the clocks of this host and of the forge, if it matters.
    clock: Option<String>,
    started: Option<When>,
    finished: Option<When>,
    complete: Option<When>,
    passes: Count,
}

/// The number of passes since the start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Count {
    complete: u64,
    incomplete: u64,
}

impl Frame {
    /// The frame of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let now = snapshot.tick.now();
        let passes = &snapshot.passes;
        let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
        let not_ready = snapshot.readiness().err();
        let mut errors = errors(passes, not_ready.as_deref());
        let more_errors = errors.len().saturating_sub(ERRORS_MAX);
        errors.truncate(ERRORS_MAX);
        Self {
            host: snapshot.host.to_string(),
            missions_root: snapshot.missions_root.clone(),
            forge: snapshot.forge.as_ref().map(ToString::to_string),
            now: When::new(now, now),
            refresh: snapshot.interval.as_secs().clamp(*REFRESH_SECONDS.start(), *REFRESH_SECONDS.end()),
            interval: format_length(Duration::from_secs(snapshot.interval.as_secs())),
            not_ready: not_ready.as_deref().and_then(message),
            errors,
            more_errors,
            failing: failing(&passes.failures),
            clock: snapshot.clock_offset.and_then(forge_offset),
            started: when(passes.started_at),
            finished: when(passes.finished_at),
            complete: when(passes.complete_at),
            passes: Count { complete: passes.complete, incomplete: passes.incomplete },
        }
    }
}
