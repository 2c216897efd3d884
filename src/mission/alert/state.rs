//! The records of alerts, of one mission and of the fleet, and the marker lines of alert comments.

use crate::mission::alert::config::AlertCause;
use crate::mission::identity::{MissionId, RootId};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The window in which `notify.per_hour` counts alerts.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);

/// The largest `notify.per_hour`, and so the most times that a record keeps.
pub const PER_HOUR_MAX: usize = 100;

/// The first line of every alert comment.
pub const FIRST_LINE: &str = "<!-- lazarus:alarm v1 -->";

/// The kind of an alert comment. Its words are part of the marker, and older comments have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Notification {
    /// The mission fails.
    #[serde(rename = "raised")]
    #[strum(serialize = "raised")]
    Firing,
    /// The mission does not fail any more.
    #[serde(rename = "over")]
    #[strum(serialize = "over")]
    Resolved,
    /// The mission still fails.
    #[serde(rename = "repeated")]
    #[strum(serialize = "repeated")]
    Reminder,
}

impl Notification {
    const ALL: [Self; 3] = [Self::Firing, Self::Resolved, Self::Reminder];

    /// The fixed word in markers and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The second line of an alert comment; identifies it when the answer to its post was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertMarker {
    /// The kind of the alert.
    pub kind: Notification,
    /// The mission; none for a fleet alert.
    pub mission: Option<MissionId>,
    /// The root that posts it.
    pub root: Option<RootId>,
    /// When it is posted.
    pub at: Timestamp,
}

impl AlertMarker {
    /// Parses the first two lines of a comment; none if they are not exactly a marker.
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
    /// Whether a comment with the other marker is this one; a parsed time has whole seconds.
    #[must_use]
    pub fn is_written_as(&self, found: &Self) -> bool {
        self.to_string() == found.to_string()
    }
}

/// Both lines of the marker.
impl fmt::Display for AlertMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mission, root, at } = self;
        let mission = mission.map_or_else(|| "none".to_owned(), |mission| mission.to_string());
        let root = root.map_or_else(|| "none".to_owned(), |root| root.to_string());
        write!(f, "{FIRST_LINE}\n<!-- {} mission={mission} root={root} at={at} -->", kind.word())
    }
}

/// The alert record of one mission; only the changes that post alerts write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertRecord {
    /// The firing alert.
    #[serde(alias = "raised")]
    pub firing: Option<FiringAlert>,
    /// When alerts were posted within the hour before the last post, oldest first.
    pub posted: Vec<Timestamp>,
    /// The alert that is being posted. It outlives a crash, so that the next process looks for the comment first.
    #[serde(alias = "intended")]
    pub intent: Option<AlertIntent>,
}

/// A firing alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringAlert {
    /// When it was last posted.
    pub at: Timestamp,
    /// Since when the mission fails.
    pub since: Timestamp,
    /// The cause that raised it.
    pub cause: AlertCause,
}

/// An alert that is being posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertIntent {
    /// The kind of the alert.
    pub kind: Notification,
    /// When it is posted.
    pub at: Timestamp,
    /// The alert that fires once it is posted; for [`Notification::Resolved`] the one that fired before.
    #[serde(alias = "alarm")]
    pub alert: FiringAlert,
}

impl AlertRecord {
    /// The record while this is being posted.
    #[must_use]
    pub fn intending(&self, intent: AlertIntent) -> Self {
        Self { intent: Some(intent), ..self.clone() }
    }

    /// The record once this is posted.
    #[must_use]
    pub fn posted_now(&self, intent: AlertIntent) -> Self {
        let raised = match intent.kind {
            Notification::Firing | Notification::Reminder => Some(intent.alert),
            Notification::Resolved => None,
        };
        Self { firing: raised, posted: with_posted(&self.posted, intent.at), intent: None }
    }

    /// The record when it is unknown whether the alert was posted: it counts, but does not fire.
    #[must_use]
    pub fn let_go(&self) -> Self {
        let posted = match self.intent {
            Some(intent) => with_posted(&self.posted, intent.at),
            None => self.posted.clone(),
        };
        Self { firing: self.firing, posted, intent: None }
    }
}

