//! Reads cells on disk while agents may change them.

pub(in crate::world) mod accepted;
pub mod cell_cache;
pub mod heartbeats;
pub mod look;
pub mod safe_open;
