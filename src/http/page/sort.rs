//! The order of the rows: by one column, then the worst first, then the longest, then by id, so that it never jumps.

use crate::engine::snapshot::MissionView;
use crate::http::page::query::{Column, Query, SortOrder};
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::MissionId;
use crate::mission::text::shown;
use crate::mission::time::Timestamp;
use std::cmp::Ordering;
use std::sync::Arc;

/// What a row is sorted by; none where a mission has nothing in that column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Rank(u8),
    Time(Timestamp),
    Text(String),
    Issue(String, u64),
}

/// The missions that a query asks for, in the order that it asks for. Those with nothing in the column come last, in
/// either order.
#[must_use]
pub fn sorted<'a>(missions: &'a [Arc<MissionView>], query: &Query) -> Vec<&'a MissionView> {
    let asked = missions.iter().map(Arc::as_ref).filter(|mission| query.takes(mission));
    let mut keyed: Vec<_> = asked.map(|mission| (key(mission, query.sort), mission)).collect();
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

/// The default order: a mission without a verdict comes after all those that have one.
fn urgency(mission: &MissionView) -> (bool, u8, bool, Option<Timestamp>, MissionId) {
    let rank = mission.health.map_or(0, rank);
    (mission.health.is_none(), rank, mission.since.is_none(), mission.since, mission.mission_id)
}

fn key(mission: &MissionView, column: Column) -> Option<Key> {
    match column {
        Column::Health => mission.health.map(|health| Key::Rank(rank(health))),
        Column::Name => mission.name.as_deref().and_then(text),
        Column::Says => mission.agent_state.map(|says| Key::Rank(need(says))),
        Column::Wizard => mission.wizard.as_ref().and_then(|wizard| text(&wizard.to_string())),
        Column::Heartbeat => mission.last_heartbeat_at.map(Key::Time),
        Column::Since => mission.since.map(Key::Time),
        Column::Issue => mission.issue.as_ref().map(|issue| place(&issue.name)),
    }
}

/// Letters are sorted without regard to case.
fn text(text: &str) -> Option<Key> {
    let line = shown(text).to_lowercase();
    (!line.is_empty()).then_some(Key::Text(line))
}

/// `owner/name#9` comes before `owner/name#10`.
fn place(issue: &str) -> Key {
    let (repository, number) = issue.rsplit_once('#').unwrap_or((issue, ""));
    Key::Issue(repository.to_lowercase(), number.parse().unwrap_or(u64::MAX))
}

/// The worst is the smallest.
fn rank(health: Health) -> u8 {
    match health {
        Health::Incomplete => 0,
        Health::Stale => 1,
        Health::Unknown => 2,
        Health::Uninitialized => 3,
        Health::Healthy => 4,
    }
}

/// What needs a person is the smallest.
fn need(says: WizardState) -> u8 {
    match says {
        WizardState::Failed => 0,
        WizardState::Waiting => 1,
        WizardState::Working => 2,
        WizardState::Done => 3,
    }
}
