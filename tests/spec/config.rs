//! The configuration: layers, file and mistakes.

mod explain;
mod layers;
