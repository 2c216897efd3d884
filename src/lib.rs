//! Reconciles Mission Cells on disk with Mission proposal issues in Gitea: the issues are the desired state, and show the
//! health of each cell.
//!
//! # The map
//!
//! Each folder imports only from folders above it in this table (`tests/spec/repository/house.rs`).
//!
//! | folder | holds | never |
//! |---|---|---|
//! | [`mission`] | every decision: [proposals](mission::proposal), [cells](mission::cell) and their health, [approval](mission::approval), [alerts](mission::alert), [status](mission::status), [decisions over many missions](mission::fleet), [plans](mission::plan) | a file, a socket, a clock, the environment, async |
//! | [`world`] | every effect: the [Gitea client](world::forge), [git](world::git), the [root on disk](world::store), [cells as they are read](world::cells), the [observer](world::observer) and the [applier](world::applier); the [clock](world::clock) and [random numbers](world::random) | decides anything |
//! | [`config`] | the configuration: file, environment, flags | |
//! | [`agent`] | heartbeats, and the supervision of commands, by `lazarus-pit` | a forge |
//! | [`engine`] | the reconcile loop: [queue](engine::queue), [survey](engine::survey), [turns](engine::reconcile), [snapshot](engine::snapshot), [report](engine::report), [metrics](engine::metrics) | decides what a mission needs |
//! | [`provision`] | [`init`](provision::init), [`install`](provision::install), [`gc`](provision::gc) | |
//! | [`diagnose`] | [`doctor`](diagnose::doctor), [`status`](diagnose::status), [`scan`](diagnose::scan), the [envelope](diagnose::document) of JSON documents | writes |
//! | [`http`] | the two listeners: the endpoints for machines, and the dashboard | accesses more of [`world`] than heartbeats and the clock |
//! | [`sandbox`], [`demo`] | a small forge that shares no code with the client, and the demo that runs on it | |
//! | [`cli`] | command lines, output and exit codes | |
//!
//! # One pass
//!
//! 1. The [survey](engine::survey) reads repositories, labels, issues, records and cells, and writes nothing.
//! 2. [`mission::plan::root`] and the [step machine](mission::plan::step) turn the observations into [changes](mission::plan::change::Change),
//!    which are plain values. [`engine::pass::preview`] prints them, and has no access to a writer.
//! 3. [`engine::reconcile::reconcile`] drives each mission's turn: it fetches the facts that the turn requests, lets the applier make
//!    the planned changes one by one, and observes again if the turn requests it.
//!
//! # One engine
//!
//! [`engine::pass::once`] is one [`engine::Engine::tick`] and one [`engine::Engine::drain`]. The daemon ([`engine::run`]) is the same
//! engine with a ticker, listeners and workers: ticks, webhooks, heartbeats, and turns that wrote something add keys to
//! the [queue](engine::queue), and workers process them. The HTTP server has access to a [`engine::snapshot::Snapshot`], the queue, a channel for
//! events about comments, and [`world::cells::heartbeats::HeartbeatReceiver`]; to nothing else of [`world`].
//!
//! # Invariants
//!
//! - The binding of an issue to its cell is stored only in the root's records. Labels, comments and the cell's files are
//!   copies for readers: they are compared, and never trusted.
//! - No path contains text of untrusted users: a cell's directory is named by a parsed [`mission::identity::MissionId`].
//! - Files that an agent can write are opened beneath its cell, without following links, without blocking, and with a size
//!   limit ([`world::cells::safe_open`]).
//! - `now` is read once per pass, in [`cli::commands`], and passed down. All other clocks, waits and random numbers go through
//!   [`world::clock`] and [`world::random`]; the sandbox has its own.

pub mod agent;
pub mod cli;
pub mod config;
pub mod demo;
pub mod diagnose;
pub mod engine;
pub mod http;
pub mod mission;
pub mod provision;
pub mod sandbox;
pub mod world;
