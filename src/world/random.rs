//! The only source of randomness: ids, secrets, hash keys and jitter.

use std::hash::RandomState;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// A unique id: a UUID of version 4 from the kernel's generator.
#[must_use]
pub fn id() -> Uuid {
    Uuid::new_v4()
}

/// A secret: 64 hexadecimal digits with 244 random bits, from the kernel's generator.
#[must_use]
pub fn secret() -> String {
    format!("{}{}", id().simple(), id().simple())
}

/// A hasher with a random key, so that its values are unpredictable.
#[must_use]
pub fn hasher() -> RandomState {
    RandomState::new()
}

/// A random number of this range, to spread concurrent work. Never for secrets.
#[must_use]
pub fn number(range: RangeInclusive<i64>) -> i64 {
    fastrand::i64(range)
}

/// A random fraction in [0, 1), to spread concurrent work.
#[must_use]
pub fn fraction() -> f64 {
    fastrand::f64()
}
