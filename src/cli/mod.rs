//! Runs a command line: arguments, commands, output and exit codes.

pub mod arguments;
pub mod ci_job;
pub mod commands;
pub mod console;
pub mod exit;
pub mod pit;
