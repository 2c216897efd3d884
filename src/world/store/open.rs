//! How a writer comes into a root, also while the root is still to be made.

use crate::world::store::lock::{LockOptions, UninitializedRoot};
use crate::world::store::root::{Root, RootError};
use crate::world::store::writer::Writer;
use std::path::Path;
use std::sync::Arc;

/// What a writer finds.
#[derive(Debug)]
pub enum RootAccess {
    /// It is a root, and ours to write in.
    Known(Arc<Writer>),
    /// It is no root yet, and ours to make one of.
    New(UninitializedRoot),
}

impl RootAccess {
    /// Waits for other writers to end, and opens the root as they left it.
    pub fn to(path: &Path, access: LockOptions) -> Result<Self, RootError> {
        loop {
            let root = Root::open(path)?;
            root.check_owner()?;
            if root.file().is_some() {
                return Writer::lock(&root, access).map(Arc::new).map(Self::Known);
            }
            let ground = UninitializedRoot::take(root, access)?;
            // Somebody may have been quicker between our look and our lock.
            if Root::open(path)?.file().is_none() {
                return Ok(Self::New(ground));
            }
        }
    }

    /// The root, for looking.
    #[must_use]
    pub fn root(&self) -> Arc<Root> {
        match self {
            Self::Known(writer) => Arc::clone(writer.root()),
            Self::New(ground) => Arc::clone(&ground.root),
        }
    }
}
