//! What several chapters of the specification need.

pub(crate) mod cells;
pub(crate) mod golden;
pub(crate) mod missions;
