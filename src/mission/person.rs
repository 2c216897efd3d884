//! People, by the account that they have on the forge.

use serde::{Deserialize, Serialize};

/// An account. Its id is who it is; its login can be renamed, and then taken by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Never changes; zero or less is nobody in particular.
    pub id: i64,
    /// As it was when this was read.
    pub login: String,
}
