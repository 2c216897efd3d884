//! `lazarus-pit`: see `--help`.

use lazarus::cli::arguments::{Pit, parse};
use lazarus::cli::console::started;
use lazarus::world::git::guard;
use std::process::ExitCode;

fn main() -> ExitCode {
    guard::stand().or_else(started).unwrap_or_else(|| lazarus::cli::pit::pit(parse::<Pit>()))
}
