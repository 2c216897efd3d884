//! Who gets a new cell where there is not room for all.

use crate::support::missions::{proposal, settled};
use lazarus::mission::fleet::admission::{
    Admission, Capacity, CapacityLimit, CapacityLimits, Occupant, Reserve, Space, admit, shortage,
};
use lazarus::mission::identity::{ForgeUrl, MissionId};
use lazarus::mission::record::{IssueKey, IssueState};
use std::collections::BTreeSet;

const LIMITS: CapacityLimits = CapacityLimits {
    cells: 100,
    cells_per_author: 100,
    new_cells_per_pass: 100,
    free_bytes: Reserve::Exactly(0),
    free_inodes: Reserve::Exactly(0),
};

fn key(number: i64, author_id: i64) -> IssueKey {
    IssueKey { number, issue_id: 1_000 - number, author_id, ..proposal(&[]).issue.key }
}

fn cell(number: i64) -> MissionId {
    MissionId::of_issue(&ForgeUrl::parse("https://git.example.com").unwrap(), 7, number)
}

/// A mission of this author with a cell.
fn occupant(number: i64, author_id: i64) -> Occupant {
    Occupant { mission_id: cell(number), author_id, is_open: true }
}

/// The numbers of those that are admitted, and what the first one that is not waits for.
fn admitted(
    candidates: &[IssueKey],
    occupants: &[Occupant],
    capacity: Capacity<'_>,
) -> (Vec<i64>, Option<CapacityLimit>) {
    let admissions = admit(candidates, occupants.iter().copied(), capacity);
    let admission = |key: &IssueKey| admissions[&(key.repository_id, key.issue_id)];
    let mut sorted: Vec<&IssueKey> = candidates.iter().collect();
    sorted.sort_by_key(|key| key.number);
    let full = sorted.iter().find_map(|key| match admission(key) {
        Admission::Admitted => None,
        Admission::Full(limit) => Some(limit),
    });
    sorted.retain(|key| admission(key) == Admission::Admitted);
    (sorted.into_iter().map(|key| key.number).collect(), full)
}

fn capacity(existing: &BTreeSet<MissionId>, limits: CapacityLimits) -> Capacity<'_> {
    Capacity { existing, limits, shortage: None, new_cells: 0 }
}

#[test]
fn the_smallest_number_is_admitted_first_in_any_order() {
    let existing = BTreeSet::new();
    let limits = CapacityLimits { cells: 2, ..LIMITS };
    for numbers in [[5, 1, 9, 3], [9, 5, 3, 1], [1, 3, 5, 9]] {
        let candidates = numbers.map(|number| key(number, 4));
        let (admitted, full) = admitted(&candidates, &[], capacity(&existing, limits));
        assert_eq!((admitted, full), (vec![1, 3], Some(CapacityLimit::Cells(2))), "{numbers:?}");
    }
}

#[test]
fn of_two_equal_numbers_the_older_repository_is_admitted_first() {
    let existing = BTreeSet::new();
    let older = IssueKey { repository_id: 6, ..key(1, 4) };
    let candidates = [key(1, 4), older.clone()];
    let admissions = admit(&candidates, [], capacity(&existing, CapacityLimits { cells: 1, ..LIMITS }));
    assert_eq!(admissions[&(older.repository_id, older.issue_id)], Admission::Admitted);
}

