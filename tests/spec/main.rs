//! The specification, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod form;
mod identity;
