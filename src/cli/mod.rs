//! From a command line to an exit code: arguments, the commands, and what is printed.

pub mod arguments;
pub mod ci_job;
pub mod commands;
pub mod console;
pub mod exit;
pub mod pit;
