//! What there is to know about missions: all of them as a table, or one from issue to heartbeat.

pub mod fleet;
mod for_people;
pub mod story;
mod words;
