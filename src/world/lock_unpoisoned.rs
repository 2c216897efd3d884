//! How a `Mutex` is locked here.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes wrong while a `Mutex` is held is a defect elsewhere, which must not spread.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
