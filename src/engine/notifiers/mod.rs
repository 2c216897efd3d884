//! Tells others that the daemon is alive: ping URLs and wizard gateways.

pub mod gateway;
pub mod ping;
