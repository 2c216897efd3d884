//! What the forge answers when our comment is written, and what is remembered of it.

use crate::mission::record::StatusComment;
use crate::mission::status::view::Status;
use crate::mission::time::Timestamp;

/// A comment as the forge answered its write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its id on the forge.
    pub id: i64,
    /// The SHA-256 of its body.
    pub body_sha256: String,
    /// When it was edited, by the forge's clock; after a post, when it was posted.
    pub updated_at: Timestamp,
}

impl Written {
    /// What is remembered of a new comment, which nobody has looked at again yet.
    #[must_use]
    pub fn posted(self, status: &Status, reposted_at: Option<Timestamp>) -> StatusComment {
        StatusComment { is_confirmed: false, is_edited: false, reposted_at, ..self.spoken(status, None) }
    }

    /// What is remembered of an edited one, of which this was remembered before. A request that goes on keeps its time.
    #[must_use]
    pub fn edited(
        self,
        status: &Status,
        is_confirmed: bool,
        requested_at: Option<Timestamp>,
        before: Option<&StatusComment>,
    ) -> StatusComment {
        let reposted_at = before.and_then(|before| before.reposted_at);
        StatusComment { is_confirmed, is_edited: true, reposted_at, ..self.spoken(status, requested_at) }
    }

    fn spoken(self, status: &Status, requested_at: Option<Timestamp>) -> StatusComment {
        let asks = status.requested_digest();
        StatusComment {
            id: self.id,
            digest: status.digest(),
            is_confirmed: true,
            requested_at: requested_at.or(asks.is_some().then_some(self.updated_at)),
            requested_digest: asks,
            is_edited: true,
            body_sha256: Some(self.body_sha256),
            updated_at: Some(self.updated_at),
            reposted_at: None,
        }
    }
}
