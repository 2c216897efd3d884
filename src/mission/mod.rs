//! The domain logic: the desired state of missions, the observed state of their cells, and the changes that follow.
//!
//! It is pure: nothing in here reads a file, a socket, a clock or the environment, and nothing is async. Facts
//! come in as an [`observation::Observation`], a list of
//! [`plan::change::Change`] values goes out; everything between can be
//! tested with plain values.

pub mod alert;
pub mod approval;
pub mod cell;
pub mod failure;
pub mod fleet;
pub mod identity;
pub mod observation;
pub mod paths;
pub mod person;
pub mod plan;
pub mod proposal;
pub mod record;
pub mod repository;
pub mod root_metadata;
pub mod secret;
pub mod selector;
pub mod status;
pub mod text;
pub mod time;
