//! What a reader asks to see, in the address: a sort, filters, a page. Unknown words are ignored, never echoed.

use crate::engine::snapshot::MissionView;
use crate::mission::cell::health::Health;
use crate::mission::cell::heartbeat::WizardState;
use crate::mission::status::phase::Phase;
use std::fmt::Write;

/// A query, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// What the rows are sorted by.
    pub sort: Column,
    /// From the first to the last, or the other way.
    pub order: SortOrder,
    /// Only missions with this verdict.
    pub health: Option<Health>,
    /// Only missions whose wizard says this.
    pub agent_state: Option<WizardState>,
    /// Only missions in this phase.
    pub phase: Option<StageFilter>,
    /// Which page, from 0.
    pub page: usize,
}

/// The columns of the table, as they stand there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Column {
    /// The verdict, the worst first.
    #[default]
    Health,
    /// The mission's name.
    Name,
    /// What the wizard says, what needs a person first.
    Says,
    /// Who works in it.
    Wizard,
    /// The last heartbeat, the oldest first.
    Heartbeat,
    /// Since when health is what it is, the longest first.
    Since,
    /// The issue, by repository and number.
    Issue,
}

impl Column {
    /// From left to right.
    pub const ALL: [Self; 7] =
        [Self::Health, Self::Name, Self::Says, Self::Wizard, Self::Heartbeat, Self::Since, Self::Issue];

    /// The word in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The head of the column.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Health => "Health",
            Self::Name => "Mission",
            Self::Says => "Wizard says",
            Self::Wizard => "Wizard",
            Self::Heartbeat => "Last heartbeat",
            Self::Since => "Since",
            Self::Issue => "Issue",
        }
    }
}

/// In which direction the rows run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// As the column is meant to be read.
    #[default]
    Ascending,
    /// The other way.
    Descending,
}

impl SortOrder {
    const ALL: [Self; 2] = [Self::Ascending, Self::Descending];

    /// The word in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// A mission's phase, or that no issue gives it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageFilter {
    /// An issue's phase.
    Of(Phase),
    /// A cell that belongs to no issue.
    NoIssue,
}

impl StageFilter {
    /// In the order of the page.
    pub const ALL: [Self; 6] = [
        Self::Of(Phase::Active),
        Self::Of(Phase::Suspended),
        Self::Of(Phase::Pending),
        Self::Of(Phase::Invalid),
        Self::Of(Phase::Closed),
        Self::NoIssue,
    ];

    /// The word in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Of(phase) => phase.word(),
            Self::NoIssue => "none",
        }
    }

    /// The word for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Of(phase) => phase.word(),
            Self::NoIssue => "without an issue",
        }
    }
}

impl Query {
    /// Reads the raw query string of an address; of two values for one key, the later known one counts.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            query.take(&key, &value);
        }
        query
    }

    fn take(&mut self, key: &str, value: &str) {
        match key {
            "sort" => self.sort = known(Column::ALL, Column::word, value).unwrap_or(self.sort),
            "order" => self.order = known(SortOrder::ALL, SortOrder::word, value).unwrap_or(self.order),
            "health" => self.health = known(Health::ALL, Health::word, value).or(self.health),
            "says" => {
                self.agent_state =
                    WizardState::ALL.into_iter().find(|says| says.to_string() == value).or(self.agent_state)
            }
            "phase" => self.phase = known(StageFilter::ALL, StageFilter::word, value).or(self.phase),
            "page" => self.page = value.parse::<usize>().map_or(self.page, |page| page.saturating_sub(1)),
            _ => {}
        }
    }

    /// Whether a mission is among those asked for.
    #[must_use]
    pub fn takes(&self, mission: &MissionView) -> bool {
        self.health.is_none_or(|health| mission.health == Some(health))
            && self.agent_state.is_none_or(|says| mission.agent_state == Some(says))
            && self.phase.is_none_or(|stage| stage == stage_of(mission))
    }

    /// Whether it asks for some of the missions only.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.health.is_some() || self.agent_state.is_some() || self.phase.is_some()
    }

    /// The address of the page that shows this.
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
        self.agent_state.inspect(|says| add("says", &says.to_string()));
        self.phase.inspect(|stage| add("phase", stage.word()));
        if self.page > 0 {
            add("page", &self.page.saturating_add(1).to_string());
        }
        link
    }
}

/// Where a mission stands.
#[must_use]
pub fn stage_of(mission: &MissionView) -> StageFilter {
    mission.phase.map_or(StageFilter::NoIssue, StageFilter::Of)
}

fn known<T: Copy, const N: usize>(all: [T; N], word: fn(T) -> &'static str, value: &str) -> Option<T> {
    all.into_iter().find(|one| word(*one) == value)
}
