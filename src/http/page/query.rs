//! Parses the query string of the fleet page: sort, filters and page. Unknown values are ignored and never echoed.

use crate::engine::snapshot::MissionView;
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::status::phase::Phase;
use std::fmt::Write;

/// A parsed query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The column that the rows are sorted by.
    pub sort: Column,
    /// The direction of the sort.
    pub order: SortOrder,
    /// Only missions with this health.
    pub health: Option<Health>,
    /// Only missions whose agent reports this state; the key is `says`.
    pub agent_state: Option<WizardState>,
    /// Only missions in this phase.
    pub phase: Option<StageFilter>,
    /// The page, from 0; from 1 in the address.
    pub page: usize,
}

/// The columns of the table, from left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Column {
    /// The health, the worst first.
    #[default]
    Health,
    /// The mission's name.
    Name,
    /// The state that the agent reports; states that need a person first.
    #[strum(serialize = "says")]
    AgentState,
    /// The agent's name.
    Wizard,
    /// The last heartbeat, the oldest first.
    Heartbeat,
    /// The start of the current health, the oldest first.
    Since,
    /// The issue, by repository and number.
    Issue,
}

impl Column {
    /// All columns, from left to right.
    pub const ALL: [Self; 7] =
        [Self::Health, Self::Name, Self::AgentState, Self::Wizard, Self::Heartbeat, Self::Since, Self::Issue];

    /// The value in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The column heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Health => "Health",
            Self::Name => "Mission",
            Self::AgentState => "Agent state",
            Self::Wizard => "Agent",
            Self::Heartbeat => "Last heartbeat",
            Self::Since => "Since",
            Self::Issue => "Issue",
        }
    }
}

/// The direction of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// The natural order of the column.
    #[default]
    Ascending,
    /// The reverse.
    Descending,
}

impl SortOrder {
    const ALL: [Self; 2] = [Self::Ascending, Self::Descending];

    /// The value in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// The opposite direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// A filter by phase, or for cells without an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageFilter {
    /// Missions in this phase.
    Of(Phase),
    /// Cells that belong to no issue.
    NoIssue,
}

impl StageFilter {
    /// All filters, in the order of the page.
    pub const ALL: [Self; 6] = [
        Self::Of(Phase::Active),
        Self::Of(Phase::Suspended),
        Self::Of(Phase::Pending),
        Self::Of(Phase::Invalid),
        Self::Of(Phase::Closed),
        Self::NoIssue,
    ];

    /// The value in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Of(phase) => phase.word(),
            Self::NoIssue => "none",
        }
    }

    /// The text on the page.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Of(phase) => phase.word(),
            Self::NoIssue => "without an issue",
        }
    }
}

impl Query {
    /// Parses a raw query string; if a key occurs twice, its last known value counts.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            query.set(&key, &value);
        }
        query
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "sort" => self.sort = known(Column::ALL, Column::word, value).unwrap_or(self.sort),
            "order" => self.order = known(SortOrder::ALL, SortOrder::word, value).unwrap_or(self.order),
            "health" => self.health = known(Health::ALL, Health::word, value).or(self.health),
            "says" => {
                self.agent_state =
                    WizardState::ALL.into_iter().find(|state| state.to_string() == value).or(self.agent_state);
            }
            "phase" => self.phase = known(StageFilter::ALL, StageFilter::word, value).or(self.phase),
            "page" => self.page = value.parse::<usize>().map_or(self.page, |page| page.saturating_sub(1)),
            _ => {}
        }
    }

    /// Whether a mission passes all filters.
    #[must_use]
    pub fn matches(&self, mission: &MissionView) -> bool {
        self.health.is_none_or(|health| mission.health == Some(health))
            && self.agent_state.is_none_or(|state| mission.agent_state == Some(state))
            && self.phase.is_none_or(|stage| stage == stage_of(mission))
    }

    /// Whether any filter is set.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.health.is_some() || self.agent_state.is_some() || self.phase.is_some()
    }

    /// The address of this query, without default values.
    #[must_use]
    pub fn link(&self) -> String {
        let mut link = String::from("/");
        let mut add = |key: &str, value: &str| {
            let joint = if link.contains('?') { '&' } else { '?' };
            write!(link, "{joint}{key}={value}").expect("writing to a string always succeeds");
        };
        if (self.sort, self.order) != (Column::default(), SortOrder::default()) {
            add("sort", self.sort.word());
            add("order", self.order.word());
        }
        self.health.inspect(|health| add("health", health.word()));
        self.agent_state.inspect(|state| add("says", &state.to_string()));
        self.phase.inspect(|stage| add("phase", stage.word()));
        if self.page > 0 {
            add("page", &self.page.saturating_add(1).to_string());
        }
        link
    }
}

/// The phase filter that a mission falls under.
#[must_use]
pub fn stage_of(mission: &MissionView) -> StageFilter {
    mission.phase.map_or(StageFilter::NoIssue, StageFilter::Of)
}

fn known<T: Copy, const N: usize>(all: [T; N], word: fn(T) -> &'static str, value: &str) -> Option<T> {
    all.into_iter().find(|one| word(*one) == value)
}
