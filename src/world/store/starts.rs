//! Records the times when the daemon started on this root.

use crate::mission::cell::starts::Starts;
use crate::mission::time::Timestamp;
use crate::world::cells::safe_open::{self, FileRead};
use crate::world::store::root::{OWN, Root};
use crate::world::store::writer::{WriteError, Writer};
use rustix::io::Errno;

/// The file in the service's own directory.
const NAME: &str = "starts.json";

/// The most bytes that are read.
const BYTES_MAX: usize = 64 * 1024;

/// Records a start of the daemon and returns all known starts. Failing to record it is an error, or the next start
/// would grant the same grace period again.
pub fn note_start(writer: &Writer, now: Timestamp) -> Result<Starts, WriteError> {
    let starts = read(writer.root(), now).with(now);
    writer.write_own(NAME, &starts)?;
    Ok(starts)
}

/// Reads the starts. A damaged file counts as one whose starts up to now are forgotten.
fn read(root: &Root, now: Timestamp) -> Starts {
    let path = format!("{OWN}/{NAME}");
    let cause = match safe_open::read(root, &path, BYTES_MAX, root.resolver()) {
        Ok(FileRead::Whole(bytes, _)) => match serde_json::from_slice(&bytes) {
            Ok(starts) => return starts,
            Err(error) => error.to_string(),
        },
        Ok(FileRead::TooLarge) => "it is far too large".to_owned(),
        Ok(FileRead::WrongType(kind)) => format!("it is {kind}"),
        Err(Errno::NOENT) => return Starts::default(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("`{}` is unusable: {cause}; it is replaced", root.path().join(path).display());
    Starts::forgotten(now)
}
