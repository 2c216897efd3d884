//! Opens a root for writing, including a directory that is still to become one.

use crate::world::store::lock::{LockOptions, UninitializedRoot};
use crate::world::store::root::{Root, RootError};
use crate::world::store::writer::Writer;
use std::path::Path;
use std::sync::Arc;

/// The result of opening a root for writing.
#[derive(Debug)]
pub enum RootAccess {
    /// An initialised root, locked for writing.
    Known(Arc<Writer>),
    /// A directory that can be initialised.
    New(UninitializedRoot),
}

impl RootAccess {
    /// Waits for other writers to end, then opens the root as they left it.
    pub fn to(path: &Path, access: LockOptions) -> Result<Self, RootError> {
        loop {
            let root = Root::open(path)?;
            root.check_owner()?;
            if root.file().is_some() {
                return Writer::lock(&root, access).map(Arc::new).map(Self::Known);
            }
            let ground = UninitializedRoot::take(root, access)?;
            // Another process may have initialised it between the first check and the lock.
            if Root::open(path)?.file().is_none() {
                return Ok(Self::New(ground));
            }
        }
    }

    /// The root, for reading.
    #[must_use]
    pub fn root(&self) -> Arc<Root> {
        match self {
            Self::Known(writer) => Arc::clone(writer.root()),
            Self::New(ground) => Arc::clone(&ground.root),
        }
    }
}
