//! The specification, from outside: pure parts by their values, everything else through the sandbox and
//! the real binaries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod alerts;
mod cli;
mod config;
mod crash;
mod diagnose;
mod engine;
mod http;
mod laws;
mod life;
mod mission;
mod provision;
mod repository;
mod sandbox;
mod support;
mod world;
