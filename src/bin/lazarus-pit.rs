//! `lazarus-pit`: see `--help`.

use lazarus::arguments::{Pit, parse};
use lazarus::world::git::guard;
use std::process::ExitCode;

fn main() -> ExitCode {
    guard::stand().unwrap_or_else(|| lazarus::pit::pit(parse::<Pit>()))
}
