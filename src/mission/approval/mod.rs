//! Decides whether a proposal needs an approval, who may give it, and whether it was given.

pub mod decision;
pub mod policy;
pub mod suspension;
