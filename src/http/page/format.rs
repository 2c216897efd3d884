//! The small things that both pages show: points in time, issues, how fresh everything is.

use crate::engine::snapshot::{FailureCounts, FailureView, IssueView, MissionView, Passes, Snapshot};
use crate::mission::cell::clock_skew::forge_offset;
use crate::mission::failure::FailureScope;
use crate::mission::identity::ForgeUrl;
use crate::mission::text::{quoted_spans, shown, without_invisible};
use crate::mission::time::{Timestamp, format_length};
use serde::Serialize;
use std::time::Duration;
use url::Url;

/// A page asks anew as often as there is news, within these seconds.
const REFRESH_SECONDS: std::ops::RangeInclusive<u64> = 10..=600;

/// So many of the last pass's errors are shown.
const ERRORS_MAX: usize = 5;

/// So many characters of one text are shown where it is shown whole.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// A point in time, absolute and as its distance.
#[derive(Clone, Debug, Serialize)]
pub struct When {
    at: String,
    spoken: String,
    ago: String,
    age: String,
}

impl When {
    /// As seen from now.
    #[must_use]
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at: at.to_string(), spoken: at.formatted(), ago: ago(at, now), age: age(at, now) }
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
    u64::try_from(now.after(at).num_seconds()).map_or("no time".to_owned(), rough_length)
}

/// As exact as somebody wants to know who looks for a silent wizard.
fn rough_length(seconds: u64) -> String {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    format_length(Duration::from_secs(seconds / unit * unit))
}

/// An issue, with its address where that leads to our own forge.
#[derive(Clone, Debug, Serialize)]
pub struct IssueLink {
    name: String,
    url: Option<String>,
}

impl IssueLink {
    /// The name always, the address only when a reader may be sent there.
    #[must_use]
    pub fn new(issue: &IssueView, forge: Option<&ForgeUrl>) -> Self {
        Self { name: shown(&issue.name), url: forge.and_then(|forge| link(&issue.url, forge)) }
    }
}

/// The address, if it is one of a page of this forge: `http` or `https`, the same host and port, below the same path.
fn link(address: &str, forge: &ForgeUrl) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let forge = forge.as_url();
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_plain = url.username().is_empty() && url.password().is_none();
    let below = url.path().strip_prefix(forge.path().trim_end_matches('/'));
    let is_below = below.is_some_and(|rest| rest.starts_with('/'));
    (is_web && is_plain && is_below && url.origin() == forge.origin()).then(|| url.into())
}

/// A stranger's text as a whole, bounded; none where nothing of it can be seen.
#[must_use]
pub fn whole(text: &str) -> Option<String> {
    let visible = without_invisible(text).0;
    let mut kept: String = visible.trim().chars().take(TEXT_CHARS_MAX).collect();
    if kept.len() < visible.trim().len() {
        kept.push('…');
    }
    (!kept.is_empty()).then_some(kept)
}

/// A message of ours, which may quote strangers in code spans, as a whole.
#[must_use]
pub fn message(text: &str) -> Option<String> {
    whole(&quoted_spans(text))
}

/// What went wrong in the last pass, each thing once, and not what the banner says already.
fn errors(passes: &Passes, trouble: Option<&str>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let failing = passes.failures.first.iter().map(FailureView::message_with_subject);
    for error in passes.errors.iter().cloned().chain(failing) {
        // A message may come with what it is about, and without.
        let is_same =
            |other: &str| error == other || error.strip_suffix(other).is_some_and(|about| about.ends_with(": "));
        if !trouble.is_some_and(is_same) && !told.iter().any(|other| is_same(other)) {
            told.push(error);
        }
    }
    told.iter().filter_map(|error| message(error)).collect()
}

/// `1 repository and 3 missions`; none where nothing fails but the service itself.
fn failing(failures: &FailureCounts) -> Option<String> {
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let repositories = counted(failures.repository, "repository", "repositories");
    let words: Vec<String> = repositories.into_iter().chain(counted(failures.mission, "mission", "missions")).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

/// Why the comment on a mission's issue does not say what is so: the forge refuses that it is written, or that anything is
/// written in its repository.
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

/// A stranger's text in one short line; none where nothing of it can be seen.
#[must_use]
pub fn brief(text: &str) -> Option<String> {
    let line = shown(text);
    (!line.is_empty()).then_some(line)
}

/// What stands around every page: which daemon this is, and how fresh what it shows is.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    host: String,
    missions_root: String,
    forge: Option<String>,
    now: When,
    refresh: u64,
    interval: String,
    trouble: Option<String>,
    errors: Vec<String>,
    more_errors: usize,
    /// How many fail now, by whose trouble it is.
    failing: Option<String>,
    /// That the clocks of this host and of the forge differ.
    clock: Option<String>,
    started: Option<When>,
    finished: Option<When>,
    complete: Option<When>,
    passes: Count,
}

/// How many passes there were.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Count {
    complete: u64,
    incomplete: u64,
}

impl Frame {
    /// As the snapshot has it, now.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let now = snapshot.tick.now();
        let passes = &snapshot.passes;
        let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
        let trouble = snapshot.readiness().err();
        let mut errors = errors(passes, trouble.as_deref());
        let more_errors = errors.len().saturating_sub(ERRORS_MAX);
        errors.truncate(ERRORS_MAX);
        Self {
            host: snapshot.host.to_string(),
            missions_root: snapshot.missions_root.clone(),
            forge: snapshot.forge.as_ref().map(ToString::to_string),
            now: When::new(now, now),
            refresh: snapshot.interval.as_secs().clamp(*REFRESH_SECONDS.start(), *REFRESH_SECONDS.end()),
            interval: format_length(Duration::from_secs(snapshot.interval.as_secs())),
            trouble: trouble.as_deref().and_then(message),
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
