//! The web over real TCP: every endpoint, every status, and what strangers may try.

mod beats;
mod doors;
mod health;
mod metrics;
mod pages;
mod replays;
mod server;
mod webhook;

/// A cell that tests make.
const CELL: &str = "5f0c1c7e-8a51-5d0e-9c55-0d6f7f2f3a10";

/// A cell that is nowhere.
const NOWHERE: &str = "00000000-0000-4000-8000-000000000001";
