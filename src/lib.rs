//! GitOps with issues as the desired state: a Gitea issue asks for a Mission Cell, a directory exists for it, and the
//! issue shows its health.
//!
//! # The map
//!
//! Each folder imports only from folders above it in this table (`tests/spec/house.rs`).
//!
//! | folder | holds | never |
//! |---|---|---|
//! | [`mission`] | every decision: [proposals](mission::proposal), [cells](mission::cell) and their health, [approval](mission::approval), [alerts](mission::alert), [status](mission::status), [decisions over many missions](mission::fleet), [plans](mission::plan) | a file, a socket, a clock, the environment, async |
//! | [`world`] | every effect: the [Gitea client](world::forge), [git](world::git), the [root on disk](world::store), [cells as they are read](world::cells), the [observer](world::observer) and the [applier](world::applier); the [clock](world::clock) and [chance](world::random) | decides anything |
//! | [`config`] | the configuration: file, environment, flags | |
//! | [`agent`] | what `lazarus-pit` does for agents | a forge |
//! | [`engine`] | the reconcile loop: [queue](engine::queue), [survey](engine::survey), [turns](engine::reconcile), [snapshot](engine::snapshot), [report](engine::report), [metrics](engine::metrics) | decides what a mission needs |
//! | [`provision`] | [`init`](provision::init), [`install`](provision::install), [`gc`](provision::gc) | |
//! | [`diagnose`] | [`doctor`](diagnose::doctor), [`status`](diagnose::status), [`scan`](diagnose::scan) | writes |
//! | [`http`] | the two listeners: for machines, and for people | sees more of the world than heartbeats and the clock |
//! | [`sandbox`], [`demo`] | a small forge that shares no code with the client, and the story told on it | |
//! | [`cli`] | from a command line to an exit code | |
//!
//! # One pass
//!
//! 1. The [survey](engine::survey) looks at everything and writes nothing: repositories, labels, issues, records, cells.
//! 2. [`mission::plan::root`] and the [step machine](mission::plan::step) turn what was seen into [changes](mission::plan::change::Change),
//!    which are plain values. [`engine::pass::preview`] prints them and holds no writer.
//! 3. [`engine::reconcile::reconcile`] drives each mission's turn: it fetches the facts that the turn asks for, lets the applier make
//!    the changes that it plans, one by one, and looks again when it says so.
//!
//! # One engine
//!
//! [`engine::pass::once`] is one [`engine::Engine::tick`] and one [`engine::Engine::drain`]. The daemon ([`engine::run`]) is the same
//! engine with a ticker, listeners and workers: the tick, a webhook, a heartbeat, and a turn that wrote something put keys in
//! line ([`engine::queue`]), and workers take them. The web sees a [`engine::snapshot::Snapshot`], the queue, a way to tell of comments, and
//! [`world::cells::heartbeats::Beats`]; nothing else of the world.
//!
//! # What holds everywhere
//!
//! - The binding of an issue to its cell is in the root's own records, and nowhere else: labels, comments and the cell's own
//!   files are copies for readers. They are compared, never believed.
//! - No path is made of a stranger's text: a cell's directory is named by a parsed [`mission::identity::MissionId`].
//! - Whatever a wizard can write in is opened beneath its cell, without following links, without waiting, and with a limit
//!   ([`world::cells::safe_open`]).
//! - `now` is read once a pass, in [`cli::commands`], and handed down. Whatever else reads a clock, waits or draws a number does so through
//!   [`world::clock`] and [`world::random`]; the sandbox has such a place of its own.

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
