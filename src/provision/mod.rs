//! Prepares what missions need: the root, the repositories, and the removal of old archives.

pub mod gc;
pub mod init;
pub mod install;
