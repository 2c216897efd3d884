//! However large a repository is, however slow a forge, a checkout has a bound, and nothing is left of what passes it.

use crate::support::git_forge::{Bare, GitForge, Manner};
use crate::support::worktree::Place;
use lazarus::world::git::{CheckoutError, CheckoutLimits, ENTRIES_MAX};
use std::time::Duration;

const NAME: &str = "wizards/bomb";
const MIB: usize = 1024 * 1024;

/// Far less than what it would take to check any of these out.
const FAST: Duration = Duration::from_secs(20);

/// What becomes of a repository that holds a tree.
fn outcome(limits: CheckoutLimits, plant: impl FnOnce(&Bare) -> String) -> Result<Vec<String>, CheckoutError> {
    let forge = GitForge::new(Manner::Open);
    let bare = forge.repository(NAME);
    bare.publish(&plant(&bare));
    let place = Place::new();
    place.check_out_within(&forge.source(NAME), limits, None).map(|_| place.files())
}

/// A tree of ten trees of ten trees …
pub(crate) fn nested(bare: &Bare, leaf: &str, mode: &str, levels: usize) -> String {
    let (mut id, mut mode) = (leaf.to_owned(), mode);
    for _ in 0..levels {
        let names: Vec<String> = (0..10).map(|at| at.to_string()).collect();
        id = bare.tree(&names.iter().map(|name| (mode, name.as_str(), id.as_str())).collect::<Vec<_>>());
        mode = "40000";
    }
    id
}

/// Bytes that cannot be made smaller.
fn noise(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}

#[test]
fn law_8_bounded_paths_are_counted_before_any_is_created() {
    let limits = CheckoutLimits { time: FAST, ..CheckoutLimits::default() };
    let too_many = Err(CheckoutError::TooManyEntries { limit: ENTRIES_MAX });
    assert_eq!(outcome(limits, |bare| nested(bare, &bare.blob("x"), "100644", 6)), too_many);
    assert_eq!(outcome(limits, |bare| nested(bare, &bare.tree(&[]), "40000", 6)), too_many, "empty directories");
    let exactly = CheckoutLimits { entries: 110, ..limits };
    assert_eq!(outcome(exactly, |bare| nested(bare, &bare.blob("x"), "100644", 2)).unwrap().len(), 110);
    let less = CheckoutLimits { entries: 109, ..limits };
    let refused = outcome(less, |bare| nested(bare, &bare.blob("x"), "100644", 2));
    assert_eq!(refused, Err(CheckoutError::TooManyEntries { limit: 109 }));
}

#[test]
fn law_8_bounded_bytes_are_counted_before_any_is_written() {
    let limits = CheckoutLimits { time: FAST, ..CheckoutLimits::default() };
    let of = |limit: u64| Err(CheckoutError::TooLarge { limit });
    let many = outcome(limits, |bare| nested(bare, &bare.blob(vec![0; 4 * MIB]), "100644", 3));
    assert_eq!(many, of(limits.bytes), "one blob of 4 MiB a thousand times");
    let small = CheckoutLimits { bytes: 8 * 1024 * 1024, ..limits };
    let one = outcome(small, |bare| bare.tree(&[("100644", "zeros", &bare.blob(vec![0; 20 * MIB]))]));
    assert_eq!(one, of(small.bytes), "a blob of 20 MiB in a pack of 20 KiB");
    let tiny = CheckoutLimits { bytes: 1024 * 1024, ..limits };
    let pack = outcome(tiny, |bare| bare.tree(&[("100644", "noise", &bare.blob(noise(3 * MIB)))]));
    assert_eq!(pack, of(tiny.bytes), "the pack itself is too large a file");
    let enough = CheckoutLimits { bytes: 4 * 1024 * 1024, ..limits };
    let fits = outcome(enough, |bare| bare.tree(&[("100644", "noise", &bare.blob(noise(3 * MIB)))]));
    assert_eq!(fits, Ok(vec!["noise".to_owned()]));
}

#[test]
fn law_8_bounded_nesting_and_name_lengths_are_limited() {
    let deep = |levels: usize| {
        outcome(CheckoutLimits::default(), |bare| {
            (0..levels).fold(bare.tree(&[("100644", "x", &bare.blob("x"))]), |id, _| bare.tree(&[("40000", "d", &id)]))
        })
    };
    assert_eq!(deep(63).unwrap().len(), 64);
    let flaw = |outcome: Result<Vec<String>, CheckoutError>| outcome.unwrap_err().to_string();
    assert!(flaw(deep(64)).contains("` is nested too deeply; fix that in the repository"));
    let named =
        |name: String| outcome(CheckoutLimits::default(), |bare| bare.tree(&[("100644", &name, &bare.blob("x"))]));
    assert_eq!(named("n".repeat(255)).unwrap().len(), 1);
    assert!(flaw(named("n".repeat(256))).contains("…` has a name that is too long"));
    assert!(flaw(named("n".repeat(70_000))).contains("…` is far too long"));
    let long = |levels: usize| {
        let name = "n".repeat(200);
        outcome(CheckoutLimits::default(), |bare| {
            (0..levels)
                .fold(bare.tree(&[("100644", "x", &bare.blob("x"))]), |id, _| bare.tree(&[("40000", &name, &id)]))
        })
    };
    assert_eq!(long(5).unwrap().len(), 6);
    assert!(flaw(long(6)).contains("…` is far too long"));
}

#[test]
fn law_8_bounded_a_checkout_from_a_silent_forge_times_out() {
    let forge = GitForge::new(Manner::Silent);
    let time = Duration::from_millis(300);
    let error = Place::new()
        .check_out_within(&forge.source(NAME), CheckoutLimits { time, ..CheckoutLimits::default() }, None)
        .unwrap_err();
    assert_eq!((&error, error.kind()), (&CheckoutError::TooSlow { limit: time }, "worktree-too-slow"));
    assert_eq!(
        error.to_string(),
        "the repository could not be checked out within 0.3 seconds; the next pass tries again"
    );
    assert_eq!(forge.heard().len(), 1, "it was asked");
}
