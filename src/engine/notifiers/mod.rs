//! Contacts other services: the ping URL and the gateways.

pub mod gateway;
pub mod ping;
