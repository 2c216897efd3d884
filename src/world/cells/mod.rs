//! Reads cells on disk, which agents may be changing at the same time.

pub(in crate::world) mod accepted;
pub mod cell_cache;
pub mod heartbeats;
pub mod look;
pub mod safe_open;
