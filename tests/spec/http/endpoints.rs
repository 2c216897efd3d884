//! The endpoints over real TCP: every status, and hostile clients.

mod health;
mod heartbeats;
mod ingress;
mod metrics;
mod pages;
mod replays;
mod server;
mod webhook;

/// A cell that tests create.
const CELL: &str = "5f0c1c7e-8a51-5d0e-9c55-0d6f7f2f3a10";

/// The id of a cell that does not exist.
const NOWHERE: &str = "00000000-0000-4000-8000-000000000001";
