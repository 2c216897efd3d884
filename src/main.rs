//! `lazarus-reconcile`: see `--help`.

use lazarus::arguments::{Reconcile, parse};
use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus::run::reconcile(parse::<Reconcile>()).into()
}
