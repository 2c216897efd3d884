//! What is remembered of alarms, for one mission and for the fleet; kept apart from what is said in them.

use crate::mission::alert::config::AlertCause;
use crate::mission::identity::{MissionId, RootId};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What is longer ago than this does not count against `notify.per_hour` any more.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);

/// The most that `notify.per_hour` may be, and so the most times that are remembered.
pub const PER_HOUR_MAX: usize = 100;

/// The first line of every alarm.
pub const FIRST_LINE: &str = "<!-- lazarus:alarm v1 -->";

/// What an alarm says, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Notification {
    /// That it went bad, and stayed so.
    #[serde(rename = "raised")]
    #[strum(serialize = "raised")]
    Firing,
    /// That it is well again.
    #[serde(rename = "over")]
    #[strum(serialize = "over")]
    Resolved,
    /// That it is still bad.
    #[serde(rename = "repeated")]
    #[strum(serialize = "repeated")]
    Reminder,
}

impl Notification {
    const ALL: [Self; 3] = [Self::Firing, Self::Resolved, Self::Reminder];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The second line of an alarm, by which we find it again when the answer to it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertMarker {
    /// What it says.
    pub kind: Notification,
    /// Whose it is; none where it speaks for many.
    pub mission: Option<MissionId>,
    /// The root that says it.
    pub root: Option<RootId>,
    /// When.
    pub at: Timestamp,
}

impl AlertMarker {
    /// Reads the first two lines of a comment; anything that is not exactly ours is none.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        let mut lines = body.lines().map(str::trim_end);
        lines.next().filter(|line| *line == FIRST_LINE)?;
        let fields = lines.next()?.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        let mut fields = fields.split(' ');
        let word = fields.next()?;
        let kind = Notification::ALL.into_iter().find(|kind| kind.word() == word)?;
        let mut value = |key: &str| fields.next()?.strip_prefix(key)?.strip_prefix('=');
        let (mission, root, at) = (value("mission")?, value("root")?, value("at")?);
        let some = |text: &'static str| move |found: &&str| *found != text;
        let mission = Some(mission).filter(some("none")).map(MissionId::parse).transpose().ok()?;
        let root = Some(root).filter(some("none")).map(RootId::parse).transpose().ok()?;
        let at = Timestamp::parse(at)?;
        fields.next().is_none().then_some(Self { kind, mission, root, at })
    }
}

impl AlertMarker {
    /// Whether this is what was read of a comment that has the other: what is read again has whole seconds.
    #[must_use]
    pub fn is_written_as(&self, found: &Self) -> bool {
        self.to_string() == found.to_string()
    }
}

/// The two lines.
impl fmt::Display for AlertMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mission, root, at } = self;
        let mission = mission.map_or_else(|| "none".to_owned(), |mission| mission.to_string());
        let root = root.map_or_else(|| "none".to_owned(), |root| root.to_string());
        write!(f, "{FIRST_LINE}\n<!-- {} mission={mission} root={root} at={at} -->", kind.word())
    }
}

/// What is remembered of one mission's alarms; all of it belongs to the changes that post them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertRecord {
    /// The alarm that stands.
    #[serde(alias = "raised")]
    pub firing: Option<FiringAlert>,
    /// When something was posted within the last hour before the last post, oldest first.
    pub posted: Vec<Timestamp>,
    /// What is being posted; a process that dies meanwhile leaves it, so that the next one looks for it first.
    #[serde(alias = "intended")]
    pub intent: Option<AlertIntent>,
}

/// An alarm that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringAlert {
    /// When it was said last.
    pub at: Timestamp,
    /// Since when it is as bad as that.
    pub since: Timestamp,
    /// What has raised it.
    pub cause: AlertCause,
}

/// An alarm that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertIntent {
    /// What it says.
    pub kind: Notification,
    /// When.
    pub at: Timestamp,
    /// What stands once it is said; for [`Kind::Over`] what stood before.
    #[serde(alias = "alarm")]
    pub alert: FiringAlert,
}

impl AlertRecord {
    /// What is remembered while this is on its way.
    #[must_use]
    pub fn intending(&self, intended: AlertIntent) -> Self {
        Self { intent: Some(intended), ..self.clone() }
    }

    /// What is remembered once this is said.
    #[must_use]
    pub fn posted_now(&self, intended: AlertIntent) -> Self {
        let raised = match intended.kind {
            Notification::Firing | Notification::Reminder => Some(intended.alert),
            Notification::Resolved => None,
        };
        Self { firing: raised, posted: noted(&self.posted, intended.at), intent: None }
    }

