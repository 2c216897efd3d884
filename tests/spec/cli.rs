//! The command lines, and what they print.

mod ci_job;
mod commands;
mod console;
mod json;
mod man;
mod misconfigured;
mod pit_run;
mod printed;
mod process_limits;
mod starting;
mod suggested;
mod terminal;
