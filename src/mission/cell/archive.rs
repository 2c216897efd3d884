//! Archives: what the cells of closed missions are called when they are put away, and which are old enough to go.

use crate::mission::identity::{MissionId, NotA, as_text};
use crate::mission::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The name of an archive: `<mission id>`, and `<mission id>.<n>` for the copies that came after it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArchiveName {
    /// Whose cell it is.
    pub mission_id: MissionId,
    /// Which one; 0 is the first, whose name has no number.
    pub copy: u32,
}

as_text!(ArchiveName);

impl ArchiveName {
    /// The first archive of a mission.
    #[must_use]
    pub fn first(mission_id: MissionId) -> Self {
        Self { mission_id, copy: 0 }
    }

    /// Accepts exactly what an archive is called, and no other spelling of it.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "the name of an archive, such as `123e4567-e89b-12d3-a456-426614174000.1`";
        let refused = || NotA { text: text.to_owned(), wanted };
        let (mission_id, copy) = match text.split_once('.') {
            None => (text, 0),
            Some((mission_id, copy)) => (mission_id, copy.parse().map_err(|_| refused())?),
        };
        let name = Self { mission_id: MissionId::parse(mission_id).map_err(|_| refused())?, copy };
        if name.to_string() == text { Ok(name) } else { Err(refused()) }
    }

    /// What the mission's next archive is called.
    #[must_use]
    pub fn next(self) -> Self {
        Self { copy: self.copy.saturating_add(1), ..self }
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.copy {
            0 => self.mission_id.fmt(f),
            copy => write!(f, "{}.{copy}", self.mission_id),
        }
    }
}

/// An archive, as far as it could be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// What it is called.
    pub name: ArchiveName,
    /// When it was put away: moving a directory changes its status. Restored from a backup it looks younger.
    pub archived_at: Timestamp,
    /// What is in it.
    pub measure: Measure,
}

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// How much room it takes on the disk; what has several names counts once.
    pub bytes: u64,
    /// How many things there are in it that are no directories.
    pub files: u64,
    /// Whether there is more that was not looked at.
    pub is_more: bool,
    /// Why it cannot be deleted whole, if so.
    pub obstacle: Option<String>,
}

impl Archive {
    /// Whether it was put away at least so long ago.
    #[must_use]
    pub fn is_as_old_as(&self, age: Duration, now: Timestamp) -> bool {
        TimeDelta::from_std(age).is_ok_and(|age| now.after(self.archived_at) >= age)
    }
}
