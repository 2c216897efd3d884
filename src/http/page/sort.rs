//! Sorts the rows by one column, then by health, by its duration and by id, so that the order is stable.

use crate::engine::snapshot::MissionView;
use crate::http::page::query::{Column, Query, SortOrder};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::MissionId;
use crate::mission::text::shown;
use crate::mission::time::Timestamp;
use std::cmp::Ordering;
use std::sync::Arc;

/// The sort key of a row; none if the mission has no value in that column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Rank(u8),
    Time(Timestamp),
    Text(String),
    Issue(String, u64),
}

/// The missions that match a query, sorted. Those without a value in the column come last, in either direction.
#[must_use]
pub fn sorted<'a>(missions: &'a [Arc<MissionView>], query: &Query) -> Vec<&'a MissionView> {
    let matching = missions.iter().map(Arc::as_ref).filter(|mission| query.matches(mission));
    let mut keyed: Vec<_> = matching.map(|mission| (key(mission, query.sort), mission)).collect();
    keyed.sort_by(|(a, one), (b, other)| {
        none_last(a.as_ref(), b.as_ref(), query.order).then_with(|| urgency(one).cmp(&urgency(other)))
    });
    keyed.into_iter().map(|(_, mission)| mission).collect()
}

fn none_last(a: Option<&Key>, b: Option<&Key>, order: SortOrder) -> Ordering {
    match (a, b, order) {
        (Some(a), Some(b), SortOrder::Ascending) => a.cmp(b),
        (Some(a), Some(b), SortOrder::Descending) => b.cmp(a),
        (_, None, _) | (None, _, _) => a.is_none().cmp(&b.is_none()),
    }
}

/// The default order; missions without health come last.
fn urgency(mission: &MissionView) -> (bool, u8, bool, Option<Timestamp>, MissionId) {
    let rank = mission.health.map_or(0, rank);
    (mission.health.is_none(), rank, mission.since.is_none(), mission.since, mission.mission_id)
}

fn key(mission: &MissionView, column: Column) -> Option<Key> {
    match column {
        Column::Health => mission.health.map(|health| Key::Rank(rank(health))),
        Column::Name => mission.name.as_deref().and_then(text),
        Column::AgentState => mission.agent_state.map(|state| Key::Rank(attention(state))),
        Column::Wizard => mission.wizard.as_ref().and_then(|wizard| text(&wizard.to_string())),
        Column::Heartbeat => mission.last_heartbeat_at.map(Key::Time),
        Column::Since => mission.since.map(Key::Time),
        Column::Issue => mission.issue.as_ref().map(|issue| issue_key(&issue.name)),
    }
}

/// Text sorts without regard to case.
fn text(text: &str) -> Option<Key> {
    let line = shown(text).to_lowercase();
    (!line.is_empty()).then_some(Key::Text(line))
}

/// `owner/name#9` comes before `owner/name#10`.
fn issue_key(issue: &str) -> Key {
    let (repository, number) = issue.rsplit_once('#').unwrap_or((issue, ""));
    Key::Issue(repository.to_lowercase(), number.parse().unwrap_or(u64::MAX))
}

/// The worst health has the lowest rank.
fn rank(health: Health) -> u8 {
    match health {
        Health::Incomplete => 0,
        Health::Stale => 1,
        Health::Unknown => 2,
        Health::Uninitialized => 3,
        Health::Healthy => 4,
    }
}

/// States that need a person have the lowest rank.
fn attention(state: WizardState) -> u8 {
    match state {
        WizardState::Failed => 0,
        WizardState::Waiting => 1,
        WizardState::Working => 2,
        WizardState::Done => 3,
    }
}
