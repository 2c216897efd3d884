//! Whether a proposal needs an approval, who may give one, and whether it was given.

pub mod decision;
pub mod policy;
pub mod suspension;
