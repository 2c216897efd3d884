//! `lazarus-reconcile`: see `--help`.

use clap::Parser;
use lazarus::arguments::Reconcile;
use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus::run::reconcile(Reconcile::parse()).into()
}
