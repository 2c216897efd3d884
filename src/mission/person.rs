//! People, identified by their account on the forge.

use serde::{Deserialize, Serialize};

/// An account. Its id identifies it; its login can be renamed, and then taken by another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Never changes; zero or less is not a real account.
    pub id: i64,
    /// The login at the time of reading.
    pub login: String,
}
