//! `lazarus-pit`: see `--help`.

use lazarus::arguments::{Pit, parse};
use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus::pit::pit(parse::<Pit>())
}
