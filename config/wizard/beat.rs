//! A wizard in Rust, without any crate. It writes the heartbeat of the cell that MISSION_CELL names: under another name
//! first, then by a rename, so that nobody ever reads half of one. Build it with `rustc --edition 2021 beat.rs`.
use std::{env, fs, io, path::PathBuf, process};

fn beat(state: &str, message: &str) -> io::Result<()> {
    let cell = PathBuf::from(env::var_os("MISSION_CELL").ok_or(io::Error::other("MISSION_CELL is not set"))?);
    // The standard library has no calendar.
    let date = process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output()?.stdout;
    let timestamp = String::from_utf8_lossy(&date);
    // Debug is JSON here, as long as the words are plain ASCII.
    let heartbeat = format!(r#"{{"timestamp":{:?},"state":{state:?},"message":{message:?}}}"#, timestamp.trim());
    let temporary = cell.join(format!("state/.heartbeat.{}", process::id()));
    fs::write(&temporary, heartbeat)?;
    fs::rename(&temporary, cell.join("state/heartbeat.json"))
}

fn main() -> io::Result<()> {
    for step in ["reading the scrolls", "raising the dead"] {
        beat("working", step)?;
        // the work of this step
    }
    beat("done", "she walks")
}
