//! `lazarus-pit`: see `--help`.

use clap::Parser;
use lazarus::arguments::Pit;
use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus::run::pit(Pit::parse()).into()
}
