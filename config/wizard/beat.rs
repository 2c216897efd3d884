//! An agent in Rust, without any crate. It writes the heartbeat file of the cell that MISSION_CELL names: to a temporary
//! file first, then renamed, so that no reader sees half of it. Build it with `rustc --edition 2021 beat.rs`.
use std::{env, fs, io, path::PathBuf, process};

fn beat(state: &str, message: &str) -> io::Result<()> {
    let cell = PathBuf::from(env::var_os("MISSION_CELL").ok_or(io::Error::other("MISSION_CELL is not set"))?);
    // The standard library has no calendar.
    let date = process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output()?.stdout;
    let timestamp = String::from_utf8_lossy(&date);
    // Debug output is JSON, as long as the text is plain ASCII.
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
