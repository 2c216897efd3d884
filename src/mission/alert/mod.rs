//! Alerts: conditions, state, schedule across the fleet, and messages.

pub mod condition;
pub mod config;
pub mod fleet;
pub mod message;
pub mod plan;
pub mod state;
