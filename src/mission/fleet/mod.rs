//! Decisions that involve many missions together.

pub mod admission;
pub mod host_clock;
pub mod job_status;
pub mod mass_change_guard;
pub mod ownership;
