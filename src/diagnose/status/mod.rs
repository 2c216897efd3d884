//! Reports missions: all of them as a table, or one from issue to heartbeat.

pub mod explain;
pub mod fleet;
mod for_people;
mod plain;
mod text;
