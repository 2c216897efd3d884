//! Locks a `Mutex` regardless of poisoning.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic while a `Mutex` was held is an internal error elsewhere, which must not spread.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
