//! The data of the fleet page: counts, filters, and one page of sorted rows.

use crate::engine::snapshot::{GatewayView, MissionView, Snapshot};
use crate::http::page::format::{Frame, IssueLink, When, brief, outdated};
use crate::http::page::query::{Column, Query, SortOrder, StageFilter};
use crate::http::page::sort::sorted;
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::identity::{ForgeUrl, MissionId};
use crate::mission::paths::init_cell_command;
use crate::mission::status::phase::Phase;
use crate::mission::time::Timestamp;
use serde::Serialize;

/// The most rows of a page.
pub const ROWS_MAX: usize = 100;

/// The states of health, the worst first.
pub const WORST_FIRST: [Health; 5] =
    [Health::Incomplete, Health::Stale, Health::Unknown, Health::Uninitialized, Health::Healthy];

/// The context of `fleet.html`.
#[derive(Clone, Debug, Serialize)]
pub struct FleetPage {
    frame: Frame,
    /// The counts for the title: the worst three states of health, where missions are in them.
    degraded: Vec<Choice>,
    health: Vec<Choice>,
    phase: Vec<Choice>,
    agent_state: Vec<Choice>,
    gateways: Vec<Gateway>,
    heads: Vec<Head>,
    rows: Vec<Row>,
    total: usize,
    found: usize,
    is_filtered: bool,
    everything: String,
    init_command: String,
    missing_forms: Vec<String>,
    pages: Pages,
}