#[test]
fn each_limit_admits_exactly_as_many_as_fit() {
    let existing: BTreeSet<MissionId> = [cell(1), cell(2)].into();
    let occupants = [occupant(1, 4), occupant(2, 5)];
    let candidates = [key(3, 4), key(4, 4), key(5, 4)];
    let by = |limits| admitted(&candidates, &occupants, capacity(&existing, limits));
    for (limit, fits) in [(2, vec![]), (3, vec![3]), (4, vec![3, 4])] {
        let cells = by(CapacityLimits { cells: limit, ..LIMITS });
        assert_eq!(cells, (fits, Some(CapacityLimit::Cells(limit))), "two there are");
    }
    for (limit, fits) in [(1, vec![]), (2, vec![3]), (3, vec![3, 4])] {
        let of_author = by(CapacityLimits { cells_per_author: limit, ..LIMITS });
        assert_eq!(of_author, (fits, Some(CapacityLimit::CellsPerAuthor(limit))), "one has the author");
    }
    for (limit, fits) in [(0, vec![]), (1, vec![3]), (2, vec![3, 4])] {
        let new = by(CapacityLimits { new_cells_per_pass: limit, ..LIMITS });
        assert_eq!(new, (fits, Some(CapacityLimit::NewCellsPerPass(limit))));
    }
    let capacity = Capacity { new_cells: 1, ..capacity(&existing, CapacityLimits { new_cells_per_pass: 2, ..LIMITS }) };
    assert_eq!(admitted(&candidates, &occupants, capacity).0, [3], "one was made before");
}

#[test]
fn existing_cells_and_bound_missions_count_against_the_quota() {
    let full = |existing: &[MissionId], occupants: &[Occupant]| {
        let existing = existing.iter().copied().collect();
        admitted(&[key(3, 4)], occupants, capacity(&existing, CapacityLimits { cells: 1, ..LIMITS })).1.is_some()
    };
    assert!(!full(&[], &[]));
    assert!(full(&[cell(9)], &[]), "a cell that belongs to no issue");
    assert!(full(&[cell(1)], &[occupant(1, 5)]));
    assert!(full(&[], &[occupant(1, 5)]), "its cell has vanished, and comes back");
    let ended = Occupant { is_open: false, ..occupant(1, 5) };
    assert!(!full(&[], &[ended]) && full(&[cell(1)], &[ended]), "only as long as it lies there");
    let limits = CapacityLimits { cells_per_author: 1, ..LIMITS };
    let existing = BTreeSet::from([cell(9)]);
    assert_eq!(admitted(&[key(3, 4)], &[], capacity(&existing, limits)).1, None, "nobody's cell is not the author's");
}

#[test]
fn a_mission_counts_against_the_quota_while_its_record_is_bound() {
    let mut record = settled(proposal(&[])).record.unwrap();
    let open = Occupant::of(&record).unwrap();
    assert_eq!((open.mission_id, open.author_id, open.is_open), (cell(42), 4, true));
    record.state = IssueState::Closed;
    assert!(!Occupant::of(&record).unwrap().is_open);
    record.binding = None;
    assert_eq!(Occupant::of(&record), None);
}

#[test]
fn free_space_below_the_reserve_reaches_the_limit() {
    let limits = CapacityLimits { free_bytes: Reserve::Exactly(1_000), free_inodes: Reserve::AtMost(50), ..LIMITS };
    let space = |bytes, inodes| Space { bytes: (bytes, 100_000), inodes };
    for (space, short) in [
        (space(1_000, None), None),
        (space(999, None), Some(CapacityLimit::FreeBytes(1_000))),
        (space(999, Some((0, 10_000))), Some(CapacityLimit::FreeBytes(1_000))),
        (space(1_000, Some((50, 10_000))), None),
        (space(1_000, Some((49, 10_000))), Some(CapacityLimit::FreeInodes(50))),
        // Of few there are, a twentieth is enough.
        (space(1_000, Some((10, 200))), None),
        (space(1_000, Some((9, 200))), Some(CapacityLimit::FreeInodes(10))),
    ] {
        assert_eq!(shortage(space, limits), short, "{space:?}");
    }
    let existing = BTreeSet::new();
    let capacity = Capacity { shortage: Some(CapacityLimit::FreeBytes(1)), ..capacity(&existing, LIMITS) };
    assert_eq!(admitted(&[key(3, 4)], &[], capacity), (vec![], Some(CapacityLimit::FreeBytes(1))));
}
