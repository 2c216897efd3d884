//! `lazarus-pit`: see `--help`.

use clap::Parser;
use lazarus::arguments::Pit;
use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus::pit::pit(Pit::parse())
}