/// A value of a filter, the number of missions it would show, and its link; the link of a chosen value removes it.
#[derive(Clone, Debug, Serialize)]
struct Choice {
    word: &'static str,
    title: String,
    count: usize,
    link: String,
    is_chosen: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Gateway {
    name: String,
    state: &'static str,
    answer: Option<String>,
    checked: Option<When>,
}

#[derive(Clone, Debug, Serialize)]
struct Head {
    word: &'static str,
    title: &'static str,
    link: String,
    order: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: MissionId,
    health: Option<&'static str>,
    reason: Option<String>,
    phase: Option<&'static str>,
    since: Option<When>,
    last_heartbeat: Option<When>,
    ever_heartbeat: bool,
    agent_state: Option<String>,
    agent_state_since: Option<When>,
    message: Option<String>,
    wizard: Option<String>,
    name: Option<String>,
    issue: Option<IssueLink>,
    /// Whether the comment on the issue is out of date.
    is_outdated: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Pages {
    first: usize,
    last: usize,
    number: usize,
    count: usize,
    previous: Option<String>,
    next: Option<String>,
}

impl FleetPage {
    /// Applies a query to a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, query: &Query) -> Self {
        let found = sorted(&snapshot.missions, query);
        let pages = pages(query, found.len());
        let now = snapshot.tick.now();
        let row = |mission: &&MissionView| Row {
            is_outdated: outdated(snapshot, mission).is_some(),
            ..Row::new(mission, snapshot.forge.as_ref(), now)
        };
        let health = health_choices(snapshot, query);
        let all = health_choices(snapshot, &Query::default());
        Self {
            frame: Frame::new(snapshot),
            degraded: all.into_iter().take(3).filter(|choice| choice.count > 0).collect(),
            health,
            phase: phase_choices(snapshot, query),
            agent_state: agent_state_choices(snapshot, query),
            gateways: snapshot.gateways.iter().map(|gateway| Gateway::new(gateway, now)).collect(),
            heads: Column::ALL.into_iter().map(|column| Head::new(column, query)).collect(),
            rows: found.iter().skip(pages.number.saturating_sub(1) * ROWS_MAX).take(ROWS_MAX).map(row).collect(),
            total: snapshot.missions.len(),
            found: found.len(),
            is_filtered: query.is_filtered(),
            everything: Query { sort: query.sort, order: query.order, ..Query::default() }.link(),
            init_command: init_cell_command(&snapshot.missions_root, "UUID"),
            missing_forms: snapshot.passes.missing_forms.clone(),
            pages,
        }
    }
}

fn health_choices(snapshot: &Snapshot, query: &Query) -> Vec<Choice> {
    let with = |health| Query { health, page: 0, ..*query };
    choices(snapshot, (&WORST_FIRST, query.health), with, |health| (health.word(), health.to_string()))
}

fn phase_choices(snapshot: &Snapshot, query: &Query) -> Vec<Choice> {
    let with = |phase| Query { phase, page: 0, ..*query };
    choices(snapshot, (&StageFilter::ALL, query.phase), with, |stage| (stage.word(), stage.title().to_owned()))
}

fn agent_state_choices(snapshot: &Snapshot, query: &Query) -> Vec<Choice> {
    let with = |agent_state| Query { agent_state, page: 0, ..*query };
    choices(snapshot, (&WizardState::ALL, query.agent_state), with, |state| ("says", state.to_string()))
}

/// The values of one filter, with their counts and links; `text` gives a value's class and title.
fn choices<T: Copy + PartialEq>(
    snapshot: &Snapshot,
    (all, chosen): (&[T], Option<T>),
    with: impl Fn(Option<T>) -> Query,
    text: impl Fn(T) -> (&'static str, String),
) -> Vec<Choice> {
    let choice = |one: T| {
        let (is_chosen, (word, title)) = (chosen == Some(one), text(one));
        let link = with((!is_chosen).then_some(one)).link();
        Choice { word, title, count: count(snapshot, &with(Some(one))), link, is_chosen }
    };
    all.iter().copied().map(choice).collect()
}

fn count(snapshot: &Snapshot, query: &Query) -> usize {
    snapshot.missions.iter().filter(|mission| query.matches(mission)).count()
}

/// The position and the links; a page beyond the last one becomes the last one.
fn pages(query: &Query, found: usize) -> Pages {
    let count = found.div_ceil(ROWS_MAX).max(1);
    let at = query.page.min(count - 1);
    let to = |page: usize| Query { page, ..*query }.link();
    Pages {
        first: (at * ROWS_MAX + 1).min(found),
        last: ((at + 1) * ROWS_MAX).min(found),
        number: at + 1,
        count,
        previous: at.checked_sub(1).map(to),
        next: (at + 1 < count).then(|| to(at + 1)),
    }
}

impl Gateway {
    fn new(gateway: &GatewayView, now: Timestamp) -> Self {
        Self {
            name: gateway.name.to_string(),
            state: gateway.state.word(),
            answer: brief(&gateway.answer),
            checked: gateway.asked_at.map(|at| When::new(at, now)),
        }
    }
}

impl Head {
    /// The heading of the current sort column links to the reverse order.
    fn new(column: Column, query: &Query) -> Self {
        let is_sorted = query.sort == column;
        let order = if is_sorted { query.order.reversed() } else { SortOrder::default() };
        Self {
            word: column.word(),
            title: column.title(),
            link: Query { sort: column, order, page: 0, ..*query }.link(),
            order: is_sorted.then(|| query.order.word()),
        }
    }
}

impl Row {
    fn new(mission: &MissionView, forge: Option<&ForgeUrl>, now: Timestamp) -> Self {
        let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
        Self {
            id: mission.mission_id,
            health: mission.health.map(Health::word),
            reason: mission.reason.as_deref().and_then(brief),
            phase: mission.phase.map(Phase::word),
            since: when(mission.since),
            last_heartbeat: when(mission.last_heartbeat_at),
            ever_heartbeat: mission.ever_heartbeat,
            agent_state: mission.agent_state.map(|state| state.to_string()),
            agent_state_since: when(mission.agent_state_since),
            message: mission.message.as_deref().and_then(brief),
            wizard: mission.wizard.as_ref().map(ToString::to_string),
            name: mission.name.as_deref().and_then(brief),
            issue: mission.issue.as_ref().map(|issue| IssueLink::new(issue, forge)),
            is_outdated: false,
        }
    }
}
