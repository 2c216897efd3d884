//! The missions root on disk: locks, records, logs, archives, and its single writer.

pub(in crate::world) mod acl;
pub mod alerts;
pub mod archive;
pub mod lock;
pub mod log;
pub mod open;
pub mod removal;
pub mod root;
pub(crate) mod staged;
pub mod starts;
pub mod trash;
pub mod writer;
