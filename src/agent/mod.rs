//! What `lazarus-pit` does for agents: heartbeats by file or over HTTP, and supervising a command.

pub mod foreground;
pub mod heartbeat_client;
pub mod heartbeat_file;
pub mod supervise;
