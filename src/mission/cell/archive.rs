//! Archives of the cells of closed missions: their names, sizes and ages.

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
    /// The mission that the cell belonged to.
    pub mission_id: MissionId,
    /// The copy's number; 0 is the first, whose name has no number.
    pub copy: u32,
}

as_text!(ArchiveName);

impl ArchiveName {
    /// The first archive of a mission.
    #[must_use]
    pub fn first(mission_id: MissionId) -> Self {
        Self { mission_id, copy: 0 }
    }

    /// Accepts the canonical spelling only.
    pub fn parse(text: &str) -> Result<Self, NotA> {
        let wanted = "the name of an archive, such as `123e4567-e89b-12d3-a456-426614174000.1`";
        let not_an_archive = || NotA { text: text.to_owned(), wanted };
        let (mission_id, copy) = match text.split_once('.') {
            None => (text, 0),
            Some((mission_id, copy)) => (mission_id, copy.parse().map_err(|_| not_an_archive())?),
        };
        let name = Self { mission_id: MissionId::parse(mission_id).map_err(|_| not_an_archive())?, copy };
        if name.to_string() == text { Ok(name) } else { Err(not_an_archive()) }
    }

    /// The name of the mission's next archive.
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

/// An archive and its measured contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its name.
    pub name: ArchiveName,
    /// When it was archived: the directory's ctime, which the move sets. An archive restored from a backup looks
    /// younger.
    pub archived_at: Timestamp,
    /// The size of its contents.
    pub measure: Measure,
}

/// The size of a directory tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Bytes allocated on the disk; a file with several hard links counts once.
    pub bytes: u64,
    /// The number of entries that are not directories.
    pub files: u64,
    /// Whether the limit was reached, so that there is more.
    pub is_more: bool,
    /// Why it cannot be deleted completely, if so.
    pub obstacle: Option<String>,
}

impl Archive {
    /// Whether it was archived at least `age` ago.
    #[must_use]
    pub fn is_as_old_as(&self, age: Duration, now: Timestamp) -> bool {
        TimeDelta::from_std(age).is_ok_and(|age| now.after(self.archived_at) >= age)
    }
}
