//! The one place where something is drawn: ids, secrets, the keys of hashes, and jitter.

use std::hash::RandomState;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// An id that nothing else has: a UUID of version 4, from the kernel's generator.
#[must_use]
pub fn id() -> Uuid {
    Uuid::new_v4()
}

/// A secret that nobody can guess: 64 hexadecimal digits with 244 random bits, from the kernel's generator.
#[must_use]
pub fn secret() -> String {
    format!("{}{}", id().simple(), id().simple())
}

/// A hash whose values nobody outside can foresee.
#[must_use]
pub fn hasher() -> RandomState {
    RandomState::new()
}

/// A number of this range, to spread what would otherwise happen at the same time. Never for secrets.
#[must_use]
pub fn number(range: RangeInclusive<i64>) -> i64 {
    fastrand::i64(range)
}

/// A fraction from 0 up to, but without, 1, for the same use.
#[must_use]
pub fn fraction() -> f64 {
    fastrand::f64()
}
