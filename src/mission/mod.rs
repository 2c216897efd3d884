//! The pure heart: what a mission asks for. Nothing in here reads a file, a socket, a clock or the environment.

pub mod answers;
pub mod form;
pub mod identity;
pub mod proposal;
pub mod text;
pub mod time;