    /// What is remembered of one that may have been said or not: it counts, but nothing stands by it.
    #[must_use]
    pub fn let_go(&self) -> Self {
        let posted = match self.intent {
            Some(intended) => noted(&self.posted, intended.at),
            None => self.posted.clone(),
        };
        Self { firing: self.firing, posted, intent: None }
    }
}

/// What is remembered of the fleet's alarm: `.lazarus/alarms.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetAlertRecord {
    /// The missions that it speaks for and that are still bad, by repository id and issue id. They raise none of their own.
    pub members: BTreeSet<(i64, i64)>,
    /// Those that its last comment named or counted.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<(i64, i64)>,
    /// When it was raised, as long as it stands.
    #[serde(alias = "raised_at")]
    pub firing_since: Option<Timestamp>,
    /// When it was said last.
    #[serde(alias = "said_at")]
    pub published_at: Option<Timestamp>,
    /// When something was posted within the last hour before the last post, oldest first.
    pub posted: Vec<Timestamp>,
    /// What is being posted.
    #[serde(alias = "intended")]
    pub intent: Option<FleetAlertIntent>,
    /// When the forge refused a comment on its issue; for an hour after that each mission speaks for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
}

/// A comment for many that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetAlertIntent {
    /// What it says.
    pub kind: Notification,
    /// When.
    pub at: Timestamp,
    /// Whom it speaks for.
    pub members: BTreeSet<(i64, i64)>,
}

impl FleetAlertRecord {
    /// What is remembered while this is on its way.
    #[must_use]
    pub fn intending(&self, intended: FleetAlertIntent) -> Self {
        Self { intent: Some(intended), ..self.clone() }
    }

    /// What is remembered once this is said.
    #[must_use]
    pub fn posted_now(&self, intended: FleetAlertIntent) -> Self {
        let FleetAlertIntent { kind, at, members } = intended;
        let (raised_at, said_at) = match kind {
            Notification::Firing => (self.firing_since.or(Some(at)), Some(at)),
            Notification::Reminder => (self.firing_since, Some(at)),
            Notification::Resolved => (None, None),
        };
        let (named, posted) = (members.clone(), noted(&self.posted, at));
        Self { members, named, firing_since: raised_at, published_at: said_at, posted, intent: None, refused_at: None }
    }

    /// What is remembered once its issue has refused a comment, which was not said then.
    #[must_use]
    pub fn refused(&self, now: Timestamp) -> Self {
        Self { intent: None, refused_at: Some(now), ..self.clone() }
    }

    /// Whether its issue has refused a comment within the last hour.
    #[must_use]
    pub fn is_refused(&self, now: Timestamp) -> bool {
        self.refused_at.is_some_and(|at| now.after(at).abs() < WINDOW)
    }

    /// Those that its last comment named or counted; earlier versions remembered only whom it speaks for.
    #[must_use]
    pub fn named(&self) -> &BTreeSet<(i64, i64)> {
        if self.named.is_empty() { &self.members } else { &self.named }
    }

    /// By which the comment that is on its way is found again.
    #[must_use]
    pub fn intended_marker(&self, root: Option<RootId>) -> Option<AlertMarker> {
        let FleetAlertIntent { kind, at, members: _ } = self.intent.as_ref()?;
        Some(AlertMarker { kind: *kind, mission: None, root, at: *at })
    }

    /// What is true of a comment whose fate was unknown, once its issue was looked at.
    #[must_use]
    pub fn settled(&self, was_said: bool) -> Self {
        let Some(intended) = self.intent.clone() else { return self.clone() };
        if was_said { self.posted_now(intended) } else { Self { intent: None, ..self.clone() } }
    }
}

/// How many of these times count within the hour before now.
#[must_use]
pub fn recent(posted: &[Timestamp], now: Timestamp) -> usize {
    posted.iter().filter(|at| now.after(**at).abs() < WINDOW).count()
}

fn noted(posted: &[Timestamp], at: Timestamp) -> Vec<Timestamp> {
    let mut posted: Vec<Timestamp> =
        posted.iter().copied().filter(|before| at.after(*before).abs() < WINDOW).chain([at]).collect();
    posted.drain(..posted.len().saturating_sub(PER_HOUR_MAX));
    posted
}
