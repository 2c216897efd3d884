//! `lazarus-reconcile`: see `--help`.

use lazarus::arguments::{Reconcile, parse};
use lazarus::world::git::guard;
use std::process::ExitCode;

fn main() -> ExitCode {
    guard::stand().unwrap_or_else(|| lazarus::run::reconcile(parse::<Reconcile>()).into())
}
