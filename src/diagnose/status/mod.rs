//! Reports missions: all of them as a table, or one from issue to heartbeat.

pub mod explain;
pub mod fleet;
mod for_people;
pub mod on_disk;
mod plain;
mod text;
