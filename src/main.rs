//! `lazarus-reconcile`: see `--help`.

use lazarus::arguments::{Reconcile, parse};
use lazarus::console::started;
use lazarus::world::git::guard;
use std::process::ExitCode;

fn main() -> ExitCode {
    guard::stand().or_else(started).unwrap_or_else(|| lazarus::run::reconcile(parse::<Reconcile>()).into())
}