/// The record of the fleet alert: `.lazarus/alarms.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetAlertRecord {
    /// The failing missions that it covers, by repository id and issue id. They get no alerts of their own.
    pub members: BTreeSet<(i64, i64)>,
    /// The missions that its last comment listed or counted.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<(i64, i64)>,
    /// When it fired; none once resolved.
    #[serde(alias = "raised_at")]
    pub firing_since: Option<Timestamp>,
    /// When it was last posted.
    #[serde(alias = "said_at")]
    pub published_at: Option<Timestamp>,
    /// When alerts were posted within the hour before the last post, oldest first.
    pub posted: Vec<Timestamp>,
    /// The comment that is being posted.
    #[serde(alias = "intended")]
    pub intent: Option<FleetAlertIntent>,
    /// When the forge rejected a comment on its issue; for an hour after that each mission alerts on its own issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
}

/// A fleet alert that is being posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetAlertIntent {
    /// The kind of the alert.
    pub kind: Notification,
    /// When it is posted.
    pub at: Timestamp,
    /// The missions that it covers.
    pub members: BTreeSet<(i64, i64)>,
}

impl FleetAlertRecord {
    /// The record while this is being posted.
    #[must_use]
    pub fn intending(&self, intent: FleetAlertIntent) -> Self {
        Self { intent: Some(intent), ..self.clone() }
    }

    /// The record once this is posted.
    #[must_use]
    pub fn posted_now(&self, intent: FleetAlertIntent) -> Self {
        let FleetAlertIntent { kind, at, members } = intent;
        let (firing_since, published_at) = match kind {
            Notification::Firing => (self.firing_since.or(Some(at)), Some(at)),
            Notification::Reminder => (self.firing_since, Some(at)),
            Notification::Resolved => (None, None),
        };
        let (named, posted) = (members.clone(), with_posted(&self.posted, at));
        Self { members, named, firing_since, published_at, posted, intent: None, refused_at: None }
    }

    /// The record once its issue has rejected the comment.
    #[must_use]
    pub fn refused(&self, now: Timestamp) -> Self {
        Self { intent: None, refused_at: Some(now), ..self.clone() }
    }

    /// Whether its issue has rejected a comment within the last hour.
    #[must_use]
    pub fn is_refused(&self, now: Timestamp) -> bool {
        self.refused_at.is_some_and(|at| now.after(at).abs() < WINDOW)
    }

    /// The missions that its last comment listed or counted; records of earlier versions have only `members`.
    #[must_use]
    pub fn named(&self) -> &BTreeSet<(i64, i64)> {
        if self.named.is_empty() { &self.members } else { &self.named }
    }

    /// The marker of the comment that is being posted.
    #[must_use]
    pub fn intended_marker(&self, root: Option<RootId>) -> Option<AlertMarker> {
        let FleetAlertIntent { kind, at, members: _ } = self.intent.as_ref()?;
        Some(AlertMarker { kind: *kind, mission: None, root, at: *at })
    }

    /// The record once the comments show whether the one in flight was posted.
    #[must_use]
    pub fn settled(&self, was_posted: bool) -> Self {
        let Some(intent) = self.intent.clone() else { return self.clone() };
        if was_posted { self.posted_now(intent) } else { Self { intent: None, ..self.clone() } }
    }
}

/// How many of these times lie within [`WINDOW`] of now.
#[must_use]
pub fn recent(posted: &[Timestamp], now: Timestamp) -> usize {
    posted.iter().filter(|at| now.after(**at).abs() < WINDOW).count()
}

fn with_posted(posted: &[Timestamp], at: Timestamp) -> Vec<Timestamp> {
    let mut posted: Vec<Timestamp> =
        posted.iter().copied().filter(|before| at.after(*before).abs() < WINDOW).chain([at]).collect();
    posted.drain(..posted.len().saturating_sub(PER_HOUR_MAX));
    posted
}
