//! The specification, from outside: pure parts by their values, everything else through the sandbox and
//! the real binaries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bounds;
mod commands;
mod comment;
mod console;
mod crash;
mod cron_heartbeat;
mod daemon;
mod disk;
mod faults;
mod flapping;
mod form;
mod gc;
mod git;
mod git_apart;
mod git_bounds;
mod git_hostile;
mod git_refs;
mod health;
mod house;
mod identity;
mod issue;
mod job;
mod label;
mod lasting;
mod laws;
mod once;
mod page;
mod ping;
mod pit_run;
mod plan;
mod queue;
mod races;
mod readme;
mod recordings;
mod roots;
mod sandbox;
mod sandbox_git;
mod scan;
mod service;
mod settings;
mod support;
mod trouble;
mod units;
mod web;
