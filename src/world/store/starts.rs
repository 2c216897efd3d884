//! Remembers when the daemon was started on this root.

use crate::mission::cell::starts::Starts;
use crate::mission::time::Timestamp;
use crate::world::cells::safe_open::{self, FileRead};
use crate::world::store::root::{OWN, Root};
use crate::world::store::writer::{WriteError, Writer};
use rustix::io::Errno;

/// Where that is, in the service's own directory.
const NAME: &str = "starts.json";

/// The most that is read of it.
const BYTES_MAX: usize = 64 * 1024;

/// Takes note that the daemon starts now; all starts that are known. A start that cannot be remembered spares nobody, or the
/// next one would spare them again.
pub fn note_start(writer: &Writer, now: Timestamp) -> Result<Starts, WriteError> {
    let starts = read(writer.root(), now).with(now);
    writer.write_own(NAME, &starts)?;
    Ok(starts)
}

/// What is remembered. A damaged file is as good as one that says that all starts up to now are forgotten.
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
