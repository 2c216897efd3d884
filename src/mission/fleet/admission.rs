//! Who gets a new cell when there is not room for all: the smallest issue number first.

use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::record::{IssueKey, Record};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whether a new cell may be made for a mission in this pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is room.
    Admitted,
    /// It waits.
    Full(CapacityLimit),
}

/// The limit that a mission waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityLimit {
    /// `limits.cells`: so many cells exist on this root.
    Cells(usize),
    /// `limits.cells_per_author`: so many cells belong to the proposer.
    CellsPerAuthor(usize),
    /// `limits.new_cells_per_pass`: so many were made in this pass.
    NewCellsPerPass(usize),
    /// `limits.free_bytes`: the root's file system has not so many left.
    FreeBytes(u64),
    /// `limits.free_inodes`: the root's file system has not so many left.
    FreeInodes(u64),
}

/// The `limits` that hold new cells back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityLimits {
    /// The most cells on this root.
    pub cells: usize,
    /// The most cells of one author.
    pub cells_per_author: usize,
    /// The most new cells in one pass.
    pub new_cells_per_pass: usize,
    /// How many bytes stay free.
    pub free_bytes: Reserve,
    /// How many inodes stay free.
    pub free_inodes: Reserve,
}

/// What has to stay free of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// So much.
    Exactly(u64),
    /// So much, or [`RESERVE_PERCENT`] of the whole where that is less.
    AtMost(u64),
}

/// A small file system need not be nearly empty.
pub const RESERVE_PERCENT: u64 = 5;

impl Reserve {
    fn of(self, whole: u64) -> u64 {
        match self {
            Self::Exactly(reserve) => reserve,
            Self::AtMost(most) => most.min(whole / 100 * RESERVE_PERCENT),
        }
    }
}

/// What is left of the file system that holds the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may be written, and all there are.
    pub bytes: (u64, u64),
    /// The same of inodes; none where the file system does not count them.
    pub inodes: Option<(u64, u64)>,
}

/// What is short, if anything is.
#[must_use]
pub fn shortage(space: Space, limits: CapacityLimits) -> Option<CapacityLimit> {
    let is_short = |(free, whole): (u64, u64), reserve: Reserve| (free < reserve.of(whole)).then(|| reserve.of(whole));
    let bytes = is_short(space.bytes, limits.free_bytes).map(CapacityLimit::FreeBytes);
    let inodes = || space.inodes.and_then(|inodes| is_short(inodes, limits.free_inodes)).map(CapacityLimit::FreeInodes);
    bytes.or_else(inodes)
}

/// What takes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The cell.
    pub mission_id: MissionId,
    /// Who filed its issue.
    pub author_id: i64,
    /// Whether the issue is open and served here; a cell whose issue is not takes room only as long as it lies there.
    pub is_open: bool,
}

impl Occupant {
    /// Who takes room by this record, if somebody does.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let mission_id = record.binding.as_ref()?.mission_id;
        Some(Self { mission_id, author_id: record.issue.author_id, is_open: record.is_served_here() })
    }
}

/// What new cells compete for.
#[derive(Clone, Copy, Debug)]
pub struct Capacity<'a> {
    /// The cells on the disk.
    pub existing: &'a BTreeSet<MissionId>,
    /// The `limits`.
    pub limits: CapacityLimits,
    /// What the root's file system is short of.
    pub shortage: Option<CapacityLimit>,
    /// How many new cells this pass has made or promised already.
    pub new_cells: usize,
}

/// Admits missions in the order of their issue numbers until a limit is met; by repository id and issue id. Of the cells
/// that exist on the disk, those that belong to no issue take room too.
#[must_use]
pub fn admit<'a>(
    candidates: impl IntoIterator<Item = &'a IssueKey>,
    occupants: impl IntoIterator<Item = Occupant>,
    capacity: Capacity<'_>,
) -> HashMap<(RepositoryId, i64), Admission> {
    let Capacity { existing, limits, shortage, new_cells } = capacity;
    let mut bound = 0;
    let mut cells = 0;
    let mut of_author: BTreeMap<i64, usize> = BTreeMap::new();
    for Occupant { mission_id, author_id, is_open } in occupants {
        let exists = existing.contains(&mission_id);
        bound += usize::from(exists);
        if !exists && !is_open {
            continue;
        }
        cells += 1;
        *of_author.entry(author_id).or_default() += 1;
    }
    cells += existing.len().saturating_sub(bound);
    let mut new = new_cells;
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    candidates.sort_by_key(|key| (key.number, key.repository_id));
    let mut admissions = HashMap::new();
    for key in candidates {
        let authored = of_author.entry(key.author_id).or_default();
        let admission = if let Some(shortage) = shortage {
            Admission::Full(shortage)
        } else if cells >= limits.cells {
            Admission::Full(CapacityLimit::Cells(limits.cells))
        } else if *authored >= limits.cells_per_author {
            Admission::Full(CapacityLimit::CellsPerAuthor(limits.cells_per_author))
        } else if new >= limits.new_cells_per_pass {
            Admission::Full(CapacityLimit::NewCellsPerPass(limits.new_cells_per_pass))
        } else {
            cells += 1;
            *authored += 1;
            new += 1;
            Admission::Admitted
        };
        admissions.insert((key.repository_id, key.issue_id), admission);
    }
    admissions
}
