//! What the daemon shows and takes over HTTP.

pub mod page;
