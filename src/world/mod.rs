//! The effects: the forge and the disk. Everything in here does as it is told; [`crate::mission`] decides.

pub mod gitea;
