//! `lazarus-reconcile`: see `--help`.

use lazarus::cli::arguments::{Reconcile, parse};
use lazarus::cli::console::started;
use lazarus::world::git::guard;
use std::process::ExitCode;

fn main() -> ExitCode {
    guard::stand().or_else(started).unwrap_or_else(|| lazarus::cli::commands::reconcile(parse::<Reconcile>()).into())
}
