//! The envelope of each JSON document that a command prints or the daemon serves.

use serde::Serialize;

/// The version of the schema of all documents: a change that can break a reader increments it.
pub const SCHEMA_VERSION: u32 = 1;

/// An object with the version of its schema beside its own keys.
#[derive(Debug, Serialize)]
pub struct Document<T> {
    schema_version: u32,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> Document<T> {
    /// A document in the current schema. `content` has to serialize as an object: a list has no place for the version.
    #[must_use]
    pub fn new(content: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, content }
    }
}
