//! Counts the entries of a commit before the checkout; [`super::written`] counts what git writes.

use crate::mission::text::shown;
use crate::world::git::error::CheckoutError;
use crate::world::git::source::CheckoutLimits;

/// The longest path, in bytes. It leaves room for the checkout's own directory.
const PATH_BYTES_MAX: usize = 1024;

/// The longest name, in bytes, on common file systems.
const NAME_BYTES_MAX: usize = 255;

/// The deepest nesting of directories.
pub(super) const DEPTH_MAX: usize = 64;

/// The most bytes of a record before its path.
const RECORD_BYTES_MAX: usize = PATH_BYTES_MAX + 256;

/// The accepted modes: directory, files, link, and submodule, which stays empty.
const MODES: [&[u8]; 6] = [b"040000", b"100644", b"100664", b"100755", b"120000", b"160000"];

/// Parses the records of `ls-tree -r -t -l -z` as they arrive, and stops at the first that exceeds a limit.
#[derive(Debug)]
pub(super) struct Census {
    limits: CheckoutLimits,
    entries: u64,
    bytes: u64,
    begun: Vec<u8>,
}

impl Census {
    pub(super) fn new(limits: CheckoutLimits) -> Self {
        Self { limits, entries: 0, bytes: 0, begun: Vec::new() }
    }

    /// Parses the next piece.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(), CheckoutError> {
        let mut records = piece.split(|byte| *byte == 0);
        // The rest after the last NUL continues in the next piece.
        let rest = records.next_back().unwrap_or_default();
        for record in records {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(record);
            self.count(&whole)?;
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > RECORD_BYTES_MAX {
            return Err(unfit(&self.begun, "is far too long"));
        }
        Ok(())
    }

    fn count(&mut self, record: &[u8]) -> Result<(), CheckoutError> {
        let Some(Entry { mode, size, path }) = Entry::read(record) else {
            return Err(CheckoutError::failed("read what git lists", &shown(&String::from_utf8_lossy(record))));
        };
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.entries > self.limits.entries {
            return Err(CheckoutError::TooManyEntries { limit: self.limits.entries });
        }
        if self.bytes > self.limits.bytes {
            return Err(CheckoutError::TooLarge { limit: self.limits.bytes });
        }
        let flaw = if MODES.contains(&mode) { flaw(path) } else { Some("has a mode that git does not know") };
        flaw.map_or(Ok(()), |flaw| Err(unfit(path, flaw)))
    }
}

/// One record of `ls-tree`.
struct Entry<'a> {
    mode: &'a [u8],
    size: u64,
    path: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Parses `<mode> <type> <id> <size>` and, after a tab, the path. Only files have a size.
    fn read(record: &'a [u8]) -> Option<Self> {
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        let mut words = record[..tab].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let (mode, _kind, _id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let size = if size == b"-" { 0 } else { std::str::from_utf8(size).ok()?.parse().ok()? };
        Some(Self { mode, size, path: &record[tab + 1..] })
    }
}

/// What is wrong with a path. git's own checks cover most of these; this does not rely on them.
fn flaw(path: &[u8]) -> Option<&'static str> {
    let parts = || path.split(|byte| *byte == b'/');
    if path.len() > PATH_BYTES_MAX {
        Some("is far too long")
    } else if parts().count() > DEPTH_MAX {
        Some("is nested too deeply")
    } else if parts().any(|part| part.len() > NAME_BYTES_MAX) {
        Some("has a name that is too long")
    } else if parts().any(|part| matches!(part, b"" | b"." | b"..")) {
        Some("leads out of the checkout")
    } else if parts().any(|part| part.eq_ignore_ascii_case(b".git")) {
        Some("is reserved for git")
    } else {
        None
    }
}

fn unfit(path: &[u8], flaw: &str) -> CheckoutError {
    CheckoutError::Unfit { flaw: format!("`{}` {flaw}", shown(&String::from_utf8_lossy(path))) }
}
