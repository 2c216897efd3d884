//! The pure heart: what a mission asks for, what its cell is like, and what therefore has to change.
//!
//! Nothing in here reads a file, a socket, a clock or the environment, and nothing is async. Facts
//! come in as an [`observation::Observation`], a list of
//! [`change::Change`] values goes out; everything between can be
//! tested with plain values.

pub mod admission;
pub mod alarm;
pub mod alarm_plan;
pub mod answers;
pub mod approval;
pub mod archive;

pub mod cell;
pub mod cell_plan;
pub mod change;
pub mod checkout;
pub mod clock;
pub mod comment;
pub mod comment_check;
pub mod comment_plan;
pub mod consent;
pub mod contents;
pub mod due;
pub mod effort;
pub mod ending;
pub mod expected;
pub mod failure;
pub mod fence;
pub mod fields;
pub mod flapping;
pub mod form;
pub mod formless;
pub mod ground;
pub mod health;
pub mod heartbeat;
pub mod host_clock;
pub mod identity;
pub mod job_status;
pub mod label;
pub mod marker;
pub mod mass_change_guard;
pub mod meaning;
pub mod missing;
pub mod mood;
pub mod muster;
pub mod notice;
pub mod notify;
pub mod observation;
pub mod own_comment;
pub mod ownership;
pub mod papers;
pub mod paths;
pub mod person;
pub mod phase;
pub mod plan;
pub mod problem;
pub mod proposal;
pub mod record;
pub mod replay;
pub mod repository;
pub mod secret;
pub mod sent;
pub mod setup;
pub mod situation;
pub mod starts;
pub mod status;
pub mod step;
pub mod suspension;
pub mod text;
pub mod time;
pub(crate) mod words;
pub mod worktree;
pub mod written;
