//! GitOps with issues as the desired state: a Gitea issue asks for a Mission Cell, a directory exists for it, and the
//! issue shows its health.
//!
//! # The map
//!
//! Three floors; imports point down only (`tests/spec/house.rs`).
//!
//! | floor | holds | never |
//! |---|---|---|
//! | this one | [`arguments`], [`settings`], the [`survey`], the [`pass`], [`report`]s, [`mod@scan`], [`init`], [`install`], [`gc`], the [`mod@doctor`], the [`status`] of missions, [`mod@beat`], the [`messenger`], [`mod@run_command`], [`job`], the [`manual`], the [`console`] and the [`screen`]; the [`queue`], the [`engine`], its [`snapshot`], the web ([`http`]), [`metrics`], and how all of it is [served](mod@serve) | decides what a mission needs |
//! | [`world`] | the [Gitea client](world::gitea), the [root](world::root), its [writer](world::writer), the [observer](world::observer) and the [applier](world::applier); the [clock](world::clock) and [chance](world::random) | decides anything |
//! | [`mission`] | the [form](mission::form), [proposals](mission::proposal), [health](mission::health), [plans](mission::plan), the [comment](mission::comment), [alarms](mission::alarm_plan) | a file, a socket, a clock, the environment, async |
//!
//! [`sandbox`] stands beside them: a small forge that shares no code with the client. [`mod@demo`] tells the story on it.
//!
//! # One pass
//!
//! 1. The [`survey`] looks at everything and writes nothing: repositories, labels, issues, records, cells.
//! 2. [`mission::setup`] and the [step machine](mission::step) turn what was seen into [changes](mission::change::Change),
//!    which are plain values. [`pass::preview`] prints them and holds no writer.
//! 3. [`reconcile::reconcile`] drives each mission's turn: it fetches the facts that the turn asks for, lets the applier make
//!    the changes that it plans, one by one, and looks again when it says so.
//!
//! # One engine
//!
//! [`pass::once`] is one [`engine::Engine::tick`] and one [`engine::Engine::drain`]. The daemon ([`engine::run`]) is the same
//! engine with a ticker, listeners and workers: the tick, a webhook, a heartbeat, and a turn that wrote something put keys in
//! line ([`queue`]), and workers take them. The web sees a [`snapshot::Snapshot`], the queue, a way to tell of comments, and
//! [`world::beats::Beats`]; nothing else of the world.
//!
//! # What holds everywhere
//!
//! - The binding of an issue to its cell is in the root's own records, and nowhere else: labels, comments and the cell's own
//!   files are copies for readers. They are compared, never believed.
//! - No path is made of a stranger's text: a cell's directory is named by a parsed [`mission::identity::MissionId`].
//! - Whatever a wizard can write in is opened beneath its cell, without following links, without waiting, and with a limit
//!   ([`world::beneath`]).
//! - `now` is read once a pass, in [`run`], and handed down. Whatever else reads a clock, waits or draws a number does so through
//!   [`world::clock`] and [`world::random`]; the sandbox has such a place of its own.

pub mod arguments;
pub mod beat;
mod caught;
pub mod console;

pub mod demo;
pub mod doctor;
pub mod engine;
pub mod exit;
mod facts;
pub mod foreground;
pub mod gateway;
pub mod gc;
pub mod http;
pub mod init;
pub mod install;
pub mod job;
pub mod manual;
pub mod messenger;
pub mod metrics;
pub mod mission;
pub mod pass;
pub mod ping;
pub mod pit;
pub mod queue;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod run_command;
pub mod sandbox;
pub mod scan;
pub mod screen;
pub mod serve;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod subject;
pub mod survey;
pub mod told;
pub mod trouble;
pub mod world;
