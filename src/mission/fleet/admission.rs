//! Admits new cells within the configured limits, in the order of issue numbers.

use crate::mission::identity::{MissionId, RepositoryId};
use crate::mission::record::{IssueKey, Record};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whether a new cell may be created for a mission in this pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is capacity.
    Admitted,
    /// It waits for this limit.
    Full(CapacityLimit),
}

/// The limit that a mission waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityLimit {
    /// `limits.cells`: so many cells exist on this root.
    Cells(usize),
    /// `limits.cells_per_author`: so many cells belong to the author.
    CellsPerAuthor(usize),
    /// `limits.new_cells_per_pass`: so many were created in this pass.
    NewCellsPerPass(usize),
    /// `limits.free_bytes`: the root's file system has less free.
    FreeBytes(u64),
    /// `limits.free_inodes`: the root's file system has fewer free.
    FreeInodes(u64),
}

/// The `limits` on new cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityLimits {
    /// The most cells on this root.
    pub cells: usize,
    /// The most cells of one author.
    pub cells_per_author: usize,
    /// The most new cells in one pass.
    pub new_cells_per_pass: usize,
    /// The bytes to keep free.
    pub free_bytes: Reserve,
    /// The inodes to keep free.
    pub free_inodes: Reserve,
}

/// The space to keep free on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// This amount.
    Exactly(u64),
    /// This amount, or [`RESERVE_PERCENT`] of the whole if that is less.
    AtMost(u64),
}

/// The largest share of a small file system that [`Reserve::AtMost`] keeps free.
pub const RESERVE_PERCENT: u64 = 5;

impl Reserve {
    fn of(self, whole: u64) -> u64 {
        match self {
            Self::Exactly(reserve) => reserve,
            Self::AtMost(most) => most.min(whole / 100 * RESERVE_PERCENT),
        }
    }
}

/// The free space of the root's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Available bytes, and the total.
    pub bytes: (u64, u64),
    /// Available inodes, and the total; none if the file system does not report them.
    pub inodes: Option<(u64, u64)>,
}

/// The limit that the free space is below, if any.
#[must_use]
pub fn shortage(space: Space, limits: CapacityLimits) -> Option<CapacityLimit> {
    let is_short = |(free, whole): (u64, u64), reserve: Reserve| (free < reserve.of(whole)).then(|| reserve.of(whole));
    let bytes = is_short(space.bytes, limits.free_bytes).map(CapacityLimit::FreeBytes);
    let inodes = || space.inodes.and_then(|inodes| is_short(inodes, limits.free_inodes)).map(CapacityLimit::FreeInodes);
    bytes.or_else(inodes)
}

/// A cell that counts against the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The mission of the cell.
    pub mission_id: MissionId,
    /// The id of the issue's author.
    pub author_id: i64,
    /// Whether the issue is open and served here; otherwise the cell counts only while it exists.
    pub is_open: bool,
}

impl Occupant {
    /// The occupant that a record stands for, if it has a cell.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let mission_id = record.binding.as_ref()?.mission_id;
        Some(Self { mission_id, author_id: record.issue.author_id, is_open: record.is_served_here() })
    }
}

/// The capacity for new cells.
#[derive(Clone, Copy, Debug)]
pub struct Capacity<'a> {
    /// The cells on the disk.
    pub existing: &'a BTreeSet<MissionId>,
    /// The `limits`.
    pub limits: CapacityLimits,
    /// The limit that the root's file system is below.
    pub shortage: Option<CapacityLimit>,
    /// How many new cells this pass has created or reserved.
    pub new_cells: usize,
}

/// Admits missions in the order of their issue numbers until a limit is reached; by repository id and issue id. Cells
/// on the disk that belong to no issue count too.
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
